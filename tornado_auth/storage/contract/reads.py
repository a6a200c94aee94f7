"""The part of the contract that is about look-ups.

Never imported by the service.
"""

from tornado_auth.storage import Backend
from tornado_auth.storage.contract_records import NOW, Both, Thing, Things, thing


class ReadContract:
    """The tests of `get`, `get_many` and `find`, for `StorageContract`."""

    async def test_what_is_not_there_is_none(self, things: Things) -> None:
        """A look-up never raises for a missing record."""
        await things.insert(thing("a"))
        assert await things.get("b") is None
        assert await things.get("") is None
        assert await things.find(owner="nobody") == []

    # get_many

    async def test_many_are_read_at_once(self, things: Things) -> None:
        """By their ids; what is not there is not in the answer."""
        for id in ("a", "b", "é 👩"):
            await things.insert(thing(id, tags=("x",), maybe_count=2**40))
        found = await things.get_many(["é 👩", "missing", "a", ""])
        assert found == {id: await things.get(id) for id in ("a", "é 👩")}
        assert type(found["a"].maybe_count) is int

    async def test_an_id_may_be_asked_for_twice(self, things: Things, backend: Backend) -> None:
        """Once is enough for the answer."""
        await things.insert(thing())
        for asked in (things, backend.collection(Thing)):
            assert await asked.get_many(["a", "b", "a", "a"]) == {"a": thing()}

    async def test_nobody_is_found_for_no_ids(self, things: Things, backend: Backend) -> None:
        """The empty list is no condition that everything meets."""
        await things.insert(thing())
        assert await things.get_many([]) == {}
        assert await backend.collection(Thing).get_many([]) == {}

    async def test_any_number_of_records_is_read_at_once(self, things: Things) -> None:
        """More than a database takes in one query, too."""
        ids = [f"{number:04}" for number in range(1200)]
        for id in ids[::100]:
            await things.insert(thing(id))
        assert sorted(await things.get_many(ids)) == ids[::100]

    async def test_expired_records_are_not_among_many(self, things: Things) -> None:
        """As `get` would say."""
        await things.insert(thing("past", expires_at=NOW))
        await things.insert(thing("future", expires_at=NOW + 1))
        assert list(await things.get_many(["past", "future"])) == ["future"]

    async def test_many_are_read_as_they_were_written_last(self, both: Both) -> None:
        """Through another backend, too."""
        for version in range(3):
            for id in ("a", "b"):
                if version:
                    await both[0].replace(thing(id, version=version - 1, count=version))
                else:
                    await both[0].insert(thing(id))
            found = await both[1].get_many(["a", "b"])
            assert [found[id].version for id in ("a", "b")] == [version, version]

    # find

    async def test_find_returns_records_in_the_order_of_their_ids(self, things: Things) -> None:
        """By code point, so that two backends agree on a page."""
        ids = ["b", "a", "B", "10", "9", "é", "z", "👩", "\uffee"]
        for id in ids:
            await things.insert(thing(id))
        assert [found.id for found in await things.find()] == sorted(ids)

    async def test_find_pages_through_everything(self, things: Things) -> None:
        """`after` is the last id of the page before."""
        ids = [f"{number:02}" for number in range(10)]
        for id in reversed(ids):
            await things.insert(thing(id))
        pages, after = [], ""
        while page := await things.find(after=after, limit=4):
            pages.append([found.id for found in page])
            after = page[-1].id
        assert pages == [ids[:4], ids[4:8], ids[8:]]

    # search

    async def test_search_returns_what_begins_so_in_the_order_of_the_field(
        self, things: Things
    ) -> None:
        """By code point; neither case nor what a pattern would mean counts."""
        names = ["an", "ann", "anna", "an%", "an.", "Anna", "bob", "ané", "an👩"]
        for number, name in enumerate(names):
            await things.insert(thing(str(number), name=name))
        wanted = sorted(name for name in names if name.startswith("an"))
        assert [found.name for found in await things.search("name", "an")] == wanted
        assert [found.name for found in await things.search("name", "an.")] == ["an."]
        assert await things.search("name", ".*") == []
        assert len(await things.search("name", "")) == len(names)

    async def test_search_pages_through_everything(self, things: Things) -> None:
        """`after` is the last value of the page before."""
        for number in range(7):
            await things.insert(thing(str(number), name=f"a{number}"))
        pages, after = [], ""
        while page := await things.search("name", "a", after=after, limit=3):
            pages.append([found.name for found in page])
            after = page[-1].name
        assert pages == [["a0", "a1", "a2"], ["a3", "a4", "a5"], ["a6"]]

    async def test_find_takes_several_conditions(self, things: Things) -> None:
        """All of them must hold, on each page."""
        for number in range(8):
            owner, colour = "ab"[number % 2], "rg"[number // 4]
            await things.insert(thing(str(number), owner=owner, colour=colour))
        assert [found.id for found in await things.find(owner="a")] == ["0", "2", "4", "6"]
        assert [found.id for found in await things.find(owner="a", colour="g")] == ["4", "6"]
        assert [found.id for found in await things.find(owner="b", after="3")] == ["5", "7"]
        assert [found.id for found in await things.find(name="name of 5")] == ["5"]
