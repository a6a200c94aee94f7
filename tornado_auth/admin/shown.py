"""How records are shown: which of their fields, and the schema of that.

Owns what leaves the service of each record. Never shows a version, a digest of a password or of a
secret, or the key under which a name is looked up.
"""

import dataclasses
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tornado_auth.admin.schemas import Schema
from tornado_auth.models import (
    Assignment,
    AuditEvent,
    Client,
    Group,
    GroupMapping,
    Identity,
    Membership,
    Record,
    Role,
    Session,
    User,
)
from tornado_auth.oauth2.consents import Application
from tornado_auth.oauth2.metadata_members import MEMBERS, OPERATORS_MEMBERS
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
    """A record type as it is shown: under which name, and with which of its fields.

    `special` are members that are no field as it is: each with its schema and how it is made.
    """

    name: str
    type: type[Record]
    fields: tuple[str, ...]
    special: Mapping[str, tuple[Schema, Callable[[Any], object]]] = dataclasses.field(
        default_factory=dict
    )

    def __call__(self, record: Record) -> dict[str, object]:
        """Return a record as JSON."""
        special = {name: show(record) for name, (_, show) in self.special.items()}
        return special | {name: getattr(record, name) for name in self.fields}

    @property
    def schema(self) -> Schema:
        """What the JSON looks like."""
        types = typing.get_type_hints(self.type)
        special = {name: schema for name, (schema, _) in self.special.items()}
        return fixed(special | {name: _TYPES[types[name]] for name in self.fields})

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
CLIENT = Shown(
    "Client",
    Client,
    (
        *(name for name in (*MEMBERS, *OPERATORS_MEMBERS) if name != "jwks"),
        "is_self_registered",
        "created_at",
        "disabled_at",
    ),
    special={
        "client_id": (_TYPES[str], lambda client: client.id),
        "scope": (_TYPES[str], lambda client: " ".join(client.scope)),
        "jwks": (
            {"type": ["object", "null"]},
            lambda client: json.loads(client.jwks) if client.jwks else None,
        ),
        "secrets": ({"type": "integer"}, lambda client: len(client.secret_digests)),
    },
)
SHOWN = (USER, IDENTITY, SESSION, KEY, ROLE, GROUP, MEMBERSHIP, ASSIGNMENT, MAPPING, EVENT, CLIENT)

APPLICATION = fixed(
    {
        "client_id": _TYPES[str],
        "client_name": _TYPES[str],
        "scope": _TYPES[str],
        "confirmed_at": _TYPES[int | None],
        "last_granted_at": _TYPES[int | None],
    }
)

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


def show_application(application: Application) -> dict[str, object]:
    """Return what a client may do for a user, and since when."""
    consent = application.consent
    return {
        "client_id": application.client.id,
        "client_name": application.client.client_name,
        "scope": " ".join(application.scope),
        "confirmed_at": consent.confirmed_at if consent else None,
        "last_granted_at": application.last_granted_at,
    }


def show_explanation(explanation: Explanation) -> dict[str, object]:
    """Return why a user may do something, or may not."""
    return dataclasses.asdict(explanation)
