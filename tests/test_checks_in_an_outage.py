"""What a check answers while the store does not: never "not signed in" to who is."""

import asyncio
import logging
import time

import pytest

from tests.checks_world import STALE_LIMIT, World, started
from tests.conftest import FakeClock
from tornado_auth.checks import FORGET_AFTER, PATIENCE
from tornado_auth.errors import StorageUnavailable, UnreadableRecord
from tornado_auth.models import Who
from tornado_auth.readings import Known


@pytest.fixture
async def world(clock: FakeClock) -> World:
    return World(clock)


# S140
async def test_who_is_known_passes_until_the_stale_limit(world: World, clock: FakeClock) -> None:
    token = await world.sign_in()
    assert await world.who(token) is not None
    world.store_fails()
    clock.advance(STALE_LIMIT - 1)
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
    caplog.set_level(logging.WARNING, "tornado_auth.readings")
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
    assert await world.who(token) is not None
    clock.advance(STALE_LIMIT)
    with pytest.raises(StorageUnavailable):
        await world.who(token)


# S140
async def test_the_stale_limit_counts_from_when_the_feed_fell_silent(
    world: World, clock: FakeClock
) -> None:
    token = await world.sign_in()
    await world.follow()
    await world.who(token)
    clock.advance(50)
    await world.hear()
    world.store_fails()
    clock.advance(STALE_LIMIT - 1)
    assert await world.who(token) is not None
    assert world.count("stale") == 1
    clock.advance(1)
    with pytest.raises(StorageUnavailable):
        await world.who(token)


# S140
async def test_nothing_is_gone_by_for_longer_than_changes_are_kept_in_mind(
    world: World, clock: FakeClock
) -> None:
    token = await world.sign_in()
    await world.follow()
    await world.who(token)
    world.store_fails()
    for _ in range(int(FORGET_AFTER) + STALE_LIMIT - 1):
        clock.advance(1)
        await world.hear()  # the feed alone is alive
        assert await world.who(token) is not None
    clock.advance(1)
    await world.hear()
    with pytest.raises(StorageUnavailable):
        await world.who(token)


# D13 S125
@pytest.mark.parametrize("kind", ["session_ended", "user_changed"])
async def test_a_change_that_is_heard_of_counts_during_an_outage_too(
    world: World, clock: FakeClock, kind: str
) -> None:
    token = await world.sign_in()
    await world.who(token)
    world.store_fails()
    clock.advance(5)
    assert await world.who(token) is not None
    if kind == "session_ended":
        await world.revocations.session_ended("session-ann")
        assert await world.who(token) is None
    else:
        await world.revocations.user_changed("user-ann")
        with pytest.raises(StorageUnavailable):  # what has changed, nobody can tell
            await world.who(token)


class TestSlowStore:
    """Who could pass without the store waits half a second for it, and then nobody does."""

    @pytest.fixture
    async def tokens(self, world: World, clock: FakeClock) -> list[str]:
        tokens = [await world.sign_in(name) for name in ("ann", "bob", "eve")]
        for token in tokens:
            await world.who(token)
        world.store_answers(False)
        clock.advance(2)
        return tokens

    async def test_who_is_known_waits_for_half_a_second(
        self, world: World, tokens: list[str]
    ) -> None:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        answers = await asyncio.gather(*map(world.who, tokens))
        assert PATIENCE - 0.05 <= loop.time() - began_at < PATIENCE + 0.4
        assert all(answers)
        assert world.count("stale") == 3

    async def test_after_that_nobody_waits_until_something_is_read(
        self, world: World, clock: FakeClock, tokens: list[str]
    ) -> None:
        assert await world.who(tokens[0]) is not None
        for token in tokens:
            assert isinstance(world.checks.recall(world.checks.verify(token)), Known)
        await world.sessions.delete("session-bob")
        world.store_answers()
        await asyncio.sleep(0.01)
        clock.advance(1)
        assert await world.who(tokens[1]) is None

    async def test_an_answer_in_time_is_waited_for(self, world: World, tokens: list[str]) -> None:
        await world.sessions.delete("session-ann")
        asked = await started(world.who(tokens[0]))
        await asyncio.sleep(PATIENCE / 2)
        world.store_answers()
        assert await asked is None
        assert world.count("stale") == 0
        await asyncio.sleep(PATIENCE)  # and its time runs out without harm
        assert not isinstance(world.checks.recall(world.checks.verify(tokens[1])), Known)

    # S125 S131
    async def test_a_process_that_stood_still_does_not_blame_the_store(
        self, world: World, clock: FakeClock, tokens: list[str]
    ) -> None:
        early = await started(world.who(tokens[0]))
        await world.sessions.delete("session-bob")
        time.sleep(PATIENCE + 0.1)  # noqa: ASYNC251 - the loop stands still, as if suspended
        await asyncio.sleep(0.01)
        asked = await started(world.who(tokens[1]))
        assert not asked.done()
        world.store_answers()
        assert await asked is None
        assert await early is not None

    async def test_who_is_not_known_waits_for_the_store(
        self, world: World, tokens: list[str]
    ) -> None:
        unknown = await world.sign_in("new")
        asked = await started(world.who(unknown))
        assert await world.who(tokens[0]) is not None  # and now the store counts as slow
        assert not asked.done()
        world.store_answers()
        assert await asked is not None


async def test_who_is_known_passes_when_too_many_wait(
    world: World, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornado_auth.readings.MAX_WAITING", 2)
    known = await world.sign_in("known")
    await world.who(known)
    world.store_answers(False)
    clock.advance(2)
    waiting = [await world.sign_in(f"name{number}") for number in range(7)]
    asked = [await started(world.who(token)) for token in waiting]
    assert await world.who(known) is not None
    assert world.count("stale") == 1
    world.store_answers()
    results = await asyncio.gather(*asked, return_exceptions=True)
    # Two are read one by one, two wait, and whoever comes on top is told at once.
    assert [type(result) for result in results] == [Who] * 4 + [StorageUnavailable] * 3
    assert world.count("unavailable") == 3


async def test_a_record_that_cannot_be_read_is_no_outage_that_lets_pass(world: World) -> None:
    token = await world.sign_in()
    assert await world.who(token) is not None
    world.users.spoil("user-ann", disabled_at="yesterday")
    world.clock.advance(2)
    with pytest.raises(UnreadableRecord, match=r"`\$\.disabled_at` \(session session-ann\)$"):
        await world.who(token)
    world.users.spoil("user-ann", disabled_at=world.clock())
    assert await world.who(token) is None
