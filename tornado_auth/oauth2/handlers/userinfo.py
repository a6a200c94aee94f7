"""GET and POST /oauth2/userinfo (OpenID Connect Core §5.3): who the user of an access token is."""

from tornado_auth.oauth2.errors import InvalidBearerToken, InvalidRequest
from tornado_auth.oauth2.handlers.base import OAuth2Handler
from tornado_auth.oauth2.parameters import Parameters


class UserinfoHandler(OAuth2Handler):
    """Where clients learn of users."""

    is_resource = True

    async def get(self) -> None:
        """Answer whoever has an access token in the header (RFC 6750 §2.1)."""
        await self._answer(*self.access_token())

    async def post(self) -> None:
        """Answer whoever has an access token in the header or in a form (RFC 6750 §2.2)."""
        scheme, token = self.access_token()
        in_form = Parameters.parse(self.request.body).get("access_token")
        if token and in_form:
            raise InvalidRequest("There is more than one access token.")
        await self._answer(scheme if token else "bearer", token or in_form)

    async def _answer(self, scheme: str, token: str) -> None:
        if not token:
            raise InvalidBearerToken  # no word of why, and what stands in the address is no token
        userinfo = self.server.oauth2.userinfo
        self.write_json(await userinfo.answer(token, scheme=scheme, proof=self.proof()))
