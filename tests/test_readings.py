"""Reading sessions for many at once: batches, one flight, a queue with an end, failures."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from tests.checks_world import Ticks, World, started
from tests.conftest import FakeClock
from tests.unreliable import Unreliable
from tornado_auth.errors import StorageUnavailable, UnreadableRecord
from tornado_auth.models import Session, User
from tornado_auth.readings import AT_ONCE, BATCH, MAX_WAITING, Known, Outcome, Readings
from tornado_auth.storage import Storage
from tornado_auth.storage.memory import MemoryBackend


class Library:
    """Readings of a store in memory, and what each session's readers were told."""

    def __init__(self, clock: FakeClock) -> None:
        storage = Storage(MemoryBackend(), clock)
        self.sessions = Unreliable(storage.sessions)
        self.users = Unreliable(storage.users)
        self.told: list[tuple[str, Outcome]] = []
        self.kept: list[str] = []
        self.overtaken: set[str] = set()
        self.readings = Readings(
            self.sessions,  # type: ignore[arg-type]
            self.users,  # type: ignore[arg-type]
            keep=self._keep,
            monotonic=Ticks(clock),
        )

    async def add(self, *ids: str, user_id: str = "ann") -> None:
        if await self.users.get(user_id) is None:
            user = User(id=user_id, username=user_id, username_key=user_id, created_at=0)
            await self.users.insert(user)
        for id in ids:
            session = Session(
                id=id,
                user_id=user_id,
                identity_id="dev:1",
                provider="dev",
                auth_time=0,
                created_at=0,
                last_seen_at=0,
            )
            await self.sessions.insert(session)

    def read(self, *ids: str) -> None:
        for id in ids:
            self.readings.read(id, lambda outcome, id=id: self.told.append((id, outcome)))

    @property
    def found(self) -> list[str]:
        return [id for id, outcome in self.told if isinstance(outcome, Known) and outcome.who]

    @property
    def failed(self) -> list[str]:
        return [id for id, outcome in self.told if isinstance(outcome, StorageUnavailable)]

    def _keep(self, session_id: str, known: Known) -> bool:
        if session_id in self.overtaken:
            self.overtaken.remove(session_id)
            return False
        self.kept.append(session_id)
        return True


@pytest.fixture
async def library(clock: FakeClock) -> Library:
    return Library(clock)


def numbered(count: int) -> list[str]:
    return [f"s{number:05}" for number in range(count)]


async def turn() -> None:
    await asyncio.sleep(0.01)


class TestBatches:
    # S133
    async def test_all_who_ask_in_one_turn_share_one_query(self, library: Library) -> None:
        ids = numbered(BATCH)
        await library.add(*ids[:-1])
        library.read(*ids)
        await turn()
        assert library.sessions.batches == [ids]
        assert library.users.batches == [["ann"] * (BATCH - 1)]
        assert library.found == library.kept[:-1] == ids[:-1]
        (session_id, outcome) = library.told[-1]
        assert isinstance(outcome, Known)
        assert (session_id, outcome.who) == (ids[-1], None)

    async def test_a_query_is_for_a_bounded_number_in_order(self, library: Library) -> None:
        ids = numbered(5 * BATCH + 1)
        await library.add(*ids)
        library.sessions.answering.clear()
        library.read(*ids)
        await turn()
        assert library.sessions.batches == [ids[:BATCH], ids[BATCH : 2 * BATCH]]
        library.sessions.answering.set()
        await turn()
        assert [len(batch) for batch in library.sessions.batches] == [BATCH] * 5 + [1]
        assert [id for batch in library.sessions.batches for id in batch] == ids
        assert library.sessions.most_at_once == AT_ONCE == 2
        assert sorted(library.found) == ids
        assert not library.readings.is_busy

    async def test_who_comes_during_a_query_shares_the_next(self, library: Library) -> None:
        ids = numbered(10)
        await library.add(*ids)
        library.sessions.answering.clear()
        library.read(ids[0])
        await turn()
        library.read(ids[1])
        await turn()
        for id in ids[2:]:  # turn by turn, while both queries run
            library.read(id)
            await asyncio.sleep(0)
        library.sessions.answering.set()
        await turn()
        assert library.sessions.batches == [ids[:1], ids[1:2], ids[2:]]
        assert library.found == ids

    async def test_nobody_is_passed_over_and_the_store_is_never_idle(
        self, library: Library
    ) -> None:
        ids = numbered(2000)
        await library.add(*ids)
        for start in range(0, 2000, 7):
            library.read(*ids[start : start + 7])
            await asyncio.sleep(0)
        await turn()
        assert Counter(library.found) == Counter(ids)
        assert max(map(len, library.sessions.batches)) <= BATCH

    async def test_a_session_whose_user_is_gone_is_not_there(self, library: Library) -> None:
        await library.add("s1", user_id="ann")
        await library.add("s2", user_id="bob")
        await library.users.delete("bob")
        library.read("s1", "s2")
        await turn()
        assert library.found == ["s1"]
        assert library.failed == []


