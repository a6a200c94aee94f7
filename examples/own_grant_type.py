"""A grant type of one's own: a job of a build server gets a token, and keeps no secret for it.

The build server signs for each job who it is (GitHub, GitLab and others do). The job shows that,
as RFC 7523 §2.1 has it, and gets an access token that ends with it.

    tornado-auth keys generate
    export PRIVATE_KEY_FILE=private.pem TORNADO_AUTH_SECRET_FILE=secret
    export TORNADO_AUTH_SCOPES='[{"name": "deploy"}]'
    export BUILD_ISSUER=https://build.example.com BUILD_SUBJECT=project:website:main
    python examples/own_grant_type.py register      # prints a client_id
    python examples/own_grant_type.py               # http://localhost:8080

    curl http://localhost:8080/oauth2/token -d client_id=$CLIENT_ID -d scope=deploy \
        -d grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer -d assertion=$JOB_TOKEN
"""

import asyncio
import os
import sys

from tornado_auth.app import make_app, run
from tornado_auth.models import Actor
from tornado_auth.oauth2.errors import InvalidGrant
from tornado_auth.oauth2.resources import allowed
from tornado_auth.oauth2.scopes import STANDARD_SCOPES
from tornado_auth.oauth2.values import Authorization, TokenRequest
from tornado_auth.resource_server import KeysUnavailable, TokenRejected, TokenVerifier
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings


class BuildJobGrant:
    """Prove that a job is one of `subject`; the token endpoint does all the rest.

    By then the client is known and registered for this grant type, and its DPoP proof is good.
    """

    name = "urn:ietf:params:oauth:grant-type:jwt-bearer"

    def __init__(self, server: AuthServer, *, build_issuer: str, subject: str) -> None:
        self._server = server
        self._subject = subject
        # What the build server signs has to name us, so that no other service can use it here.
        self._verifier = TokenVerifier(build_issuer, audience=server.settings.issuer, typ="JWT")

    async def authorize(self, request: TokenRequest) -> Authorization:
        """Return what the client may have; whatever is wrong is one of oauth2.errors."""
        assertion = request.parameters.require("assertion")
        try:
            claims = await self._verifier.verify(assertion)
        except (TokenRejected, KeysUnavailable):
            raise InvalidGrant("The assertion cannot be verified.") from None
        if claims.get("sub") != self._subject:
            raise InvalidGrant("The assertion is not of a job that may do this.")
        scopes = self._server.oauth2.scopes
        return Authorization(
            grant_type=self.name,
            client=request.client,
            # Nobody has signed in, so there is nothing to tell of a user.
            scope=scopes.for_client(
                request.parameters.get("scope"), request.client, without=STANDARD_SCOPES
            ),
            audience=allowed(request.parameters.all("resource"), request.client),
            jkt=request.jkt,
            until=claims["exp"],
        )


def make_server() -> AuthServer:
    """Return the service with the grant type, which its metadata name from now on."""

    def build_jobs(server: AuthServer) -> BuildJobGrant:
        issuer, subject = os.environ["BUILD_ISSUER"], os.environ["BUILD_SUBJECT"]
        return BuildJobGrant(server, build_issuer=issuer, subject=subject)

    return AuthServer(load_settings(os.environ), grant_types=[build_jobs])


async def register(server: AuthServer) -> None:
    """Register a client without a secret: `tornado-auth clients` knows our own grant types only."""
    await server.start()
    try:
        fields = {
            "client_name": "Build jobs",
            "grant_types": [BuildJobGrant.name],
            "token_endpoint_auth_method": "none",
            "scope": "deploy",
        }
        made = await server.administration.register_client(Actor(via="shell"), fields)
        print(made.client.id)
    finally:
        await server.stop()


if __name__ == "__main__":
    server = make_server()
    if sys.argv[1:] == ["register"]:
        asyncio.run(register(server))
    else:
        asyncio.run(run(make_app(server), server))
