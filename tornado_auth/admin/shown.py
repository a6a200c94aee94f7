"""How records are shown: which of their fields, and the schema of that.

Owns what leaves the service of each record. Never shows a version, a digest of a password or of a
secret, or the key under which a name is looked up.
"""

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

from tornado_auth.admin.schemas import Schema
from tornado_auth.models import (
    Assignment,
    AuditEvent,
    Group,
    GroupMapping,
    Identity,
    Membership,
    Record,
    Role,
    Session,
    User,
)
from tornado_auth.permissions import Explanation

_TYPES: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    int | None: {"type": ["integer", "null"]},
    tuple[str, ...]: {"type": "array", "items": {"type": "string"}},
}


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """A record type as it is shown: under which name, and with which of its fields."""

    name: str
    type: type[Record]
    fields: tuple[str, ...]

    def __call__(self, record: Record) -> dict[str, object]:
        """Return a record as JSON."""
        return {name: getattr(record, name) for name in self.fields}

    @property
    def schema(self) -> Schema:
        """What the JSON looks like."""
        types = typing.get_type_hints(self.type)
        return fixed({name: _TYPES[types[name]] for name in self.fields})

    @property
    def reference(self) -> Schema:
        """Where the document has the schema."""
        return {"$ref": f"#/components/schemas/{self.name}"}


def fixed(properties: dict[str, Schema]) -> Schema:
    """Return the schema of an object that always has all of these members."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def page(shown: Shown) -> Schema:
    """Return the schema of one page of a list."""
    items = {"type": "array", "items": shown.reference}
    return fixed({"items": items, "next": {"type": ["string", "null"]}})


def whole(shown: Shown) -> Schema:
    """Return the schema of a list that comes in one piece."""
    return fixed({"items": {"type": "array", "items": shown.reference}})


def show_page(
    shown: Shown, records: Sequence[Record], *, limit: int, order: str = "id"
) -> dict[str, object]:
    """Return a page of at most `limit`; one record more says that there is another page.

    `order` is the field that the list is in order of.
    """
    here = records[:limit]
    following = getattr(here[-1], order) if len(records) > limit else None
    return {"items": [shown(record) for record in here], "next": following}


USER = Shown(
    "User",
    User,
    (
        "id",
        "username",
        "name",
        "email",
        "avatar_url",
        "created_at",
        "disabled_at",
        "is_service_account",
    ),
)
IDENTITY = Shown("Identity", Identity, ("id", "user_id", "provider", "subject"))
SESSION = Shown(
    "Session",
    Session,
    (
        "id",
        "user_id",
        "provider",
        "identity_id",
        "created_at",
        "last_seen_at",
        "expires_at",
        "user_agent",
        "remote_ip",
    ),
)
KEY = Shown(
    "Key",
    Session,
    ("id", "user_id", "name", "scopes", "created_at", "last_seen_at", "expires_at"),
)
ROLE = Shown("Role", Role, ("id", "service", "name", "description", "permissions", "created_at"))
GROUP = Shown("Group", Group, ("id", "description", "created_at"))
MEMBERSHIP = Shown("Membership", Membership, ("id", "group", "user_id", "provider", "created_at"))
ASSIGNMENT = Shown(
    "Assignment",
    Assignment,
    ("id", "holder", "role_id", "service", "resource", "created_at"),
)
MAPPING = Shown("Mapping", GroupMapping, ("id", "provider", "upstream", "group", "created_at"))
EVENT = Shown(
    "Event",
    AuditEvent,
    (
        "id",
        "at",
        "action",
        "actor",
        "actor_name",
        "via",
        "remote_ip",
        "subject",
        "target",
        "result",
        "details",
    ),
)
SHOWN = (USER, IDENTITY, SESSION, KEY, ROLE, GROUP, MEMBERSHIP, ASSIGNMENT, MAPPING, EVENT)

_PROVIDER = fixed(
    {
        "name": _TYPES[str],
        "result": _TYPES[str],
        "permissions": {"type": ["object", "null"]},
        "milliseconds": {"type": "number"},
        "error": _TYPES[str],
    }
)
_SOURCE = fixed(dict.fromkeys(("permission", "role_id", "holder", "resource"), _TYPES[str]))
EXPLANATION = fixed(
    {
        "service": _TYPES[str],
        "user_id": _TYPES[str],
        "permission": _TYPES[str],
        "resource": _TYPES[str],
        "granted": {"type": ["boolean", "null"]},
        "decided_by": _TYPES[str],
        "permissions": {"type": "object"},
        "result": _TYPES[str],
        "providers": {"type": "array", "items": _PROVIDER},
        "sources": {"type": "array", "items": _SOURCE},
        "cached": {"type": ["object", "null"]},
        "cached_age": _TYPES[int | None],
        "milliseconds": {"type": "number"},
    }
)


def show_explanation(explanation: Explanation) -> dict[str, object]:
    """Return why a user may do something, or may not."""
    return dataclasses.asdict(explanation)
