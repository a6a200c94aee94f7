"""The HTTP of pushed authorization requests (RFC 9126)."""

from tornado_auth.oauth2.handlers.base import OAuth2Handler
from tornado_auth.web import BadRequest

MAX_SIZE = 32 * 1024  # bytes


class PushedRequestHandler(OAuth2Handler):
    """POST /oauth2/par: take a request beforehand, from a client that proves itself."""

    async def post(self) -> None:
        """Check and keep the request, and answer with its name."""
        if len(self.request.body) > MAX_SIZE:
            raise BadRequest("The request is too large.", status=413)
        parameters = self.form()
        client = await self.client(parameters)
        endpoint = self.server.oauth2.push_endpoint
        request_uri, lifetime = await endpoint.push(
            client, parameters, self.proof(), remote_ip=self.remote_ip
        )
        self.set_status(201)
        self.write_json({"request_uri": request_uri, "expires_in": lifetime})