class TestOneFlight:
    async def test_who_asks_for_the_same_is_told_the_same(self, library: Library) -> None:
        await library.add("s1")
        library.sessions.answering.clear()
        library.read(*["s1"] * 10)  # who asks in the same turn
        await turn()
        library.read(*["s1"] * 10)  # and who comes meanwhile
        library.sessions.answering.set()
        await turn()
        assert library.sessions.batches == [["s1"]]
        assert library.found == ["s1"] * 20
        assert len({id(outcome) for _, outcome in library.told}) == 1

    async def test_there_is_no_moment_in_which_one_cannot_join(self, library: Library) -> None:
        await library.add("s1")
        library.sessions.answering.clear()
        for _ in range(5):
            library.read("s1")
            assert library.readings.is_busy
            await asyncio.sleep(0)
        library.sessions.answering.set()
        await turn()
        assert library.sessions.batches == [["s1"]]
        assert library.found == ["s1"] * 5

    async def test_who_comes_a_second_later_has_it_read_anew(
        self, library: Library, clock: FakeClock
    ) -> None:
        await library.add("s1")
        library.users.answering.clear()
        library.read("s1")
        await turn()
        await library.sessions.delete("s1")
        clock.advance(1)
        library.read("s1", "s1")
        await turn()
        library.users.answering.set()
        await turn()
        assert library.sessions.batches == [["s1"], ["s1"]]
        assert [bool(outcome.who) for _, outcome in library.told] == [False, False, True]
        assert not library.readings.is_busy

    async def test_an_early_reading_that_ends_leaves_a_later_one_to_be_joined(
        self, library: Library, clock: FakeClock
    ) -> None:
        await library.add("s1")
        early, late = asyncio.Event(), asyncio.Event()
        for answering in (early, late):
            library.sessions.answering = answering
            library.read("s1")
            await turn()
            clock.advance(1)
        clock.advance(-1)
        early.set()
        await turn()
        assert library.found == ["s1"]
        library.read("s1")
        late.set()
        await turn()
        assert library.found == ["s1"] * 3
        assert library.sessions.reads == 2

    async def test_the_time_is_that_before_the_query(
        self, library: Library, clock: FakeClock
    ) -> None:
        await library.add("s1")
        library.sessions.answering.clear()
        library.read("s1")
        await turn()
        began_at = library.readings._monotonic()
        clock.advance(1)
        library.sessions.answering.set()
        await turn()
        (_, outcome) = library.told[0]
        assert isinstance(outcome, Known)
        assert outcome.read_at < began_at

    async def test_what_was_overtaken_is_read_again_for_all_who_wait(
        self, library: Library
    ) -> None:
        await library.add("s1", "s2")
        library.overtaken.add("s1")
        library.read("s1", "s1", "s2")
        await turn()
        assert library.sessions.batches == [["s1", "s2"], ["s1"]]
        assert library.found == ["s2", "s1", "s1"]
        assert library.kept == ["s2", "s1"]

    async def test_it_is_read_for_its_own_sake_once(self, library: Library) -> None:
        await library.add("s1")
        library.sessions.answering.clear()
        for _ in range(3):
            library.readings.refresh("s1")
            await turn()
        library.sessions.answering.set()
        await turn()
        assert library.sessions.batches == [["s1"]]
        assert library.kept == ["s1"]


