"""Sessions and the tokens that name them.

Owns the start, the list and the end of sessions, session tokens (JWT, `typ: session+jwt`), and the
one-time codes by which another site gets such a token. Never answers whether a token is good:
`checks.py` does.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from tornado_auth.digests import digest
from tornado_auth.errors import StorageUnavailable
from tornado_auth.keys import KeySet
from tornado_auth.models import API_KEY, HandoverCode, Identity, Session, TokenType
from tornado_auth.revocations import Revocations
from tornado_auth.storage import Collection, all_of, update

HANDOVER_LIFETIME = 60
ENDS_AT_ONCE = 32
_MAX_USER_AGENT = 256


class Sessions:
    """The sessions of all users; `lifetime` is their absolute limit in seconds.

    `on_end` is called for each session that is ended; it takes no time and never raises. That is
    once, or more often where the store does not say whether it ended.
    `on_replace` is called with the ids of a session that is about to end and of the next one.
    """

    def __init__(
        self,
        sessions: Collection[Session],
        handover_codes: Collection[HandoverCode],
        keys: KeySet,
        *,
        revocations: Revocations,
        issuer: str,
        lifetime: int,
        now: Callable[[], int],
        on_end: Callable[[Session], Awaitable[None]] | None = None,
        on_replace: Callable[[str, str], Awaitable[None]] | None = None,
    ) -> None:
        self._sessions = sessions
        self._handover_codes = handover_codes
        self._keys = keys
        self._revocations = revocations
        self._issuer = issuer
        self._lifetime = lifetime
        self._now = now
        self._on_end = on_end
        self._on_replace = on_replace

    async def start(
        self,
        identity: Identity,
        *,
        amr: tuple[str, ...] = (),
        user_agent: str = "",
        remote_ip: str = "",
        upstream_sid: str = "",
    ) -> Session:
        """Start a session for whoever just proved to be this identity."""
        now = self._now()
        session = Session(
            id=secrets.token_urlsafe(32),
            user_id=identity.user_id,
            identity_id=identity.id,
            provider=identity.provider,
            auth_time=now,
            amr=amr,
            created_at=now,
            last_seen_at=now,
            user_agent=_printable(user_agent),
            remote_ip=remote_ip,
            upstream_sid=upstream_sid,
            expires_at=now + self._lifetime,
        )
        await self._sessions.insert(session)
        return session

    async def token(self, session: Session) -> str:
        """Sign a token for a session; it ends when the session does."""
        if session.provider == API_KEY:
            raise ValueError("An API key is its own token.")
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": session.user_id,
            "userid": session.user_id,
            "sid": session.id,
            "iat": self._now(),
            "exp": session.expires_at,
            "jti": secrets.token_urlsafe(16),
        }
        return await self._keys.sign(claims, typ=TokenType.SESSION)

    async def of_user(self, user_id: str) -> list[Session]:
        """Return the user's live sessions without the API keys, the last used first."""
        found = [each for each in await self._all_of(user_id) if each.provider != API_KEY]
        return sorted(found, key=lambda session: session.last_seen_at, reverse=True)

    async def of_upstream(self, upstream_sid: str) -> list[Session]:
        """Return the live sessions that began in one session at a login provider."""
        return await all_of(self._sessions, upstream_sid=upstream_sid)

    async def _all_of(self, user_id: str) -> list[Session]:
        return await all_of(self._sessions, user_id=user_id)

    async def end(self, session: Session) -> bool:
        """End a session everywhere; true for exactly one of any number of callers."""
        try:
            ended = await self._sessions.delete(session.id)
        except StorageUnavailable:
            self._revocations.user_may_have_changed(session.user_id)
            await self._tell_end(session)  # whoever tries again may find nothing left to end
            raise
        try:
            await self._revocations.session_ended(session.id)
        finally:
            if ended:
                await self._tell_end(session)
        return ended

    async def _tell_end(self, session: Session) -> None:
        if self._on_end is not None:
            await self._on_end(session)

    async def replace(self, old: Session, new: Session) -> bool:
        """End a session whose user has just begun another one, which keeps what hangs on it.

        One that is shared lives on until the new one is signed out of: the other site cannot know
        of that.
        """
        if self._on_replace is not None:
            await self._on_replace(old.id, new.id)
        by_the_new_one = partial(_replaced, new.id)
        for before in await self.replaced_by(old):
            await update(self._sessions, before.id, by_the_new_one)
        current = await update(self._sessions, old.id, by_the_new_one)
        return current is not None and not current.is_shared and await self.end(old)

    async def replaced_by(self, session: Session) -> list[Session]:
        """Return the sessions that live on though this one took their place."""
        return [one for one in await self.of_user(session.user_id) if one.replaced_by == session.id]

    async def share(self, session: Session) -> None:
        """Note that another site is handed a token of a session."""
        if not session.is_shared:
            await update(self._sessions, session.id, _shared)

    async def end_all(self, user_id: str, *, keys: bool = True) -> int:
        """End every session of a user everywhere and return how many there were.

        So do the API keys, unless `keys` is false: they are nothing that a password opened.
        """
        ended = 0
        listed = self._all_of if keys else self.of_user
        while sessions := await listed(user_id):
            for start in range(0, len(sessions), ENDS_AT_ONCE):
                some = sessions[start : start + ENDS_AT_ONCE]
                ended += sum(await asyncio.gather(*map(self.end, some)))
        return ended

    async def hand_over(self, session_id: str) -> str:
        """Make a code that can be redeemed once, within a minute."""
        code = secrets.token_urlsafe(32)
        await self._handover_codes.insert(
            HandoverCode(
                id=digest(code), session_id=session_id, expires_at=self._now() + HANDOVER_LIFETIME
            )
        )
        return code

    async def redeem(self, code: str) -> Session | None:
        """Return the session of a hand-over code, to exactly one caller."""
        record = await self._handover_codes.get(digest(code))
        if record is None or not await self._handover_codes.delete(record.id):
            return None
        return await self._sessions.get(record.session_id)

    async def note_seen(self, seen: dict[str, int]) -> None:
        """Write down when sessions (by id) were last used, in seconds since the epoch.

        What is written is taken out of `seen`, so that the rest can be tried again.
        """
        for session_id, seen_at in list(seen.items()):
            await update(self._sessions, session_id, partial(_seen, seen_at))
            del seen[session_id]


def _seen(at: int, session: Session) -> Session:
    return replace(session, last_seen_at=max(at, session.last_seen_at))


def _replaced(by: str, session: Session) -> Session:
    return replace(session, replaced_by=by)


def _shared(session: Session) -> Session:
    return replace(session, is_shared=True)


def _printable(text: str) -> str:
    return "".join(c for c in text[:_MAX_USER_AGENT] if c.isprintable())
