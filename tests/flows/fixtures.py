"""Fixtures of the journeys, beside the catalogue in tests/conftest.py.

database_url   an empty store that lasts: SQLite, and a database on a real MongoDB replica set
make_person    a factory of people with a browser each: `ann = make_person(service)`
make_module    a factory of importable modules: `make_module("files", "def get_permissions...")`
site           a web site that people are sent back to, and what it received
said           everything that was logged so far, extras and tracebacks included, as one text
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pymongo
import pytest
from pymongo.database import Database

from tests.flows.journeys import Person, Site
from tests.modules import MakeModule, writing_modules
from tests.mongod import fresh_database
from tests.service import Service
from tornado_auth.logs import QUIET_LOGGERS

# For what never gets as far as the store.
no_matter_which_store = pytest.mark.parametrize("database_url", ["memory://"], ids=["memory"])

MakePerson = Callable[..., Person]
Said = Callable[[], str]


@pytest.fixture(scope="session")
def journeys_mongo(replica_set_url: str) -> Iterator[tuple[str, Database[dict[str, object]]]]:
    """One database for all journeys: to make its indexes anew takes longer than to empty it."""
    with (
        fresh_database(replica_set_url) as url,
        pymongo.MongoClient[dict[str, object]](url) as client,
    ):
        yield url, client.get_default_database()


@pytest.fixture(params=["sqlite", "mongodb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/journey.db"
        return
    url, database = request.getfixturevalue("journeys_mongo")
    yield url
    for name in database.list_collection_names():
        database[name].delete_many({})


@pytest.fixture
def make_person() -> Iterator[MakePerson]:
    people: list[Person] = []

    def make(service: Service, *, stop_at: tuple[str, ...] = ()) -> Person:
        people.append(Person(service, stop_at=stop_at))
        return people[-1]

    yield make
    for person in people:
        person.browser.close()


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path / "modules", monkeypatch)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    yield site
    await site.stop()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    caplog.set_level(logging.DEBUG)
    for name, level in QUIET_LOGGERS.items():
        caplog.set_level(level, name)

    def everything() -> str:
        lines = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
        return "\n" + "\n".join([*lines, caplog.text])

    return everything