class TestQueue:
    async def test_it_has_an_end(self, library: Library) -> None:
        library.sessions.answering.clear()
        ids = numbered(AT_ONCE * BATCH + MAX_WAITING)
        library.read(*ids[: AT_ONCE * BATCH])
        await turn()
        library.read(*ids[AT_ONCE * BATCH :])
        with pytest.raises(StorageUnavailable):
            library.read("one too many")
        library.read(ids[-1])  # asks for nothing more
        library.read(ids[0])
        library.sessions.answering.set()
        while library.readings.is_busy:  # noqa: ASYNC110 - a test may poll
            await asyncio.sleep(0.01)
        assert len(library.told) == len(ids) + 2
        library.read("one too many")
        await turn()
        assert library.told[-1][0] == "one too many"

    async def test_what_can_wait_leaves_room_for_those_who_do(
        self, library: Library, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tornado_auth.readings.MAX_WAITING", 20)
        monkeypatch.setattr("tornado_auth.readings.MAX_REFRESHING", 10)
        for id in numbered(50):
            library.readings.refresh(id)
        library.read(*[f"w{number}" for number in range(10)])
        with pytest.raises(StorageUnavailable):
            library.read("one too many")
        await turn()
        assert len(library.kept) == 20
        assert len(library.told) == 10


class TestFailure:
    @pytest.mark.parametrize("failing", ["sessions", "users"])
    async def test_all_of_the_batch_hear_of_it_and_it_passes(
        self, library: Library, clock: FakeClock, failing: str
    ) -> None:
        await library.add("s1", "s2")
        getattr(library, failing).failing = True
        library.read("s1", "s2", "s1")
        await turn()
        assert library.failed == ["s1", "s1", "s2"]
        assert library.kept == []
        assert library.readings.failed_at is not None
        assert library.readings.failed_at > 0
        assert not library.readings.is_busy
        getattr(library, failing).failing = False
        library.read("s1")
        await turn()
        assert library.found == ["s1"]
        assert library.readings.failed_at is None

    async def test_who_waits_in_the_queue_hears_of_it_at_once(self, library: Library) -> None:
        ids = numbered(1000)
        library.sessions.answering.clear()
        library.read(*ids)
        await turn()
        library.sessions.failing = True
        library.sessions.answering.set()
        await turn()
        assert library.sessions.reads == AT_ONCE  # the others were not even asked for
        assert Counter(library.failed) == Counter(ids)
        assert not library.readings.is_busy

    async def test_who_comes_while_the_queue_empties_is_not_lost(self, library: Library) -> None:
        await library.add("late")
        library.sessions.failing = True
        told: list[Outcome] = []

        def try_again(outcome: Outcome) -> None:
            library.sessions.failing = False
            library.readings.read("late", told.append)

        library.readings.read("early", try_again)
        await turn()
        assert [type(outcome) for outcome in told] == [Known]

    async def test_what_was_overtaken_and_then_fails_is_told(self, library: Library) -> None:
        await library.add("s1")
        library.overtaken.add("s1")
        library.users.answering.clear()
        library.read("s1")
        await turn()
        library.sessions.failing = True
        library.users.answering.set()
        await turn()
        assert library.failed == ["s1"]

    @pytest.mark.parametrize("spoilt", ["sessions", "users"])
    async def test_a_record_that_cannot_be_read_is_the_matter_of_one_session(
        self, library: Library, spoilt: str
    ) -> None:
        await library.add("s1", "s2")
        await library.add("s3", user_id="s3")
        getattr(library, spoilt).spoil("s3", created_at="long ago")
        library.read("s1", "s3", "s2", "nobody")
        await turn()
        assert sorted(library.found) == ["s1", "s2"]
        (unreadable,) = [said for id, said in library.told if id == "s3"]
        assert isinstance(unreadable, UnreadableRecord)
        assert str(unreadable).startswith(f"{spoilt}: Expected `int`, got `str`")
        assert str(unreadable).endswith("(session s3)")
        assert library.readings.failed_at is None
        assert not library.readings.is_busy

    async def test_a_fault_of_ours_is_logged_and_leaves_nobody_waiting(
        self, library: Library, caplog: pytest.LogCaptureFixture
    ) -> None:
        library.read("s\0")  # what no store takes
        await turn()
        assert [record.message for record in caplog.records] == ["reading_failed"]
        assert library.failed == ["s\0"]
        assert not library.readings.is_busy
        await library.add("s1")
        library.read("s1")
        await turn()
        assert library.found == ["s1"]


async def test_what_is_packed_is_still_the_same(library: Library) -> None:
    await library.add("s1")
    changed = replace(
        await library.sessions.get("s1"), amr=("pwd", "otp"), user_agent="\u00e4 \ud7ff"
    )
    await library.sessions.replace(changed)
    library.read("s1", "gone")
    await turn()
    known, nobody = (outcome for _, outcome in library.told)
    who = known.who
    for _ in range(2):
        known.pack()
        assert known.who == who
    assert who.session.amr == ("pwd", "otp")
    nobody.pack()
    assert nobody.who is None


# S133
async def test_a_thousand_first_sights_are_a_few_queries(clock: FakeClock) -> None:
    world = World(clock)
    tokens = [await world.sign_in(f"name{number}") for number in range(200)]
    answers = await asyncio.gather(*map(world.who, tokens * 5))
    assert all(answers)
    assert world.sessions.reads == world.users.reads == 4
    early = await started(world.who(tokens[0]))
    assert early.result() is not None
