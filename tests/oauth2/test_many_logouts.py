"""The end of sessions where there is much to do, or something hangs: nobody waits for others."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.forms import account_page
from tests.oauth2.redeeming import grant_of
from tests.oauth2.relying_parties import RelyingParties, results, told_client
from tests.oauth2.world import World, WorldFactory
from tornado_auth.errors import StorageUnavailable
from tornado_auth.models import Client, Grant, Session
from tornado_auth.oauth2 import back_channel_logout, grants


@pytest.fixture
async def hanging() -> AsyncIterator[RelyingParties]:
    hanging = RelyingParties()
    hanging.delay = 0.4
    yield hanging
    await hanging.stop()


@pytest.fixture
async def world(
    make_world: WorldFactory, parties: RelyingParties, hanging: RelyingParties
) -> World:
    allowed = f"127.0.0.1:{parties.port} 127.0.0.1:{hanging.port}"
    world = await make_world(TORNADO_AUTH_FETCH_ALLOWED=allowed)
    world.server.oauth2.back_channel_logout._retry_after = ()
    return world


@pytest.fixture
async def session(world: World) -> Session:
    return await world.service.session("ann")


async def told_clients(
    world: World, parties: RelyingParties, session: Session, number: int
) -> list[Client]:
    """Let so many clients of one host have something to be told of."""
    clients = [await told_client(world, parties, f"/{each}") for each in range(number)]
    for client in clients:
        await grant_of(world, client, session)
    return clients


class TestHosts:
    # S088
    async def test_one_that_hangs_holds_up_no_other(
        self, world: World, parties: RelyingParties, hanging: RelyingParties, session: Session
    ):
        sending = world.server.oauth2.back_channel_logout
        sending._places = asyncio.Semaphore(back_channel_logout.AT_ONCE_TO_HOST + 1)
        await told_clients(world, hanging, session, 8)
        other = await world.service.session("bob")
        await told_clients(world, parties, other, 2)
        await world.server.sessions.end(session)
        for _ in range(back_channel_logout.AT_ONCE_TO_HOST):
            await hanging.arrivals.get()
        await world.server.sessions.end(other)
        began_at = time.monotonic()
        for _ in range(2):
            await parties.arrivals.get()
        assert time.monotonic() - began_at < 0.3
        assert len(hanging.tokens) == back_channel_logout.AT_ONCE_TO_HOST
        assert await results(world) == {"delivered": 10}
        assert not sending._hosts

    # S088
    async def test_no_more_than_so_many_wait_for_one(
        self,
        world: World,
        parties: RelyingParties,
        hanging: RelyingParties,
        session: Session,
        monkeypatch: pytest.MonkeyPatch,
    ):
        monkeypatch.setattr(back_channel_logout, "MAX_WAITING_FOR_HOST", 2)
        await told_clients(world, hanging, session, 3)
        await told_clients(world, parties, session, 2)
        await world.server.sessions.end(session)
        assert await results(world) == {"delivered": 4, "dropped": 1}
        assert (len(hanging.tokens), len(parties.tokens)) == (2, 2)


# S088
async def test_clients_are_told_of_an_end_that_the_store_did_not_confirm(
    world: World, parties: RelyingParties, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told_clients(world, parties, session, 1)
    delete = world.storage.sessions.delete

    async def lose_the_answer(id: str) -> bool:
        await delete(id)
        raise StorageUnavailable("no answer")

    monkeypatch.setattr(world.storage.sessions, "delete", lose_the_answer)
    with pytest.raises(StorageUnavailable):
        await world.server.sessions.end(session)
    monkeypatch.undo()
    assert not await world.server.sessions.end(session)
    assert await results(world) == {"delivered": 1}


async def many_grants(world: World, session: Session, number: int) -> Grant:
    """Let one client have so many grants of a session; return the first, which is for offline."""
    first = await grant_of(world, await world.client(), session, scope=("offline_access",))
    for each in range(number - 1):
        online = replace(first, id=f"grant-{each}", is_offline=False)
        await world.storage.grants.insert(online)
    return first


class TestGrants:
    async def test_so_many_are_deleted_at_once_and_no_more(
        self, world: World, session: Session, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(grants, "ENDS_AT_ONCE", 4)
        first = await many_grants(world, session, 11)
        delete, running, most = world.storage.grants.delete, 0, 0

        async def count(id: str) -> bool:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return await delete(id)

        monkeypatch.setattr(world.storage.grants, "delete", count)
        assert len(await world.server.oauth2.grants.end_session(session.id)) == 11
        assert most == 4
        assert await world.storage.grants.find() == [first]

    async def test_who_signs_out_does_not_wait_for_that(
        self, world: World, session: Session, monkeypatch: pytest.MonkeyPatch
    ):
        first = await many_grants(world, session, 3)
        delete, may_go_on = world.storage.grants.delete, asyncio.Event()

        async def hang(id: str) -> bool:
            await may_go_on.wait()
            return await delete(id)

        monkeypatch.setattr(world.storage.grants, "delete", hang)
        page = await account_page(world.service, await world.server.sessions.token(session))
        assert (await page.send("/auth/logout")).code == 200
        may_go_on.set()
        await results(world)
        assert await world.storage.grants.find() == [first]

    @pytest.mark.long
    async def test_who_has_two_thousand_is_signed_out_within_a_second(
        self, make_world: WorldFactory, tmp_path: Path
    ):
        world = await make_world(DATABASE_URL=f"sqlite:///{tmp_path}/auth.db")
        session = await world.service.session("ann")
        first = await many_grants(world, session, 2000)
        page = await account_page(world.service, await world.server.sessions.token(session))
        began_at = time.monotonic()
        assert (await page.send("/auth/logout")).code == 200
        assert time.monotonic() - began_at < 1
        await results(world)
        assert await world.storage.grants.find() == [first]
