"""What the admin API takes and gives, as JSON Schema 2020-12, and the check of what comes in.

One description serves both: `openapi.py` publishes it and `check` holds every request to it. So
nothing of another type than is asked for, no member that nobody knows and no control character
gets any further. Owns the words of JSON Schema that are used here and no others.
"""

import re
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

MAX_TEXT = 256
MAX_DESCRIPTION = 500
MAX_IDENTIFIER = 600  # that of an assignment is put together of four names
MAX_PAGE = 100
MAX_LIST = 100

_ONE_LINE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
_NAME = "[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}"
_LONG_NAME = "[A-Za-z0-9._:/@+-]{1,128}"


def text(description: str = "", *, least: int = 0, most: int = MAX_TEXT) -> Schema:
    """Return the schema of a plain text of so many characters."""
    schema = {"type": "string", "minLength": least, "maxLength": most, "pattern": _ONE_LINE}
    return schema | ({"description": description} if description else {})


def matching(pattern: str, description: str = "", *, most: int = MAX_IDENTIFIER) -> Schema:
    """Return the schema of a text that is the pattern from its first character to its last."""
    schema = {"type": "string", "pattern": f"^{pattern}$", "maxLength": most}
    return schema | ({"description": description} if description else {})


def optional(schema: Schema) -> Schema:
    """Return the schema of what may be null, too: as if it had never been set."""
    return {**schema, "type": [schema["type"], "null"]}


def listing(items: Schema, *, least: int = 0, most: int = MAX_LIST) -> Schema:
    """Return the schema of a list without repetitions, of so many entries."""
    return {
        "type": "array",
        "items": items,
        "minItems": least,
        "maxItems": most,
        "uniqueItems": True,
    }


def members(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of an object with these members and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


IDENTIFIER = text(least=1, most=MAX_IDENTIFIER)
NAME = matching(_NAME)
LONG_NAME = matching(_LONG_NAME)
ROLE_ID = matching(f"{_NAME}:{_NAME}", "service:name")
HOLDER = matching(f"(user:{_LONG_NAME}|group:{_NAME})", "user:id or group:name")
RESOURCE = matching(r"[A-Za-z0-9._:/@+-]{0,128}", "empty for the whole service")
DESCRIPTION = text(most=MAX_DESCRIPTION)
LIFETIME = {"type": "integer", "minimum": 1, "maximum": 10 * 365 * 86400, "description": "seconds"}
LIMIT = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": MAX_PAGE}
BOOLEAN = {"type": "boolean"}
AFTER = text("`next` of the page before", most=MAX_IDENTIFIER)

# What stands in a path, by the name of its place there.
IN_PATH: Mapping[str, Schema] = {
    "group": NAME,
    "role_id": ROLE_ID,
    "user_id": text("the id, or the user name", least=1),
}


class Mismatch(ValueError):
    """Say where a value is not what its schema asks for; never quotes the value."""


def check(value: object, schema: Schema, where: str) -> None:
    """Raise Mismatch unless the value is what the schema describes."""
    kind = schema["type"]
    if isinstance(kind, list):
        if value is None:
            return
        kind = kind[0]
    _CHECKS[kind](value, schema, where)


def _check_text(value: object, schema: Schema, where: str) -> None:
    if not isinstance(value, str):
        raise Mismatch(f"{where} is no text.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Mismatch(f"{where} is no Unicode text.") from None
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", MAX_IDENTIFIER):
        raise Mismatch(f"{where} is too short or too long.")
    if not re.fullmatch(schema["pattern"], value):
        raise Mismatch(f"{where} has characters in it that may not be there.")


def _check_integer(value: object, schema: Schema, where: str) -> None:
    if type(value) is not int:
        raise Mismatch(f"{where} is no whole number.")
    if not schema["minimum"] <= value <= schema["maximum"]:
        raise Mismatch(f"{where} is not from {schema['minimum']} to {schema['maximum']}.")


def _check_list(value: object, schema: Schema, where: str) -> None:
    if not isinstance(value, list):
        raise Mismatch(f"{where} is no list.")
    if not schema["minItems"] <= len(value) <= schema["maxItems"]:
        raise Mismatch(f"{where} has too few or too many entries.")
    for item in value:
        check(item, schema["items"], f"an entry of {where}")
    if any(item in value[:number] for number, item in enumerate(value)):
        raise Mismatch(f"{where} has an entry twice.")


def _check_object(value: object, schema: Schema, where: str) -> None:
    if not isinstance(value, dict):
        raise Mismatch(f"{where} is no object.")
    properties = schema.get("properties")
    if properties is None:
        return
    if value.keys() - properties.keys():
        raise Mismatch(f"{where} has a member that is not known: {', '.join(properties)}.")
    for name in schema["required"]:
        if name not in value:
            raise Mismatch(f"{name} is missing.")
    for name, item in value.items():
        check(item, properties[name], name)


def _check_boolean(value: object, _schema: Schema, where: str) -> None:
    if type(value) is not bool:
        raise Mismatch(f"{where} is neither true nor false.")


_CHECKS = {
    "string": _check_text,
    "integer": _check_integer,
    "boolean": _check_boolean,
    "array": _check_list,
    "object": _check_object,
}
