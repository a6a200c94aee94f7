"""A token's way to an answer: may this request pass, and as whom?

The only way in for /auth/check, /auth/verify, the cookie and the Bearer header alike. Owns what is
remembered between two checks: tokens whose signature was verified, and whose a session is. An API
key is a token without a signature: its digest names a session, and that alone says whose it is.

What was read is as good as new while it is less than a second old, or while the revocation feed
was complete less than a second ago and has told of no change since. So an answer from memory
needs no question to the store, and an ended session is refused within a second all the same.
A store that does not answer never makes a good token bad: who is known passes for `stale_limit`
seconds, who is not gets StorageUnavailable. Never writes to the store.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from tornado_auth.caches import BoundedCache
from tornado_auth.digests import API_KEY_PREFIX, digest_of_api_key
from tornado_auth.errors import InvalidToken, StorageUnavailable, UnreadableRecord
from tornado_auth.granted import granted_names
from tornado_auth.keys import KeySet
from tornado_auth.metrics import Metrics
from tornado_auth.models import Session, TokenType, User, Who
from tornado_auth.pending import Pending
from tornado_auth.readings import Known, Outcome, Readings
from tornado_auth.revocations import Revocations
from tornado_auth.storage import Collection

FRESH_FOR = 1.0
REREAD_AFTER = 60.0  # in the background: last uses, and what changed without a mark
FORGET_AFTER = 2 * REREAD_AFTER
PATIENCE = 0.5  # seconds that somebody waits for the store who could pass without it
_REFUSED = 10_000
_WRITE_SEEN_EVERY = 300
_NEVER = 1 << 62


class Verified(NamedTuple):
    """What a token says; `granted` are the permissions in a permission token for `service`.

    `user_id` is "" for an API key that nobody here has seen pass: not to be remembered, for it may
    be made up.
    """

    session_id: str
    user_id: str
    expires_at: int
    service: str = ""
    granted: frozenset[str] | None = None


Answer = Known | None


class Checks:
    """Answer for tokens; `idle_limit` and `stale_limit` are in seconds.

    At most `known_sessions` tokens, and as many sessions, are remembered.
    """

    def __init__(
        self,
        keys: KeySet,
        sessions: Collection[Session],
        users: Collection[User],
        *,
        revocations: Revocations,
        issuer: str,
        idle_limit: int,
        stale_limit: int,
        known_sessions: int,
        metrics: Metrics,
        now: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._idle_limit = idle_limit
        self._stale_limit = stale_limit
        self._revocations = revocations
        self._metrics = metrics
        self._now = now
        self._monotonic = monotonic
        self._passed = metrics.tally(metrics.checks.labels("passed"))
        self._refusals = metrics.tally(metrics.checks.labels("refused"))
        self._write_seen_every = min(_WRITE_SEEN_EVERY, idle_limit // 10)
        self._seen: dict[str, int] = {}
        self._tokens: BoundedCache[bytes, Verified] = BoundedCache(known_sessions)
        self._known: BoundedCache[str, Known] = BoundedCache(known_sessions)
        # Apart, so that nobody can push good sessions out with ended ones.
        self._refused: BoundedCache[str, Known] = BoundedCache(_REFUSED)
        self._readings = Readings(sessions, users, keep=self._keep, monotonic=monotonic)
        metrics.watch_cache("tokens", self._tokens)
        metrics.watch_cache("sessions", self._known)

    async def who(self, token: str, *, service: str = "") -> Who | None:
        """Return whose session a token names, or None if it opens nothing.

        A permission token counts for its own `service` alone. Raises StorageUnavailable when
        nobody can tell.
        """
        return await self.whose(self.verify(token, service=service))

    async def whose(self, verified: Verified | None) -> Who | None:
        """Answer like `who` for what `verify`, or another reader of our tokens, says of one."""
        answer = self.recall(verified)
        if isinstance(answer, Pending):
            answer = await answer
        return answer.who if answer else None

    def recall(self, verified: Verified | None) -> Answer | Pending[Answer]:
        """Answer like `who`, at once if it is known; `who` of the result is never None.

        `verified` is what `verify` once said of the token, however long ago that was.
        """
        second, now = self._now(), self._monotonic()
        if verified is None or verified.expires_at <= second:
            self._refusals.inc()
            return None
        known = self._known.get(verified.session_id) or self._refused.get(verified.session_id)
        if (
            known is not None
            and known.passed_at == (second, self._revocations.changes)
            and now - self._revocations.as_of < FRESH_FOR
            and known.user_id == verified.user_id
        ):
            # It passed in this very second, and nothing was heard since.
            self._passed.inc()
            return known
        return self._look_closely(verified, known, second, now)

    def _look_closely(
        self, verified: Verified, known: Known | None, second: int, now: float
    ) -> Answer | Pending[Answer]:
        if self._revocations.has_ended(verified.session_id):
            self._refusals.inc()
            return None
        user_id = verified.user_id or (known.user_id if known else "")
        if known is not None and self._revocations.has_changed(user_id, known.read_at):
            known = None
        if known is not None and self._age(known, now) < FRESH_FOR:
            age = now - known.read_at
            if age >= REREAD_AFTER:
                self._readings.refresh(verified.session_id)
            if age < FORGET_AFTER:
                answer = self._judge(verified, known)
                if answer is not None and known.read_at >= self._revocations.complete_since:
                    known.passed_at = (second, self._revocations.changes)
                return answer
        return self._ask_store(verified, known, now)

    def take_seen(self) -> dict[str, int]:
        """Return which sessions were used and when, and start a new list."""
        seen, self._seen = self._seen, {}
        return seen

    def give_back_seen(self, seen: dict[str, int]) -> None:
        """Put back on the list what could not be written down."""
        self._seen = seen | self._seen

    # -- tokens ---------------------------------------------------------------------------------

    def verify(self, token: str, *, service: str = "") -> Verified | None:
        """Return what a token says if it is a good one; a permission token for its service alone.

        Whether its session is over is for `recall` to say.
        """
        key = blake2b(token.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        verified = self._tokens.get(key)
        if verified is None:
            verified = self._read(token, service)
            if verified is None:
                return None
            if verified.user_id:
                self._tokens.put(key, verified)
        return verified if verified.service in ("", service) else None

    def _read(self, token: str, service: str) -> Verified | None:
        if token.startswith(API_KEY_PREFIX):
            return self._read_api_key(token)
        verified = self._read_token(token, TokenType.SESSION, self._issuer)
        if verified is None and service:
            verified = self._read_token(token, TokenType.PERMISSION, service)
        return verified

    def _read_api_key(self, key: str) -> Verified | None:
        session_id = digest_of_api_key(key)
        if session_id is None:
            return None
        known = self._known.get(session_id)
        return Verified(session_id, known.user_id if known else "", _NEVER)

    def _read_token(self, token: str, typ: TokenType, audience: str) -> Verified | None:
        try:
            claims = self._keys.verify(
                token, typ=typ, issuer=self._issuer, audience=audience, now=self._now()
            )
        except InvalidToken:
            return None
        session_id, user_id = claims.get("sid"), claims.get("userid")
        if not isinstance(session_id, str) or not isinstance(user_id, str) or not user_id:
            return None
        if typ is TokenType.SESSION:
            return Verified(session_id, user_id, claims["exp"])
        granted = granted_names(claims.get("permissions"))
        return Verified(session_id, user_id, claims["exp"], audience, granted)

    # -- sessions -------------------------------------------------------------------------------

    def _age(self, known: Known, now: float) -> float:
        """Return for how many seconds it has not been certain that this is still true."""
        if known.read_at >= self._revocations.complete_since:
            return now - max(known.read_at, self._revocations.as_of)
        return now - known.read_at

    def _ask_store(
        self, verified: Verified, known: Known | None, now: float
    ) -> Answer | Pending[Answer]:
        """Ask the store, unless it does not answer these days and there is something to go by."""
        fallback = known if known and self._is_usable(known, now) else None
        failed_at = self._readings.failed_at
        if fallback is not None:
            others_try = failed_at is not None and self._readings.is_busy
            if others_try or self._readings.is_slow:
                return self._fall_back(verified, fallback)
        if failed_at is not None and now - failed_at < FRESH_FOR:
            return self._fall_back(verified, fallback)
        pending: Pending[Answer] = Pending()
        settle = partial(self._settle, verified, fallback, pending)
        try:
            may_be_made_up = not verified.user_id
            self._readings.read(verified.session_id, settle, may_be_made_up=may_be_made_up)
        except StorageUnavailable:
            return self._fall_back(verified, fallback)
        if fallback is not None:
            # In two halves: while this process itself stands still, at most one of them passes.
            half, loop = PATIENCE / 2, asyncio.get_running_loop()
            loop.call_later(half, loop.call_later, half, self._lose_patience, pending, settle)
        return pending

    def _lose_patience(self, pending: Pending[Answer], settle: Callable[[Outcome], None]) -> None:
        if not pending.done():
            self._readings.is_slow = True
            settle(StorageUnavailable("The store takes its time."))

    def _settle(
        self,
        verified: Verified,
        fallback: Known | None,
        pending: Pending[Answer],
        outcome: Outcome,
    ) -> None:
        if pending.done():  # whoever waited has lost patience
            return
        try:
            if isinstance(outcome, Known):
                pending.set_result(self._judge(verified, outcome))
            elif isinstance(outcome, UnreadableRecord):  # no outage: what was known is not so
                pending.set_exception(outcome)
            else:
                self._metrics.storage_errors.inc()
                pending.set_result(self._fall_back(verified, fallback))
        except StorageUnavailable as error:
            pending.set_exception(error)

    def _is_usable(self, known: Known, now: float) -> bool:
        return (
            self._age(known, now) <= self._stale_limit
            and now - known.read_at <= FORGET_AFTER + self._stale_limit
        )

    def _fall_back(self, verified: Verified, known: Known | None) -> Answer:
        if known is None:
            self._metrics.checks.labels("unavailable").inc()
            raise StorageUnavailable("The store did not answer a moment ago.")
        return self._judge(verified, known, stale=True)

    def _keep(self, session_id: str, known: Known) -> bool:
        """Remember what was read; false if it was overtaken by a change and is to be read again."""
        if not known.user_id or self._revocations.has_ended(session_id):
            self._known.pop(session_id)
            self._refused.put(session_id, Known(None, known.read_at))
            return True
        if self._revocations.has_changed(known.user_id, known.read_at):
            return False
        later = self._known.get(session_id) or self._refused.get(session_id)
        if later is None or later.read_at <= known.read_at:
            self._known.put(session_id, known)
        return True

    def _judge(self, verified: Verified, known: Known, *, stale: bool = False) -> Answer:
        now = self._now()
        if (
            not known.user_id
            or verified.user_id not in ("", known.user_id)
            or self._revocations.has_ended(verified.session_id)
            or not self._is_live(verified.session_id, known, now)
        ):
            self._refusals.inc()
            return None
        if stale:
            self._metrics.checks.labels("stale").inc()
        else:
            self._passed.inc()
        if now - known.last_seen_at >= self._write_seen_every:
            self._seen[verified.session_id] = now
        return known

    def _is_live(self, session_id: str, known: Known, now: int) -> bool:
        if known.is_disabled or (known.expires_at is not None and known.expires_at <= now):
            return False
        if known.scopes is not None or known.last_seen_at + self._idle_limit > now:
            return True
        return self._seen.get(session_id, 0) + self._idle_limit > now
