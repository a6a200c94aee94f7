"""Scopes of one's own, and an API that looks for them in access tokens.

    tornado-auth keys generate
    export PRIVATE_KEY_FILE=private.pem TORNADO_AUTH_SECRET_FILE=secret
    export TORNADO_AUTH_SCOPES='[{"name": "reports:read", "description": "Read your reports"},
                                 {"name": "reports:write", "description": "Write reports"}]'
    tornado-auth serve &                    # http://localhost:8080
    python examples/own_scopes.py           # http://localhost:9000/reports

    tornado-auth clients add Export --grant-type client_credentials \
        --scope reports:read --resource http://localhost:9000/
    curl -u $CLIENT_ID:$SECRET -d grant_type=client_credentials -d scope=reports:read \
        -d resource=http://localhost:9000/ http://localhost:8080/oauth2/token
    curl -H "Authorization: Bearer $ACCESS_TOKEN" http://localhost:9000/reports

This is another program on another machine: it needs nothing of the service but its public keys,
and of the package only `tornado_auth.resource_server`. ISSUER, RESOURCE and PORT say otherwise.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from tornado.web import Application, Finish, RequestHandler

from tornado_auth.resource_server import KeysUnavailable, TokenRejected, TokenVerifier


class ReportsHandler(RequestHandler):
    """GET and POST /reports: everybody has reports of their own."""

    def initialize(self, verifier: TokenVerifier, reports: dict[str, list[str]]) -> None:
        """Take what the application shares."""
        self.verifier = verifier
        self.reports = reports

    async def get(self) -> None:
        """List the reports of the user of the token, or of the client itself."""
        claims = await self.claims("reports:read")
        self.write({"reports": self.reports.get(claims["sub"], [])})

    async def post(self) -> None:
        """Add one."""
        claims = await self.claims("reports:write")
        self.reports.setdefault(claims["sub"], []).append(self.get_body_argument("title"))
        self.set_status(201)

    async def claims(self, scope: str) -> Mapping[str, Any]:
        """Return what the access token says, if it is good for this scope (RFC 6750 §3)."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise self.refuse(401, "Bearer")
        try:
            claims = await self.verifier.verify(token)
        except TokenRejected:
            raise self.refuse(401, 'Bearer error="invalid_token"') from None
        except KeysUnavailable:
            raise self.refuse(503, "Bearer") from None
        if "cnf" in claims:  # it is bound to a key (RFC 9449), which this API does not ask for
            raise self.refuse(401, 'Bearer error="invalid_token"')
        if scope not in claims.get("scope", "").split():
            raise self.refuse(403, f'Bearer error="insufficient_scope", scope="{scope}"')
        return claims

    def refuse(self, status: int, challenge: str) -> Finish:
        """Say what is missing, to be raised."""
        self.set_status(status)
        self.set_header("WWW-Authenticate", challenge)
        return Finish()


def make(issuer: str, resource: str) -> Application:
    """Return the API, which takes access tokens of this issuer for this resource."""
    verifier = TokenVerifier(issuer, audience=resource, typ="at+jwt")
    return Application([(r"/reports", ReportsHandler, {"verifier": verifier, "reports": {}})])


async def main() -> None:
    """Listen until the process is ended."""
    port = int(os.environ.get("PORT", "9000"))
    issuer = os.environ.get("ISSUER", "http://localhost:8080")
    resource = os.environ.get("RESOURCE", f"http://localhost:{port}/")
    make(issuer, resource).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
