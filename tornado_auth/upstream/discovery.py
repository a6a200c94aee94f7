"""The configuration that an issuer publishes (OpenID Connect Discovery §4), with its cache.

Never takes an endpoint that is not https, except among loopback hosts, nor a configuration that
names another issuer than the one we were told of.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient

from tornado_auth.errors import UpstreamError
from tornado_auth.next_urls import origin_of
from tornado_auth.upstream.http import fetch_json, object_of, upstream_failure

METADATA_LIFETIME = 3600
METADATA_COOLDOWN = 10

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderMetadata:
    """What we use of a provider's configuration (RFC 8414 §2, OpenID Connect Discovery §3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str = ""
    userinfo_endpoint: str = ""
    sends_iss: bool = False  # RFC 9207 §3
    takes_basic: bool = True  # client_secret_basic, RFC 6749 §2.3.1


class Discovery:
    """The configuration of one issuer: fetched when first needed, kept for an hour.

    One fetch is in flight at a time. After a failure the next is tried `cooldown` seconds later;
    until then the last good answer serves, if there was one.
    """

    def __init__(
        self,
        issuer: str,
        get_client: Callable[[], AsyncHTTPClient],
        *,
        provider: str,
        now: Callable[[], int],
        lifetime: int = METADATA_LIFETIME,
        cooldown: int = METADATA_COOLDOWN,
    ) -> None:
        self._issuer = issuer
        self._get_client = get_client
        self._provider = provider
        self._now = now
        self._lifetime = lifetime
        self._cooldown = cooldown
        self._metadata: ProviderMetadata | None = None
        self._next_fetch = 0
        self._fetching: asyncio.Task[ProviderMetadata] | None = None

    async def metadata(self) -> ProviderMetadata:
        """Return the configuration; raises UpstreamError if there is none to be had."""
        if self._now() < self._next_fetch:
            if self._metadata is None:
                raise upstream_failure(self._provider, "discovery_cooldown")
            return self._metadata
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        try:
            # Shielded: a browser that goes away must not take the answer from the others.
            return await asyncio.shield(self._fetching)
        except UpstreamError:
            if self._metadata is None:
                raise
            return self._metadata

    def _fetched(self, task: "asyncio.Task[ProviderMetadata]") -> None:
        self._fetching = None
        if task.cancelled() or task.exception() is not None:
            self._next_fetch = self._now() + self._cooldown
        else:
            self._metadata = task.result()
            self._next_fetch = self._now() + self._lifetime

    async def _fetch(self) -> ProviderMetadata:
        url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
        answer = await fetch_json(self._get_client(), url, provider=self._provider)
        document = object_of(answer, self._provider)
        if document.get("issuer") != self._issuer:
            raise upstream_failure(self._provider, "discovery_issuer")
        methods = document.get("token_endpoint_auth_methods_supported")
        return ProviderMetadata(
            issuer=self._issuer,
            authorization_endpoint=self._endpoint(document, "authorization_endpoint"),
            token_endpoint=self._endpoint(document, "token_endpoint"),
            jwks_uri=self._endpoint(document, "jwks_uri"),
            userinfo_endpoint=self._endpoint(document, "userinfo_endpoint", optional=True),
            sends_iss=document.get("authorization_response_iss_parameter_supported") is True,
            takes_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        )

    def _endpoint(self, document: dict[str, Any], name: str, *, optional: bool = False) -> str:
        value = document.get(name)
        if value is None and optional:
            return ""
        # Plain http only among loopback hosts: else an https issuer could aim us at our own.
        plain_http = is_secure_endpoint(self._issuer) and self._issuer.startswith("http:")
        if is_secure_endpoint(value) and (plain_http or str(value).startswith("https:")):
            return str(value)
        raise upstream_failure(self._provider, f"discovery_{name}")


def is_secure_endpoint(url: object) -> bool:
    """Tell whether an address is https, or http on a loopback host."""
    try:
        origin = origin_of(url) if isinstance(url, str) else ""
    except ValueError:
        return False
    return origin.startswith("https:") or urlsplit(origin).hostname in _LOOPBACK
