"""The members of client metadata, one by one: what each may hold (RFC 7591 §2).

Owns types and limits. Never knows how the members fit together: `client_metadata.py` does.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tornado_auth.oauth2.redirect_uris import MAX_LENGTH
from tornado_auth.oauth2.values import AUTH_METHODS
from tornado_auth.resource_server.key_sets import PRIVATE_MEMBERS
from tornado_auth.resource_server.signed_tokens import ALGORITHMS, read_json_object

MAX_TEXT = 200
MAX_ENTRIES = 50
MAX_JWKS = 16 * 1024
MAX_LIFETIME = 400 * 86400

_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:[/?][!$-;=?-\[\]-~]*)?")
_RESOURCE = re.compile(r"[a-z][a-z0-9+.-]*:[!$-;=?-\[\]-~]+", re.IGNORECASE)

Reader = Callable[[object], Any]


def text(value: object) -> str:
    """Read one line of text."""
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
        raise ValueError(f"is not a text of at most {MAX_TEXT} characters in one line")
    return value.strip()


def any_address(value: object) -> str:
    """Read an http or https address; "" is none."""
    if value == "":
        return ""
    if not isinstance(value, str) or len(value) > MAX_LENGTH or not _ADDRESS.fullmatch(value):
        raise ValueError("is not a plain https address without fragment")
    return value


def page(value: object) -> str:
    """Read the https address of something for people; "" is none."""
    address = any_address(value)
    if address and not address.startswith("https://"):
        raise ValueError("is not an https address")
    return address


def flag(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def number(least: int) -> Reader:
    """Make a reader of whole numbers."""

    def read(value: object) -> int:
        if type(value) is not int or not least <= value <= MAX_LIFETIME:
            raise ValueError(f"is not a whole number from {least} to {MAX_LIFETIME}")
        return value

    return read


def one_of(*allowed: str) -> Reader:
    """Make a reader of one of these words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"is none of {', '.join(allowed)}")
        return value

    return read


def many(reader: Reader) -> Reader:
    """Make a reader of a list, each entry once."""

    def read(value: object) -> tuple[Any, ...]:
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > MAX_ENTRIES:
            raise ValueError(f"is not a list of at most {MAX_ENTRIES}")
        return tuple(dict.fromkeys(map(reader, value)))

    return read


def uri(value: object) -> str:
    """Read any text that could be a redirect URI; whether it is one is looked at later."""
    if not isinstance(value, str):
        raise ValueError("has something else than a text")
    return value


def resource(value: object) -> str:
    """Read an absolute URI without fragment (RFC 8707 §2)."""
    if not isinstance(value, str) or len(value) > MAX_LENGTH or not _RESOURCE.fullmatch(value):
        raise ValueError("has something else than an absolute URI without fragment")
    return value


def key_set(value: object) -> str:
    """Read a JWK set as an object or a JSON text; public keys only (RFC 7591 §2)."""
    try:
        jwks = json.loads(value) if isinstance(value, str) else value
        written = json.dumps(jwks)
        keys = read_json_object(written.encode())["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("is not a JWK set") from None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise ValueError("is not a JWK set")
    if len(written) > MAX_JWKS:
        raise ValueError("is too large")
    if any(PRIVATE_MEMBERS & key.keys() for key in keys):
        raise ValueError("has a private or symmetric key in it")
    return written


MEMBERS: Mapping[str, Reader] = {
    "client_name": text,
    "client_uri": page,
    "logo_uri": page,
    "policy_uri": page,
    "tos_uri": page,
    "contacts": many(text),
    "application_type": one_of("web", "native"),
    "redirect_uris": many(uri),
    "post_logout_redirect_uris": many(uri),
    "grant_types": many(text),
    "token_endpoint_auth_method": one_of(*AUTH_METHODS),
    "jwks": key_set,
    "jwks_uri": any_address,
    "id_token_signed_response_alg": text,
    "default_max_age": number(0),
    "require_auth_time": flag,
    "default_acr_values": many(text),
    "backchannel_logout_uri": any_address,
    "backchannel_logout_session_required": flag,
    "require_pushed_authorization_requests": flag,
    "dpop_bound_access_tokens": flag,
}

# Members that are looked at and not kept: there is only one value that we can honour.
LOOKED_AT: Mapping[str, Reader] = {
    "response_types": many(one_of("code")),
    "subject_type": one_of("public"),
    "sector_identifier_uri": any_address,
    "token_endpoint_auth_signing_alg": one_of(*ALGORITHMS),
}

OPERATORS_MEMBERS: Mapping[str, Reader] = {
    "require_pkce": flag,
    "is_trusted": flag,
    "takes_endpoint_audience": flag,
    "access_token_format": one_of("jwt", "opaque"),
    "access_token_lifetime": number(1),
    "refresh_token_lifetime": number(1),
    "resources": many(resource),
    "audiences": many(resource),
    "exchanges": many(text),
}
