"""What a client that registered itself may ask for, and what only others can give it."""

import json
from typing import Any

import pytest

from tests.oauth2.registrar import METADATA, Registrar, make_registrar, path_of
from tests.oauth2.world import WorldFactory, basic, claims_of

SCOPES = '[{"name": "reports:read"}]'
API = "https://mcp.example/"
BOTH = ["authorization_code", "client_credentials"]


@pytest.fixture
async def registrar(make_world: WorldFactory) -> Registrar:
    world = await make_world(
        TORNADO_AUTH_SCOPES=SCOPES,
        TORNADO_AUTH_DEFAULT_SCOPES="reports:read",
        TORNADO_AUTH_SELF_REGISTERED_RESOURCES=API,
    )
    return await make_registrar(world)


async def ask_alone(registrar: Registrar, client: dict[str, Any], **form: str) -> dict[str, Any]:
    response = await registrar.service.fetch(
        "/oauth2/token",
        form={"grant_type": "client_credentials", **form},
        headers=basic(client["client_id"], client["client_secret"]),
    )
    return dict(json.loads(response.body))


# S035 S074
async def test_a_scope_needs_a_user_or_an_operator(registrar: Registrar) -> None:
    client = await registrar.registered(grant_types=BOTH)
    assert "reports:read" in client["scope"]
    refused = await ask_alone(registrar, client, scope="reports:read")
    assert refused["error"] == "invalid_scope"
    assert "scope" not in claims_of((await ask_alone(registrar, client))["access_token"])

    registry = registrar.world.server.oauth2.clients
    metadata = {**METADATA, "grant_types": BOTH}
    await registry.update(client["client_id"], metadata, by_operator=True)
    refused = await ask_alone(registrar, client, scope="reports:read")
    assert refused["error"] == "invalid_scope"
    await registry.update(client["client_id"], metadata, by_operator=True, is_trusted=True)
    assert (await ask_alone(registrar, client, scope="reports:read"))["scope"] == "reports:read"


# S045 S074
async def test_all_may_name_what_the_settings_list_and_nothing_else(registrar: Registrar) -> None:
    client = await registrar.registered(resources=["https://other.example/"])
    world = registrar.world
    stored = await world.storage.clients.get(client["client_id"])
    assert stored is not None
    session = await registrar.service.sign_in()
    asked = await world.authorize(stored, session, resource=API)
    assert "/oauth2/consent" in asked.headers["Location"]
    refused = await world.authorize(stored, session, resource="https://other.example/")
    assert b"invalid_target" in refused.body or "invalid_target" in refused.headers["Location"]

    await world.change(stored, resources=("https://gone.example/",))
    metadata = {**METADATA, "client_id": stored.id}
    token = client["registration_access_token"]
    assert (await registrar.send("PUT", path_of(client), token, metadata)).code == 200
    described = await world.storage.clients.get(stored.id)
    assert described is not None
    assert described.resources == (API,)


async def test_an_operators_client_has_only_its_own(registrar: Registrar) -> None:
    made = await registrar.world.server.oauth2.clients.register(METADATA, by_operator=True)
    assert made.client.resources == ()
