"""Fixtures of the storage tests.

mongod    a standalone server that a test may kill and stop
url       the address of a fresh database on it
driver    "motor"; a test marked `each_driver` also runs with "pymongo"
backend   an open MongoDBBackend on that database
"""

import gc
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.mongod import Mongod, fresh_database
from tests.storage import TIMEOUT, Driver
from tornado_auth.storage.contract_records import Thing
from tornado_auth.storage.mongodb import MongoDBBackend


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[Any]:
    """Collect what AsyncMongoClient leaks, lest another test be blamed for it.

    It never closes the socket of a connect that is cancelled because the client is closed.
    """
    outcome = yield
    if "pymongo" in item.nodeid.lower():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
    return outcome


@pytest.fixture(scope="session")
def mongod() -> Iterator[Mongod]:
    mongod = Mongod()
    try:
        mongod.start()
        yield mongod
    finally:
        mongod.remove()


@pytest.fixture
def url(mongod: Mongod) -> Iterator[str]:
    with fresh_database(mongod.url) as url:
        yield url


@pytest.fixture
def driver() -> Driver:
    return "motor"


@pytest.fixture
async def backend(url: str, driver: Driver) -> AsyncIterator[MongoDBBackend]:
    backend = MongoDBBackend(url, timeout=TIMEOUT, driver=driver)
    await backend.open([Thing])
    yield backend
    await backend.close()
