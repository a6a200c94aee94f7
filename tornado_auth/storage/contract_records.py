"""The records that `contract.StorageContract` stores, and how it lets calls race.

Never imported by the service.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Iterable
from typing import ClassVar, TypeVar

from tornado_auth.models import Record
from tornado_auth.storage import Collection

T = TypeVar("T")

NOW = 4_000_000_000  # far ahead, so that no database removes by its own clock what a test needs

HARD_TEXTS = (
    "",
    " ",
    "' OR 1=1 --",
    '{"$gt": ""}',
    "$where",
    "a.b",
    "%_*\\/",
    "line\nbreak\r\ttab",
    "ünï ﬁ İ ß",
    "e\u0301",  # not the same as é
    "漢字 العربية",
    "👩\u200d🔬",
    "x" * 5000,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Thing(Record):
    """A record with one field of every kind."""

    KIND: ClassVar[str] = "contract_things"
    UNIQUE: ClassVar[tuple[str, ...]] = ("name", "badge")
    INDEX: ClassVar[tuple[str, ...]] = ("owner", "colour")

    name: str
    badge: str
    owner: str = ""
    colour: str = ""
    place: str = ""
    count: int = 0
    flag: bool = False
    tags: tuple[str, ...] = ()
    maybe_text: str | None = None
    maybe_count: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewerThing(Thing):
    """The same record in a later version of a program: one more field, one more index."""

    INDEX: ClassVar[tuple[str, ...]] = (*Thing.INDEX, "place")

    added: str = "by default"


Things = Collection[Thing]
Both = tuple[Things, Things]  # the same things through two backends


def thing(id: str = "a", **changes: str | int | bool | tuple[str, ...] | None) -> Thing:
    """Make a `Thing` that shares no unique value with one of another id."""
    record = Thing(id=id, name=f"name of {id}", badge=f"badge of {id}")
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


async def race(racers: Iterable[Awaitable[T]], *, losing: type[Exception]) -> list[T]:
    """Run all at once and return what the winners got; any error but `losing` is raised."""
    outcomes = await asyncio.gather(*racers, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, losing):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
