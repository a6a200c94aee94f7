"""How addresses are read: where we listen, who we are on the web, whom we send people to.

Everything with a scheme is https; http is good only for a host that is this very machine, because
tokens and codes travel there. As in `setting_types.py`, a `parse_*` function raises ValueError with
a text that continues the setting's name, ends with the remedy, and never repeats the value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from tornado_auth.next_urls import Handover, origin_of
from tornado_auth.setting_types import check_unique, each, parse_text, parse_words

_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})")
_RESOURCE = re.compile(r"[a-z][a-z0-9+.-]*:[!$-;=?-\[\]-~]+", re.IGNORECASE)
_DATABASE = re.compile(r"sqlite:///.+|mongodb(?:\+srv)?://[^/]+.*|memory://")
_HOW_TO_LISTEN = "Write host:port, [IPv6 address]:port or unix:/path."


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a server waits for requests: a host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_loopback(self) -> bool:
        """Tell whether only programs on this machine can reach it by TCP."""
        return not self.path and is_loopback(self.host)

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listen_address(text: str) -> ListenAddress:
    """Read `host:port`, `[v6]:port` or `unix:/path`."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not PurePosixPath(path).is_absolute():
            raise ValueError("names no absolute path. Write unix:/path.")
        return ListenAddress(path=path)
    match = _HOST_PORT.fullmatch(text)
    if not match:
        raise ValueError(f"is not an address to listen on. {_HOW_TO_LISTEN}")
    host, port = match[1] or match[2], int(match[3])
    if match[1] and not _is_ipv6(host):
        raise ValueError(f"has a malformed IPv6 address. {_HOW_TO_LISTEN}")
    if not 0 < port < 65536:
        raise ValueError("has a port out of range. Use one from 1 to 65535.")
    return ListenAddress(host=host.lower(), port=port)


def parse_listen(value: object) -> str:
    """Return the address to listen on in its normal form; `listen_address` takes it apart."""
    return str(listen_address(parse_text(value)))


def parse_listen_or_off(value: object) -> str:
    """Return the address to listen on, or `off`."""
    if value is False:  # TOML has a word for it
        return "off"
    text = parse_text(value)
    return "off" if text.lower() == "off" else parse_listen(text)


def parse_database_url(value: object) -> str:
    """Return the address of the database; only its beginning is looked at."""
    text = parse_text(value)
    if not _DATABASE.fullmatch(text):
        raise ValueError(
            "names no database that we know. Use sqlite:///path, mongodb://host/name, "
            "mongodb+srv://host/name or memory://."
        )
    return text


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine: localhost, 127.0.0.0/8 or ::1, by name alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(origin: str) -> str:
    """Return the host of an origin, an IPv6 address without its brackets."""
    return urlsplit(origin).hostname or ""


# -- web addresses ------------------------------------------------------------------------------


def parse_url(value: object) -> str:
    """Return an https address, or an http one of this machine, without the slash at its end."""
    return parse_issuer(value).rstrip("/")


def parse_issuer(value: object) -> str:
    """Return an issuer as it was written, for it is compared to the letter (RFC 8414 §3.3)."""
    text = parse_text(value)
    try:
        origin = origin_of(text)
        if "[" in origin:
            IPv6Address(host_of(origin))
    except ValueError:
        raise ValueError(
            "is not a plain web address. Write https://host[:port], without user name."
        ) from None
    if "?" in text or "#" in text:
        raise ValueError("has a query or fragment. Remove it.")
    if origin.startswith("http:") and not is_loopback(host_of(origin)):
        raise ValueError("is http, where others can listen in. Use https.")
    return text


def parse_origin(value: object) -> str:
    """Return `https://host[:port]` in lower case."""
    text = parse_url(value)
    if urlsplit(text).path:
        raise ValueError("has a path. Write only https://host[:port].")
    return origin_of(text)


def parse_external_address(value: object) -> str:
    """Return our own origin; a bare host means https."""
    text = parse_text(value)
    return parse_origin(text if "://" in text else f"https://{text}")


def parse_origins(value: object) -> tuple[str, ...]:
    """Return a list of origins; no wildcards."""
    return each(parse_origin, parse_words(value))


def parse_resources(value: object) -> tuple[str, ...]:
    """Return a list of resources, each once and as it was written: it is compared to the letter."""
    return tuple(dict.fromkeys(each(_resource, parse_words(value))))


def parse_allowed_next(value: object) -> dict[str, Handover]:
    """Return the origins to which people may be sent, from `origin[=query|code|cookie]` entries."""
    if isinstance(value, Mapping):  # a TOML table
        value = [f"{origin}={handover}" for origin, handover in value.items()]
    entries = each(_origin_and_handover, parse_words(value))
    check_unique([origin for origin, _ in entries], "Remove one of the two.")
    return dict(entries)


def _origin_and_handover(entry: str) -> tuple[str, Handover]:
    address, _, mode = entry.partition("=")
    try:
        handover = Handover(mode.lower() or Handover.CODE)
    except ValueError:
        raise ValueError(
            "has no known way to hand over. Write origin=code, origin=query or origin=cookie."
        ) from None
    return parse_origin(address), handover


def _resource(entry: str) -> str:
    if not _RESOURCE.fullmatch(entry):
        raise ValueError(
            "is no absolute URI without fragment. Write it as in https://api.example.org/."
        )
    return entry


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True
