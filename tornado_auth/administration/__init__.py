"""What an operator may do, said once for the API, the pages and the command line.

`people.py` has users and what they get in with, `roles.py` what they may do, `clients.py` the
applications that ask for tokens. Owns the order of the steps and that each change is in the audit
log, with who made it: every change takes an `Actor` first, and whoever calls has made sure that
this actor may. Reading takes none. Never speaks to a database, and knows neither HTTP nor a
terminal.
"""

from tornado_auth.accounts import Accounts
from tornado_auth.administration.clients import ClientAdministration
from tornado_auth.administration.people import PeopleAdministration
from tornado_auth.administration.recording import MAX_PAGE, check_limit
from tornado_auth.administration.roles import RoleAdministration
from tornado_auth.administrators import Administrators
from tornado_auth.api_keys import APIKeys
from tornado_auth.audit import AuditLog
from tornado_auth.deletions import Deletions
from tornado_auth.errors import NotAllowed
from tornado_auth.failed_attempts import FailedAttempts
from tornado_auth.models import Actor, AuditEvent, Session, User
from tornado_auth.oauth2.clients import Clients
from tornado_auth.oauth2.consents import Consents
from tornado_auth.oauth2.grants import Grants
from tornado_auth.permissions import Permissions
from tornado_auth.roles import Roles
from tornado_auth.sessions import Sessions
from tornado_auth.storage import Collection
from tornado_auth.user_claims import UserClaimsStore

__all__ = ["MAX_PAGE", "Administration"]


class Administration(PeopleAdministration, RoleAdministration, ClientAdministration):
    """Manage users, what they may do, who manages them, and the clients.

    Raises AdministrationError kinds, and StorageUnavailable as its parts do. Lists come in pages:
    `after` is the id (of users: the user name) of the last one before.
    """

    def __init__(
        self,
        users: Collection[User],
        stored_sessions: Collection[Session],
        *,
        accounts: Accounts,
        sessions: Sessions,
        deletions: Deletions,
        roles: Roles,
        api_keys: APIKeys,
        permissions: Permissions,
        administrators: Administrators,
        clients: Clients,
        consents: Consents,
        grants: Grants,
        user_claims: UserClaimsStore,
        audit_log: AuditLog,
        failed_attempts: FailedAttempts,
    ) -> None:
        self._users = users
        self._stored_sessions = stored_sessions
        self._accounts = accounts
        self._sessions = sessions
        self._deletions = deletions
        self._roles = roles
        self._api_keys = api_keys
        self._permissions = permissions
        self._administrators = administrators
        self._clients = clients
        self._consents = consents
        self._grants = grants
        self._user_claims = user_claims
        self._audit_log = audit_log
        self._failed_attempts = failed_attempts

    # -- administrators and audit ---------------------------------------------------------------

    async def invite_administrator(self, actor: Actor) -> str:
        """Make a secret that turns one user into an administrator, within an hour."""
        secret = await self._administrators.invite(actor.user_id)
        await self._record("administrator_invited", actor)
        return secret

    async def accept_invitation(self, actor: Actor, secret: str) -> None:
        """Make whoever has a good secret an administrator; raises NotAllowed for others."""
        try:
            await self._administrators.accept(secret, actor.user_id)
        except NotAllowed as error:
            await self._failed_attempts.record(
                "invitation_refused", actor=actor, subject=actor.user_id, result=error.reason
            )
            raise
        await self._record("administrator_added", actor, actor.user_id)

    async def is_administrator(self, user_id: str, *, write: bool) -> bool:
        """Tell whether a user may see all this or, with `write`, change it."""
        return await self._administrators.is_administrator(user_id, write=write)

    async def audit(
        self,
        *,
        actor: str = "",
        subject: str = "",
        action: str = "",
        after: str = "",
        limit: int = 100,
    ) -> list[AuditEvent]:
        """Return what happened, the newest first."""
        check_limit(limit)
        return await self._audit_log.find(
            actor=actor, subject=subject, action=action, after=after, limit=limit
        )
