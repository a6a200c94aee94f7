"""Marks of what ended or changed: left, heard by every process, kept in mind for a while."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.checks_world import Follower
from tests.conftest import FakeClock
from tests.unreliable import Unreliable
from tornado_auth import revocations
from tornado_auth.errors import StorageUnavailable
from tornado_auth.models import Revocation
from tornado_auth.revocations import MARK_LIFETIME, OVERLAP
from tornado_auth.storage import Storage
from tornado_auth.storage.memory import MemoryBackend

ENDLESS = float("inf")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "POLL_INTERVAL", 0.005)
    monkeypatch.setattr(revocations, "RETRY_AFTER", 0.005)


@pytest.fixture
async def two(storage: Storage, clock: FakeClock) -> AsyncIterator[list[Follower]]:
    """Two processes that ask one store for marks."""
    made = [Follower(Unreliable(storage.revocations), clock) for _ in range(2)]
    for process in made:
        # As a store without a feed says it; everything else may be told to fail.
        process.collection.follow = storage.revocations.follow
        await process.revocations.start()
        await process.hear()
    yield made
    for process in made:
        await process.revocations.stop()


class OneByOne:
    """Has a process ask the store only when it is told to; what is asked is read at once."""

    def __init__(self, follower: Follower) -> None:
        self._find = follower.collection.find
        self._turns, self._asked = asyncio.Semaphore(0), asyncio.Event()
        follower.collection.find = self._held

    @classmethod
    async def of(cls, follower: Follower) -> "OneByOne":
        """Make one, and wait until the first question is asked."""
        made = cls(follower)
        await asyncio.wait_for(made._asked.wait(), 5)
        return made

    async def answer(self) -> None:
        """Answer a question, and wait until that is taken note of and the next one is asked."""
        self._asked.clear()
        self._turns.release()
        await asyncio.wait_for(self._asked.wait(), 5)

    async def _held(self, **arguments: Any) -> list[Revocation]:
        marks: list[Revocation] = await self._find(**arguments)
        self._asked.set()
        await self._turns.acquire()
        return marks


class TestLeaving:
    async def test_a_mark_says_what_ended_or_changed_and_when(
        self, storage: Storage, clock: FakeClock
    ) -> None:
        here = Follower(storage.revocations, clock).revocations
        await here.session_ended("s1")
        clock.advance(1)
        await here.user_changed("ann")
        ended, changed = await storage.revocations.find()
        assert (ended.session_id, ended.user_id) == ("s1", "")
        assert (changed.session_id, changed.user_id) == ("", "ann")
        assert ended.id.startswith(f"00{clock() - 1}-")
        assert changed.id.startswith(f"00{clock()}-")
        assert changed.expires_at == clock() + MARK_LIFETIME
        clock.advance(MARK_LIFETIME)
        assert await storage.purge() == 2

    # D13
    async def test_it_counts_here_at_once_even_if_nobody_follows(self, clock: FakeClock) -> None:
        here = Follower(Storage(MemoryBackend(), clock).revocations, clock).revocations
        read_at = here._monotonic()
        assert not here.has_ended("s1")
        assert not here.has_changed("ann", read_at)
        await here.session_ended("s1")
        await here.user_changed("ann")
        assert here.has_ended("s1")
        assert here.has_changed("ann", read_at)
        assert not here.has_changed("ann", here._monotonic())
        assert not here.has_changed("bob", read_at)
        assert not here.has_ended("s2")

    # S125 S131
    async def test_what_the_store_did_not_take_is_left_later(
        self, two: list[Follower], clock: FakeClock
    ) -> None:
        here, there = two
        here.collection.failing = True
        for leaving in (here.revocations.session_ended("s1"), here.revocations.user_changed("ann")):
            with pytest.raises(StorageUnavailable):
                await leaving
        assert here.knows("s1")
        read_at = there.monotonic()
        await there.hear()
        assert not there.knows("s1")
        # By the time that it lands, others look no more for what was left back then.
        clock.advance(10 * OVERLAP)
        await there.hear()
        here.collection.failing = False
        await here.hear()
        await asyncio.sleep(0.02)
        await there.hear()
        assert there.knows("s1")
        assert there.revocations.has_changed("ann", read_at)
        assert len(await there.collection.find()) == 2

    async def test_what_is_due_is_left_at_the_end(self, storage: Storage, clock: FakeClock) -> None:
        collection = Unreliable(storage.revocations)
        here = Follower(collection, clock).revocations
        collection.failing = True
        with pytest.raises(StorageUnavailable):
            await here.session_ended("s1")
        await here.stop()  # in vain
        collection.failing = False
        await here.stop()
        (mark,) = await storage.revocations.find()
        assert mark.session_id == "s1"
        await here.stop()
        assert len(await storage.revocations.find()) == 1

    # S125
    async def test_what_may_have_happened_is_left_as_if_it_had(
        self, storage: Storage, clock: FakeClock
    ) -> None:
        here = Follower(storage.revocations, clock).revocations
        read_at = here._monotonic()
        here.user_may_have_changed("ann")
        here.service_may_have_changed("wiki")
        assert here.has_changed("ann", read_at)
        assert here.has_service_changed("wiki", read_at)
        assert not here.has_service_changed("blog", read_at)
        assert await storage.revocations.find() == []
        await here.stop()
        left = await storage.revocations.find()
        assert {mark.user_id or mark.service for mark in left} == {"ann", "wiki"}

    async def test_what_waits_to_be_left_is_bounded(
        self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(revocations, "MAX_UNSENT", 3)
        store = Storage(MemoryBackend(), clock)
        collection = Unreliable(store.revocations)
        here = Follower(collection, clock).revocations
        collection.failing = True
        for number in range(5):
            with pytest.raises(StorageUnavailable):
                await here.session_ended(f"s{number}")
        collection.failing = False
        await here.stop()
        assert {mark.session_id for mark in await store.revocations.find()} == {"s2", "s3", "s4"}

    # S131
    async def test_a_mark_that_took_long_to_land_is_left_again(
        self, storage: Storage, clock: FakeClock
    ) -> None:
        class Slow(Unreliable):
            delays = [OVERLAP + 1, 0]  # noqa: RUF012 - used up by one test

            async def insert(self, record: Revocation) -> None:
                clock.advance(self.delays.pop(0))
                await self.inner.insert(record)

        began_at = clock()
        await Follower(Slow(storage.revocations), clock).revocations.session_ended("s1")
        late, in_time = await storage.revocations.find()
        assert late.id.startswith(f"00{began_at}-")
        assert in_time.id.startswith(f"00{clock()}-")
        assert {late.session_id, in_time.session_id} == {"s1"}


class TestAsking:
    """Where the store has no feed, it is asked again and again."""

    # D13 S125
    async def test_a_mark_of_one_process_is_heard_by_the_other(self, two: list[Follower]) -> None:
        here, there = two
        read_at = there.monotonic()
        await here.revocations.session_ended("s1")
        await here.revocations.user_changed("ann")
        await there.hear()
        assert there.knows("s1")
        assert there.revocations.has_changed("ann", read_at)

    async def test_each_mark_is_heard_once(self, two: list[Follower], clock: FakeClock) -> None:
        here, there = two
        for number in range(revocations.PAGE + 5):  # more than fit on a page
            await here.revocations.session_ended(f"s{number}")
        for _ in range(5):
            await there.hear()
            clock.advance(1)
        assert there.heard() == revocations.PAGE + 5
        assert there.knows("s0", f"s{revocations.PAGE + 4}")

    # S131
    @pytest.mark.parametrize("seconds", [1 - OVERLAP, -1, 1, 60])
    async def test_a_writer_whose_clock_is_not_right_is_heard(
        self, two: list[Follower], storage: Storage, clock: FakeClock, seconds: int
    ) -> None:
        there = two[1]
        await there.hear()
        await Follower(storage.revocations, FakeClock(clock() + seconds)).revocations.session_ended(
            "s1"
        )
        await there.hear()
        assert there.knows("s1")
        clock.advance(60)
        await there.hear()
        await there.hear()
        assert there.heard() == 1

    async def test_what_was_left_while_the_store_was_away_from_here_is_heard(
        self, two: list[Follower], clock: FakeClock
    ) -> None:
        here, there = two
        there.collection.failing = True
        await asyncio.sleep(0.02)
        for number in range(3):
            await here.revocations.session_ended(f"s{number}")
            clock.advance(600)
        complete_since = there.revocations.complete_since
        assert there.revocations.lag > 1800
        there.collection.failing = False
        await there.hear()
        assert there.knows("s0", "s1", "s2")
        assert there.revocations.lag < 1
        assert there.revocations.complete_since == complete_since  # nothing was missed

    # S131
    async def test_who_was_away_for_longer_than_marks_live_has_missed_some(
        self, two: list[Follower], clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        here, there = two
        there.collection.failing = True
        await asyncio.sleep(0.02)
        await here.revocations.session_ended("s1")
        read_at = there.monotonic()
        clock.advance(MARK_LIFETIME)
        there.collection.failing = False
        await there.hear()
        assert not there.knows("s1")
        assert there.revocations.complete_since > read_at
        assert "revocations_missed" in [record.message for record in caplog.records]

    async def test_more_marks_than_fit_are_as_if_all_were_missed(
        self, two: list[Follower], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(revocations, "PAGE", 2)
        monkeypatch.setattr(revocations, "MAX_KEPT", 5)
        here, there = two
        there.collection.failing = True
        await asyncio.sleep(0.02)
        for number in range(8):
            await here.revocations.session_ended(f"s{number}")
        read_at = there.monotonic()
        there.collection.failing = False
        await asyncio.sleep(0.05)
        assert there.revocations.complete_since == ENDLESS
        clock.advance(2 * OVERLAP)
        await there.hear()
        assert read_at < there.revocations.complete_since < ENDLESS

    async def test_a_clock_that_is_set_back_loses_nothing(
        self, two: list[Follower], clock: FakeClock
    ) -> None:
        here, there = two
        questions = await OneByOne.of(there)
        await questions.answer()
        clock.advance(-600)
        await here.revocations.session_ended("s1")
        await questions.answer()  # asked before
        await questions.answer()
        assert there.knows("s1")
        await here.revocations.session_ended("s2")
        await questions.answer()
        await questions.answer()
        assert there.knows("s2")

    # S131
    async def test_as_of_is_the_time_before_the_question(
        self, two: list[Follower], clock: FakeClock
    ) -> None:
        there = two[1]
        questions = await OneByOne.of(there)
        clock.advance(5)
        await two[0].revocations.session_ended("s1")  # too late for the answer under way
        await questions.answer()
        assert not there.knows("s1")
        assert 5 < there.revocations.lag < 6
        await questions.answer()
        assert there.knows("s1")
        assert there.revocations.lag < 1

    # S131
    async def test_only_what_was_read_while_the_feed_is_alive_is_certain(
        self, two: list[Follower], clock: FakeClock
    ) -> None:
        there = two[1]
        await there.hear()
        known, read_at = there.revocations, there.monotonic()
        assert known.is_certain(read_at)
        assert known.service_stands("wiki", read_at)
        assert not known.is_certain(known.complete_since - 1e-6)
        there.collection.failing = True
        await asyncio.sleep(0.02)
        clock.advance(1)
        assert not known.is_certain(read_at)
        assert not known.service_stands("wiki", read_at)
        there.collection.failing = False
        await there.hear()
        assert known.is_certain(read_at)
        await known.service_changed("wiki")
        assert known.is_certain(read_at)
        assert not known.service_stands("wiki", read_at)
