"""POST /oauth2/introspect (RFC 7662 §2): whether an access token counts, and what it says."""

from tornado_auth.oauth2.handlers.base import OAuth2Handler


class IntrospectionHandler(OAuth2Handler):
    """Where resource servers ask."""

    takes_other_origins = False

    async def post(self) -> None:
        """Answer what there is to say to this client of this token."""
        parameters = self.form()
        client = await self.client(parameters)
        token = parameters.require("token")
        self.write_json(await self.server.oauth2.introspection.answer(client, token))
