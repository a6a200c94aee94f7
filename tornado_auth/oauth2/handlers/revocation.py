"""POST /oauth2/revoke (RFC 7009 §2): a client gives a token back."""

from tornado_auth.oauth2.handlers.base import OAuth2Handler


class RevocationHandler(OAuth2Handler):
    """Where tokens end."""

    async def post(self) -> None:
        """Answer with nothing, also if there was no such token (§2.2)."""
        parameters = self.form()
        client = await self.client(parameters)
        await self.server.oauth2.revocation.revoke(client, parameters.require("token"))
