"""What applications may do for a user ends with what operators end, offline access included."""

import pytest

from tests.oauth2.world import World
from tornado_auth.models import Actor, Client, Session

OPERATOR = Actor(via="cli")
OFFLINE = "openid offline_access"


async def is_connected(world: World, client: Client, refresh_token: str) -> bool:
    return (await world.refresh(client, refresh_token)).code == 200


async def connected(world: World, name: str = "ann") -> tuple[Session, Client, str]:
    """Return a session of a user, and a client with offline access from another one."""
    client = await world.client()
    token = await world.server.sessions.token(await world.service.session(name))
    tokens = await world.tokens(client, token, scope=OFFLINE)
    return await world.service.session(name), client, tokens["refresh_token"]


# S039
@pytest.mark.parametrize("way", ["sessions", "identity"])
async def test_offline_access_ends_with_all_sessions_and_with_an_identity(
    world: World, way: str
) -> None:
    session, client, refresh_token = await connected(world)
    _, others_client, others_token = await connected(world, "bob")
    office, ann = world.server.administration, session.user_id
    if way == "sessions":
        assert await office.end_sessions(OPERATOR, ann) == 2
    else:
        await office.unlink_identity(OPERATOR, ann, session.identity_id)
    assert await office.sessions(ann) == []
    assert not await is_connected(world, client, refresh_token)
    assert await world.server.oauth2.grants.of_user(ann) == []
    assert await is_connected(world, others_client, others_token)


# S039
async def test_offline_access_outlives_one_session_and_what_its_user_ends(world: World) -> None:
    session, client, refresh_token = await connected(world)
    await world.server.administration.end_session(OPERATOR, session.id)
    assert await is_connected(world, client, refresh_token)
