"""The tests that every storage backend passes.

A backend is right when a subclass of `StorageContract` is green; nothing else is asked of it:

    class TestMyBackend(StorageContract):
        @pytest.fixture
        def make_backend(self, tmp_path):
            return lambda: MyBackend(f"my://{tmp_path}", timeout=5)

`make_backend` returns a function that makes an unopened backend. Each call makes another one over
the same data, as two processes would have it, and each test starts on no data at all. A backend
that lives in one process returns the same object each time.

The tests are coroutines and so are two fixtures. Any pytest plugin that runs both on one event
loop will do: pytest-asyncio with `asyncio_mode = auto`, or pytest-tornado with the two hooks of
this project's tests/conftest.py. To see the values of a failed assertion, call
`pytest.register_assert_rewrite("tornado_auth.storage.contract")` in your conftest.py.

Never imported by the service.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable

import pytest

from tornado_auth.errors import AlreadyExists, Stale
from tornado_auth.storage import Backend, update
from tornado_auth.storage.contract.feed import FeedContract
from tornado_auth.storage.contract.reads import ReadContract
from tornado_auth.storage.contract_records import (
    HARD_TEXTS,
    NOW,
    Both,
    NewerThing,
    Thing,
    Things,
    race,
    thing,
)
from tornado_auth.storage.guard import GuardedCollection


class StorageContract(ReadContract, FeedContract):
    """Subclass it, name the class `Test...`, and supply the fixture `make_backend`.

    Set `purges_itself` where the database removes expired records without being asked.
    """

    purges_itself = False

    @pytest.fixture
    def make_backend(self) -> Callable[[], Backend]:
        """Return a function that makes an unopened backend over this test's data."""
        raise NotImplementedError("a subclass of StorageContract supplies make_backend")

    @pytest.fixture
    async def backend(self, make_backend: Callable[[], Backend]) -> AsyncIterator[Backend]:
        """The backend under test, open."""
        backend = make_backend()
        await backend.open([Thing])
        yield backend
        await backend.close()

    @pytest.fixture
    async def another(
        self, make_backend: Callable[[], Backend], backend: Backend
    ) -> AsyncIterator[Backend]:
        """A second backend on the same data, as another process would have it."""
        another = make_backend()
        await another.open([Thing])
        yield another
        await another.close()

    @pytest.fixture
    def things(self, backend: Backend) -> Things:
        """The things, as the service sees them: behind the guard."""
        return GuardedCollection(backend.collection(Thing), Thing, lambda: NOW)

    @pytest.fixture
    def both(self, things: Things, another: Backend) -> Both:
        """The same things through two backends."""
        return things, GuardedCollection(another.collection(Thing), Thing, lambda: NOW)

    # one record; look-ups are in reads.py, feeds in feed.py

    async def test_a_record_comes_back_as_it_was_inserted(self, things: Things) -> None:
        """Types too: a tuple is no list, True is no 1."""
        record = thing(
            owner="o",
            colour="c",
            place="p",
            version=3,
            expires_at=NOW + 1,
            count=7,
            flag=True,
            tags=("x", "", "y"),
            maybe_text="",
            maybe_count=0,
        )
        await things.insert(record)
        found = await things.get("a")
        assert found == record
        for field in dataclasses.fields(Thing):
            assert type(getattr(found, field.name)) is type(getattr(record, field.name))

    async def test_none_and_empty_values_are_kept_apart(self, things: Things) -> None:
        """None is neither "" nor 0 nor ()."""
        await things.insert(thing())
        assert await things.get("a") == thing(tags=(), maybe_text=None, maybe_count=None)

    @pytest.mark.parametrize("number", [0, -1, 2**31 - 1, 2**31, 2**63 - 1, -(2**63)])
    async def test_a_number_of_up_to_64_bits_is_kept(self, things: Things, number: int) -> None:
        """It comes back as a plain int, so that the record can be stored again."""
        await things.insert(thing(count=number, maybe_count=number))
        found = await things.get("a")
        assert found == thing(count=number, maybe_count=number)
        assert type(found.count) is int
        assert type(found.maybe_count) is int
        await things.replace(found)

    @pytest.mark.parametrize("text", HARD_TEXTS)
    async def test_any_text_is_kept_and_found(self, things: Things, text: str) -> None:
        """In an id, in a unique field, in an indexed one and in an ordinary one."""
        record = thing(f"id {text}", name=text, owner=text, place=text, tags=(text,))
        await things.insert(thing("id another"))
        await things.insert(record)
        assert await things.get(f"id {text}") == record
        assert await things.find(name=text) == [record]
        assert record in await things.find(owner=text)

    async def test_texts_are_equal_only_if_every_character_is(self, things: Things) -> None:
        """No folding of case, accents or trailing blanks: whoever wants it stores a folded key."""
        names = ["é", "e\u0301", "e", "E", "e "]
        for number, name in enumerate(names):
            await things.insert(thing(str(number), name=name))
        for number, name in enumerate(names):
            assert [found.id for found in await things.find(name=name)] == [str(number)]

    # insert and UNIQUE

    async def test_an_id_is_taken_once(self, things: Things) -> None:
        """The first record stays as it is."""
        await things.insert(thing(place="first"))
        with pytest.raises(AlreadyExists) as caught:
            await things.insert(thing(name="n", badge="b", place="second"))
        assert caught.value.field == "id"
        assert await things.get("a") == thing(place="first")

    async def test_inserting_the_same_record_again_is_refused(self, things: Things) -> None:
        """Single use rests on it: an equal record is not the same insert."""
        await things.insert(thing())
        with pytest.raises(AlreadyExists) as caught:
            await things.insert(thing())
        assert caught.value.field == "id"

    @pytest.mark.parametrize("field", Thing.UNIQUE)
    async def test_a_unique_value_is_taken_once(self, things: Things, field: str) -> None:
        """The error names the field; nothing is stored of what was refused."""
        await things.insert(thing("a", **{field: "taken"}))
        with pytest.raises(AlreadyExists) as caught:
            await things.insert(thing("b", **{field: "taken"}))
        assert caught.value.field == field
        assert await things.get("b") is None

    async def test_a_unique_value_is_free_again_after_delete(self, things: Things) -> None:
        """And after a replace that gives it up."""
        await things.insert(thing("a", name="wanted"))
        await things.delete("a")
        await things.insert(thing("b", name="wanted"))
        await things.replace(thing("b", name="another"))
        await things.insert(thing("c", name="wanted"))
        assert [found.id for found in await things.find(name="wanted")] == ["c"]

    async def test_twenty_racing_claims_of_one_value_have_one_winner(self, both: Both) -> None:
        """From two processes, with records that differ in all but the claimed value."""
        claims = [both[number % 2].insert(thing(str(number), name="it")) for number in range(20)]
        assert len(await race(claims, losing=AlreadyExists)) == 1
        assert len(await both[0].find()) == 1

    async def test_twenty_racing_inserts_of_one_record_have_one_winner(self, both: Both) -> None:
        """Even if all of them write the very same values."""
        inserts = [both[number % 2].insert(thing()) for number in range(20)]
        assert len(await race(inserts, losing=AlreadyExists)) == 1

    # replace

    async def test_replace_stores_the_next_version_and_returns_it(self, things: Things) -> None:
        """Everything but the id may change."""
        await things.insert(thing(tags=("x",), maybe_text="x"))
        changed = thing(name="n", owner="o", count=5, tags=(), maybe_text=None, expires_at=NOW + 9)
        replaced = await things.replace(changed)
        assert replaced == dataclasses.replace(changed, version=1)
        assert await things.get("a") == replaced
        assert await things.find(owner="o") == [replaced]
        assert await things.find(name="name of a") == []

    async def test_replace_of_an_older_version_is_stale(self, things: Things) -> None:
        """So it is of a newer one, and nothing changes."""
        await things.insert(thing())
        stored = await things.replace(thing(count=1))
        for version in (0, 2):
            with pytest.raises(Stale):
                await things.replace(thing(count=2, version=version))
        assert await things.get("a") == stored

    async def test_replace_of_what_is_gone_is_stale(self, things: Things) -> None:
        """It never brings a deleted record back."""
        await things.insert(thing())
        await things.delete("a")
        with pytest.raises(Stale):
            await things.replace(thing())
        assert await things.get("a") is None

    @pytest.mark.parametrize("field", Thing.UNIQUE)
    async def test_replace_cannot_take_a_unique_value(self, things: Things, field: str) -> None:
        """Its own value it may keep."""
        await things.insert(thing("a", **{field: "taken"}))
        await things.insert(thing("b"))
        with pytest.raises(AlreadyExists) as caught:
            await things.replace(thing("b", **{field: "taken"}))
        assert caught.value.field == field
        assert await things.get("b") == thing("b")
        assert (await things.replace(thing("b", count=1))).count == 1

    async def test_of_racing_replaces_one_wins_each_version(self, both: Both) -> None:
        """The stored record is the winner's, whole."""
        await both[0].insert(thing())
        for version in range(3):
            racers = [
                both[number % 2].replace(thing(count=number, version=version))
                for number in range(10)
            ]
            winners = await race(racers, losing=Stale)
            assert len(winners) == 1
            assert await both[1].get("a") == winners[0]
            assert winners[0].version == version + 1

    async def test_update_loses_nothing_under_twenty_racers(self, both: Both) -> None:
        """The retry loop above the backends is enough for a counter."""

        def plus_one(record: Thing) -> Thing:
            return dataclasses.replace(record, count=record.count + 1)

        await both[0].insert(thing())
        await asyncio.gather(*(update(both[number % 2], "a", plus_one) for number in range(20)))
        assert await both[1].get("a") == thing(count=20, version=20)
        assert await update(both[0], "missing", plus_one) is None

    # delete

    async def test_delete_tells_whether_it_removed_something(self, things: Things) -> None:
        """And removes nothing else."""
        await things.insert(thing("a"))
        await things.insert(thing("b"))
        assert await things.delete("a") is True
        assert await things.delete("a") is False
        assert [found.id for found in await things.find()] == ["b"]

    async def test_of_fifty_racing_deletes_one_is_true(self, both: Both) -> None:
        """A code that is redeemed once rests on this."""
        await both[0].insert(thing())
        outcomes = await asyncio.gather(*(both[number % 2].delete("a") for number in range(50)))
        assert sorted(outcomes) == [False] * 49 + [True]

    async def test_delete_where_removes_what_matches_and_counts_it(self, things: Things) -> None:
        """All conditions must hold."""
        for number in range(6):
            await things.insert(thing(str(number), owner="ab"[number % 2], colour="x"))
        assert await things.delete_where(owner="a", colour="y") == 0
        assert await things.delete_where(owner="a", colour="x") == 3
        assert [found.id for found in await things.find()] == ["1", "3", "5"]
        assert await things.delete_where(name="name of 5") == 1

    # expiry

    async def test_an_expired_record_is_not_found(self, things: Things) -> None:
        """`expires_at` is the first second at which it is gone."""
        await things.insert(thing("past", owner="o", expires_at=NOW))
        await things.insert(thing("future", owner="o", expires_at=NOW + 1))
        await things.insert(thing("for ever", owner="o"))
        assert await things.get("past") is None
        assert [found.id for found in await things.find(owner="o")] == ["for ever", "future"]

    async def test_expired_records_do_not_cut_a_page_short(self, things: Things) -> None:
        """A page shorter than `limit` is the last one."""
        for number in range(9):
            await things.insert(thing(str(number), expires_at=NOW + number // 6))
        assert [found.id for found in await things.find(limit=2)] == ["6", "7"]

    async def test_purge_removes_only_what_has_expired(
        self, things: Things, backend: Backend
    ) -> None:
        """Where the database does it itself, purge does nothing and says so."""
        await things.insert(thing("past", expires_at=NOW))
        await things.insert(thing("future", expires_at=NOW + 1))
        await things.insert(thing("for ever"))
        assert await things.purge(NOW) == (0 if self.purges_itself else 1)
        assert [found.id for found in await things.find()] == ["for ever", "future"]
        if not self.purges_itself:
            assert await backend.collection(Thing).get("past") is None

    # the backend

    async def test_what_one_backend_writes_the_other_reads(self, both: Both) -> None:
        """At once: no read is older than the last write that returned."""
        for number in range(10):
            writer, reader = both if number % 2 else both[::-1]
            await writer.insert(thing(str(number)))
            assert await reader.get(str(number)) == thing(str(number))

    async def test_open_may_be_called_again(self, backend: Backend, things: Things) -> None:
        """By the same backend, and by many at once; the data stays."""
        await things.insert(thing())
        await backend.open([Thing])
        assert await things.get("a") == thing()

    async def test_many_backends_may_open_at_once(
        self, make_backend: Callable[[], Backend]
    ) -> None:
        """The first start of a service with several processes: nothing is there yet."""
        backends = [make_backend() for _ in range(6)]
        await asyncio.gather(*(backend.open([Thing]) for backend in backends))
        await backends[0].collection(Thing).insert(thing())
        for backend in backends:
            assert await backend.collection(Thing).get("a") == thing()
        with pytest.raises(AlreadyExists):
            await backends[1].collection(Thing).insert(thing("b", name="name of a"))
        for backend in backends:
            await backend.close()

    async def test_a_backend_may_be_closed_and_opened_again(self, backend: Backend) -> None:
        """Closing twice is no mistake either."""
        await backend.close()
        await backend.close()
        await backend.open([Thing])
        await backend.collection(Thing).insert(thing())
        assert await backend.collection(Thing).get("a") == thing()

    async def test_ping_returns_while_the_database_answers(self, backend: Backend) -> None:
        """It returns nothing; the only other way to end is StorageUnavailable."""
        await backend.ping()

    async def test_an_older_program_ignores_and_keeps_what_a_newer_one_wrote(
        self, backend: Backend, things: Things
    ) -> None:
        """Both run side by side while a new version is rolled out."""
        await backend.open([NewerThing])
        newer = backend.collection(NewerThing)
        await newer.insert(NewerThing(id="a", name="n", badge="b", added="by the newer one"))
        record = await things.get("a")
        assert record == Thing(id="a", name="n", badge="b")
        await things.replace(dataclasses.replace(record, count=1))
        kept = await newer.get("a")
        assert kept is not None
        assert (kept.added, kept.count, kept.version) == ("by the newer one", 1, 1)

    async def test_a_field_may_get_an_index_later(self, backend: Backend, things: Things) -> None:
        """It holds for old records too, and for those that an older program still writes."""
        await things.insert(thing("old", place="here"))
        await backend.open([NewerThing])
        await things.insert(thing("older program", place="here"))
        await things.insert(thing("elsewhere", place="there"))
        newer = backend.collection(NewerThing)
        found = await newer.find(place="here")
        assert [record.id for record in found] == ["old", "older program"]
        assert found[0].added == "by default"
