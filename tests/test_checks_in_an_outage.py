"""What a check answers while the store does not: never "not signed in" to who is."""

import asyncio
import logging

import pytest

from tests.conftest import FakeClock
from tests.test_checks import STALE_LIMIT, World, started
from tornado_auth.errors import StorageUnavailable


@pytest.fixture
async def world(clock: FakeClock) -> World:
    return World(clock)


# S140
async def test_who_is_known_passes_until_the_stale_limit(world: World, clock: FakeClock) -> None:
    token = await world.sign_in()
    assert await world.who(token) is not None
    world.store_fails()
    clock.advance(STALE_LIMIT)
    assert await world.who(token) is not None
    assert world.count("stale") == 1
    clock.advance(1)
    with pytest.raises(StorageUnavailable):
        await world.who(token)
    assert world.count("unavailable") == 1
    assert world.count("refused") == 0


# S140
@pytest.mark.parametrize("failing", ["sessions", "users"])
async def test_who_is_not_known_is_not_called_a_stranger(world: World, failing: str) -> None:
    token = await world.sign_in()
    getattr(world, failing).failing = True
    with pytest.raises(StorageUnavailable):
        await world.who(token)
    assert await world.who("rubbish") is None
    assert world.count("unavailable") == 1


async def test_whose_session_had_ended_stays_out(world: World, clock: FakeClock) -> None:
    token = await world.sign_in()
    await world.sessions.delete("session-ann")
    assert await world.who(token) is None
    world.store_fails()
    clock.advance(2)
    assert await world.who(token) is None


async def test_limits_of_the_session_hold_all_the_same(world: World, clock: FakeClock) -> None:
    token = await world.sign_in(expires_at=clock() + 20)
    assert await world.who(token) is not None
    world.store_fails()
    clock.advance(20)
    assert await world.who(token) is None


async def test_after_a_failure_nobody_waits_for_a_second(world: World, clock: FakeClock) -> None:
    known, unknown = await world.sign_in("ann"), await world.sign_in("bob")
    await world.who(known)
    world.store_fails()
    clock.advance(5)
    await world.who(known)
    reads = world.sessions.reads
    for _ in range(3):
        assert await world.who(known) is not None
        with pytest.raises(StorageUnavailable):
            await world.who(unknown)
    assert world.sessions.reads == reads
    clock.advance(1)
    with pytest.raises(StorageUnavailable):
        await world.who(unknown)
    assert world.sessions.reads == reads + 1


async def test_afterwards_one_of_those_known_waits_and_the_others_do_not(
    world: World, clock: FakeClock
) -> None:
    tokens = [await world.sign_in(name) for name in ("ann", "bob", "eve")]
    for token in tokens:
        await world.who(token)
    world.store_fails()
    clock.advance(5)
    await world.who(tokens[0])
    clock.advance(1)
    world.sessions.answering.clear()
    tries = await started(world.who(tokens[0]))
    for token in tokens:
        assert await asyncio.wait_for(world.who(token), 1) is not None
    assert not tries.done()
    world.sessions.answering.set()
    assert await tries is not None


# S125 S131
async def test_when_it_is_over_an_end_counts_within_a_second_again(
    world: World, clock: FakeClock
) -> None:
    known, other = await world.sign_in("ann"), await world.sign_in("bob")
    await world.who(known)
    world.store_fails()
    clock.advance(5)
    assert await world.who(known) is not None
    world.store_fails(False)
    clock.advance(1)
    assert await world.who(other) is not None
    world.sessions.answering.clear()
    third = await world.sign_in("eve")
    reading = await started(world.who(third))
    await world.sessions.delete("session-ann")
    asked = await started(world.who(known))
    assert not asked.done()  # somebody reads, but nothing failed since: wait for the truth
    world.sessions.answering.set()
    assert await asked is None
    assert await reading is not None


async def test_a_quiet_time_after_a_failure_is_no_outage(world: World, clock: FakeClock) -> None:
    token = await world.sign_in()
    await world.who(token)
    world.store_fails()
    clock.advance(1)
    assert await world.who(token) is not None
    world.store_fails(False)
    await world.sessions.delete("session-ann")
    clock.advance(1)
    assert await world.who(token) is None


async def test_it_is_logged_once_a_second(
    world: World, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "tornado_auth.checks")
    tokens = [await world.sign_in(f"name{number}") for number in range(10)]
    world.store_fails()
    for seconds in (1, 2):
        await asyncio.gather(*map(world.who, tokens), return_exceptions=True)
        assert [record.message for record in caplog.records] == ["storage_unavailable"] * seconds
        clock.advance(1)


# S140
async def test_nobody_is_kept_longer_because_the_clock_was_set_back(
    world: World, clock: FakeClock
) -> None:
    token = await world.sign_in()
    await world.who(token)
    world.store_fails()
    clock.advance(-3600)
    with pytest.raises(StorageUnavailable):
        await world.who(token)
