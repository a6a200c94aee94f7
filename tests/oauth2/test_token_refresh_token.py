"""The grant type refresh_token: rotation, its grace, and what ends a refresh token."""

import asyncio
import secrets
from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.oauth2.redeeming import (
    Holder,
    audited,
    code_for,
    code_of,
    error_of,
    grant_of,
    is_alive,
    members_of,
    refreshed,
    tokens_for,
)
from tests.oauth2.world import World, WorldFactory, claims_of
from tests.service import SECRET
from tornado_auth.digests import digest
from tornado_auth.models import RefreshToken

DAY = 86400


@pytest.fixture
async def strict(make_world: WorldFactory) -> World:
    """A service where a second use of a refresh token is always one too many."""
    return await make_world(TORNADO_AUTH_REFRESH_TOKEN_GRACE="0")


async def record_of(world: World, token: str) -> RefreshToken:
    record = await world.storage.refresh_tokens.get(digest(token))
    assert record is not None
    return record


# S036 O5
@pytest.mark.parametrize("method", ["none", "client_secret_basic"])
async def test_each_refresh_gives_another_refresh_token(world: World, method: str) -> None:
    client = await world.client(token_endpoint_auth_method=method)
    tokens = await tokens_for(world, client)
    seen = {tokens["refresh_token"]}
    for number in range(3):
        tokens = members_of(await refreshed(world, client, tokens))
        seen.add(tokens["refresh_token"])
        assert len(seen) == number + 2
        assert await is_alive(world, tokens["access_token"])
    assert all(token.startswith("trt_") and len(token) == 47 for token in seen)
    assert tokens["refresh_token"] not in repr(await record_of(world, tokens["refresh_token"]))


# S036 O2
async def test_a_second_use_ends_all_tokens_of_the_grant(strict: World) -> None:
    client = await strict.client(token_endpoint_auth_method="none")
    grant = await grant_of(strict, client)
    old = await tokens_for(strict, client)
    other_grants = await tokens_for(strict, client)
    new = members_of(await refreshed(strict, client, old))
    assert error_of(await refreshed(strict, client, old)) == "invalid_grant"
    assert error_of(await refreshed(strict, client, new)) == "invalid_grant"
    for tokens in (old, new):
        assert not await is_alive(strict, tokens["access_token"])
    assert await is_alive(strict, other_grants["access_token"])
    assert await audited(strict, "refresh_reuse") == [(grant.user_id, client.id)]


# S036
async def test_a_repeated_refresh_gets_the_same_successor(world: World) -> None:
    client = await world.client()
    tokens = await tokens_for(world, client)
    answers = [members_of(await refreshed(world, client, tokens)) for _ in range(3)]
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert len({answer["access_token"] for answer in answers}) == 3
    assert (await refreshed(world, client, answers[0])).code == 200


# S036
async def test_the_grace_is_over_once_the_successor_was_used(world: World) -> None:
    client = await world.client()
    first = await tokens_for(world, client)
    second = members_of(await refreshed(world, client, first))
    third = members_of(await refreshed(world, client, second))
    assert error_of(await refreshed(world, client, first)) == "invalid_grant"
    assert error_of(await refreshed(world, client, third)) == "invalid_grant"


# S036
@pytest.mark.parametrize(("seconds", "is_good"), [(10, True), (11, False)])
async def test_the_grace_is_over_after_its_time(
    make_world: WorldFactory, clock: FakeClock, seconds: int, is_good: bool
) -> None:
    world = await make_world(now=clock)
    client = await world.client()
    tokens = await tokens_for(world, client)
    new = members_of(await refreshed(world, client, tokens))
    clock.advance(seconds)
    assert ((await refreshed(world, client, tokens)).code == 200) is is_good
    assert await is_alive(world, new["access_token"]) is is_good


async def test_a_repeated_refresh_survives_a_crash_and_a_new_secret(
    make_world: WorldFactory, tmp_path: Any
) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    world = await make_world(DATABASE_URL=store)
    client = await world.client()
    tokens = await tokens_for(world, client)
    new = members_of(await refreshed(world, client, tokens))
    # The process ended before it could store the successor.
    assert await world.storage.refresh_tokens.delete(digest(new["refresh_token"]))
    other = await make_world(
        DATABASE_URL=store,
        EXTERNAL_ADDRESS=world.issuer,
        TORNADO_AUTH_SECRET=f"{secrets.token_urlsafe(48)},{SECRET}",
    )
    other.secrets = world.secrets
    again = members_of(await refreshed(other, client, tokens))
    assert again["refresh_token"] == new["refresh_token"]
    assert (await refreshed(other, client, again)).code == 200


