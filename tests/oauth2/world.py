"""A service with clients, and the steps of the protocol as a client takes them.

`make_world` and `world` are fixtures: `world = await make_world(TORNADO_AUTH_TOKEN_EXCHANGE="on")`,
with the keywords of `make_service`. A client is put into the store as it is, without a form or the
command line, so that a test can have any that there may be.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from tornado.httpclient import HTTPResponse

from tests.service import Service, ServiceFactory
from tornado_auth.digests import digest
from tornado_auth.models import Client

REDIRECT_URI = "https://app.example/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-everybody"
ALL_SCOPES = ("openid", "profile", "email", "address", "phone", "offline_access")

WorldFactory = Callable[..., Awaitable["World"]]


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636 §4.2)."""
    hashed = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


def basic(client_id: str, secret: str) -> dict[str, str]:
    """Return the header of client_secret_basic."""
    pair = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def answer_of(response: HTTPResponse) -> dict[str, str]:
    """Return the parameters with which a browser is sent to the client."""
    assert response.code in (302, 303), response.body
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token, unverified."""
    return dict(json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "==")))


def header_of(token: str) -> dict[str, Any]:
    """Return the header of a token, unverified."""
    return dict(json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "==")))


class World:
    """A running service and what clients do with it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.server = service.server
        self.storage = service.server.storage
        self.issuer = service.settings.issuer
        self.secrets: dict[str, str] = {}

    async def client(self, **fields: Any) -> Client:
        """Make a trusted web client that may do everything but what `fields` say otherwise."""
        secret = "tcs_" + secrets.token_urlsafe(32)
        method = fields.get("token_endpoint_auth_method", "client_secret_basic")
        values: dict[str, Any] = {
            "id": "c-" + secrets.token_urlsafe(16),
            "client_name": "The app",
            "redirect_uris": (REDIRECT_URI,),
            "grant_types": ("authorization_code", "refresh_token"),
            "scope": ALL_SCOPES,
            "secret_digests": (digest(secret),) if "secret" in method else (),
            "is_trusted": True,
            "created_at": self.server.now(),
            **fields,
        }
        client = Client(**values)
        await self.storage.clients.insert(client)
        self.secrets[client.id] = secret
        return client

    async def change(self, client: Client, **fields: Any) -> Client:
        """Change a client as an operator may."""
        return await self.storage.clients.replace(replace(client, **fields))

    async def authorize(
        self, client: Client, session_token: str = "", /, **parameters: str
    ) -> HTTPResponse:
        """Send a browser to the authorization endpoint; a parameter that is "" is left out."""
        query = self.request_of(client, **parameters)
        cookies = {"tornado_auth": session_token} if session_token else None
        return await self.service.fetch(f"/oauth2/authorize?{query}", cookies=cookies)

    def request_of(self, client: Client, **parameters: str) -> str:
        """Return the query of a good authorization request, as changed by `parameters`."""
        values = {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": client.redirect_uris[0] if client.redirect_uris else "",
            "scope": "openid",
            "state": "the-state",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            **parameters,
        }
        return urlencode({name: value for name, value in values.items() if value})

    async def code(self, client: Client, session_token: str, /, **parameters: str) -> str:
        """Return a code for somebody who is signed in, from a client that needs no consent."""
        answer = answer_of(await self.authorize(client, session_token, **parameters))
        assert "code" in answer, answer
        return answer["code"]

    async def post(
        self,
        path: str,
        client: Client | None = None,
        /,
        *,
        headers: dict[str, str] | None = None,
        **form: str,
    ) -> HTTPResponse:
        """Send a form as a client that proves itself by the way that it is registered with."""
        headers = dict(headers or {})
        if client is not None:
            method = client.token_endpoint_auth_method
            if method == "client_secret_basic":
                headers |= basic(client.id, self.secrets[client.id])
            elif method == "client_secret_post":
                form |= {"client_id": client.id, "client_secret": self.secrets[client.id]}
            else:
                form = {"client_id": client.id, **form}
        return await self.service.fetch(path, form=form, headers=headers)

    async def token(self, client: Client | None, /, **form: Any) -> HTTPResponse:
        """Send a token request."""
        return await self.post("/oauth2/token", client, **form)

    async def redeem(self, client: Client, code: str, /, **form: Any) -> HTTPResponse:
        """Send a good token request for a code, as changed by `form`."""
        values = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uris[0],
            "code_verifier": VERIFIER,
            **form,
        }
        return await self.token(client, **{k: v for k, v in values.items() if v})

    async def tokens(
        self, client: Client, session_token: str, /, **parameters: str
    ) -> dict[str, Any]:
        """Walk through the whole code flow and return the token response."""
        response = await self.redeem(client, await self.code(client, session_token, **parameters))
        assert response.code == 200, response.body
        return dict(json.loads(response.body))

    async def refresh(self, client: Client, refresh_token: str, /, **form: Any) -> HTTPResponse:
        """Send a refresh request."""
        return await self.token(
            client, grant_type="refresh_token", refresh_token=refresh_token, **form
        )


@pytest.fixture
def make_world(make_service: ServiceFactory) -> WorldFactory:
    async def make(**arguments: Any) -> World:
        return World(await make_service(**arguments))

    return make


@pytest.fixture
async def world(make_world: WorldFactory) -> World:
    return await make_world()
