"""Many requests at once for what counts once, on both stores; with two processes: tests/flows."""

import asyncio
from pathlib import Path

import pytest

from tests.oauth2.redeeming import (
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
from tests.oauth2.world import World, WorldFactory


@pytest.fixture(params=["sqlite", "mongodb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue("mongo_url")
    return url


@pytest.fixture(params=["0", "10"])
def grace(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def world(make_world: WorldFactory, database_url: str, grace: str) -> World:
    return await make_world(DATABASE_URL=database_url, TORNADO_AUTH_REFRESH_TOKEN_GRACE=grace)


# S022
@pytest.mark.parametrize("grace", ["10"], indirect=True)
async def test_of_fifty_redemptions_of_a_code_one_succeeds(world: World) -> None:
    client = await world.client()
    grant = await grant_of(world, client)
    code = await code_of(world, grant)
    responses = await asyncio.gather(*(world.redeem(client, code) for _ in range(50)))
    assert sorted(response.code for response in responses) == [200] + [400] * 49
    bad = [response for response in responses if response.code != 200]
    assert {error_of(response) for response in bad} == {"invalid_grant"}
    # S023
    (good,) = (members_of(response) for response in responses if response.code == 200)
    assert not await is_alive(world, good["access_token"])
    assert error_of(await refreshed(world, client, good)) == "invalid_grant"
    assert await audited(world, "code_reuse") == [(grant.user_id, client.id)]


# S036 O4
async def test_twenty_refreshes_leave_at_most_one_live_line(world: World, grace: str) -> None:
    client = await world.client(token_endpoint_auth_method="none")
    tokens = await tokens_for(world, client)
    responses = await asyncio.gather(*(refreshed(world, client, tokens) for _ in range(20)))
    good = [members_of(response) for response in responses if response.code == 200]
    assert len({one["refresh_token"] for one in good}) == 1
    if grace == "0":
        assert len(good) == 1
        assert not await is_alive(world, good[0]["access_token"])
        assert error_of(await refreshed(world, client, good[0])) == "invalid_grant"
        assert len(await audited(world, "refresh_reuse")) == 1
    else:
        assert len(good) == 20
        assert (await refreshed(world, client, good[0])).code == 200
        assert await audited(world, "refresh_reuse") == []


# S023 S036
@pytest.mark.parametrize("grace", ["10"], indirect=True)
async def test_a_code_that_comes_again_while_it_is_refreshed_ends_everything(world: World) -> None:
    client = await world.client()
    code = await code_for(world, client)
    tokens = members_of(await world.redeem(client, code))
    again, new = await asyncio.gather(world.redeem(client, code), refreshed(world, client, tokens))
    assert error_of(again) == "invalid_grant"
    if new.code == 200:
        assert not await is_alive(world, members_of(new)["access_token"])
        assert error_of(await refreshed(world, client, members_of(new))) == "invalid_grant"
