"""The shipped contract, on every backend that the package has."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mongod import fresh_database
from tests.storage import leaks_sockets
from tornado_auth.storage import Backend
from tornado_auth.storage.contract import StorageContract
from tornado_auth.storage.memory import MemoryBackend
from tornado_auth.storage.mongodb import MongoDBBackend
from tornado_auth.storage.sqlite import SQLiteBackend

TIMEOUT = 10.0  # the machine may be busy


class TestMemory(StorageContract):
    @pytest.fixture
    def make_backend(self) -> Callable[[], Backend]:
        backend = MemoryBackend()
        return lambda: backend


class TestSQLite(StorageContract):
    @pytest.fixture
    def make_backend(self, tmp_path: Path) -> Callable[[], Backend]:
        return lambda: SQLiteBackend(f"sqlite:///{tmp_path}/store.db", timeout=TIMEOUT)


class TestMongoStandalone(StorageContract):
    purges_itself = True

    @pytest.fixture
    def make_backend(self, mongod_url: str) -> Iterator[Callable[[], Backend]]:
        with fresh_database(mongod_url) as url:
            yield lambda: MongoDBBackend(url, timeout=TIMEOUT)


class TestMongoReplicaSet(StorageContract):
    purges_itself = True

    @pytest.fixture
    def make_backend(self, mongo_url: str) -> Callable[[], Backend]:
        return lambda: MongoDBBackend(mongo_url, timeout=TIMEOUT)


@leaks_sockets
@pytest.mark.long  # nothing runs on it yet
class TestMongoPyMongoAsync(StorageContract):
    purges_itself = True

    @pytest.fixture
    def make_backend(self, mongo_url: str) -> Callable[[], Backend]:
        return lambda: MongoDBBackend(mongo_url, timeout=TIMEOUT, driver="pymongo")
