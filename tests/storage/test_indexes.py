"""Whatever is asked of the store goes by an index, and what has expired vanishes, of each kind.

The guard lets no other questions through than those of `QUESTIONS`, so these are all.
"""

import asyncio
import dataclasses
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pymongo
import pytest

from tests.conftest import FakeClock
from tests.mongod import Mongod, wait_until
from tests.storage.test_guard import RECORDS
from tornado_auth.models import RECORD_TYPES, Record
from tornado_auth.storage import Storage, open_backend
from tornado_auth.storage.documents import members_of

FIELDS = [
    (kind.KIND, name, name in kind.UNIQUE)
    for kind in RECORD_TYPES
    for name in (*kind.UNIQUE, *kind.INDEX)
]
PROFILE = "system.profile"


async def by_id(collection: Any, record: Record) -> None:
    await collection.get(record.id)
    await collection.get_many([record.id, "other"])
    await collection.find(after=record.id)
    await collection.replace(record)
    await collection.delete(record.id)


async def by_field(collection: Any, name: str, *, unique: bool) -> None:
    await collection.find(**{name: "x"}, after="a")
    await collection.delete_where(**{name: "x"})
    if unique:
        await collection.search(name, "x", after="a")


def others(record: Record) -> list[Record]:
    """Make records that no question is about."""
    fields = (*record.UNIQUE, *record.INDEX)
    return [
        dataclasses.replace(record, id=f"{record.id}{n}", **dict.fromkeys(fields, f"o{n}"))
        for n in range(30)
    ]


@pytest.fixture
async def traced(tmp_path: Any, clock: FakeClock) -> AsyncIterator[tuple[Storage, list[str]]]:
    """A store on SQLite, and the statements that it runs."""
    statements: list[str] = []
    backend: Any = open_backend(f"sqlite:///{tmp_path}/store.db", timeout=5)
    storage = Storage(backend, clock)
    await storage.open()
    for record in RECORDS:
        await getattr(storage, record.KIND).insert(record)
    backend._file._reader.set_trace_callback(statements.append)
    await backend._file.write(lambda writer: writer.set_trace_callback(statements.append))
    yield storage, statements
    await storage.close()


def plans(path: Any, statements: list[str]) -> Iterator[str]:
    """Explain the statements that look for something."""
    with sqlite3.connect(path) as connection:
        for statement in statements:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                steps = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
                yield "; ".join(step[3] for step in steps)
    connection.close()


class TestSQLite:
    async def test_by_id(self, traced: tuple[Storage, list[str]], tmp_path: Any) -> None:
        storage, statements = traced
        for record in RECORDS:
            await by_id(getattr(storage, record.KIND), record)
        found = list(plans(tmp_path / "store.db", statements))
        # `replace` reads what is there.
        assert len(found) == 6 * len(RECORDS)
        for plan in found:
            assert plan.startswith("SEARCH "), plan
            assert re.search(r"(sqlite_autoindex_\w+_1|_unique) \(", plan), plan
            assert "TEMP B-TREE" not in plan

    async def test_by_a_field(self, traced: tuple[Storage, list[str]], tmp_path: Any) -> None:
        storage, statements = traced
        for kind, name, unique in FIELDS:
            statements.clear()
            await by_field(getattr(storage, kind), name, unique=unique)
            found = list(plans(tmp_path / "store.db", statements))
            assert len(found) == (3 if unique else 2)
            for plan in found:
                index = f"{kind}_{name}_{'unique' if unique else 'index'}"
                assert plan.startswith(f"SEARCH {kind} USING "), plan
                assert f" INDEX {index} ({name}" in plan.replace('"', ""), plan
                assert "TEMP B-TREE" not in plan or unique

    async def test_of_what_has_expired(
        self, traced: tuple[Storage, list[str]], tmp_path: Any
    ) -> None:
        storage, statements = traced
        await storage.purge()
        found = list(plans(tmp_path / "store.db", statements))
        assert len(found) == len(RECORD_TYPES)
        for plan in found:
            assert "SCAN " not in plan
            assert re.search(r"_expires_at_index \(expires_at<\?\)", plan), plan


class TestMongoDB:
    async def test_all_questions(self, mongo_url: str, clock: FakeClock) -> None:
        storage = Storage(open_backend(mongo_url, timeout=5), clock)
        await storage.open()
        with pymongo.MongoClient[dict[str, Any]](mongo_url) as client:
            database = client.get_default_database()
            for record in RECORDS:
                await getattr(storage, record.KIND).insert(record)
                many = [{"_id": one.id, **members_of(one)} for one in others(record)]
                database[record.KIND].insert_many(many)
            database.command("profile", 2)
            for kind, name, unique in FIELDS:
                await by_field(getattr(storage, kind), name, unique=unique)
            for record in RECORDS:
                await by_id(getattr(storage, record.KIND), record)
            database.command("profile", 0)
            seen = list(database[PROFILE].find({"op": {"$in": ["query", "update", "remove"]}}))
        await storage.close()
        assert len(seen) == 5 * len(RECORDS) + sum(2 + unique for *_, unique in FIELDS)
        for one in seen:
            plan = one["planSummary"]
            condition = one["command"].get("filter") or one["command"]["q"]
            name = next(iter(set(_names(condition)) - {"_id", "version"}), "_id")
            assert plan == "IDHACK" or plan.startswith(f"IXSCAN {{ {name}: 1"), (one["ns"], plan)
            assert one["docsExamined"] <= max(one.get("nreturned", 0), 1), one["ns"]
            found_once = (one["ns"].partition(".")[2], name, True) in FIELDS
            assert found_once or not one.get("hasSortStage"), one["ns"]

    async def test_the_database_removes_what_has_expired_of_each_kind(
        self, url: str, mongod: Mongod, clock: FakeClock
    ) -> None:
        storage = Storage(open_backend(url, timeout=5), clock)
        await storage.open()
        with pymongo.MongoClient[dict[str, Any]](mongod.url) as client:
            database = client[url.rpartition("/")[2].partition("?")[0]]
            for record in RECORDS:
                past = dataclasses.replace(record, expires_at=1)
                database[record.KIND].insert_one({"_id": past.id, **members_of(past)})
            kinds = [record.KIND for record in RECORDS]
            client.admin.command("setParameter", 1, ttlMonitorEnabled=True)
            try:
                await asyncio.to_thread(
                    wait_until,
                    lambda: not any(database[kind].count_documents({}) for kind in kinds),
                    "something is not removed",
                )
            finally:
                client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
        await storage.close()


async def test_what_has_expired_is_purged_of_each_kind(storage: Storage, clock: FakeClock) -> None:
    for record in RECORDS:
        over = dataclasses.replace(record, expires_at=clock.now)
        await getattr(storage, record.KIND).insert(over)
    assert await storage.purge() == len(RECORDS)
    for record in RECORDS:
        await getattr(storage, record.KIND).insert(record)  # the place is free


def _names(condition: dict[str, Any]) -> Iterator[str]:
    for name, value in condition.items():
        if name == "$and":
            for part in value:
                yield from _names(part)
        else:
            yield name
