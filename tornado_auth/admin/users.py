"""Users and what is theirs: sessions, identities, API keys, and why they may do what they may.

Owns the parameters and members of these endpoints. Every change is made by `administration`.
"""

from collections.abc import Sequence

from tornado_auth.admin.access import AdminHandler
from tornado_auth.admin.operations import operation
from tornado_auth.admin.schemas import (
    AFTER,
    BOOLEAN,
    LIFETIME,
    LIMIT,
    MAX_PAGE,
    NAME,
    RESOURCE,
    listing,
    matching,
    members,
    text,
)
from tornado_auth.admin.shown import (
    ASSIGNMENT,
    EVENT,
    EXPLANATION,
    IDENTITY,
    KEY,
    MEMBERSHIP,
    SESSION,
    USER,
    fixed,
    page,
    show_explanation,
    show_page,
    whole,
)
from tornado_auth.administrators import READ, WRITE
from tornado_auth.user_claims import ADDRESS, TEXTS, VERIFIED

_SCOPE = matching(r"(\*|admin:read|admin:write|[A-Za-z0-9._@+-]{1,64})")
_PERMISSION = matching(r"[A-Za-z0-9._:/@+-]{0,128}", "empty for all")
_CLAIMS = {
    **{name: matching(pattern, most=2048) for name, pattern in TEXTS.items()},
    **dict.fromkeys(VERIFIED, BOOLEAN),
    "address": {
        **members({}, {name: matching(pattern, most=1000) for name, pattern in ADDRESS.items()}),
        "minProperties": 1,
    },
}
_KNOWN = members({}, {**_CLAIMS, "updated_at": {"type": "integer"}})
_NEW_KEY = fixed({**KEY.schema["properties"], "key": {"type": "string"}})


class UsersEndpoint(AdminHandler):
    """/admin/api/users."""

    @operation(
        "List users, or search them by the beginning of the user name or by e-mail address",
        READ,
        query={"username": text(), "email": text(), "after": AFTER, "limit": LIMIT},
        answer=page(USER),
    )
    async def get(
        self, *, username: str = "", email: str = "", after: str = "", limit: int = MAX_PAGE
    ) -> object:
        """Answer with a page."""
        found = await self.server.administration.users(
            username=username, email=email, after=after, limit=limit + 1
        )
        return show_page(USER, found, limit=limit, order="id" if email else "username_key")


class UserEndpoint(AdminHandler):
    """/admin/api/users/{user_id}."""

    @operation("Show a user", READ, answer=USER.reference, errors=(404,))
    async def get(self, user_id: str) -> object:
        """Answer with the user."""
        return USER(await self.server.administration.user(user_id))

    @operation("Delete a user with everything that is theirs", WRITE, status=204, errors=(404,))
    async def delete(self, user_id: str) -> None:
        """Delete for good: the user name is never given out again."""
        await self.server.administration.delete_user(self.actor, user_id)


class DisableUserEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/disable."""

    @operation(
        "Disable a user, which ends every session", WRITE, answer=USER.reference, errors=(404,)
    )
    async def post(self, user_id: str) -> object:
        """Answer with the user."""
        administration = self.server.administration
        return USER(await administration.set_disabled(self.actor, user_id, disabled=True))


class EnableUserEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/enable."""

    @operation("Let a disabled user sign in again", WRITE, answer=USER.reference, errors=(404,))
    async def post(self, user_id: str) -> object:
        """Answer with the user."""
        administration = self.server.administration
        return USER(await administration.set_disabled(self.actor, user_id, disabled=False))


class ServiceAccountsEndpoint(AdminHandler):
    """/admin/api/service-accounts."""

    @operation(
        "Create a user that nobody signs in as, for a program with API keys",
        WRITE,
        status=201,
        body=members({"username": matching("[a-z0-9][a-z0-9_-]{1,62}[a-z0-9]")}, {"name": text()}),
        answer=USER.reference,
        errors=(409,),
    )
    async def post(self, *, username: str, name: str = "") -> object:
        """Answer with the user."""
        administration = self.server.administration
        return USER(await administration.create_service_account(self.actor, username, name=name))


class UserSessionsEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/sessions."""

    @operation("List the live sessions of a user", READ, answer=whole(SESSION), errors=(404,))
    async def get(self, user_id: str) -> object:
        """Answer with all."""
        return {"items": list(map(SESSION, await self.server.administration.sessions(user_id)))}

    @operation(
        "End every session of a user",
        WRITE,
        answer=fixed({"ended": {"type": "integer"}}),
        errors=(404,),
    )
    async def delete(self, user_id: str) -> object:
        """Answer with how many there were."""
        return {"ended": await self.server.administration.end_sessions(self.actor, user_id)}


class SessionEndpoint(AdminHandler):
    """/admin/api/sessions/{session_id}."""

    @operation("End a session", WRITE, status=204, errors=(404,))
    async def delete(self, session_id: str) -> None:
        """End it everywhere, within a second."""
        await self.server.administration.end_session(self.actor, session_id)


class UserIdentitiesEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/identities."""

    @operation("List what a user signs in with", READ, answer=whole(IDENTITY), errors=(404,))
    async def get(self, user_id: str) -> object:
        """Answer with all."""
        return {"items": list(map(IDENTITY, await self.server.administration.identities(user_id)))}

    @operation(
        "Let a user sign in with one more identity",
        WRITE,
        status=201,
        body=members({"provider": NAME, "subject": text(least=1)}),
        answer=IDENTITY.reference,
        errors=(404, 409),
    )
    async def post(self, user_id: str, *, provider: str, subject: str) -> object:
        """Answer with the identity."""
        self.require_person()
        return IDENTITY(
            await self.server.administration.link_identity(self.actor, user_id, provider, subject)
        )


class IdentityEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/identities/{identity_id}."""

    @operation("Take an identity away from its user", WRITE, status=204, errors=(404,))
    async def delete(self, user_id: str, identity_id: str) -> None:
        """Take it away; who signs in with it then is a new user."""
        await self.server.administration.unlink_identity(self.actor, user_id, identity_id)


class UserKeysEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/keys."""

    @operation("List the API keys of a user", READ, answer=whole(KEY), errors=(404,))
    async def get(self, user_id: str) -> object:
        """Answer with all, and never with a key itself."""
        return {"items": list(map(KEY, await self.server.administration.keys(user_id)))}

    @operation(
        "Make an API key",
        WRITE,
        status=201,
        body=members(
            {"name": text(least=1, most=64), "scopes": listing(_SCOPE, least=1, most=50)},
            {"lifetime": LIFETIME},
        ),
        answer=_NEW_KEY,
        errors=(404,),
    )
    async def post(
        self, user_id: str, *, name: str, scopes: Sequence[str], lifetime: int | None = None
    ) -> object:
        """Answer with the key, which nobody can be shown again."""
        self.require_person()
        record, key = await self.server.administration.create_key(
            self.actor, user_id, name=name, scopes=scopes, lifetime=lifetime
        )
        return {**KEY(record), "key": key}


class KeyEndpoint(AdminHandler):
    """/admin/api/keys/{key_id}."""

    @operation("Revoke an API key", WRITE, status=204, errors=(404,))
    async def delete(self, key_id: str) -> None:
        """Revoke it everywhere, within a second."""
        await self.server.administration.revoke_key(self.actor, key_id)


class UserGroupsEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/groups."""

    @operation("List the groups that a user is in", READ, answer=whole(MEMBERSHIP), errors=(404,))
    async def get(self, user_id: str) -> object:
        """Answer with all."""
        found = await self.server.administration.groups_of(user_id)
        return {"items": list(map(MEMBERSHIP, found))}


class UserRolesEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/roles."""

    @operation(
        "List the roles that a user holds in person", READ, answer=whole(ASSIGNMENT), errors=(404,)
    )
    async def get(self, user_id: str) -> object:
        """Answer with all."""
        found = await self.server.administration.assignments_of(f"user:{user_id}")
        return {"items": list(map(ASSIGNMENT, found))}


class UserPermissionsEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/permissions."""

    @operation(
        "Ask what a user may do in a service, and why",
        READ,
        query={
            "service": text(least=1, most=128),
            "permission": _PERMISSION,
            "resource": RESOURCE,
        },
        required=("service",),
        answer=EXPLANATION,
        errors=(404,),
    )
    async def get(
        self, user_id: str, *, service: str, permission: str = "", resource: str = ""
    ) -> object:
        """Answer with every provider, role and group that had a say."""
        return show_explanation(
            await self.server.administration.why(
                service, user_id, permission=permission, resource=resource
            )
        )


class UserClaimsEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/claims."""

    @operation(
        "Show what is known of a user beyond the account: claims of OpenID Connect",
        READ,
        answer=_KNOWN,
        errors=(404,),
    )
    async def get(self, user_id: str) -> object:
        """Answer with the claims and `updated_at`, or nothing."""
        return await self.server.administration.claims(user_id)

    @operation(
        "Let these claims be all that is known of a user",
        WRITE,
        body=members({}, _CLAIMS),
        answer=_KNOWN,
        errors=(404,),
    )
    async def put(self, user_id: str, **claims: object) -> object:
        """Answer with the claims and `updated_at`."""
        return await self.server.administration.set_claims(self.actor, user_id, claims)


class AuditEndpoint(AdminHandler):
    """/admin/api/audit."""

    @operation(
        "Read the audit log, the newest first",
        READ,
        query={
            "actor": text(),
            "subject": text(),
            "action": text(),
            "after": AFTER,
            "limit": LIMIT,
        },
        answer=page(EVENT),
    )
    async def get(
        self,
        *,
        actor: str = "",
        subject: str = "",
        action: str = "",
        after: str = "",
        limit: int = MAX_PAGE,
    ) -> object:
        """Answer with a page."""
        found = await self.server.administration.audit(
            actor=actor, subject=subject, action=action, after=after, limit=limit + 1
        )
        return show_page(EVENT, found, limit=limit)
