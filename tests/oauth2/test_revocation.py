"""Revocation: what ends with a token, for whom, and that it does so at once."""

import json
from typing import Any

import pytest

from tests.oauth2.issued import issued, own_token
from tests.oauth2.world import World, basic
from tornado_auth.models import Client

PATH = "/oauth2/revoke"


async def is_active(world: World, token: str) -> bool:
    return await world.server.oauth2.access_tokens.read(token) is not None


async def revoke(world: World, client: Client, token: str, **form: str) -> None:
    response = await world.post(PATH, client, token=token, **form)
    assert (response.code, response.body) == (200, b"")
    assert response.headers["Cache-Control"] == "no-store"


# S048
async def test_it_needs_authentication(world: World) -> None:
    client = await world.client()
    tokens = await issued(world, client)
    nobody = await world.post(PATH, token=tokens.access_token)
    wrong = await world.service.fetch(
        PATH, form={"token": tokens.access_token}, headers=basic(client.id, "tcs_wrong")
    )
    for response in (nobody, wrong):
        assert response.code == 401
        assert json.loads(response.body)["error"] == "invalid_client"
    assert await is_active(world, tokens.access_token)


# S048
@pytest.mark.parametrize("token", ["garbage", "a.b.c", "tat_x", "trt_x", "tac_x", "é", "x" * 9000])
async def test_an_unknown_token_is_as_good_as_revoked(world: World, token: str) -> None:
    await revoke(world, await world.client(), token)


async def test_another_kind_of_token_does_no_harm(world: World) -> None:
    client = await world.client()
    tokens = await issued(world, client)
    session_token = await world.service.sign_in()
    await revoke(world, client, tokens.id_token)
    await revoke(world, client, session_token)
    assert await is_active(world, tokens.access_token)
    assert (await world.service.json("/auth/check", token=session_token))["authenticated"]


async def test_a_request_without_a_token_is_refused(world: World) -> None:
    client = await world.client()
    response = await world.post(PATH, client)
    assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_request")
    response = await world.post(f"{PATH}?token=x", client)
    assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_request")
    assert (await world.service.fetch(f"{PATH}?token=x")).code == 405


# S047
@pytest.mark.parametrize("access_token_format", ["jwt", "opaque"])
async def test_an_access_token_ends_alone_and_at_once(
    world: World, access_token_format: str
) -> None:
    client = await world.client(access_token_format=access_token_format)
    first, second = await issued(world, client), await issued(world, client)
    own = await own_token(world, client)
    await revoke(world, client, first.access_token)
    await revoke(world, client, first.access_token)
    await revoke(world, client, own)
    assert not await is_active(world, first.access_token)
    assert not await is_active(world, own)
    assert await is_active(world, second.access_token)
    assert (await world.refresh(client, first.refresh_token)).code == 200
    headers = {"Authorization": f"Bearer {first.access_token}"}
    assert (await world.service.fetch("/oauth2/userinfo", headers=headers)).code == 401


# S050
@pytest.mark.parametrize("access_token_format", ["jwt", "opaque"])
@pytest.mark.parametrize("hint", ["", "refresh_token", "access_token", "made_up"])
async def test_a_refresh_token_takes_along_all_that_was_made_from_it(
    world: World, access_token_format: str, hint: str
) -> None:
    client = await world.client(access_token_format=access_token_format)
    tokens, other = await issued(world, client), await issued(world, client)
    refreshed = json.loads((await world.refresh(client, tokens.refresh_token)).body)
    await revoke(world, client, refreshed["refresh_token"], token_type_hint=hint)
    for token in (tokens.access_token, refreshed["access_token"]):
        assert not await is_active(world, token)
    for token in (tokens.refresh_token, refreshed["refresh_token"]):
        response = await world.refresh(client, token)
        assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_grant")
    assert await is_active(world, other.access_token)


# S050
@pytest.mark.parametrize("hint", ["refresh_token", "access_token", "made_up"])
async def test_a_wrong_hint_still_finds_an_access_token(world: World, hint: str) -> None:
    client = await world.client()
    token = (await issued(world, client)).access_token
    await revoke(world, client, token, token_type_hint=hint)
    assert not await is_active(world, token)


async def test_a_refresh_token_that_was_used_ends_its_successors(world: World) -> None:
    client = await world.client()
    tokens = await issued(world, client)
    refreshed = json.loads((await world.refresh(client, tokens.refresh_token)).body)
    await revoke(world, client, tokens.refresh_token)
    assert not await is_active(world, refreshed["access_token"])


# S049
@pytest.mark.parametrize("access_token_format", ["jwt", "opaque"])
async def test_another_clients_token_stays(world: World, access_token_format: str) -> None:
    client = await world.client(access_token_format=access_token_format)
    thief = await world.client()
    tokens = await issued(world, client)
    for token in (tokens.access_token, tokens.refresh_token):
        response = await world.post(PATH, thief, token=token)
        assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_grant")
    assert await is_active(world, tokens.access_token)
    assert (await world.refresh(client, tokens.refresh_token)).code == 200


# S050
async def test_a_name_for_a_callback_is_ignored(world: World) -> None:
    client = await world.client()
    token = (await issued(world, client)).access_token
    await revoke(world, client, token, callback="alert")
    assert not await is_active(world, token)


async def test_a_public_client_revokes_its_own_tokens(world: World) -> None:
    public = await world.client(token_endpoint_auth_method="none")
    other = (await issued(world, await world.client())).access_token
    tokens = await issued(world, public)
    assert (await world.post(PATH, public, token=other)).code == 400
    await revoke(world, public, tokens.refresh_token)
    assert not await is_active(world, tokens.access_token)
    assert await is_active(world, other)


# S013
async def test_a_listed_origin_may_revoke_from_a_page(make_world: Any) -> None:
    origin = "https://app.example"
    world = await make_world(TORNADO_AUTH_CORS_ORIGINS=origin)
    client = await world.client(token_endpoint_auth_method="none")
    for sender, allowed in ((origin, origin), ("https://evil.example", None)):
        response = await world.post(PATH, client, token="x", headers={"Origin": sender})
        assert response.code == 200
        assert response.headers.get("Access-Control-Allow-Origin") == allowed
        assert "Access-Control-Allow-Credentials" not in response.headers
