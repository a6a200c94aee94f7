"""Clients of the authorization server, and the applications that users are connected with.

Owns the parameters and members of these endpoints. What a client may be is decided below: here is
only of which type everything is. A secret is in the one answer that made it and in no other.
"""

from tornado_auth.admin.access import AdminHandler
from tornado_auth.admin.operations import operation
from tornado_auth.admin.schemas import (
    AFTER,
    BOOLEAN,
    LIFETIME,
    LIMIT,
    MAX_PAGE,
    Schema,
    listing,
    matching,
    members,
    optional,
    text,
)
from tornado_auth.admin.shown import (
    APPLICATION,
    CLIENT,
    fixed,
    page,
    show_application,
    show_page,
)
from tornado_auth.administrators import READ, WRITE
from tornado_auth.oauth2.metadata_members import MAX_ENTRIES, MAX_LIFETIME, MAX_TEXT
from tornado_auth.oauth2.redirect_uris import MAX_LENGTH
from tornado_auth.oauth2.values import AUTH_METHODS

_TEXT, _ADDRESS = text(most=MAX_TEXT), text(most=MAX_LENGTH)
_TEXTS, _ADDRESSES = listing(_TEXT, most=MAX_ENTRIES), listing(_ADDRESS, most=MAX_ENTRIES)
_SECONDS = {"type": "integer", "minimum": 1, "maximum": MAX_LIFETIME}
_METADATA: dict[str, Schema] = {
    "client_name": _TEXT,
    "client_uri": _ADDRESS,
    "logo_uri": _ADDRESS,
    "policy_uri": _ADDRESS,
    "tos_uri": _ADDRESS,
    "contacts": _TEXTS,
    "application_type": matching("(web|native)"),
    "redirect_uris": _ADDRESSES,
    "post_logout_redirect_uris": _ADDRESSES,
    "grant_types": _TEXTS,
    "scope": text("names with spaces between them", most=MAX_LENGTH),
    "token_endpoint_auth_method": matching(f"({'|'.join(AUTH_METHODS)})"),
    "jwks": members({"keys": listing({"type": "object"}, most=20)}),
    "jwks_uri": _ADDRESS,
    "id_token_signed_response_alg": _TEXT,
    "default_max_age": {**_SECONDS, "minimum": 0},
    "require_auth_time": BOOLEAN,
    "default_acr_values": _TEXTS,
    "backchannel_logout_uri": _ADDRESS,
    "backchannel_logout_session_required": BOOLEAN,
    "require_pushed_authorization_requests": BOOLEAN,
    "dpop_bound_access_tokens": BOOLEAN,
}
_OPERATORS: dict[str, Schema] = {
    "require_pkce": BOOLEAN,
    "is_trusted": BOOLEAN,
    "takes_endpoint_audience": BOOLEAN,
    "access_token_format": matching("(jwt|opaque)"),
    "access_token_lifetime": optional(_SECONDS),
    "refresh_token_lifetime": optional(_SECONDS),
    "resources": _ADDRESSES,
    "audiences": _ADDRESSES,
    "exchanges": _TEXTS,
}
_FIELDS = members(
    {}, {**{name: optional(schema) for name, schema in _METADATA.items()}, **_OPERATORS}
)
_WITH_SECRET = fixed({**CLIENT.schema["properties"], "client_secret": {"type": ["string", "null"]}})
_INITIAL_ACCESS_TOKEN = fixed(
    {"initial_access_token": {"type": "string"}, "expires_in": {"type": "integer"}}
)


class ClientsEndpoint(AdminHandler):
    """/admin/api/clients."""

    @operation("List clients", READ, query={"after": AFTER, "limit": LIMIT}, answer=page(CLIENT))
    async def get(self, *, after: str = "", limit: int = MAX_PAGE) -> object:
        """Answer with a page."""
        found = await self.server.administration.clients(after=after, limit=limit + 1)
        return show_page(CLIENT, found, limit=limit)

    @operation("Register a client", WRITE, status=201, body=_FIELDS, answer=_WITH_SECRET)
    async def post(self, **fields: object) -> object:
        """Answer with the client and its secret, which nobody can be shown again."""
        self.require_person()
        made = await self.server.administration.register_client(self.actor, fields)
        return {**CLIENT(made.client), "client_secret": made.secret or None}


