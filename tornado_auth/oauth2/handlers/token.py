"""The HTTP of the token endpoint."""

from tornado_auth.oauth2.handlers.base import OAuth2Handler


class TokenHandler(OAuth2Handler):
    """Give clients tokens: /oauth2/token (RFC 6749 §3.2)."""

    async def post(self) -> None:
        """Exchange a code, a refresh token or the like."""
        parameters = self.form()
        client = await self.client(parameters)
        endpoint = self.server.oauth2.token_endpoint
        answer = await endpoint.exchange(client, parameters, self.proof())
        self.server.metrics.oauth2_tokens.labels(parameters.get("grant_type")).inc()
        self.write_members(answer)
