"""How programs get in: admin tokens, the first administrator, invitations for further ones.

Owns what a token request may ask for. The session token that opens these two doors opens none of
the others, and a token never has more scope than its user has permission.
"""

from tornado_auth.admin.access import SESSION, AdminHandler
from tornado_auth.admin.operations import operation
from tornado_auth.admin.schemas import matching, members, text
from tornado_auth.admin.shown import fixed
from tornado_auth.administrators import INVITATION_LIFETIME, READ, WRITE
from tornado_auth.errors import NotAllowed

_TEXT, _NUMBER = {"type": "string"}, {"type": "integer"}
_SCOPE = matching(f"({READ}|{WRITE}|{READ} {WRITE})", "what the token is for; else all you may do")
_TOKEN = fixed(
    {
        "access_token": _TEXT,
        "token_type": {"const": "Bearer"},
        "expires_in": _NUMBER,
        "scope": _TEXT,
    }
)
_INVITATION = fixed({"secret": _TEXT, "expires_in": _NUMBER})


class TokenEndpoint(AdminHandler):
    """POST /admin/api/token: a token for this API, with the members of RFC 6749 §5.1."""

    @operation(
        "Exchange a session token for an admin token",
        SESSION,
        body=members({}, {"scope": _SCOPE}),
        answer=_TOKEN,
    )
    async def post(self, *, scope: str = "") -> object:
        """Answer for who is an administrator; raises NotAllowed for others and for more scope."""
        permitted = await self.server.administrators.permissions_of(self.caller.user.id)
        scopes = tuple(scope.split()) or permitted
        if not permitted or not set(scopes) <= set(permitted):
            await self.record_refusal(NotAllowed.reason)
            raise NotAllowed("You are no administrator, or may not do as much as this.")
        token, lifetime = await self.server.administrators.sign(self.caller.session, scopes)
        await self.server.audit_log.record(
            "admin_token_issued",
            actor=self.actor,
            subject=self.caller.user.id,
            target=self.caller.session.id,
            details=(f"scope={' '.join(scopes)}",),
        )
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": lifetime,
            "scope": " ".join(scopes),
        }


class FirstAdministratorEndpoint(AdminHandler):
    """POST /admin/api/first-administrator: spend a one-time secret."""

    @operation(
        "Become an administrator with a one-time secret",
        SESSION,
        status=204,
        body=members({"secret": text(least=1)}),
    )
    async def post(self, *, secret: str) -> None:
        """Give the role; raises NotAllowed for a secret that is unknown, used or expired."""
        await self.server.administration.accept_invitation(self.actor, secret)


class InvitationsEndpoint(AdminHandler):
    """POST /admin/api/invitations: a one-time secret for one more administrator."""

    @operation(
        "Make a one-time secret that makes its user an administrator",
        WRITE,
        status=201,
        answer=_INVITATION,
    )
    async def post(self) -> object:
        """Answer with the secret, which nobody can be shown again."""
        self.require_person()
        secret = await self.server.administration.invite_administrator(self.actor)
        return {"secret": secret, "expires_in": INVITATION_LIFETIME}
