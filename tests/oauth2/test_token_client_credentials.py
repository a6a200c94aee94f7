"""The grant type client_credentials: a client for itself."""

import pytest

from tests.oauth2.redeeming import Holder, error_of, is_alive, members_of
from tests.oauth2.world import ALL_SCOPES, World, WorldFactory, claims_of
from tornado_auth.models import Client

SCOPES = '[{"name": "reports:read"}, {"name": "reports:write"}, {"name": "other"}]'
REPORTS = "https://reports.example/api"


@pytest.fixture
async def world(make_world: WorldFactory) -> World:
    return await make_world(
        TORNADO_AUTH_SCOPES=SCOPES, TORNADO_AUTH_DEFAULT_SCOPES="openid reports:read"
    )


async def robot(world: World, **fields: object) -> Client:
    values = {
        "grant_types": ("client_credentials", "refresh_token"),
        "scope": ("reports:read", "reports:write", *ALL_SCOPES),
        "resources": (REPORTS,),
        **fields,
    }
    return await world.client(**values)


# S034
async def test_a_client_gets_an_access_token_of_its_own_and_nothing_else(world: World) -> None:
    client = await robot(world)
    response = await world.token(client, grant_type="client_credentials", scope="reports:write")
    tokens = members_of(response)
    assert set(tokens) == {"access_token", "token_type", "expires_in", "scope"}
    claims = claims_of(tokens["access_token"])
    assert claims["sub"] == claims["client_id"] == client.id
    # No user has an id of this form.
    assert client.id.startswith("c-")
    assert not {"gid", "auth_time", "acr", "amr"} & set(claims)
    read = await world.server.oauth2.access_tokens.read(tokens["access_token"])
    assert read is not None
    assert (read.user, read.grant) == (None, None)


# S034
@pytest.mark.parametrize("scope", ALL_SCOPES)
async def test_the_scopes_of_users_are_refused(world: World, scope: str) -> None:
    client = await robot(world)
    for asked in (scope, f"reports:read {scope}"):
        response = await world.token(client, grant_type="client_credentials", scope=asked)
        assert error_of(response) == "invalid_scope"


# S034
async def test_a_public_client_is_refused(world: World) -> None:
    client = await robot(world, token_endpoint_auth_method="none")
    response = await world.token(client, grant_type="client_credentials")
    assert error_of(response) == "unauthorized_client"


# S035
@pytest.mark.parametrize("scope", ["other", "unknown", "reports:read other", 'a"b', "a\\b", "ä"])
async def test_a_scope_that_is_bad_or_for_others_is_refused(world: World, scope: str) -> None:
    client = await robot(world)
    response = await world.token(client, grant_type="client_credentials", scope=scope)
    assert error_of(response) == "invalid_scope"


# S035
async def test_without_a_scope_the_default_is_given_and_told(world: World) -> None:
    tokens = members_of(await world.token(await robot(world), grant_type="client_credentials"))
    assert tokens["scope"] == "reports:read"
    writer = await robot(world, scope=("reports:write",))
    assert error_of(await world.token(writer, grant_type="client_credentials")) == "invalid_scope"


async def test_a_client_with_no_scope_of_its_own_gets_a_token_without(world: World) -> None:
    client = await robot(world, scope=ALL_SCOPES)
    tokens = members_of(await world.token(client, grant_type="client_credentials"))
    assert "scope" not in tokens
    assert "scope" not in claims_of(tokens["access_token"])


# S045
async def test_the_resource_becomes_the_audience(world: World) -> None:
    client = await robot(world)
    tokens = members_of(
        await world.token(client, grant_type="client_credentials", resource=REPORTS)
    )
    assert claims_of(tokens["access_token"])["aud"] == REPORTS
    response = await world.token(
        client, grant_type="client_credentials", resource="https://other.example"
    )
    assert error_of(response) == "invalid_target"


async def test_the_token_ends_with_its_client_and_its_time(world: World) -> None:
    client = await robot(world, access_token_lifetime=30)
    tokens = members_of(await world.token(client, grant_type="client_credentials"))
    assert tokens["expires_in"] == 30
    assert await is_alive(world, tokens["access_token"])
    await world.change(client, disabled_at=world.server.now())
    assert not await is_alive(world, tokens["access_token"])


async def test_a_proof_binds_the_token(world: World) -> None:
    holder = Holder(world)
    client = await robot(world)
    tokens = members_of(
        await world.token(client, grant_type="client_credentials", headers=holder.headers)
    )
    assert tokens["token_type"] == "DPoP"
    assert claims_of(tokens["access_token"])["cnf"] == {"jkt": holder.jkt}