class ClientEndpoint(AdminHandler):
    """/admin/api/clients/{client_id}."""

    @operation("Show a client", READ, answer=CLIENT.reference, errors=(404,))
    async def get(self, client_id: str) -> object:
        """Answer with the client, without what it proves itself by."""
        return CLIENT(await self.server.administration.client(client_id))

    @operation(
        "Change what is sent of a client, and nothing else; null is as if it had never been set",
        WRITE,
        body=_FIELDS,
        answer=CLIENT.reference,
        errors=(404,),
    )
    async def patch(self, client_id: str, **changes: object) -> object:
        """Answer with the client."""
        self.require_person()
        administration = self.server.administration
        return CLIENT(await administration.change_client(self.actor, client_id, changes))

    @operation("Delete a client with all that users allowed it", WRITE, status=204, errors=(404,))
    async def delete(self, client_id: str) -> None:
        """Delete for good: its tokens count no more."""
        await self.server.administration.remove_client(self.actor, client_id)


class ClientSecretEndpoint(AdminHandler):
    """/admin/api/clients/{client_id}/secret."""

    @operation(
        "Make a new secret for a client, and keep the one before for now or not",
        WRITE,
        status=201,
        body=members({}, {"keep_old": BOOLEAN}),
        answer=_WITH_SECRET,
        errors=(404,),
    )
    async def post(self, client_id: str, *, keep_old: bool = False) -> object:
        """Answer with the client and its secret, which nobody can be shown again."""
        self.require_person()
        client, secret = await self.server.administration.rotate_client_secret(
            self.actor, client_id, keep_old=keep_old
        )
        return {**CLIENT(client), "client_secret": secret}


class DisableClientEndpoint(AdminHandler):
    """/admin/api/clients/{client_id}/disable."""

    @operation("Refuse a client and all its tokens", WRITE, answer=CLIENT.reference, errors=(404,))
    async def post(self, client_id: str) -> object:
        """Answer with the client."""
        administration = self.server.administration
        return CLIENT(
            await administration.set_client_disabled(self.actor, client_id, disabled=True)
        )


class EnableClientEndpoint(AdminHandler):
    """/admin/api/clients/{client_id}/enable."""

    @operation(
        "Take a disabled client and its tokens again",
        WRITE,
        answer=CLIENT.reference,
        errors=(404,),
    )
    async def post(self, client_id: str) -> object:
        """Answer with the client."""
        administration = self.server.administration
        return CLIENT(
            await administration.set_client_disabled(self.actor, client_id, disabled=False)
        )


class InitialAccessTokensEndpoint(AdminHandler):
    """/admin/api/initial-access-tokens."""

    @operation(
        "Make a token that opens dynamic registration",
        WRITE,
        status=201,
        body=members({"name": text(least=1, most=64)}, {"lifetime": LIFETIME}),
        answer=_INITIAL_ACCESS_TOKEN,
    )
    async def post(self, *, name: str, lifetime: int = 86400) -> object:
        """Answer with the token, which nobody can be shown again."""
        self.require_person()
        token = await self.server.administration.create_initial_access_token(
            self.actor, name, lifetime
        )
        return {"initial_access_token": token, "expires_in": lifetime}


class ApplicationsEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/applications."""

    @operation(
        "List the applications that a user is connected with",
        READ,
        answer=fixed({"items": {"type": "array", "items": APPLICATION}}),
        errors=(404,),
    )
    async def get(self, user_id: str) -> object:
        """Answer with all."""
        found = await self.server.administration.applications(user_id)
        return {"items": [show_application(one) for one in found]}


class ApplicationEndpoint(AdminHandler):
    """/admin/api/users/{user_id}/applications/{client_id}."""

    @operation("End all that an application may do for a user", WRITE, status=204, errors=(404,))
    async def delete(self, user_id: str, client_id: str) -> None:
        """End it: the application has to ask the user again."""
        await self.server.administration.withdraw_application(self.actor, user_id, client_id)
