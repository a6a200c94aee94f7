"""How a user is deleted, in which order.

Owns that order: it can be repeated after a crash at any point, and from its first step on the user
is refused. The user goes last, for by the name an operator finds out what is left to do. The name
itself is never given out again. Never calls an extension.
"""

from tornado_auth.accounts import Accounts
from tornado_auth.models import Consent
from tornado_auth.oauth2.grants import Grants
from tornado_auth.passwords import LocalAccounts
from tornado_auth.roles import Roles
from tornado_auth.sessions import Sessions
from tornado_auth.storage import Collection
from tornado_auth.user_claims import UserClaimsStore


class Deletions:
    """Delete users with all that is theirs."""

    def __init__(
        self,
        accounts: Accounts,
        local_accounts: LocalAccounts,
        *,
        sessions: Sessions,
        roles: Roles,
        grants: Grants,
        consents: Collection[Consent],
        user_claims: UserClaimsStore,
    ) -> None:
        self._accounts = accounts
        self._local_accounts = local_accounts
        self._sessions = sessions
        self._roles = roles
        self._grants = grants
        self._consents = consents
        self._user_claims = user_claims

    async def delete_user(self, user_id: str) -> bool:
        """Delete a user for good; true for exactly one of any number of callers."""
        await self._accounts.set_disabled(user_id, disabled=True)
        await self._sessions.end_all(user_id)
        await self._local_accounts.remove_password(user_id)
        await self._roles.forget_user(user_id)
        await self._grants.forget_user(user_id)
        await self._consents.delete_where(user_id=user_id)
        await self._user_claims.forget_user(user_id)
        return await self._accounts.delete(user_id)
