"""The grant type token-exchange: to act for the user of another client's token."""

from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.oauth2.redeeming import (
    Holder,
    audited,
    error_of,
    is_alive,
    members_of,
    tokens_for,
)
from tests.oauth2.world import World, WorldFactory, claims_of
from tornado_auth.models import Client
from tornado_auth.oauth2.values import EXCHANGE

FILES, REPORTS = "https://files.example/api", "https://reports.example/api"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ON = {"TORNADO_AUTH_TOKEN_EXCHANGE": "on"}


@pytest.fixture
async def world(make_world: WorldFactory) -> World:
    return await make_world(**ON)


async def app(world: World, **fields: Any) -> Client:
    return await world.client(resources=(FILES, REPORTS), **fields)


async def gateway(world: World, *exchanges: Client, **fields: Any) -> Client:
    """Register a resource server that may go on with the tokens of some clients."""
    values = {
        "grant_types": (EXCHANGE,),
        "scope": ("openid", "email", "offline_access"),
        "resources": (FILES,),
        "exchanges": tuple(client.id for client in exchanges),
        **fields,
    }
    return await world.client(**values)


async def shown(world: World, client: Client, **grant: Any) -> str:
    """Return an access token as a client shows it to a resource server."""
    values = {"scope": ("openid", "email", "phone"), "resources": (FILES, REPORTS), **grant}
    return str((await tokens_for(world, client, **values))["access_token"])


async def exchange(world: World, client: Client, token: str, /, **form: Any) -> Any:
    values = {
        "grant_type": EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        **form,
    }
    return await world.token(client, **{name: value for name, value in values.items() if value})


# S073
async def test_it_is_off_by_default(make_world: WorldFactory) -> None:
    world = await make_world()
    client = await app(world)
    response = await exchange(world, await gateway(world, client), await shown(world, client))
    assert error_of(response) == "unsupported_grant_type"


# S073
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
async def test_the_new_token_is_for_the_user_and_says_who_acts(
    world: World, token_format: str
) -> None:
    client = await app(world, access_token_format=token_format)
    server = await gateway(world, client, access_token_format=token_format)
    token = await shown(world, client)
    members = members_of(await exchange(world, server, token))
    assert set(members) == {
        "access_token",
        "issued_token_type",
        "token_type",
        "expires_in",
        "scope",
    }
    assert members["issued_token_type"] == ACCESS_TOKEN
    before = await world.server.oauth2.access_tokens.read(token)
    after = await world.server.oauth2.access_tokens.read(members["access_token"])
    assert before is not None
    assert after is not None
    assert (after.sub, after.client.id) == (before.sub, server.id)
    assert after.act == f'{{"sub": "{server.id}"}}'
    assert await audited(world, "token_exchanged") == [(before.sub, server.id)]


# S073
async def test_the_new_token_is_never_wider(world: World) -> None:
    client = await app(world)
    server = await gateway(world, client)
    scope = ("openid", "email", "phone", "offline_access")
    token = await shown(world, client, scope=scope)
    members = members_of(await exchange(world, server, token))
    assert members["scope"] == "openid email"
    assert claims_of(members["access_token"])["aud"] == FILES
    narrow = members_of(await exchange(world, server, token, scope="email", resource=FILES))
    assert narrow["scope"] == "email"
    for scope in ("phone", "offline_access", "email phone", "unknown"):
        assert error_of(await exchange(world, server, token, scope=scope)) == "invalid_scope"
    for name, target in (
        ("resource", REPORTS),
        ("resource", "https://other.example"),
        ("audience", REPORTS),
        ("audience", world.issuer),
    ):
        response = await exchange(world, server, token, **{name: target})
        assert error_of(response) == "invalid_target"


# S073
async def test_a_token_for_nothing_that_the_client_may_ask_for_is_refused(world: World) -> None:
    client = await app(world)
    token = await shown(world, client, resources=(REPORTS,))
    response = await exchange(world, await gateway(world, client), token)
    assert error_of(response) == "invalid_target"


