"""Records as plain dictionaries and as JSON, and the check that a value is of its field's type.

Owns what a field may hold. Never talks to a database.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec

from tornado_auth.errors import InvalidValue, UnreadableRecord
from tornado_auth.models import Record

R = TypeVar("R", bound=Record)

_TUPLE_OF_STR = tuple[str, ...]
LAST_CHARACTER = "\U0010ffff"  # what begins with a text comes before that and this
_INT_LIMIT = 2**63  # what SQLite and BSON can hold


@cache
def _field_types(record_type: Any) -> Mapping[str, Any]:
    hints = typing.get_type_hints(record_type)
    return {field.name: hints[field.name] for field in dataclasses.fields(record_type)}


@cache
def _decoder(record_type: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(record_type)


def _alternatives(expected: Any) -> tuple[Any, ...]:
    if typing.get_origin(expected) in (types.UnionType, typing.Union):
        return typing.get_args(expected)
    return (expected,)


def field_types(record_type: type[Record]) -> Mapping[str, Any]:
    """Return the declared type of each stored field."""
    key: Any = record_type  # mypy takes a class with fields for unhashable
    return _field_types(key)


def indexed_fields(record_type: type[Record]) -> tuple[str, ...]:
    """Return the UNIQUE and INDEX fields; raises TypeError if one is not a plain `str`.

    Databases disagree on whether two missing values are equal, so none may be missing.
    """
    names = (*record_type.UNIQUE, *record_type.INDEX)
    for name in names:
        if field_types(record_type).get(name) is not str:
            raise TypeError(f"{record_type.__name__}.{name} has an index but is not a str")
    return names


def check_value(value: object, expected: Any) -> None:
    """Raise InvalidValue unless the value is exactly of the expected type."""
    for alternative in _alternatives(expected):
        if alternative == _TUPLE_OF_STR:
            if type(value) is tuple and all(type(item) is str for item in value):
                return
        elif type(value) is alternative:
            return
    raise InvalidValue(f"a {type(value).__name__} where a {expected} is due")


def check_str(value: object) -> None:
    """Raise InvalidValue unless the value is a plain `str` that every database takes."""
    if type(value) is not str:
        raise InvalidValue(f"a {type(value).__name__} where a str is due")
    check_text(value)


def check_strs(values: Sequence[object]) -> None:
    """Raise InvalidValue unless `check_str` would take each."""
    texts = [value for value in values if type(value) is str]
    if len(texts) != len(values):
        raise InvalidValue("something else than a str where many of them are due")
    check_text("".join(texts))


def check_record(record: Record) -> None:
    """Raise InvalidValue unless every field holds what its type says and a store can keep."""
    for name, expected in field_types(type(record)).items():
        value = getattr(record, name)
        check_value(value, expected)
        if type(value) is int and not -_INT_LIMIT <= value < _INT_LIMIT:
            raise InvalidValue("a number of more than 64 bits")
        for text in value if type(value) is tuple else (value,):
            if type(text) is str:
                check_text(text)


def check_text(value: str) -> None:
    """Raise InvalidValue for text that some database refuses: NUL and lone surrogates."""
    if "\0" in value:
        raise InvalidValue("a NUL character in a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidValue("a lone surrogate in a text") from None


def to_document(record: Record) -> dict[str, Any]:
    """Return the record's fields by name; a tuple stays one."""
    document: dict[str, Any] = msgspec.to_builtins(record)
    return document


def from_document(record_type: type[R], document: Mapping[str, Any]) -> R:
    """Build a record; raises UnreadableRecord.

    Ignores unknown members, so that a newer process may write more fields, and what an older one
    did not know has its default.
    """
    try:
        return msgspec.convert(document, record_type)
    except msgspec.ValidationError as error:
        raise UnreadableRecord(f"{record_type.KIND}: {error}") from None


def to_json(value: Record | Mapping[str, Any]) -> str:
    """Return a record or a document as JSON."""
    return msgspec.json.encode(value).decode()


def from_json(record_type: type[R], texts: Iterable[str]) -> list[R]:
    """Build records, each like `from_document`."""
    key: Any = record_type
    decode: Callable[[str], R] = _decoder(key).decode
    try:
        return [decode(text) for text in texts]
    except msgspec.DecodeError as error:
        raise UnreadableRecord(f"{record_type.KIND}: {error}") from None
