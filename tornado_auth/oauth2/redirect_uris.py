"""Redirect URIs: which may be registered, and when one is a client's (RFC 9700 §2.1, RFC 8252 §7).

Owns the comparison, which is of the bare strings: nothing is decoded, resolved or normalised. Never
sends anybody anywhere.
"""

import re
from enum import StrEnum

from tornado_auth.models import Client
from tornado_auth.oauth2.errors import InvalidRedirectURI

MAX_LENGTH = 2048
NATIVE = "native"

# Printable ASCII without what browsers rewrite: the backslash, the double quote, "<" and ">".
_PLAIN = re.compile(r"[!#-;=?-\[\]-~]+")
_HOST = r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])"
_PORT = r"(?::(?P<port>[0-9]{1,5}))?"
_HTTPS = re.compile(rf"https://{_HOST}{_PORT}(?=[/?]|$)", re.IGNORECASE)
_LOOPBACK = re.compile(rf"http://(?P<host>localhost|127\.0\.0\.1|\[::1\]){_PORT}(?=[/?]|$)")
_PRIVATE = re.compile(r"[a-z][a-z0-9+-]*\.[a-z0-9.+-]*:/(?P<port>)", re.IGNORECASE)


class RedirectKind(StrEnum):
    """Where a redirect URI leads."""

    WEB = "web"
    LOOPBACK = "loopback"
    PRIVATE = "private"  # a scheme that an app has claimed (RFC 8252 §7.1)


_PATTERNS = {
    RedirectKind.WEB: _HTTPS,
    RedirectKind.LOOPBACK: _LOOPBACK,
    RedirectKind.PRIVATE: _PRIVATE,
}


def kind_of(uri: str) -> RedirectKind:
    """Tell where a redirect URI leads; raises ValueError for one that nobody may register."""
    if len(uri) > MAX_LENGTH or not _PLAIN.fullmatch(uri) or "#" in uri:
        raise ValueError("it is malformed, too long, or has a fragment")
    for kind, pattern in _PATTERNS.items():
        if (match := pattern.match(uri)) and _is_port(match["port"]):
            return kind
    raise ValueError("it is neither https, nor http to a loopback address, nor an app's scheme")


def check_redirect_uri(uri: str, *, application_type: str) -> None:
    """Refuse what this kind of application may not register; raises InvalidRedirectURI."""
    try:
        kind = kind_of(uri)
    except ValueError as error:
        raise InvalidRedirectURI(f"A redirect URI cannot be taken: {error}.") from None
    if kind is RedirectKind.PRIVATE and application_type != NATIVE:
        raise InvalidRedirectURI("Only native applications have redirect URIs of their own scheme.")


def redirect_uri_matches(client: Client, uri: str) -> bool:
    """Tell whether a redirect URI is one of the client's: the same, character by character.

    A native application may listen at any port of the loopback address (RFC 8252 §7.3).
    """
    if uri in client.redirect_uris:
        return True
    if client.application_type != NATIVE:
        return False
    anywhere = _without_port(uri)
    return anywhere != "" and anywhere in map(_without_port, client.redirect_uris)


def _without_port(uri: str) -> str:
    """Return a redirect URI to a literal loopback address without its port, "" for any other."""
    match = _LOOPBACK.match(uri)
    # "localhost" may be resolved to anything (RFC 8252 §8.3).
    if not match or match["host"] == "localhost" or not _is_port(match["port"]):
        return ""
    return f"http://{match['host']}{uri[match.end() :]}"


def _is_port(text: str | None) -> bool:
    return not text or 0 < int(text) < 65536
