"""What a client that registered itself may do later, over HTTP (RFC 7592)."""

import json
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from tests.conftest import FakeClock
from tests.oauth2.registrar import METADATA, REGISTER, Registrar, make_registrar, path_of
from tests.oauth2.world import World, WorldFactory, basic
from tornado_auth.models import Actor
from tornado_auth.oauth2.errors import InvalidBearerToken
from tornado_auth.oauth2.registration import REGISTRATION_LIMITS


@pytest.fixture
async def registrar(world: World) -> Registrar:
    return await make_registrar(world)


# S077
async def test_a_client_describes_itself_anew(registrar: Registrar) -> None:
    client = await registrar.registered(client_uri="https://app.example/")
    token = client["registration_access_token"]
    changed = await registrar.send(
        "PUT",
        path_of(client),
        token,
        {
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
            "redirect_uris": ["https://other.example/cb"],
        },
    )
    assert changed.code == 200, changed.body
    answer = json.loads(changed.body)
    assert answer["redirect_uris"] == ["https://other.example/cb"]
    assert "client_uri" not in answer
    assert "client_secret" not in answer
    assert answer["registration_access_token"] == token


# S077
async def test_a_client_chooses_neither_id_nor_secret(registrar: Registrar) -> None:
    client, other = await registrar.registered(), await registrar.registered()
    token = client["registration_access_token"]
    for wrong in (
        {},
        {"client_id": other["client_id"]},
        {"client_id": client["client_id"], "client_secret": "chosen"},
        {"client_id": client["client_id"], "client_secret": other["client_secret"]},
        {"client_id": client["client_id"], "client_secret": 7},
    ):
        response = await registrar.send("PUT", path_of(client), token, {**METADATA, **wrong})
        assert response.code == 400
        assert json.loads(response.body)["error"] == "invalid_client_metadata"


# S077
async def test_a_client_that_comes_to_need_a_secret_gets_one(registrar: Registrar) -> None:
    client = await registrar.registered(token_endpoint_auth_method="none")
    assert "client_secret" not in client
    assert "client_secret_expires_at" not in client
    changed = await registrar.send(
        "PUT",
        path_of(client),
        client["registration_access_token"],
        {**METADATA, "client_id": client["client_id"]},
    )
    answer = json.loads(changed.body)
    assert answer["client_secret"].startswith("tcs_")
    assert answer["client_secret_expires_at"] == 0


# S077
async def test_a_token_opens_its_own_client_alone(registrar: Registrar) -> None:
    client, other = await registrar.registered(), await registrar.registered()
    operators = await registrar.world.client()
    tokens = ["", "wrong", registrar.token, other["registration_access_token"]]
    paths = [path_of(client), f"{REGISTER}/{operators.id}", f"{REGISTER}/c-nobody"]
    for path in paths:
        for token in tokens:
            for method in ("GET", "PUT", "DELETE"):
                metadata = {**METADATA, "client_id": path.rpartition("/")[2]}
                response = await registrar.send(
                    method, path, token, metadata if method == "PUT" else None
                )
                assert response.code == 401, (method, path)
    assert await registrar.world.storage.clients.get(client["client_id"]) is not None


# S077
async def test_a_disabled_client_cannot_manage_itself(registrar: Registrar) -> None:
    client = await registrar.registered()
    await registrar.world.server.oauth2.clients.set_disabled(client["client_id"], disabled=True)
    token = client["registration_access_token"]
    assert (await registrar.send("GET", path_of(client), token)).code == 401


# S077
async def test_a_client_that_deletes_itself_is_gone_with_its_tokens(
    make_world: WorldFactory,
) -> None:
    registrar = await make_registrar(await make_world())
    client = await registrar.registered(grant_types=["client_credentials"])
    headers = basic(client["client_id"], client["client_secret"])
    form = {"grant_type": "client_credentials"}
    answer = await registrar.service.json("/oauth2/token", form=form, headers=headers)
    resource_server = await registrar.world.client(audiences=(registrar.world.issuer,))

    async def is_active() -> bool:
        response = await registrar.world.post(
            "/oauth2/introspect", resource_server, token=answer["access_token"]
        )
        return bool(json.loads(response.body)["active"])

    assert await is_active()
    token = client["registration_access_token"]
    deleted = await registrar.send("DELETE", path_of(client), token)
    assert (deleted.code, deleted.body) == (204, b"")
    assert not await is_active()
    assert (await registrar.send("GET", path_of(client), token)).code == 401
    assert (await registrar.service.fetch("/oauth2/token", form=form, headers=headers)).code == 401