# S036
@pytest.mark.parametrize(("grace", "succeed"), [("0", 1), ("10", 10)])
async def test_many_refreshes_at_once_leave_at_most_one_live_line(
    make_world: WorldFactory, grace: str, succeed: int
) -> None:
    world = await make_world(TORNADO_AUTH_REFRESH_TOKEN_GRACE=grace)
    client = await world.client(token_endpoint_auth_method="none")
    tokens = await tokens_for(world, client)
    responses = await asyncio.gather(*(refreshed(world, client, tokens) for _ in range(10)))
    good = [members_of(response) for response in responses if response.code == 200]
    assert len(good) == succeed
    assert len({one["refresh_token"] for one in good}) == 1
    assert (await refreshed(world, client, good[0])).code == (200 if succeed > 1 else 400)


# S037 O2
async def test_another_client_gets_nothing_and_does_not_disturb_the_owner(strict: World) -> None:
    client, other = await strict.client(), await strict.client()
    tokens = await tokens_for(strict, client)
    assert error_of(await refreshed(strict, other, tokens)) == "invalid_grant"
    new = members_of(await refreshed(strict, client, tokens))
    assert error_of(await refreshed(strict, other, tokens)) == "invalid_grant"
    assert (await refreshed(strict, client, new)).code == 200


# S038 O11
async def test_a_narrower_scope_is_for_this_access_token_alone(world: World) -> None:
    client = await world.client()
    tokens = await tokens_for(world, client, scope=("openid", "email", "phone"))
    narrow = members_of(await world.refresh(client, tokens["refresh_token"], scope="email openid"))
    assert narrow["scope"] == "openid email"
    assert claims_of(narrow["access_token"])["scope"] == "openid email"
    without = members_of(await world.refresh(client, narrow["refresh_token"], scope="phone"))
    assert "id_token" not in without
    whole = members_of(await refreshed(world, client, without))
    assert whole["scope"] == "openid email phone"


# S038 O11
@pytest.mark.parametrize("scope", ["openid email", "email", "unknown", "a\\b", 'a"b'])
async def test_a_wider_or_bad_scope_is_refused_and_spends_nothing(
    strict: World, scope: str
) -> None:
    client = await strict.client()
    tokens = await tokens_for(strict, client)
    response = await strict.refresh(client, tokens["refresh_token"], scope=scope)
    assert error_of(response) == "invalid_scope"
    assert (await refreshed(strict, client, tokens)).code == 200


async def test_what_the_client_may_no_longer_ask_for_is_left_out(world: World) -> None:
    client = await world.client()
    tokens = await tokens_for(world, client, scope=("openid", "email"))
    await world.change(client, scope=("openid",))
    assert members_of(await refreshed(world, client, tokens))["scope"] == "openid"


# S039
@pytest.mark.parametrize(
    ("fields", "seconds", "is_good"),
    [
        ({}, 14 * DAY - 1, True),
        ({}, 14 * DAY, False),
        ({"refresh_token_lifetime": 100}, 99, True),
        ({"refresh_token_lifetime": 100}, 100, False),
    ],
)
async def test_a_refresh_token_ends_when_it_is_not_used(
    make_world: WorldFactory, clock: FakeClock, fields: Any, seconds: int, is_good: bool
) -> None:
    world = await make_world(now=clock)
    client = await world.client(**fields)
    tokens = await tokens_for(world, client, scope=("openid", "offline_access"))
    clock.advance(seconds)
    assert ((await refreshed(world, client, tokens)).code == 200) is is_good


# S036
@pytest.mark.parametrize(("seconds", "is_noticed"), [(99, True), (100, False)])
async def test_a_second_use_is_noticed_for_as_long_as_the_token_would_have_been_good(
    make_world: WorldFactory, clock: FakeClock, seconds: int, is_noticed: bool
) -> None:
    world = await make_world(now=clock)
    client = await world.client(refresh_token_lifetime=100)
    grant = await grant_of(world, client)
    old = members_of(await world.redeem(client, await code_of(world, grant)))
    new = members_of(await refreshed(world, client, old))
    clock.advance(seconds)
    assert error_of(await refreshed(world, client, old)) == "invalid_grant"
    # What was used does not pile up until the grant ends.
    assert await world.storage.refresh_tokens.get(digest(old["refresh_token"])) is None
    assert await is_alive(world, new["access_token"]) is not is_noticed


