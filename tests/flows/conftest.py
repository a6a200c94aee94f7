"""What the journeys share, beside the catalogue in tests/conftest.py.

database_url   a store that lasts: SQLite, and a fresh database on a real MongoDB replica set
make_person    a factory of people with a browser each: `ann = make_person(service)`
make_module    a factory of importable modules: `make_module("files", "def get_permissions...")`
site           a web site that people are sent back to, and what it received
said           everything that was logged so far, extras and tracebacks included, as one text
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.journeys import Person, Site
from tests.modules import MakeModule, writing_modules
from tests.service import Service

MakePerson = Callable[..., Person]


@pytest.fixture(params=["sqlite", "mongodb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "mongodb":
        return str(request.getfixturevalue("mongo_url"))
    return f"sqlite:///{tmp_path}/journey.db"


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
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level(logging.DEBUG)

    def everything() -> str:
        lines = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
        return "\n".join([*lines, caplog.text])

    return everything
