"""Who may administer the service, and the tokens that administrators' programs send.

Owns the two built-in roles, the one-time secrets that make somebody an administrator, and admin
tokens (JWT, `typ: admin+jwt`, for the admin API alone). To be an administrator is a permission
like any other, `admin:read` or `admin:write` in the service `tornado_auth`, so roles and groups
give and take it. Never answers whether a session is over: `checks.py` does.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tornado_auth.digests import digest
from tornado_auth.errors import InvalidToken, NotAllowed, NotFound
from tornado_auth.keys import KeySet
from tornado_auth.models import AdminInvitation, Assignment, Session, TokenType, User
from tornado_auth.roles import Roles
from tornado_auth.storage import Collection

SERVICE = "tornado_auth"
READ, WRITE = "admin:read", "admin:write"
ADMINISTRATOR, AUDITOR = f"{SERVICE}:administrator", f"{SERVICE}:auditor"
TOKEN_LIFETIME = 600
INVITATION_LIFETIME = 3600

_BUILT_IN = {
    ADMINISTRATOR: ("See and change everything.", (READ, WRITE)),
    AUDITOR: ("See everything, change nothing.", (READ,)),
}


@dataclass(frozen=True, slots=True)
class AdminToken:
    """What an admin token says; `expires_at` is in seconds since the epoch."""

    session_id: str
    user_id: str
    expires_at: int
    scopes: tuple[str, ...]


class Administrators:
    """Make administrators, recognise them, and sign tokens for them; `issuer` is our origin."""

    def __init__(
        self,
        roles: Roles,
        admin_invitations: Collection[AdminInvitation],
        users: Collection[User],
        keys: KeySet,
        *,
        issuer: str,
        now: Callable[[], int],
    ) -> None:
        self._roles = roles
        self._invitations = admin_invitations
        self._users = users
        self._keys = keys
        self._issuer = issuer
        self._now = now

    @property
    def audience(self) -> str:
        """What admin tokens are for."""
        return f"{self._issuer}/admin/api"

    async def ensure_roles(self) -> None:
        """Create the built-in roles, or give them back what they stand for."""
        for role_id, (description, permissions) in _BUILT_IN.items():
            try:
                role = await self._roles.role(role_id)
            except NotFound:
                pass
            else:
                if set(permissions) <= set(role.permissions):
                    continue
                permissions = tuple(sorted({*permissions, *role.permissions}))
            service, _, name = role_id.partition(":")
            await self._roles.put_role(
                service, name, permissions=permissions, description=description
            )

    async def permissions_of(self, user_id: str) -> tuple[str, ...]:
        """Return which of READ and WRITE a user has: none if disabled or not there."""
        user = await self._users.get(user_id)
        if user is None or user.disabled_at is not None:
            return ()
        granted = await self._roles.permissions_of(SERVICE, user_id)
        return tuple(name for name in (READ, WRITE) if granted.get(name) is True)

    async def is_administrator(self, user_id: str, *, write: bool) -> bool:
        """Tell whether a user may see everything or, with `write`, change it."""
        return (WRITE if write else READ) in await self.permissions_of(user_id)

    # -- the one-time secret --------------------------------------------------------------------

    async def invite(self, created_by: str = "") -> str:
        """Return a secret that makes one user an administrator, once, within an hour.

        It is void as soon as the user who made it is no administrator any more.
        """
        secret = secrets.token_urlsafe(32)
        now = self._now()
        await self._invitations.insert(
            AdminInvitation(
                id=digest(secret),
                created_by=created_by,
                created_at=now,
                expires_at=now + INVITATION_LIFETIME,
            )
        )
        return secret

    async def accept(self, secret: str, user_id: str) -> Assignment:
        """Make a user an administrator, for exactly one of any number of callers.

        Raises NotAllowed for a secret that is unknown, used or expired, and for a user who is
        disabled or not there.
        """
        user = await self._users.get(user_id)
        if user is None or user.disabled_at is not None:
            raise NotAllowed("This user cannot become an administrator.")
        invitation = await self._invitations.get(digest(secret))
        if (
            invitation is None
            or not await self._may_invite(invitation.created_by)
            or not await self._invitations.delete(invitation.id)
        ):
            raise NotAllowed("The secret is unknown, used or expired.")
        return await self._roles.assign(f"user:{user_id}", ADMINISTRATOR)

    async def _may_invite(self, user_id: str) -> bool:
        return not user_id or await self.is_administrator(user_id, write=True)

    # -- tokens ---------------------------------------------------------------------------------

    async def sign(self, session: Session, scopes: Sequence[str]) -> tuple[str, int]:
        """Sign a token for the admin API, and return it with the seconds that it lasts.

        These are ten minutes, and no longer than the session.
        """
        now = self._now()
        expires_at = min(now + TOKEN_LIFETIME, session.expires_at or now + TOKEN_LIFETIME)
        claims = {
            "iss": self._issuer,
            "aud": self.audience,
            "sub": session.user_id,
            "sid": session.id,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": expires_at,
            "jti": secrets.token_urlsafe(16),
        }
        return await self._keys.sign(claims, typ=TokenType.ADMIN), expires_at - now

    def verify(self, token: str) -> AdminToken:
        """Return what an admin token says; raises InvalidToken for everything else.

        Whether its session is over and its user still an administrator is for the caller to ask.
        """
        claims = self._keys.verify(
            token,
            typ=TokenType.ADMIN,
            issuer=self._issuer,
            audience=self.audience,
            now=self._now(),
        )
        session_id, user_id, scope = claims.get("sid"), claims.get("sub"), claims.get("scope")
        if not (
            isinstance(session_id, str) and isinstance(user_id, str) and isinstance(scope, str)
        ):
            raise InvalidToken("an admin token lacks claims")
        return AdminToken(session_id, user_id, claims["exp"], tuple(scope.split()))