async def describe(registrar: Registrar, client: dict[str, Any], **changes: Any) -> HTTPResponse:
    """Let a client describe itself anew."""
    metadata = {**METADATA, "client_id": client["client_id"], **changes}
    return await registrar.send(
        "PUT", path_of(client), client["registration_access_token"], metadata
    )


# S077
async def test_what_an_operator_said_stays(registrar: Registrar) -> None:
    registry = registrar.world.server.oauth2.clients
    for said in ({"is_trusted": True}, {"dpop_bound_access_tokens": True, "scope": "openid"}, {}):
        client = await registrar.registered(grant_types=["authorization_code", "refresh_token"])
        token, path = client["registration_access_token"], path_of(client)
        assert (await describe(registrar, client, client_name="Own words")).code == 200
        fields = {name: said[name] for name in said if name == "is_trusted"}
        metadata = {**METADATA, **{name: said[name] for name in said if name not in fields}}
        changed = await registry.update(client["client_id"], metadata, by_operator=True, **fields)
        assert changed.is_self_registered
        assert (
            await describe(registrar, client, redirect_uris=["https://evil.example/"])
        ).code == 401
        assert (await registrar.send("GET", path, token)).code == 401
        assert (await registrar.send("DELETE", path, token)).code == 401
        assert await registry.get(client["client_id"]) == changed


# S077
async def test_an_operator_who_comes_in_between_has_the_last_word(registrar: Registrar) -> None:
    registry = registrar.world.server.oauth2.clients
    client = await registrar.registered()
    changed = await registry.update(client["client_id"], METADATA, by_operator=True)
    with pytest.raises(InvalidBearerToken):  # as if its token had been looked at before
        await registry.update(client["client_id"], {**METADATA, "scope": ""}, by_operator=False)
    assert await registry.get(client["client_id"]) == changed


# S074 S077
async def test_a_client_describes_itself_only_so_often(make_world: WorldFactory) -> None:
    clock = FakeClock()
    registrar = await make_registrar(await make_world(now=clock))
    registration = registrar.world.server.oauth2.registration
    client, limit = await registrar.registered(), REGISTRATION_LIMITS["registration-client"]
    for number in range(limit.attempts):
        await registration.change(
            client["client_id"],
            client["registration_access_token"],
            {**METADATA, "client_id": client["client_id"]},
            actor=Actor(via="client", remote_ip=f"192.0.2.{number}"),
        )
    refused = await describe(registrar, client)
    assert refused.code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert (await describe(registrar, await registrar.registered())).code == 200
    clock.advance(limit.window)
    assert (await describe(registrar, client)).code == 200


# S074
async def test_an_address_registers_and_describes_only_so_often(registrar: Registrar) -> None:
    world, limit = registrar.world, REGISTRATION_LIMITS["registration-address"]
    client = await registrar.registered()
    throttle = world.server.oauth2.registration._throttle
    for _ in range(limit.attempts - 1):
        await throttle.count({"registration-address": "127.0.0.1"})
    assert (await describe(registrar, client)).code == 429
    assert (
        await registrar.send("GET", path_of(client), client["registration_access_token"])
    ).code == 200


# S074
async def test_without_registration_a_client_only_looks_and_leaves(
    make_world: WorldFactory,
) -> None:
    registrar = await make_registrar(await make_world(TORNADO_AUTH_CLIENT_REGISTRATION="off"))
    made = await registrar.world.server.oauth2.clients.register(METADATA, by_operator=False)
    client = {"client_id": made.client.id, "registration_access_token": made.registration_token}
    token, path = made.registration_token, path_of(client)
    assert (await describe(registrar, client, redirect_uris=["https://evil.example/"])).code == 403
    assert (await registrar.send("GET", path, token)).code == 200
    assert (await registrar.send("DELETE", path, token)).code == 204
