"""The retry loop above the backends."""

import dataclasses

import pytest

from tornado_auth.errors import Stale
from tornado_auth.storage import UPDATE_ATTEMPTS, update
from tornado_auth.storage.contract_records import Thing, thing
from tornado_auth.storage.memory import MemoryBackend, MemoryCollection


@pytest.fixture
async def things() -> MemoryCollection[Thing]:
    things = MemoryBackend().collection(Thing)
    await things.insert(thing())
    return things


async def test_a_change_that_changes_nothing_writes_nothing(
    things: MemoryCollection[Thing],
) -> None:
    assert await update(things, "a", lambda record: record) == thing(version=0)
    assert await things.get("a") == thing(version=0)


async def test_a_record_that_is_deleted_meanwhile_is_none(
    things: MemoryCollection[Thing],
) -> None:
    def change(record: Thing) -> Thing:
        del things._documents["a"]
        return dataclasses.replace(record, count=1)

    assert await update(things, "a", change) is None


async def test_a_change_that_keeps_losing_gives_up(things: MemoryCollection[Thing]) -> None:
    attempts = 0

    def change(record: Thing) -> Thing:
        nonlocal attempts
        attempts += 1
        things._documents["a"]["version"] += 1  # somebody else was faster
        return dataclasses.replace(record, count=1)

    with pytest.raises(Stale, match=f"{UPDATE_ATTEMPTS} attempts"):
        await update(things, "a", change)
    assert attempts == UPDATE_ATTEMPTS
    assert await things.get("a") == thing(version=UPDATE_ATTEMPTS)
