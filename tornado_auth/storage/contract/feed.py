"""The part of the contract that is about feeds: `follow` reports what others insert.

A backend without one returns None, and that is all there is to it. Never imported by the service.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator

from tornado_auth.errors import PositionLost
from tornado_auth.storage import Inserted
from tornado_auth.storage.contract_records import Both, Thing, Things, thing

Feed = AsyncGenerator[Inserted[Thing], None]

REPORT_INTERVAL = 0.5
PATIENCE = 10.0  # the machine may be busy


class FeedContract:
    """The tests of `follow`, for `StorageContract`."""

    async def test_a_feed_reports_that_there_is_nothing(self, things: Things) -> None:
        """Several times a second, with a position, and not what was there before."""
        await things.insert(thing())
        if (feed := things.follow()) is None:
            return
        async with contextlib.aclosing(feed):
            first = await _next(feed)
            loop = asyncio.get_running_loop()
            started = loop.time()
            reports = [first, *[await _next(feed) for _ in range(4)]]
            assert loop.time() - started < 4 * REPORT_INTERVAL + 1
        assert [report.records for report in reports] == [()] * 5
        assert all(type(report.position) is str and report.position for report in reports)

    async def test_a_feed_reports_what_others_insert(self, both: Both) -> None:
        """Whole, in order, each once, and nothing that is replaced or deleted."""
        if (feed := both[0].follow()) is None:
            return
        async with contextlib.aclosing(feed):
            await _next(feed)
            inserted = [thing(str(number), tags=("x",), count=2**40) for number in range(30)]
            for number, record in enumerate(inserted):
                await both[number % 2].insert(record)
            replaced = await both[1].replace(dataclasses.replace(inserted[0], colour="green"))
            await both[1].delete("1")
            await both[1].insert(thing("last"))
            heard = await _hear(feed, "last")
        assert replaced.version == 1
        assert heard == [*inserted, thing("last")]
        assert type(heard[0].count) is int

    async def test_whatever_was_inserted_before_a_question_is_in_its_answer(
        self, both: Both
    ) -> None:
        """So whoever asks knows up to when nothing is missing."""
        if (feed := both[0].follow()) is None:
            return
        async with contextlib.aclosing(feed):
            await _next(feed)
            for number in range(20):
                await both[1].insert(thing(str(number)))
                assert (await _next(feed)).records == (thing(str(number)),)

    async def test_a_feed_goes_on_after_a_position(self, both: Both) -> None:
        """Also on another backend, and nothing is lost or said twice."""
        if (feed := both[0].follow()) is None:
            return
        async with contextlib.aclosing(feed):
            position = (await _next(feed)).position
        heard = []
        for number in range(4):
            await both[0].insert(thing(f"{number} early"))
            await both[1].insert(thing(f"{number} late"))
            feed = both[number % 2].follow(position)
            assert feed is not None
            async with contextlib.aclosing(feed):
                report = await _next(feed)
            heard += [record.id for record in report.records]
            position = report.position
        assert heard == [f"{number} {when}" for number in range(4) for when in ("early", "late")]

    async def test_a_position_that_nobody_reported_is_lost(self, things: Things) -> None:
        """Rather than that something is missing without a word."""
        if (feed := things.follow("rubbish")) is None:
            return
        lost = False
        async with contextlib.aclosing(feed):
            try:
                await _next(feed)
            except PositionLost:
                lost = True
        assert lost

    async def test_two_feeds_hear_the_same(self, both: Both) -> None:
        """Each process has its own."""
        feeds = [things.follow() for things in both]
        if feeds[0] is None or feeds[1] is None:
            assert feeds == [None, None]
            return
        async with contextlib.aclosing(feeds[0]) as one, contextlib.aclosing(feeds[1]) as other:
            await asyncio.gather(_next(one), _next(other))
            await both[0].insert(thing())
            heard, heard_too = await asyncio.gather(_hear(one, "a"), _hear(other, "a"))
        assert heard == heard_too == [thing()]

    async def test_a_feed_may_be_cancelled(self, things: Things) -> None:
        """While it waits; whoever cancels it is not held up for long."""
        if things.follow() is None:
            return

        async def follow() -> None:
            feed = things.follow()
            assert feed is not None
            async with contextlib.aclosing(feed):
                async for _ in feed:
                    started.set()

        started = asyncio.Event()
        task = asyncio.ensure_future(follow())
        await asyncio.wait_for(started.wait(), PATIENCE)
        await asyncio.sleep(0.05)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=2)
        assert done == {task}
        assert task.cancelled()
        await things.insert(thing())


async def _next(feed: Feed) -> Inserted[Thing]:
    return await asyncio.wait_for(anext(feed), PATIENCE)


async def _hear(feed: Feed, last: str) -> list[Thing]:
    """Return what is reported, up to the record with this id."""
    heard: list[Thing] = []
    async with asyncio.timeout(PATIENCE):
        async for report in feed:
            heard += report.records
            if last in [record.id for record in report.records]:
                break
    return heard
