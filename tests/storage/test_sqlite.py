"""What is particular to SQLite: the file, its locks, its threads, and other processes."""

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tornado_auth.errors import SettingsError, StorageUnavailable, UnreadableRecord
from tornado_auth.storage import open_backend, sqlite
from tornado_auth.storage.contract_records import Thing, thing
from tornado_auth.storage.sqlite import SQLiteBackend

TIMEOUT = 0.3

# Claims 40 unique names and spends 40 records, each of which several processes try to get.
RACER = """
import asyncio, json, sys
from tornado_auth.errors import AlreadyExists
from tornado_auth.storage.contract_records import Thing, thing
from tornado_auth.storage.sqlite import SQLiteBackend

async def main(url, me):
    backend = SQLiteBackend(url, timeout=20)
    await backend.open([Thing])
    things, claimed, spent = backend.collection(Thing), [], []
    for number in range(40):
        try:
            await things.insert(thing(f"code {number}"))
        except AlreadyExists:
            pass
        try:
            await things.insert(thing(f"{me} {number}", name=f"wanted {number}"))
            claimed.append(number)
        except AlreadyExists as error:
            assert error.field == "name"
    for number in range(40):
        if await things.delete(f"code {number}"):
            spent.append(number)
    print(json.dumps([claimed, spent]))
    await backend.close()

asyncio.run(main(*sys.argv[1:]))
"""