# S073
async def test_the_new_token_ends_with_the_old_one_and_with_its_grant(
    make_world: WorldFactory, clock: FakeClock
) -> None:
    world = await make_world(now=clock, **ON)
    client = await app(world)
    server = await gateway(world, client, access_token_lifetime=3000)
    session = await world.service.session()
    token = await shown(world, client, session=session)
    clock.advance(200)
    members = members_of(await exchange(world, server, token))
    assert members["expires_in"] == 400
    assert await is_alive(world, members["access_token"])
    await world.server.oauth2.grants.end_consent(session.user_id, client.id)
    assert not await is_alive(world, members["access_token"])


# S073
async def test_only_the_tokens_of_listed_clients_are_exchanged(world: World) -> None:
    client, other = await app(world), await app(world)
    token = await shown(world, client)
    for server in (await gateway(world), await gateway(world, other)):
        assert error_of(await exchange(world, server, token)) == "invalid_request"
    stranger = await gateway(world, client, grant_types=("client_credentials",))
    assert error_of(await exchange(world, stranger, token)) == "unauthorized_client"
    public = await gateway(world, client, token_endpoint_auth_method="none")
    assert error_of(await exchange(world, public, token)) == "unauthorized_client"
    assert await audited(world, "token_exchanged") == []


# S073
async def test_a_token_that_no_user_is_behind_is_not_exchanged(world: World) -> None:
    client = await app(world, grant_types=("client_credentials",))
    token = members_of(await world.token(client, grant_type="client_credentials"))["access_token"]
    server = await gateway(world, client)
    assert error_of(await exchange(world, server, token)) == "invalid_request"


# S073
@pytest.mark.parametrize(
    "form",
    [
        {"subject_token": ""},
        {"subject_token": "a.b.c"},
        {"subject_token_type": ""},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"actor_token": "a.b.c"},
        {"actor_token": "a.b.c", "actor_token_type": ACCESS_TOKEN},
        {"actor_token_type": ACCESS_TOKEN},
    ],
)
async def test_a_bad_request_is_refused(world: World, form: dict[str, str]) -> None:
    client = await app(world)
    server = await gateway(world, client)
    response = await exchange(world, server, await shown(world, client), **form)
    assert error_of(response) == "invalid_request"


# S073
async def test_an_id_token_or_refresh_token_is_not_exchanged(world: World) -> None:
    client = await app(world)
    server = await gateway(world, client)
    tokens = await tokens_for(world, client, resources=(FILES,))
    for kind in ("id_token", "refresh_token"):
        assert error_of(await exchange(world, server, tokens[kind])) == "invalid_request"


# S073
async def test_who_acts_is_told_for_each_hand_that_the_token_goes_through(world: World) -> None:
    client = await app(world)
    first = await gateway(world, client)
    second = await gateway(world, first)
    token = members_of(await exchange(world, first, await shown(world, client)))["access_token"]
    members = members_of(await exchange(world, second, token))
    act = {"sub": second.id, "act": {"sub": first.id}}
    assert claims_of(members["access_token"])["act"] == act


# S073
async def test_a_token_goes_through_a_limited_number_of_hands(world: World) -> None:
    client = await app(world)
    server = await gateway(world, client)
    server = await world.change(server, exchanges=(client.id, server.id))
    token = await shown(world, client)
    for _ in range(50):
        response = await exchange(world, server, token)
        if response.code != 200:
            break
        token = members_of(response)["access_token"]
    assert error_of(response) == "invalid_request"


# S073
async def test_an_actor_token_must_be_the_clients_own(world: World) -> None:
    client = await app(world)
    server = await gateway(world, client, grant_types=(EXCHANGE, "authorization_code"))
    token = await shown(world, client)
    bob = await world.service.session("bob")
    own = await shown(world, server, session=bob, resources=(FILES,))
    actor = {"actor_token_type": ACCESS_TOKEN}
    members = members_of(await exchange(world, server, token, actor_token=own, **actor))
    assert claims_of(members["access_token"])["act"] == {"sub": bob.user_id}
    assert claims_of(members["access_token"])["sub"] != bob.user_id
    response = await exchange(world, server, token, actor_token=token, **actor)
    assert error_of(response) == "invalid_request"


async def test_a_proof_binds_the_new_token_to_who_acts(world: World) -> None:
    client = await app(world)
    server, holder = await gateway(world, client), Holder(world)
    token = await shown(world, client)
    members = members_of(await exchange(world, server, token, headers=holder.headers))
    assert claims_of(members["access_token"])["cnf"] == {"jkt": holder.jkt}
