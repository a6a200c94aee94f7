"""What a test needs to walk a browser between the authorization endpoint and the pages."""

from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tornado.httpclient import HTTPResponse

from tests.oauth2.world import World, answer_of
from tornado_auth.models import Client, Who
from tornado_auth.oauth2.authorization_requests import AuthorizationRequest
from tornado_auth.oauth2.parameters import Parameters

NATIVE = {
    "application_type": "native",
    "token_endpoint_auth_method": "none",
    "redirect_uris": ("http://127.0.0.1/cb",),
    "is_trusted": False,
}
SELF_REGISTERED = {
    "is_self_registered": True,
    "registration_token_digest": "of its registration access token",
    "is_trusted": False,
}


def path_of(response: HTTPResponse) -> str:
    """Return where a browser is sent, without the query."""
    assert response.code in (302, 303), response.body
    return response.headers["Location"].partition("?")[0]


def error_of(response: HTTPResponse) -> str:
    """Return the error that a client is told."""
    return answer_of(response)["error"]


def is_page(response: HTTPResponse, error: str, parameter: str = "") -> bool:
    """Tell whether a person is shown an error, and the browser sent nowhere."""
    text = response.body.decode()
    assert "Location" not in response.headers
    assert "refresh" not in text.lower()
    return (
        response.code == 400
        and 'id="oauth-error"' in text
        and f">{error}<" in text
        and (not parameter or f">{parameter}<" in text)
    )


def login_of(response: HTTPResponse) -> dict[str, str]:
    """Return the parameters with which a browser is sent to the sign-in page."""
    assert path_of(response) == "/auth/login", response.headers["Location"]
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))


def consent_query_of(response: HTTPResponse) -> str:
    """Return the query with which a browser is sent to the consent page."""
    assert path_of(response) == "/oauth2/consent", response.headers["Location"]
    return urlsplit(response.headers["Location"]).query


async def go(world: World, address: str, token: str = "") -> HTTPResponse:
    """Open an address in the browser of whoever has the token."""
    cookies = {"tornado_auth": token} if token else None
    return await world.service.fetch(address, cookies=cookies)


async def request_in(world: World, query: str) -> AuthorizationRequest:
    """Return the authorization request that a query is."""
    return await world.server.oauth2.authorization.read(Parameters.parse(query.encode()))


async def who(world: World, token: str) -> Who:
    """Return who has a session token."""
    found = await world.server.checks.who(token)
    assert found is not None
    return found


async def agree(world: World, response: HTTPResponse, token: str) -> HTTPResponse:
    """Do what the consent page does for a yes, and go back."""
    query = consent_query_of(response)
    request = await request_in(world, query)
    url = await world.server.oauth2.authorization.agree(request, await who(world, token))
    return await go(world, url, token)


async def view_of(world: World, client: Client, token: str, **parameters: str) -> Any:
    """Return what the consent page is to show for a request."""
    request = await request_in(world, world.request_of(client, **parameters))
    step = await world.server.oauth2.authorization.missing(request, await who(world, token))
    return step.view  # type: ignore[union-attr]


def several(url: str) -> dict[str, list[str]]:
    """Return the parameters of an address, with all their values."""
    return parse_qs(urlsplit(url).query)
