"""/oauth2/register and, below it, each client that registered there (RFC 7591, RFC 7592)."""

from tornado_auth.models import Actor
from tornado_auth.oauth2.errors import InvalidClientMetadata
from tornado_auth.oauth2.handlers.base import OAuth2Handler
from tornado_auth.resource_server.signed_tokens import read_json_object
from tornado_auth.web import BadRequest


class _JSONHandler(OAuth2Handler):
    """An endpoint that takes JSON, and a token in the header."""

    takes_other_origins = False

    def check_form(self) -> None:
        """Take JSON and nothing else."""
        content_type = self.request.headers.get("Content-Type", "").partition(";")[0]
        if self.request.body and content_type.strip().lower() != "application/json":
            raise BadRequest("Send the body as application/json.", status=415)

    @property
    def actor(self) -> Actor:
        """Who the audit log says it was: nobody that we know."""
        return Actor(via="client", remote_ip=self.remote_ip)

    @property
    def bearer(self) -> str:
        """The token of the header, "" without one."""
        scheme, token = self.access_token()
        return token if scheme == "bearer" else ""

    def metadata(self) -> dict[str, object]:
        """Return the client metadata of the body; raises InvalidClientMetadata."""
        try:
            return read_json_object(self.request.body)
        except ValueError:
            raise InvalidClientMetadata(
                "The body is not a JSON object of whole characters."
            ) from None


class RegistrationHandler(_JSONHandler):
    """POST /oauth2/register."""

    async def post(self) -> None:
        """Answer with the client that was made, 201."""
        registration = self.server.oauth2.registration
        answer = await registration.register(self.bearer, self.metadata(), actor=self.actor)
        self.set_status(201)
        self.write_json(answer)


class RegisteredClientHandler(_JSONHandler):
    """/oauth2/register/<client_id>, for who has its registration access token."""

    SUPPORTED_METHODS = ("GET", "HEAD", "PUT", "DELETE")

    def check_xsrf_cookie(self) -> None:
        """Need no proof: no browser adds the token by itself."""

    async def get(self, client_id: str) -> None:
        """Answer with the client as it is registered."""
        self.write_json(await self.server.oauth2.registration.read(client_id, self.bearer))

    async def put(self, client_id: str) -> None:
        """Answer with the client as it is described now."""
        self.write_json(
            await self.server.oauth2.registration.change(
                client_id, self.bearer, self.metadata(), actor=self.actor
            )
        )

    async def delete(self, client_id: str) -> None:
        """Answer 204: there is no such client any more."""
        await self.server.oauth2.registration.remove(client_id, self.bearer, actor=self.actor)
        self.set_status(204)
        self.finish()
