"""Where a browser may be sent after it signed in, and how the token gets there.

Owns the allow-list of origins (TORNADO_AUTH_ALLOWED_NEXT) and the reading of a `next` address.
An address that a browser would have to repair (WHATWG URL) is refused instead of guessed at.
Never sends anybody anywhere: `handlers.py` does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote

from tornado_auth.errors import NextNotAllowed

MAX_LENGTH = 2048

# Printable ASCII without what browsers rewrite: the backslash, the double quote, "<" and ">".
_PLAIN = re.compile(r"[!#-;=?-\[\]-~]+")
_ORIGIN = re.compile(
    r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?(?=[/?#]|$)",
    re.IGNORECASE,
)
_ANOTHER_HOST = re.compile(r"/(?:/|%2f|%5c)", re.IGNORECASE)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Handover(StrEnum):
    """How the session token reaches an allowed origin."""

    QUERY = "query"  # `?jwt=<token>`, as DataHQ auth and dgp-oauth2 did
    CODE = "code"  # `?code=<one-time code>`, exchanged by POST at /auth/token
    COOKIE = "cookie"  # nothing is added: the site shares our host and its cookie


@dataclass(frozen=True, slots=True)
class NextURL:
    """An address that passed the allow-list, with the way its origin takes the token."""

    url: str
    origin: str
    handover: Handover

    def with_parameter(self, name: str, value: str) -> str:
        """Append one query parameter and leave the rest of the address as it was, byte for byte."""
        address, hash_mark, fragment = self.url.partition("#")
        separator = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
        return f"{address}{separator}{name}={quote(value, safe='')}{hash_mark}{fragment}"


def origin_of(url: str) -> str:
    """Return `scheme://host[:port]` in lower case, without the scheme's default port.

    Raises ValueError for anything but a plain http or https address without user information.
    """
    match = _ORIGIN.match(url)
    if not match or not _PLAIN.fullmatch(url):
        raise ValueError("not a plain http:// or https:// address")
    scheme, host, port = (part.lower() if part else "" for part in match.groups())
    if not port or port == _DEFAULT_PORTS[scheme]:
        return f"{scheme}://{host}"
    if not 0 < int(port) < 65536:
        raise ValueError("the port is out of range")
    return f"{scheme}://{host}:{port}"


def resolve_next(value: str, own_origin: str, allowed: Mapping[str, Handover]) -> NextURL:
    """Read a `next` address: a path on our own host, or an address of an allowed origin.

    Raises NextNotAllowed for everything else.
    """
    if len(value) > MAX_LENGTH or not _PLAIN.fullmatch(value):
        raise NextNotAllowed("The address to return to is malformed or too long.")
    if value.startswith("/"):
        if _ANOTHER_HOST.match(value):
            raise NextNotAllowed("The address to return to must not start with two slashes.")
        return NextURL(own_origin + value, own_origin, Handover.COOKIE)
    try:
        origin = origin_of(value)
    except ValueError as error:
        raise NextNotAllowed(f"The address to return to is {error}.") from None
    if origin == own_origin:
        return NextURL(value, origin, Handover.COOKIE)
    if origin not in allowed:
        raise NextNotAllowed(
            f"Nobody may be sent to {origin} from here. Its operator can add it to "
            "TORNADO_AUTH_ALLOWED_NEXT."
        )
    return NextURL(value, origin, allowed[origin])
