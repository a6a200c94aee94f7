"""The end of grants: what was made from one goes along, and nothing of another."""

from collections.abc import Awaitable, Callable

import pytest

from tests.oauth2.redeeming import code_of, grant_of, is_alive, members_of
from tests.oauth2.world import World
from tornado_auth.errors import StorageUnavailable
from tornado_auth.models import Grant
from tornado_auth.oauth2.errors import AccessDenied
from tornado_auth.oauth2.grants import Grants

ENDS: dict[str, Callable[[Grants, Grant], Awaitable[object]]] = {
    "end": lambda grants, grant: grants.end(grant.id),
    "end_session": lambda grants, grant: grants.end_session(grant.session_id),
    "end_consent": lambda grants, grant: grants.end_consent(grant.user_id, grant.client_id),
    "forget_user": lambda grants, grant: grants.forget_user(grant.user_id),
}


async def kept(world: World, grant: Grant) -> set[str]:
    """Return the kinds of records that are there of a grant."""
    storage = world.storage
    collections = (storage.authorization_codes, storage.refresh_tokens, storage.access_tokens)
    found = [one for each in collections for one in await each.find(grant_id=grant.id)]
    return {record.KIND for record in found}


# S148
@pytest.mark.parametrize("end", ENDS)
async def test_what_was_made_from_a_grant_goes_with_it(world: World, end: str) -> None:
    client = await world.client(access_token_format="opaque")
    ann, bob = [await world.service.session(name) for name in ("ann", "bob")]
    grant, other = [await grant_of(world, client, session) for session in (ann, bob)]
    for one in (grant, other):
        members_of(await world.redeem(client, await code_of(world, one)))
    kinds = {"authorization_codes", "refresh_tokens", "access_tokens"}
    assert await kept(world, grant) == kinds
    await ENDS[end](world.server.oauth2.grants, grant)
    assert await kept(world, grant) == set()
    assert await kept(world, other) == kinds


# S039
@pytest.mark.parametrize("scope", [("openid",), ("openid", "offline_access")])
async def test_none_begins_in_a_session_that_has_ended(
    world: World, scope: tuple[str, ...]
) -> None:
    client, session = await world.client(), await world.service.session()
    await world.storage.sessions.delete(session.id)  # by another process, a moment ago
    with pytest.raises(AccessDenied):
        await grant_of(world, client, session, scope=scope)
    assert await world.storage.grants.find() == []


async def test_what_outlives_its_session_is_kept(world: World) -> None:
    client = await world.client(access_token_format="opaque")
    session = await world.service.session()
    grant = await grant_of(world, client, session, scope=("openid", "offline_access"))
    tokens = members_of(await world.redeem(client, await code_of(world, grant)))
    assert await world.server.oauth2.grants.end_session(session.id) != []
    assert await is_alive(world, tokens["access_token"])


async def test_a_grant_ends_though_the_rest_cannot_be_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await world.client()
    grant = await grant_of(world, client)
    tokens = members_of(await world.redeem(client, await code_of(world, grant)))

    async def fail(**_: str) -> int:
        raise StorageUnavailable

    monkeypatch.setattr(world.storage.refresh_tokens, "delete_where", fail)
    assert (await world.post("/oauth2/revoke", client, token=tokens["refresh_token"])).code == 200
    assert not await is_alive(world, tokens["access_token"])