# S039
async def test_a_grant_ends_however_often_it_is_refreshed(
    make_world: WorldFactory, clock: FakeClock
) -> None:
    world = await make_world(now=clock)
    client = await world.client()
    tokens = await tokens_for(world, client, scope=("openid", "offline_access"))
    for _ in range(8):
        clock.advance(10 * DAY)
        tokens = members_of(await refreshed(world, client, tokens))
    clock.advance(10 * DAY)
    assert error_of(await refreshed(world, client, tokens)) == "invalid_grant"


# S039
@pytest.mark.parametrize("event", ["logout", "idle", "disabled", "withdrawn", "client"])
@pytest.mark.parametrize("is_offline", [False, True])
async def test_a_refresh_token_ends_with_what_it_hangs_on(
    make_world: WorldFactory, clock: FakeClock, event: str, is_offline: bool
) -> None:
    idle_limit = "3600"
    world = await make_world(now=clock, TORNADO_AUTH_SESSION_IDLE_LIMIT=idle_limit)
    client = await world.client()
    session = await world.service.session()
    scope = ("openid", "offline_access") if is_offline else ("openid",)
    tokens = await tokens_for(world, client, session=session, scope=scope)
    if event == "logout":
        await world.server.sessions.end(session)
    elif event == "idle":
        clock.advance(int(idle_limit))
    elif event == "disabled":
        await world.server.accounts.set_disabled(session.user_id, disabled=True)
    elif event == "withdrawn":
        await world.server.oauth2.grants.end_consent(session.user_id, client.id)
    else:
        await world.storage.clients.delete(client.id)
    response = await refreshed(world, client, tokens)
    if event in ("logout", "idle") and is_offline:
        assert response.code == 200
    else:
        assert error_of(response) == ("invalid_client" if event == "client" else "invalid_grant")


# S040
async def test_an_id_token_from_a_refresh_says_the_same_of_the_sign_in(
    make_world: WorldFactory, clock: FakeClock
) -> None:
    world = await make_world(now=clock)
    client = await world.client()
    tokens = await tokens_for(world, client)
    clock.advance(100)
    before = claims_of(tokens["id_token"])
    after = claims_of(members_of(await refreshed(world, client, tokens))["id_token"])
    for name in ("iss", "sub", "aud", "azp", "auth_time", "sid", "acr"):
        assert before.get(name) == after.get(name), name
    assert after["iat"] == before["iat"] + 100
    assert "nonce" not in after


# S068
async def test_a_public_clients_refresh_token_is_bound_to_its_key(strict: World) -> None:
    client = await strict.client(token_endpoint_auth_method="none")
    holder, other = Holder(strict), Holder(strict)
    code = await code_for(strict, client)
    tokens = members_of(await strict.redeem(client, code, headers=holder.headers))
    for _ in range(2):
        for headers in ({}, other.headers):
            response = await strict.refresh(client, tokens["refresh_token"], headers=headers)
            assert error_of(response) == "invalid_grant"
        response = await strict.refresh(client, tokens["refresh_token"], headers=holder.headers)
        used, tokens = tokens, members_of(response)
        assert tokens["token_type"] == "DPoP"
        # A thief without the key cannot even end it.
        assert error_of(await refreshed(strict, client, used)) == "invalid_grant"
        assert await is_alive(strict, tokens["access_token"])


# S068
async def test_a_confidential_client_may_change_its_key(world: World) -> None:
    client = await world.client()
    code = await code_for(world, client)
    tokens = members_of(await world.redeem(client, code, headers=Holder(world).headers))
    other = Holder(world)
    response = await world.refresh(client, tokens["refresh_token"], headers=other.headers)
    assert claims_of(members_of(response)["access_token"])["cnf"] == {"jkt": other.jkt}


# O3
@pytest.mark.parametrize("kind", ["access_token", "id_token"])
async def test_another_kind_of_token_is_no_refresh_token(world: World, kind: str) -> None:
    client = await world.client(access_token_format="opaque")
    tokens = await tokens_for(world, client)
    assert error_of(await world.refresh(client, tokens[kind])) == "invalid_grant"


# O6 O12
async def test_a_refreshed_token_keeps_its_user_whatever_its_lifetime(world: World) -> None:
    client = await world.client(access_token_lifetime=1)
    tokens = await tokens_for(world, client)
    new = members_of(await refreshed(world, client, tokens))
    assert new["expires_in"] == 1
    assert claims_of(new["access_token"])["sub"] == claims_of(tokens["access_token"])["sub"]
