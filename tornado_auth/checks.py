"""A token's way to an answer: may this request pass, and as whom?

The only way in for /auth/check, /auth/verify, the cookie and the Bearer header alike. Owns what is
remembered between two checks: tokens whose signature was verified, and for one second who a
session belongs to. That second is the bound within which an ended session or a disabled user is
refused by every process. A store that does not answer never makes a good token bad: who is known
passes for `stale_limit` seconds, who is not gets StorageUnavailable. Only a few callers wait to
learn that it still does not answer; for the others it is as it was a moment ago. Never writes to
the store.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from tornado_auth.caches import BoundedCache
from tornado_auth.digests import digest
from tornado_auth.errors import InvalidToken, StorageUnavailable
from tornado_auth.keys import KeySet
from tornado_auth.metrics import Metrics
from tornado_auth.models import Session, TokenType, User, Who
from tornado_auth.storage import Collection

logger = logging.getLogger(__name__)

FRESH_FOR = 1
_TOKENS = 100_000
_SESSIONS = 100_000
_WRITE_SEEN_EVERY = 300


@dataclass(frozen=True, slots=True)
class _Verified:
    session_id: str
    user_id: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class _Known:
    who: Who | None
    read_at: int


@dataclass(frozen=True, slots=True)
class _Reading:
    task: asyncio.Task[_Known]
    began_at: int


class Checks:
    """Answer for session tokens; `idle_limit` and `stale_limit` are in seconds."""

    def __init__(
        self,
        keys: KeySet,
        sessions: Collection[Session],
        users: Collection[User],
        *,
        issuer: str,
        idle_limit: int,
        stale_limit: int,
        metrics: Metrics,
        now: Callable[[], int],
    ) -> None:
        self._keys = keys
        self._sessions = sessions
        self._users = users
        self._issuer = issuer
        self._idle_limit = idle_limit
        self._stale_limit = stale_limit
        self._metrics = metrics
        self._now = now
        self._tokens: BoundedCache[str, _Verified] = BoundedCache(_TOKENS)
        self._known: BoundedCache[str, _Known] = BoundedCache(_SESSIONS)
        self._reading: dict[str, _Reading] = {}
        self._failed_at: int | None = None
        self._seen: dict[str, int] = {}

    async def who(self, token: str) -> Who | None:
        """Return whose session a token names, or None if it opens nothing.

        Raises StorageUnavailable when that cannot be told.
        """
        verified = self._verify(token)
        if verified is None:
            self._count("refused")
            return None
        known = self._known.get(verified.session_id)
        if known is None or self._age(known.read_at) >= FRESH_FOR:
            known = await self._refresh(verified.session_id, known)
        who = known.who
        if who is None or who.user.id != verified.user_id or not self._is_live(who):
            self._count("refused")
            return None
        self._count("passed" if self._age(known.read_at) < FRESH_FOR else "stale")
        self._note_seen(who.session)
        return who

    def refuse(self, session_id: str) -> None:
        """Refuse a session at once in this process, because it was just ended."""
        self._reading.pop(session_id, None)
        self._known.put(session_id, _Known(None, self._now()))

    def forget(self, session_id: str) -> None:
        """Read a session and its user again at the next check, because they just changed."""
        self._reading.pop(session_id, None)
        self._known.pop(session_id)

    def take_seen(self) -> dict[str, int]:
        """Return which sessions were used and when, and start a new list."""
        seen, self._seen = self._seen, {}
        return seen

    def give_back_seen(self, seen: dict[str, int]) -> None:
        """Put back on the list what could not be written down."""
        self._seen = seen | self._seen

    def _verify(self, token: str) -> _Verified | None:
        key = digest(token)
        verified = self._tokens.get(key)
        if verified is None:
            try:
                claims = self._keys.verify(
                    token,
                    typ=TokenType.SESSION,
                    issuer=self._issuer,
                    audience=self._issuer,
                    now=self._now(),
                )
            except InvalidToken:
                return None
            session_id, user_id = claims.get("sid"), claims.get("userid")
            if not isinstance(session_id, str) or not isinstance(user_id, str):
                return None
            verified = _Verified(session_id, user_id, claims["exp"])
            self._tokens.put(key, verified)
        return verified if verified.expires_at > self._now() else None

    async def _refresh(self, session_id: str, known: _Known | None) -> _Known:
        """Read a session and its user again, or fall back on what is known of them."""
        usable = known is not None and self._age(known.read_at) <= self._stale_limit
        try:
            if self._is_down(somebody_waits=usable and bool(self._reading)):
                raise StorageUnavailable("The store did not answer a moment ago.")
            return await self._read_once(session_id)
        except StorageUnavailable:
            if known is None or not usable:
                self._count("unavailable")
                raise
            return known

    async def _read_once(self, session_id: str) -> _Known:
        """Read for all who ask at the same time."""
        reading = self._reading.get(session_id)
        # One that takes longer may have read what has changed since: a newcomer asks anew.
        if reading is None or self._age(reading.began_at) >= FRESH_FOR:
            reading = _Reading(asyncio.ensure_future(self._read(session_id)), self._now())
            self._reading[session_id] = reading
        # A caller who goes away must not end the reading for the others.
        return await asyncio.shield(reading.task)

    async def _read(self, session_id: str) -> _Known:
        known = _Known(None, self._now())
        task = asyncio.current_task()
        try:
            session = await self._sessions.get(session_id)
            user = await self._users.get(session.user_id) if session else None
            if session and user:
                known = replace(known, who=Who(user=user, session=session))
            self._failed_at = None
            # Taken out by `refuse` or `forget`, or overtaken: what it read is out of date.
            if self._is_current(session_id, task):
                self._known.put(session_id, known)
            return known
        except StorageUnavailable:
            self._note_failure()
            raise
        finally:
            if self._is_current(session_id, task):
                del self._reading[session_id]

    def _is_current(self, session_id: str, task: asyncio.Task[object] | None) -> bool:
        reading = self._reading.get(session_id)
        return reading is not None and reading.task is task

    def _is_down(self, *, somebody_waits: bool) -> bool:
        """Tell whether reading is in vain: it failed just now, or somebody is at it since."""
        if self._failed_at is None:
            return False
        return somebody_waits or self._age(self._failed_at) < FRESH_FOR

    def _note_failure(self) -> None:
        self._metrics.storage_errors.inc()
        if self._failed_at != self._now():
            logger.warning("storage_unavailable", exc_info=True)
        self._failed_at = self._now()

    def _age(self, moment: int) -> int:
        # abs: a clock that is set back must not make anything fresh for hours.
        return abs(self._now() - moment)

    def _is_live(self, who: Who) -> bool:
        now, session = self._now(), who.session
        last_seen_at = max(session.last_seen_at, self._seen.get(session.id, 0))
        return (
            who.user.disabled_at is None
            and (session.expires_at is None or session.expires_at > now)
            and last_seen_at + self._idle_limit > now
        )

    def _note_seen(self, session: Session) -> None:
        now = self._now()
        if now - session.last_seen_at >= min(_WRITE_SEEN_EVERY, self._idle_limit // 10):
            self._seen[session.id] = now

    def _count(self, result: str) -> None:
        self._metrics.checks.labels(result).inc()
