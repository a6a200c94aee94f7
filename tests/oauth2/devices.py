"""A device and the person who allows it, for tests."""

import json
from typing import Any

from tornado.httpclient import HTTPResponse

from tests.forms import open_page
from tests.oauth2.world import World
from tornado_auth.models import Client
from tornado_auth.oauth2.values import DEVICE

Codes = dict[str, Any]


async def device_client(world: World, **fields: Any) -> Client:
    """Make the public client that a device is."""
    values = {
        "client_name": "The TV",
        "grant_types": (DEVICE, "refresh_token"),
        "redirect_uris": (),
        "token_endpoint_auth_method": "none",
        "is_trusted": False,
        **fields,
    }
    return await world.client(**values)


async def start(world: World, client: Client, **form: str) -> Codes:
    """Let a device ask for its codes."""
    response = await world.post(
        "/oauth2/device_authorization", client, **{"scope": "openid", **form}
    )
    assert response.code == 200, response.body
    return dict(json.loads(response.body))


async def poll(world: World, client: Client, codes: Codes, **form: str) -> HTTPResponse:
    """Let a device ask for its tokens."""
    return await world.token(client, grant_type=DEVICE, device_code=codes["device_code"], **form)


async def error_of(world: World, client: Client, codes: Codes) -> str:
    """Return the error that a device gets when it asks for its tokens."""
    response = await poll(world, client, codes)
    assert response.code == 400, response.body
    return str(json.loads(response.body)["error"])


async def answer(world: World, session_token: str, user_code: str, decision: str) -> HTTPResponse:
    """Let a person look at the page and answer."""
    page = await open_page(world.service, "/oauth2/device", tornado_auth=session_token)
    return await page.send("/oauth2/device", user_code=user_code, decision=decision)
