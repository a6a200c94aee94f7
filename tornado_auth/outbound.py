"""Calls to addresses that clients name: their keys, their logout endpoints.

Owns the one filter against having the service call what only it can reach (SSRF): https alone, to
public addresses alone, and to the very address that was looked at; no redirect is followed. Only
what the settings list (`host:port`) is exempt. Never shows what was answered to anybody.
"""

import functools
import ssl
from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AddressFamily
from typing import Any
from urllib.parse import urlencode, urlsplit

from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.netutil import DefaultLoopResolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tornado_auth.errors import CallFailed, SettingsError

MAX_BODY = 64 * 1024
MAX_HEADERS = 16 * 1024
MAX_CLIENTS = 100
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address stands in its last 32 bits
_HANDED_OUT = IPv6Network("2000::/3")  # RFC 4291 §2.4: all other unicast is local or of no use
# Parts that lead to no host of anybody, whatever the standard library knows of them: relays for
# 6to4, protocols (RFC 2928; Teredo is looked into first), documentation (RFC 3849, RFC 9637).
_RESERVED = [
    ip_network(part) for part in ("192.88.99.0/24", "2001::/23", "2001:db8::/32", "3fff::/20")
]


class NotPublic(OSError):
    """Refuse a name that leads to where only we can go."""


class Outbound:
    """Fetch and post for clients; `timeout` is for a whole call, in seconds.

    No more than `at_once` are under way, so that who calls much needs an object of their own.
    `allowed` are `host:port` entries. `ca_file` is trusted beside the system's certificates; raises
    SettingsError if it cannot be read.
    """

    def __init__(
        self,
        allowed: Collection[str],
        ca_file: str = "",
        *,
        timeout: float = 5,
        at_once: int = MAX_CLIENTS,
    ) -> None:
        self._allowed = frozenset(entry.lower() for entry in allowed)
        self._context = _context(ca_file) if ca_file else None
        self._timeout = timeout
        self._at_once = at_once

    def may_call(self, url: str) -> bool:
        """Tell whether an address may be tried: whom it leads to is looked at in the call."""
        try:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORTS[parts.scheme]
        except (ValueError, KeyError):
            return False
        if not parts.hostname or "@" in parts.netloc:
            return False
        return parts.scheme == "https" or _entry(parts.hostname, port) in self._allowed

    async def get(self, url: str) -> bytes:
        """Return what is at an address; raises CallFailed for all but an answer 200."""
        response = await self._fetch(url, method="GET")
        if response.code != 200:
            raise CallFailed(f"status {response.code}")
        return response.body

    async def post_form(self, url: str, form: Mapping[str, str]) -> int:
        """Send a form and return the status; raises CallFailed if there is none."""
        response = await self._fetch(
            url,
            method="POST",
            body=urlencode(form),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        return response.code

    def close(self) -> None:
        """End the calls under way."""
        if "_client" in self.__dict__:
            self._client.close()

    async def _fetch(self, url: str, **arguments: Any) -> HTTPResponse:
        if not self.may_call(url):
            raise CallFailed("the address may not be called")
        request = HTTPRequest(
            url,
            connect_timeout=self._timeout,
            request_timeout=self._timeout,
            follow_redirects=False,
            decompress_response=False,  # the limit is then one of what we read and of what we get
            user_agent="tornado_auth",
            ssl_options=self._context,
            **arguments,
        )
        try:
            return await self._client.fetch(request, raise_error=False)
        except (HTTPClientError, OSError, ValueError) as error:
            raise CallFailed(type(error).__name__) from None

    @functools.cached_property
    def _client(self) -> SimpleAsyncHTTPClient:
        # Made when it is needed: it belongs to the loop that runs then.
        return SimpleAsyncHTTPClient(
            force_instance=True,
            max_clients=self._at_once,
            max_body_size=MAX_BODY,
            max_header_size=MAX_HEADERS,
            resolver=_PublicResolver(self._allowed),
        )


class _PublicResolver(DefaultLoopResolver):
    """Resolve names to public addresses alone, except for those that are allowed."""

    def initialize(self, allowed: frozenset[str]) -> None:
        super().initialize()
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int, family: AddressFamily = AddressFamily.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        found = await super().resolve(host, port, family)
        if _entry(host, port) not in self._allowed and not all(map(_is_public, found)):
            raise NotPublic
        return found


def _is_public(found: tuple[int, Any]) -> bool:
    address = ip_address(found[1][0].partition("%")[0])
    if isinstance(address, IPv6Address):
        address = _embedded(address) or address
    if isinstance(address, IPv6Address) and address not in _HANDED_OUT:
        return False
    is_reserved = any(address in part for part in _RESERVED)
    return address.is_global and not address.is_multicast and not is_reserved


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 one leads to."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


def _entry(host: str, port: int) -> str:
    return f"[{host}]:{port}".lower() if ":" in host else f"{host}:{port}".lower()


def _context(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except OSError:
        raise SettingsError(
            [
                "TORNADO_AUTH_FETCH_CA_FILE: cannot be read as certificates. Give the name of a "
                "file with CA certificates in PEM."
            ]
        ) from None
    return context
