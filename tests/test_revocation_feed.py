"""The feed of marks, where the database has one, and what a process keeps in mind of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.checks_world import STALE_LIMIT, Follower, session_mark, user_mark
from tests.conftest import FakeClock
from tests.unreliable import WithFeed
from tornado_auth import revocations
from tornado_auth.checks import FORGET_AFTER
from tornado_auth.errors import PositionLost, StorageUnavailable
from tornado_auth.models import Revocation
from tornado_auth.storage import Storage
from tornado_auth.storage.memory import MemoryBackend

KEEP_FOR = int(FORGET_AFTER) + STALE_LIMIT
ENDLESS = float("inf")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "RETRY_AFTER", 0.005)


@pytest.fixture
async def fed(clock: FakeClock) -> AsyncIterator[Follower]:
    """A process whose store has a feed."""
    store = Storage(MemoryBackend(), clock)
    process = Follower(WithFeed(store.revocations), clock)
    await process.revocations.start()
    yield process
    await process.revocations.stop()


class TestFeed:
    async def test_before_the_first_report_nothing_is_certain(
        self, fed: Follower, clock: FakeClock
    ) -> None:
        assert fed.revocations.as_of == -ENDLESS
        assert fed.revocations.lag == ENDLESS
        assert fed.revocations.complete_since == ENDLESS
        name = "tornado_auth_revocation_lag_seconds"
        assert fed.metrics.registry.get_sample_value(name) == ENDLESS
        read_at = fed.monotonic()
        await fed.collection.report()
        assert read_at < fed.revocations.complete_since < fed.monotonic()
        clock.advance(7)
        assert 7 <= (fed.metrics.registry.get_sample_value(name) or 0) < 7.1

    async def test_it_goes_on_where_it_was(
        self, fed: Follower, caplog: pytest.LogCaptureFixture
    ) -> None:
        await fed.collection.report()
        await fed.collection.report(session_mark("s1"))
        complete_since = fed.revocations.complete_since
        await fed.collection.fail(StorageUnavailable("away"))
        await fed.collection.report(session_mark("s2"))
        assert fed.collection.positions == ["", "1.2"]
        assert fed.knows("s1", "s2")
        assert fed.revocations.complete_since == complete_since
        assert fed.heard() == 2
        assert [record.message for record in caplog.records] == ["revocations_not_heard"]

    async def test_when_its_place_is_lost_it_begins_anew(
        self, fed: Follower, caplog: pytest.LogCaptureFixture
    ) -> None:
        await fed.collection.report(session_mark("s1"))
        await fed.collection.fail(PositionLost("gone"))
        assert fed.revocations.complete_since == ENDLESS
        read_at = fed.monotonic()
        await fed.collection.report()
        assert fed.collection.positions == ["", ""]
        assert fed.revocations.complete_since > read_at
        assert fed.knows("s1")  # what is known stays known
        assert [record.message for record in caplog.records] == ["revocations_missed"]

    async def test_it_survives_a_fault_of_ours(
        self, fed: Follower, caplog: pytest.LogCaptureFixture
    ) -> None:
        await fed.collection.report()
        await fed.collection.fail(TypeError("not a mark"))
        await fed.collection.report(session_mark("s1"))
        assert fed.knows("s1")
        assert fed.metrics.registry.get_sample_value("tornado_auth_storage_errors_total") == 1
        (record,) = caplog.records
        assert record.message == "revocations_not_heard"
        assert record.exc_info

    async def test_after_stop_nothing_is_heard(self, fed: Follower) -> None:
        await fed.collection.report()
        await fed.revocations.stop()
        as_of = fed.revocations.as_of
        await fed.collection._reports.put((session_mark("s1"),))
        await asyncio.sleep(0.01)
        assert fed.revocations.as_of == as_of
        assert not fed.knows("s1")

    async def test_a_store_that_is_slow_to_take_marks_does_not_silence_the_feed(
        self, fed: Follower
    ) -> None:
        fed.collection.failing = True
        with pytest.raises(StorageUnavailable):
            await fed.revocations.session_ended("s1")
        held = asyncio.Event()

        async def insert(record: Revocation) -> None:
            await held.wait()
            await fed.collection.inner.insert(record)

        fed.collection.insert = insert
        for number in range(3):
            await fed.collection.report(session_mark(f"other{number}"))
        assert fed.knows("other0", "other1", "other2")
        held.set()
        await asyncio.sleep(0.01)
        assert len(await fed.collection.inner.find()) == 1


class TestMemory:
    async def test_a_mark_is_kept_for_as_long_as_anything_may_be_remembered(
        self, fed: Follower, clock: FakeClock
    ) -> None:
        read_at = fed.monotonic()
        await fed.collection.report(session_mark("s1"), user_mark("ann"))
        clock.advance(KEEP_FOR - 1)
        await fed.collection.report(session_mark("s2"), user_mark("bob"))
        assert fed.knows("s1", "s2")
        assert fed.revocations.has_changed("ann", read_at)
        clock.advance(2)
        await fed.collection.report(session_mark("s3"), user_mark("eve"))
        assert not fed.knows("s1")
        assert fed.knows("s2", "s3")
        assert not fed.revocations.has_changed("ann", read_at)

    async def test_what_a_service_allows_is_out_of_date_for_that_service_alone(
        self, fed: Follower, clock: FakeClock
    ) -> None:
        read_at = fed.monotonic()
        await fed.collection.report(Revocation(id="mark", service="wiki"))
        assert fed.revocations.has_service_changed("wiki", read_at)
        assert not fed.revocations.has_service_changed("wiki", fed.monotonic())
        assert not fed.revocations.has_service_changed("blog", read_at)
        assert not fed.revocations.has_changed("wiki", read_at)
        clock.advance(KEEP_FOR + 1)
        await fed.collection.report(Revocation(id="mark2", service="blog"))
        assert not fed.revocations.has_service_changed("wiki", read_at)

    async def test_one_that_is_heard_again_is_kept_longer(
        self, fed: Follower, clock: FakeClock
    ) -> None:
        for number in range(3):
            await fed.collection.report(session_mark("s1"), session_mark(f"other{number}"))
            clock.advance(KEEP_FOR - 1)
        assert fed.knows("s1", "other2")
        assert not fed.knows("other0")

    # S131
    async def test_when_there_are_too_many_everything_is_read_again(
        self, fed: Follower, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(revocations, "MAX_KEPT", 10)
        read_at = fed.monotonic()
        await fed.collection.report(*[session_mark(f"s{number}") for number in range(10)])
        assert not fed.revocations.has_changed("ann", read_at)
        await fed.collection.report(session_mark("s10"))
        assert not fed.knows("s0")
        for user_id in ("ann", "bob"):  # whoever it is: what was read before counts no more
            assert fed.revocations.has_changed(user_id, read_at)
            assert not fed.revocations.has_changed(user_id, fed.monotonic())
        assert fed.revocations.has_service_changed("wiki", read_at)
        assert len(fed.revocations._ended) == 0
