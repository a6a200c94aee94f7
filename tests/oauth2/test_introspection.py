"""Introspection: who is told of which token, and that everybody else learns nothing."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.oauth2.issued import granted, issued, own_token
from tests.oauth2.world import World, basic, claims_of
from tornado_auth.models import Client, TokenType

PATH = "/oauth2/introspect"
API = "https://api.example/v1"
INACTIVE = {"active": False}


async def introspect(world: World, resource_server: Client, token: str, **form: str) -> Any:
    response = await world.post(PATH, resource_server, token=token, **form)
    assert response.code == 200, response.body
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.headers["Cache-Control"] == "no-store"
    return json.loads(response.body)


async def resource_server(world: World, *audiences: str, **fields: Any) -> Client:
    """Make a client that may introspect the tokens for these audiences."""
    return await world.client(audiences=audiences or (world.issuer,), **fields)


# S051 S066
@pytest.mark.parametrize("access_token_format", ["jwt", "opaque"])
async def test_a_resource_server_is_told_what_its_token_says(
    world: World, access_token_format: str
) -> None:
    client = await world.client(access_token_format=access_token_format)
    api = await resource_server(world, API)
    user, grant = await granted(world, client, scope="openid email")
    tokens = await issued(
        world,
        client,
        user=user,
        grant=grant,
        scope="openid email",
        audience=(API, world.issuer),
        jkt="a-thumbprint",
        act=json.dumps({"sub": "another"}),
    )
    told = await introspect(world, api, tokens.access_token)
    assert 0 <= told["iat"] - world.server.now() + 5 <= 5
    assert told["exp"] - told["iat"] == tokens.expires_in
    assert told.pop("jti")
    assert told == {
        "active": True,
        "iss": world.issuer,
        "sub": user.id,
        "aud": [API, world.issuer],
        "client_id": client.id,
        "username": "ann",
        "scope": "openid email",
        "token_type": "DPoP",
        "iat": told["iat"],
        "exp": told["exp"],
        "cnf": {"jkt": "a-thumbprint"},
        "act": {"sub": "another"},
        "auth_time": grant.auth_time,
        "acr": "1",
    }


async def test_a_token_of_a_client_itself_has_no_user(world: World) -> None:
    client = await world.client(scope=("reports:read",))
    token = await own_token(world, client, audience=(API,))
    told = await introspect(world, await resource_server(world, API), token)
    assert told == {
        "active": True,
        "iss": world.issuer,
        "sub": client.id,
        "aud": API,
        "client_id": client.id,
        "scope": "reports:read",
        "token_type": "Bearer",
        "iat": told["iat"],
        "exp": told["exp"],
        "jti": claims_of(token)["jti"],
    }


# S051
async def test_it_needs_authentication(world: World) -> None:
    api = await resource_server(world)
    public = await world.client(
        token_endpoint_auth_method="none", audiences=(world.issuer,), secret_digests=()
    )
    token = (await issued(world, await world.client())).access_token
    nobody = await world.post(PATH, token=token)
    wrong = await world.service.fetch(
        PATH, form={"token": token}, headers=basic(api.id, "tcs_wrong")
    )
    for response in (nobody, wrong, await world.post(PATH, public, token=token)):
        assert response.code == 401
        assert json.loads(response.body)["error"] == "invalid_client"


# S051
async def test_a_client_outside_of_the_audience_is_told_nothing(world: World) -> None:
    client = await world.client()
    for_us = (await issued(world, client)).access_token
    for_api = (await issued(world, client, audience=(API,))).access_token
    assert await introspect(world, client, for_us) == INACTIVE  # not even whose token it is
    assert await introspect(world, await resource_server(world, API), for_us) == INACTIVE
    assert await introspect(world, await resource_server(world), for_api) == INACTIVE
    assert await introspect(world, await resource_server(world, API + "/"), for_api) == INACTIVE
    assert (await introspect(world, await resource_server(world, API), for_api))["active"]


# S052 S044
async def test_what_is_no_access_token_is_not_active(world: World) -> None:
    api = await resource_server(world)
    tokens = await issued(world, await world.client())
    claims = claims_of(tokens.access_token)
    others = [tokens.id_token, tokens.refresh_token, "garbage", "a.b.c", "tat_" + "x" * 43]
    others += [await world.service.sign_in(), tokens.access_token[:-4] + "AAAA", "é", "x" * 9000]
    for kind in set(TokenType) - {TokenType.ACCESS}:
        others.append(await world.server.keys.sign(claims, typ=kind))
    foreign = {**claims, "iss": "https://evil.example"}
    others.append(await world.server.keys.sign(foreign, typ=TokenType.ACCESS))
    for token in others:
        assert await introspect(world, api, token) == INACTIVE, token


# S052
async def test_a_hint_makes_no_difference(world: World) -> None:
    api = await resource_server(world)
    tokens = await issued(world, await world.client())
    for hint in ("access_token", "refresh_token", "made_up"):
        told = await introspect(world, api, tokens.access_token, token_type_hint=hint)
        assert told["active"] is True
        told = await introspect(world, api, tokens.refresh_token, token_type_hint=hint)
        assert told == INACTIVE


# S052
async def test_a_token_in_the_address_is_refused(world: World) -> None:
    api = await resource_server(world)
    token = (await issued(world, await world.client())).access_token
    response = await world.service.fetch(f"{PATH}?token={token}")
    assert response.code == 405
    response = await world.post(f"{PATH}?token={token}", api)
    assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_request")
    response = await world.post(PATH, api)
    assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_request")


async def test_no_script_of_another_origin_may_ask(make_world: Any) -> None:
    origin = "https://app.example"
    world = await make_world(TORNADO_AUTH_CORS_ORIGINS=origin)
    api = await resource_server(world)
    response = await world.post(PATH, api, token="x", headers={"Origin": origin})
    assert response.code == 200
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_the_acting_party_is_left_out_where_there_is_none(world: World) -> None:
    token = (await issued(world, await world.client())).access_token
    told = await introspect(world, await resource_server(world), token)
    assert told["active"] is True
    assert not {"act", "cnf"} & told.keys()
    assert told["token_type"] == "Bearer"


async def test_a_disabled_resource_server_cannot_ask(world: World) -> None:
    api = await resource_server(world)
    await world.storage.clients.replace(replace(api, disabled_at=1))
    assert (await world.post(PATH, api, token="x")).code == 401