WRITER = """
import asyncio, sys
from tornado_auth.storage.contract_records import Thing, thing
from tornado_auth.storage.sqlite import SQLiteBackend

async def main(url):
    backend = SQLiteBackend(url, timeout=20)
    await backend.open([Thing])
    await backend.collection(Thing).insert(thing("kept"))
    print("written", flush=True)
    await asyncio.sleep(60)

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def backend(path: Path) -> AsyncIterator[SQLiteBackend]:
    backend = SQLiteBackend(f"sqlite:///{path}", timeout=TIMEOUT)
    await backend.open([Thing])
    yield backend
    await backend.close()


@pytest.fixture
def lock(backend: SQLiteBackend, path: Path) -> Iterator[sqlite3.Connection]:
    """Another process that holds the write lock until it commits."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def racer(path: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RACER, f"sqlite:///{path}", name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_race_on_a_new_file_share_the_wins(path: Path) -> None:
    processes = [racer(path, name) for name in ("first", "second", "third")]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(number for claimed, _ in answers for number in claimed) == list(range(40))
    # A record that was spent early may be inserted, and then spent, once more: by nobody twice.
    spent = [number for _, spent in answers for number in spent]
    assert set(spent) == set(range(40))
    with sqlite3.connect(path) as connection:
        left = connection.execute("SELECT id FROM contract_things WHERE id LIKE 'code%'").fetchall()
        assert left == []
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.fixture
def killed_writer(path: Path) -> None:
    """A process that inserted a record and was killed at once."""
    command = [sys.executable, "-c", WRITER, f"sqlite:///{path}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"written\n"
        writer.kill()


@pytest.mark.usefixtures("killed_writer")
async def test_what_was_written_survives_a_killed_process(path: Path) -> None:
    backend = SQLiteBackend(f"sqlite:///{path}", timeout=5)
    await backend.open([Thing])
    assert await backend.collection(Thing).get("kept") == thing("kept")
    await backend.close()


async def test_only_the_owner_may_read_the_file(backend: SQLiteBackend, path: Path) -> None:
    await backend.collection(Thing).insert(thing())
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["store.db", "store.db-shm", "store.db-wal"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3


async def test_writes_reach_the_disk_before_they_return(path: Path) -> None:
    statements = []
    backend = SQLiteBackend(f"sqlite:///{path}", timeout=5)

    def look(writer: sqlite3.Connection) -> None:
        for pragma in ("journal_mode", "synchronous", "mmap_size"):
            statements.append(writer.execute(f"PRAGMA {pragma}").fetchone()[0])

    await backend.open([Thing])
    await backend._file.write(look)
    await backend.close()
    assert statements == ["wal", 2, 0]  # 2 is FULL


# S140
async def test_a_locked_file_is_unavailable_for_writes_and_recovers(
    backend: SQLiteBackend, lock: sqlite3.Connection
) -> None:
    things = backend.collection(Thing)
    started = time.monotonic()
    with pytest.raises(StorageUnavailable, match="locked"):
        await things.insert(thing())
    assert time.monotonic() - started < TIMEOUT + 1
    lock.execute("COMMIT")
    await things.insert(thing())
    assert await things.get("a") == thing()


# S140
async def test_many_writes_behind_a_lock_all_end_in_time(
    backend: SQLiteBackend, lock: sqlite3.Connection
) -> None:
    things = backend.collection(Thing)
    started = time.monotonic()
    inserts = (things.insert(thing(str(number))) for number in range(30))
    outcomes = await asyncio.gather(*inserts, return_exceptions=True)
    assert time.monotonic() - started < TIMEOUT + 1
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
    lock.execute("COMMIT")
    await asyncio.sleep(TIMEOUT)  # the one that was under way may still land
    assert len(await things.find()) <= 1  # those that waited in the queue never do


# S140
async def test_a_write_that_would_wait_behind_too_many_is_turned_away_at_once(
    backend: SQLiteBackend, lock: sqlite3.Connection
) -> None:
    things = backend.collection(Thing)
    inserts = [
        asyncio.ensure_future(things.insert(thing(str(number))))
        for number in range(sqlite.WAITING + 1)
    ]
    await asyncio.sleep(0)
    started = time.monotonic()
    with pytest.raises(StorageUnavailable, match="wait already"):
        await things.insert(thing())
    assert time.monotonic() - started < TIMEOUT / 2
    assert await things.get("a") is None  # reads do not stand in that line
    outcomes = await asyncio.gather(*inserts, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
    lock.execute("COMMIT")
    await things.insert(thing())


# S140
async def test_a_full_disk_is_unavailable_for_writes_and_recovers(backend: SQLiteBackend) -> None:
    things = backend.collection(Thing)
    await things.insert(thing())
    await backend._file.write(lambda writer: writer.execute("PRAGMA max_page_count = 1").close())
    with pytest.raises(StorageUnavailable, match="full"):
        await things.insert(thing("large", place="x" * 100_000))
    assert await things.find() == [thing()]
    await backend._file.write(lambda writer: writer.execute("PRAGMA max_page_count = 1000").close())
    await things.insert(thing("large", place="x" * 100_000))


async def test_an_error_is_not_hidden_if_the_transaction_is_over_already(
    backend: SQLiteBackend,
) -> None:
    def end_and_fail(writer: sqlite3.Connection) -> None:
        writer.execute("ROLLBACK")
        raise sqlite3.OperationalError("the disk is gone")

    with pytest.raises(StorageUnavailable, match="the disk is gone"):
        await backend._file.open(end_and_fail)
    await backend.open([Thing])
    await backend.collection(Thing).insert(thing())


@pytest.mark.parametrize("statement", ["INSERT", "UPDATE"])
async def test_a_record_that_is_refused_for_no_known_reason_is_not_written(
    backend: SQLiteBackend, statement: str
) -> None:
    things = backend.collection(Thing)
    await things.insert(thing())
    refusal = f"BEFORE {statement} ON contract_things BEGIN SELECT RAISE(ABORT, 'gone since'); END"
    await backend._file.write(lambda writer: writer.execute(f"CREATE TRIGGER no {refusal}").close())
    with pytest.raises(StorageUnavailable, match="gone since"):
        await (things.insert(thing("b")) if statement == "INSERT" else things.replace(thing()))
    assert await things.find() == [thing()]


async def test_a_reader_does_not_wait_for_a_writer(
    backend: SQLiteBackend, lock: sqlite3.Connection
) -> None:
    things = backend.collection(Thing)
    lock.execute("INSERT INTO contract_things (id, version, body) VALUES ('uncommitted', 0, '{}')")
    started = time.monotonic()
    for _ in range(50):
        assert await things.find() == []
    await backend.ping()
    assert time.monotonic() - started < TIMEOUT


async def test_a_write_that_waits_does_not_hold_up_the_loop(
    backend: SQLiteBackend, lock: sqlite3.Connection
) -> None:
    insert = asyncio.ensure_future(backend.collection(Thing).insert(thing()))
    longest = 0.0
    while not insert.done():
        before = time.monotonic()
        await asyncio.sleep(0.005)
        longest = max(longest, time.monotonic() - before)
    assert isinstance(insert.exception(), StorageUnavailable)
    assert longest < TIMEOUT / 2


async def test_a_long_list_is_read_off_the_loop(backend: SQLiteBackend) -> None:
    things = backend.collection(Thing)
    for number in range(3):
        await things.insert(thing(str(number)))
    reader, backend._file._reader = backend._file._reader, None  # fails if it were used
    try:
        assert len(await things.find(limit=sqlite.ROWS_ON_LOOP + 1)) == 3
        ids = [str(number) for number in range(sqlite.ROWS_ON_LOOP + 1)]
        assert len(await things.get_many(ids)) == 3
    finally:
        backend._file._reader = reader


async def test_purge_goes_in_batches(
    backend: SQLiteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "PURGE_BATCH", 2)
    things = backend.collection(Thing)
    for number in range(5):
        await things.insert(thing(str(number), expires_at=number))
    assert await things.purge(4) == 5
    assert await things.purge(4) == 0


async def test_an_index_is_used_for_each_indexed_field(backend: SQLiteBackend, path: Path) -> None:
    connection = sqlite3.connect(path)
    for name in (*Thing.UNIQUE, *Thing.INDEX):
        query = f'EXPLAIN QUERY PLAN SELECT body FROM contract_things WHERE "{name}" = ? AND id > ?'
        plan = connection.execute(f"{query} ORDER BY id LIMIT ?", ("x", "", 10)).fetchall()
        steps = [row[3] for row in plan]
        index = f"SEARCH contract_things USING INDEX contract_things_{name}_"
        assert len(steps) == 1 or name in Thing.UNIQUE  # no second step that sorts
        assert steps[0].startswith(index)
    query = "EXPLAIN QUERY PLAN SELECT id FROM contract_things WHERE expires_at <= 5"
    assert "contract_things_expires_at_index" in connection.execute(query).fetchone()[3]
    connection.close()


async def test_a_relative_address_is_a_file_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backend = open_backend("sqlite:///odd name?#%20.db", timeout=5)
    monkeypatch.chdir("/")
    await backend.open([Thing])
    await backend.collection(Thing).insert(thing())
    assert await backend.collection(Thing).get("a") == thing()
    await backend.close()
    assert os.listdir(tmp_path) == ["odd name?#%20.db"]


@pytest.mark.parametrize(
    "url", ["sqlite:", "sqlite://", "sqlite:///", "sqlite://host/x.db", "sqlite:///:memory:"]
)
def test_an_address_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        open_backend(url, timeout=5)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    backend = SQLiteBackend(f"sqlite:///{tmp_path}/missing/store.db", timeout=5)
    with pytest.raises(SettingsError, match=f"the folder {tmp_path}/missing does not exist"):
        await backend.open([Thing])


async def test_a_file_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    backend = SQLiteBackend(f"sqlite:///{tmp_path}/file/store.db", timeout=5)
    with pytest.raises(StorageUnavailable, match="cannot create"):
        await backend.open([Thing])


@pytest.fixture
def no_database(path: Path) -> Iterator[None]:
    text = "this is not a database, but long enough to be taken for one" * 50
    path.write_text(text)
    yield
    assert path.read_text() == text


@pytest.mark.usefixtures("no_database")
async def test_a_file_that_is_no_database_is_unavailable(path: Path) -> None:
    backend = SQLiteBackend(f"sqlite:///{path}", timeout=5)
    with pytest.raises(StorageUnavailable, match="not a database"):
        await backend.open([Thing])


async def test_a_table_that_vanished_is_unavailable(backend: SQLiteBackend, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE contract_things")
    connection.close()
    with pytest.raises(StorageUnavailable, match="no such table"):
        await backend.collection(Thing).get("a")
    with pytest.raises(StorageUnavailable, match="no such table"):
        await backend.collection(Thing).insert(thing())


async def test_a_body_that_is_no_record_is_named_and_not_shown(
    backend: SQLiteBackend, path: Path
) -> None:
    things = backend.collection(Thing)
    await things.insert(thing())
    with sqlite3.connect(path) as connection:
        connection.execute("""UPDATE contract_things SET body = '{"id":"a","name":["secret"]}'""")
    connection.close()
    for reading in (things.get("a"), things.get_many(["a"]), things.find()):
        with pytest.raises(UnreadableRecord, match=r"^contract_things: .*`\$\.name`") as raised:
            await reading
        assert "secret" not in str(raised.value)


async def test_a_backend_that_is_not_open_is_unavailable(
    backend: SQLiteBackend, path: Path
) -> None:
    await backend.close()
    unopened = SQLiteBackend(f"sqlite:///{path}", timeout=5)
    for closed in (backend, unopened):
        with pytest.raises(StorageUnavailable, match="not open"):
            await closed.collection(Thing).get("a")
        with pytest.raises(StorageUnavailable, match="not open"):
            await closed.ping()
        with pytest.raises(StorageUnavailable, match="not open"):
            await closed.collection(Thing).delete("a")
