"""The grant type token-exchange: act for the user of another client's token (RFC 8693).

Owns who may do that, and that the new token is never wider than the one it is made from: in scope,
audience or lifetime. It is always delegation: `act` names who acts (§4.1). Nobody but those whom an
operator listed may act, so no token of ours has a `may_act` (§4.4). Tokens that no user is behind
are not exchanged.
"""

import json

from tornado_auth.audit import AuditLog
from tornado_auth.oauth2.access_tokens import AccessTokens
from tornado_auth.oauth2.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
)
from tornado_auth.oauth2.resources import narrowed
from tornado_auth.oauth2.scopes import OFFLINE_ACCESS, Scopes
from tornado_auth.oauth2.user_authorization import is_public
from tornado_auth.oauth2.values import A_CLIENT, EXCHANGE, AccessToken, Authorization, TokenRequest

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
MAX_ACT = 1024


class TokenExchangeGrant:
    """Give a client an access token of its own for the user of a token that it was shown."""

    name = EXCHANGE

    def __init__(
        self, access_tokens: AccessTokens, *, scopes: Scopes, issuer: str, audit_log: AuditLog
    ) -> None:
        self._access_tokens = access_tokens
        self._scopes = scopes
        self._issuer = issuer
        self._audit_log = audit_log

    async def authorize(self, request: TokenRequest) -> Authorization:
        """Return what the client may have of the subject token; that one stays as it is."""
        client = request.client
        if is_public(client):
            raise UnauthorizedClient("A public client proves nothing, so it exchanges nothing.")
        subject = await self._subject(request)
        authorization = Authorization(
            grant_type=self.name,
            client=client,
            user=subject.user,
            grant=subject.grant,
            scope=self._scope(request, subject),
            audience=self._audience(request, subject),
            jkt=request.jkt,
            until=subject.expires_at,
            act=_act(subject, await self._actor(request)),
            issued_token_type=ACCESS_TOKEN_TYPE,
        )
        await self._record(subject, client_id=client.id)
        return authorization

    async def _subject(self, request: TokenRequest) -> AccessToken:
        subject = await self._read(request, "subject_token")
        if request.parameters.get("requested_token_type") not in ("", ACCESS_TOKEN_TYPE):
            raise InvalidRequest("Nothing but access tokens is issued here.")
        if subject.user is None or subject.client.id not in request.client.exchanges:
            raise InvalidRequest("The subject_token is not one that this client may exchange.")
        return subject

    async def _actor(self, request: TokenRequest) -> str:
        """Return the `sub` of who acts: the client, or whose token it shows as its own."""
        parameters = request.parameters
        if "actor_token" not in parameters:
            if "actor_token_type" in parameters:
                raise InvalidRequest("There is an actor_token_type without an actor_token.")
            return request.client.id
        actor = await self._read(request, "actor_token")
        if actor.client.id != request.client.id:
            raise InvalidRequest("The actor_token is not one of this client.")
        return actor.sub

    async def _read(self, request: TokenRequest, name: str) -> AccessToken:
        token = request.parameters.require(name)
        if request.parameters.require(f"{name}_type") != ACCESS_TOKEN_TYPE:
            raise InvalidRequest(f"The {name}_type must be that of an access token.")
        access_token = await self._access_tokens.read(token)
        if access_token is None:
            raise InvalidRequest(f"The {name} is not valid.")
        return access_token

    def _scope(self, request: TokenRequest, subject: AccessToken) -> tuple[str, ...]:
        """Return what is asked for, or all that both the token and the client may have."""
        wanted = self._scopes.parse(request.parameters.get("scope"))
        most = set(subject.scope) & set(request.client.scope) - {OFFLINE_ACCESS}
        if not most.issuperset(wanted):
            raise InvalidScope("The scope is more than the subject_token has, or not for you.")
        return wanted or tuple(name for name in subject.scope if name in most)

    def _audience(self, request: TokenRequest, subject: AccessToken) -> tuple[str, ...]:
        parameters = request.parameters
        named = (*parameters.all("resource"), *parameters.all("audience"))
        reachable = {self._issuer, *request.client.resources}
        most = tuple(one for one in subject.audience if one in reachable)
        if not most:
            raise InvalidTarget("The subject_token is for nothing that this client may ask for.")
        return narrowed(named, most)

    async def _record(self, subject: AccessToken, *, client_id: str) -> None:
        await self._audit_log.record(
            "token_exchanged",
            actor=A_CLIENT,
            subject=subject.sub,
            target=client_id,
            details=(f"from={subject.client.id}",),
        )


def _act(subject: AccessToken, actor: str) -> str:
    """Return the claim as JSON: who acts now, and within it who did before."""
    act: dict[str, object] = {"sub": actor}
    if subject.act:
        act["act"] = json.loads(subject.act)
    text = json.dumps(act)
    if len(text) > MAX_ACT:
        raise InvalidRequest("The subject_token went through too many hands.")
    return text
