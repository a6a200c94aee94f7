"""Somebody signed out at their login provider, which tells us (OpenID Connect Back-Channel Logout).

Owns which of our sessions that ends, and that a token counts once. Never reads a token itself: the
provider it is from does.
"""

from collections.abc import Callable, Mapping

from tornado_auth.accounts import Accounts
from tornado_auth.digests import digest
from tornado_auth.errors import AlreadyExists, InvalidToken, NotFound
from tornado_auth.logins import Logins, Visitor
from tornado_auth.models import Session, SpentState
from tornado_auth.oauth_mixins import LoginProvider
from tornado_auth.sessions import Sessions
from tornado_auth.storage import Collection
from tornado_auth.upstream.logout_tokens import UpstreamLogout


class UpstreamLogouts:
    """Take the logout tokens of all login providers."""

    def __init__(
        self,
        providers: Mapping[str, LoginProvider],
        spent_states: Collection[SpentState],
        *,
        accounts: Accounts,
        sessions: Sessions,
        logins: Logins,
        now: Callable[[], int],
    ) -> None:
        self._providers = providers
        self._spent_states = spent_states
        self._accounts = accounts
        self._sessions = sessions
        self._logins = logins
        self._now = now

    async def receive(self, name: str, token: str, visitor: Visitor) -> int:
        """End every session that a logout token is about, and return how many there were.

        Raises InvalidToken, NotFound for a provider that sends none, UpstreamError if its keys
        cannot be had.
        """
        provider = self._providers.get(name)
        logout = await provider.read_logout(token) if provider else None
        if logout is None:
            raise NotFound("There is no login provider of this name that sends logout tokens.")
        spent = SpentState(id=digest(f"logout_token:{name}:{logout.jti}"), expires_at=logout.until)
        if await self._spent_states.get(spent.id):
            raise InvalidToken("logout_token_replayed")
        sessions = await self._sessions_of(name, logout)
        for session in sessions:
            await self._logins.end_upstream(session, visitor)
        try:
            # Last: what failed on the way has to be possible once more.
            await self._spent_states.insert(spent)
        except AlreadyExists:
            raise InvalidToken("logout_token_replayed") from None
        return len(sessions)

    async def _sessions_of(self, name: str, logout: UpstreamLogout) -> list[Session]:
        identity_id, found = f"{name}:{logout.subject}", []
        if logout.sid:
            found = await self._sessions.of_upstream(f"{name}:{logout.sid}")
        if not logout.subject:
            return found
        user_id = await self._accounts.user_id_of(identity_id)
        of_user = await self._sessions.of_user(user_id) if user_id else []
        # One whose beginning the provider gave no name may be the one that is meant.
        found += [one for one in of_user if not (logout.sid and one.upstream_sid)]
        return [one for one in found if one.identity_id == identity_id]
