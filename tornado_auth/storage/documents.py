"""What the MongoDB backend sends, as plain dictionaries: documents, conditions, client options.

Owns the two members that a document has besides the record's fields. Never talks to a database.
"""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tornado_auth.models import Record
from tornado_auth.storage.codec import LAST_CHARACTER, to_document

PURGE_AT = "_purge_at"  # expires_at as a date, for the TTL index
MARK = "_mark"  # which call wrote the document last


def default_options(url: str, timeout: float) -> dict[str, Any]:
    """Return the client options that the address leaves open; `timeout` is in seconds.

    Without them a server that hangs holds an operation up for half a minute.
    """
    milliseconds = round(timeout * 1000)
    options = {
        "timeoutMS": milliseconds,
        "serverSelectionTimeoutMS": milliseconds,
        "connectTimeoutMS": 1000,
        "heartbeatFrequencyMS": 1000,
        "retryWrites": True,
        "w": "majority",
        "appname": "tornado_auth",
    }
    pairs = re.split("[&;]", url.partition("?")[2])
    chosen = {pair.partition("=")[0].lower() for pair in pairs}
    return {name: value for name, value in options.items() if name.lower() not in chosen}


def members_of(record: Record) -> dict[str, Any]:
    """Return all of the record's document but its `_id`, with a mark that nothing else has."""
    document = to_document(record)
    del document["id"]
    return document | {PURGE_AT: _date(record.expires_at), MARK: secrets.token_hex(16)}


def equals(**values: str | int) -> dict[str, Any]:
    """Return the condition that these members have these values.

    With $eq even a value that got past the guard is compared, never obeyed.
    """
    return {name: {"$eq": value} for name, value in values.items()}


def begins(field: str, prefix: str, *, after: str) -> dict[str, Any]:
    """Return the condition that a member begins with a text, and comes after another."""
    return {
        "$and": [
            {field: {"$gt": after}},
            {field: {"$gte": prefix, "$lt": prefix + LAST_CHARACTER}},
        ]
    }


def taken_field(details: Mapping[str, Any] | None) -> str:
    """Return the record's field that a duplicate key error of these details is about."""
    field = next(iter((details or {}).get("keyPattern", {"_id": 1})))
    return "id" if field == "_id" else str(field)


def _date(seconds: int | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # beyond the year 9999, or before the first
        return None
