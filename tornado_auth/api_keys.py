"""API keys: what programs show instead of a session token.

Owns how a key is made, listed and revoked. A key is a session without a sign-in, so whatever
answers for a session token answers for a key, and forgets it within the same second. The store
holds its digest alone, and the key itself is seen once, by whoever made it. Never answers whether
a key is good: `checks.py` does; nor what it may be used for: whoever asks `scopes_cover` does.
"""

import re
import secrets
from collections.abc import Callable, Sequence

from tornado_auth.digests import API_KEY_ID, API_KEY_PREFIX, digest_of_api_key
from tornado_auth.errors import InvalidRequest, NotFound
from tornado_auth.models import API_KEY, Session, User
from tornado_auth.sessions import Sessions
from tornado_auth.storage import Collection

MAX_KEYS = 100
MAX_SCOPES = 50
MAX_NAME = 64
MAX_LIFETIME = 10 * 365 * 86_400
PAGE = 1000
_SCOPE = re.compile(r"\*|admin:read|admin:write|[A-Za-z0-9._@+-]{1,64}")


class APIKeys:
    """The API keys of all users, people and service accounts alike."""

    def __init__(
        self,
        sessions: Collection[Session],
        session_service: Sessions,
        *,
        users: Collection[User],
        now: Callable[[], int],
    ) -> None:
        self._sessions = sessions
        self._session_service = session_service
        self._users = users
        self._now = now

    async def create(
        self, user_id: str, *, name: str, scopes: Sequence[str], lifetime: int | None = None
    ) -> tuple[Session, str]:
        """Make a key and return its record and the key, which nobody can be shown again.

        `scopes` are names of services, "*" for all of them, "admin:read" and "admin:write" for the
        administration; `lifetime` is in seconds, None for a key that lasts until it is revoked.
        Raises InvalidRequest, and NotFound for a user who is not there or disabled.
        """
        name, scopes = _good_name(name), _good_scopes(scopes)
        if lifetime is not None and not 1 <= lifetime <= MAX_LIFETIME:
            raise InvalidRequest(f"A key lasts 1 to {MAX_LIFETIME} seconds, or has no end.")
        await self._require_user(user_id)
        if len(await self.of_user(user_id)) >= MAX_KEYS:
            raise InvalidRequest(f"A user has at most {MAX_KEYS} keys. Revoke one first.")
        key, now = API_KEY_PREFIX + secrets.token_urlsafe(32), self._now()
        session = Session(
            id=digest_of_api_key(key) or "",
            user_id=user_id,
            identity_id="",
            provider=API_KEY,
            auth_time=now,
            created_at=now,
            last_seen_at=0,
            name=name,
            scopes=scopes,
            expires_at=None if lifetime is None else now + lifetime,
        )
        await self._sessions.insert(session)
        try:
            # Whoever deleted or disabled the user in the meantime has not seen this one.
            await self._require_user(user_id)
        except NotFound:
            await self._session_service.end(session)
            raise
        return session, key

    async def of_user(self, user_id: str) -> list[Session]:
        """Return a user's live keys, the newest first."""
        found: list[Session] = []
        while page := await self._sessions.find(
            user_id=user_id, after=found[-1].id if found else API_KEY_ID, limit=PAGE
        ):
            found += page
            if not page[-1].id.startswith(API_KEY_ID):
                break
        keys = (session for session in found if session.provider == API_KEY)
        return sorted(keys, key=lambda key: (-key.created_at, key.id))

    async def get(self, key_id: str) -> Session:
        """Return the record of a live key; raises NotFound."""
        key = await self._sessions.get(key_id) if key_id.startswith(API_KEY_ID) else None
        if key is None or key.provider != API_KEY:
            raise NotFound("There is no such API key.")
        return key

    async def revoke(self, key_id: str) -> Session:
        """End a key everywhere within a second, and return what it was.

        Raises NotFound, for all but one of any number of callers.
        """
        key = await self.get(key_id)
        if not await self._session_service.end(key):
            raise NotFound("There is no such API key.")
        return key

    async def _require_user(self, user_id: str) -> None:
        user = await self._users.get(user_id)
        if user is None or user.disabled_at is not None:
            raise NotFound("There is no such user, or the user is disabled.")


def _good_name(name: str) -> str:
    name = name.strip()
    if not name.isprintable() or not 1 <= len(name) <= MAX_NAME:
        raise InvalidRequest(f"The name of a key has 1 to {MAX_NAME} characters in one line.")
    return name


def _good_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(scopes))
    if not 1 <= len(scopes) <= MAX_SCOPES or not all(map(_SCOPE.fullmatch, scopes)):
        raise InvalidRequest(
            f"A key is for 1 to {MAX_SCOPES} services by name, for all of them (*), or for "
            "admin:read or admin:write."
        )
    return scopes
