"""The grant type refresh_token (RFC 6749 §6, RFC 9700 §4.14.2).

Owns whom a refresh token counts for, and what its second use ends. What is wrong with the request
itself is found before the token is spent.
"""

from dataclasses import replace

from tornado_auth.audit import AuditLog
from tornado_auth.models import RefreshToken
from tornado_auth.oauth2.errors import InvalidGrant
from tornado_auth.oauth2.grants import Grants, LiveGrant
from tornado_auth.oauth2.refresh_tokens import RefreshTokens
from tornado_auth.oauth2.scopes import Scopes
from tornado_auth.oauth2.user_authorization import authorization_of
from tornado_auth.oauth2.values import A_CLIENT, REFRESH, Authorization, TokenRequest


class RefreshTokenGrant:
    """Give a client new tokens for its refresh token."""

    name = REFRESH

    def __init__(
        self, tokens: RefreshTokens, *, grants: Grants, scopes: Scopes, audit_log: AuditLog
    ) -> None:
        self._tokens = tokens
        self._grants = grants
        self._scopes = scopes
        self._audit_log = audit_log

    async def authorize(self, request: TokenRequest) -> Authorization:
        """Spend the refresh token; a second use ends the grant that it is from."""
        token = request.parameters.require("refresh_token")
        scope = self._scopes.parse(request.parameters.get("scope"))
        record = await self._tokens.find(token)
        if record is None or not self._is_for(record, request):
            raise _refusal()
        live = await self._grants.live(record.grant_id)
        if live is None or self._tokens.is_over(record):
            raise _refusal()
        authorization = authorization_of(live, request, grant_type=self.name, scope=scope)
        successor = await self._tokens.rotate(token, record, grant=live.grant, client=live.client)
        if successor is None:
            await self._end(live)
            raise _refusal()
        return replace(authorization, refresh_token=successor)

    def _is_for(self, record: RefreshToken, request: TokenRequest) -> bool:
        """Tell whether it is this client's, and shown by who holds its key (RFC 9449 §5)."""
        return record.client_id == request.client.id and record.jkt in ("", request.jkt)

    async def _end(self, live: LiveGrant) -> None:
        if await self._grants.end(live.grant.id):
            await self._audit_log.record(
                "refresh_reuse",
                actor=A_CLIENT,
                subject=live.user.id,
                target=live.client.id,
                result=InvalidGrant.code,
            )


def _refusal() -> InvalidGrant:
    return InvalidGrant("The refresh token is not valid.")
