"""What a check answers after an end or a change: by marks, by the feed, by reading again."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.checks_world import World, session_mark, started, user_mark
from tests.conftest import FakeClock
from tornado_auth.checks import FORGET_AFTER, REREAD_AFTER
from tornado_auth.errors import PositionLost, StorageUnavailable
from tornado_auth.readings import Known


@pytest.fixture
async def world(clock: FakeClock) -> World:
    return World(clock)


class TestMarks:
    # D13 S125
    async def test_an_ended_session_is_refused_at_once(self, world: World) -> None:
        token = await world.sign_in()
        assert await world.who(token) is not None
        await world.revocations.session_ended("session-ann")
        assert await world.who(token) is None
        assert world.sessions.reads == 1
        assert world.count("refused") == 1

    # D13 S125
    async def test_who_asked_before_the_end_is_refused_after_it(self, world: World) -> None:
        token = await world.sign_in()
        world.sessions.answering.clear()
        early = await started(world.who(token))  # has read the session, not yet the user
        await world.sessions.delete("session-ann")
        await world.revocations.session_ended("session-ann")
        assert await world.who(token) is None
        world.sessions.answering.set()
        assert await early is None
        assert await world.who(token) is None

    # D12 S125
    async def test_a_reading_that_a_change_overtook_is_made_again(self, world: World) -> None:
        token = await world.sign_in()
        world.users.answering.clear()
        early = await started(world.who(token))
        user = await world.users.inner.get("user-ann")
        await world.users.replace(replace(user, username="queen"))
        await world.revocations.user_changed("user-ann")
        late = await started(world.who(token))
        world.users.answering.set()
        assert [(await task).user.username for task in (early, late)] == ["queen"] * 2
        assert (await world.who(token)).user.username == "queen"
        assert world.sessions.reads == 2

    async def test_who_is_read_again_hears_of_a_failure(self, world: World) -> None:
        token = await world.sign_in()
        world.users.answering.clear()
        early = await started(world.who(token))
        await world.revocations.user_changed("user-ann")
        world.sessions.failing = True
        world.users.answering.set()
        with pytest.raises(StorageUnavailable):
            await early

    async def test_a_changed_user_is_read_again_and_no_other(self, world: World) -> None:
        ann, bob = await world.sign_in("ann"), await world.sign_in("bob")
        for token in (ann, bob):
            await world.who(token)
        user = await world.users.get("user-ann")
        await world.users.replace(replace(user, username="queen"))
        assert (await world.who(ann)).user.username == "ann"
        await world.revocations.user_changed("user-ann")
        assert (await world.who(ann)).user.username == "queen"
        assert (await world.who(bob)).user.username == "bob"
        assert world.sessions.batches == [["session-ann"], ["session-bob"], ["session-ann"]]

    # D12 S125
    async def test_who_was_let_in_again_is_read_again_too(self, world: World) -> None:
        token = await world.sign_in()
        user = await world.users.get("user-ann")
        user = await world.users.replace(replace(user, disabled_at=1))
        assert await world.who(token) is None
        await world.users.replace(replace(user, disabled_at=None))
        await world.revocations.user_changed("user-ann")
        assert await world.who(token) is not None


class TestFeed:
    # S131
    async def test_while_it_is_heard_nothing_is_read_again(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        await world.follow()
        for _ in range(50):
            assert await world.who(token) is not None
            clock.advance(1)
            await world.hear()
        assert world.sessions.reads == 1

    # S131
    @pytest.mark.parametrize("mark", [session_mark("session-ann"), user_mark("user-ann")])
    async def test_what_it_tells_counts_at_once(self, world: World, mark: Any) -> None:
        token = await world.sign_in()
        await world.follow()
        assert await world.who(token) is not None
        await world.sessions.delete("session-ann")
        assert await world.who(token) is not None
        await world.hear(mark)
        assert await world.who(token) is None

    async def test_what_was_read_before_it_began_is_good_for_a_second(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        assert await world.who(token) is not None
        await world.follow()
        await world.sessions.delete("session-ann")  # unheard of: it was before the beginning
        clock.advance(1)
        await world.hear()
        assert await world.who(token) is None

    # S131
    async def test_when_it_falls_silent_everything_is_read_again_within_a_second(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        await world.follow()
        assert await world.who(token) is not None
        clock.advance(30)
        await world.hear()
        assert await world.who(token) is not None
        assert world.sessions.reads == 1
        await world.sessions.delete("session-ann")
        clock.advance(1)
        assert await world.who(token) is None
        assert world.sessions.reads == 2

    # S131
    async def test_what_was_read_before_it_lost_its_place_is_read_again(
        self, world: World, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tornado_auth.revocations.RETRY_AFTER", 0)
        token = await world.sign_in()
        await world.follow()
        assert await world.who(token) is not None
        await world.sessions.delete("session-ann")  # and its mark is one of those that were missed
        await world.marks.fail(PositionLost("gone"))
        clock.advance(1)
        await world.hear()
        assert await world.who(token) is None

    async def test_a_session_that_never_was_is_not_asked_for_again_and_again(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.token(sid="nothing", userid="nobody")
        await world.follow()
        for _ in range(50):
            assert await world.who(token) is None
            clock.advance(1)
            await world.hear()
        assert world.sessions.reads == 1


class TestReadingAgain:
    async def test_after_a_minute_it_is_read_in_the_background(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        await world.follow()
        await world.who(token)
        clock.advance(int(REREAD_AFTER))
        await world.hear()
        await world.sessions.delete("session-ann")  # by hand: nobody leaves a mark
        world.store_answers(False)
        for _ in range(3):
            assert isinstance(world.checks.recall(world.checks.verify(token)), Known)
            await asyncio.sleep(0.01)
        assert world.sessions.reads == 2  # one, for all of them
        world.store_answers()
        await asyncio.sleep(0.01)
        assert await world.who(token) is None

    async def test_who_was_away_for_longer_waits_for_it(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        await world.follow()
        await world.who(token)
        await world.sessions.delete("session-ann")
        clock.advance(int(FORGET_AFTER))
        await world.hear()
        assert await world.who(token) is None

    async def test_a_late_answer_does_not_replace_a_newer_one(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        await world.follow()
        world.users.answering.clear()
        early = await started(world.who(token))  # has read the session already
        await world.sessions.delete("session-ann")  # by hand: nobody leaves a mark
        clock.advance(1)
        await world.hear()
        assert await world.who(token) is None
        world.users.answering.set()
        assert await early is not None
        assert await world.who(token) is None
        assert world.sessions.reads == 2
