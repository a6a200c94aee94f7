"""Outgoing HTTP with limits of time and size, and Tornado's OAuth2Mixin on top of it.

Owns the reading of JSON and of token answers (RFC 6749 §5.1), and the S256 of PKCE (RFC 7636). A
failure is logged with its cause, never with what the provider answered. Never follows a redirect,
and never sends a form twice.
"""

import hmac
import json
import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urljoin

from tornado.auth import OAuth2Mixin
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import url_concat
from tornado.simple_httpclient import HTTPTimeoutError, SimpleAsyncHTTPClient

from tornado_auth.digests import digest
from tornado_auth.errors import UpstreamError
from tornado_auth.next_urls import origin_of

logger = logging.getLogger(__name__)

MAX_BODY = 256 * 1024
MAX_HEADERS = 32 * 1024
MAX_PAGES = 40
MAX_CLIENTS = 200
TIMEOUT = 10.0

# What an authorization answer may report: RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6
AUTHORIZATION_ERRORS = frozenset(
    {
        "access_denied",
        "account_selection_required",
        "consent_required",
        "interaction_required",
        "invalid_request",
        "invalid_scope",
        "login_required",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
    }
)

_TOKEN = re.compile(r"[!-~]{1,8192}")
_LINK = re.compile(r"<([^<>]*)>([^<>]*)")
_NEXT = re.compile(r"\brel=\"?next\b", re.IGNORECASE)
_OK = re.compile(r"HTTP/[0-9.]+ 200\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """How a login provider knows us, and how much of our time it may take.

    `redirect_uri` is the address that it sends browsers back to, exactly as registered there.
    `timeout` is in seconds and for one request; `max_clients` go out at the same time.
    """

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    timeout: float = TIMEOUT
    max_clients: int = MAX_CLIENTS


class UpstreamClient(SimpleAsyncHTTPClient):
    """Tornado's client with our limits as its defaults, so that no single call can forget them.

    Without `force_instance` it is shared by everything on one event loop, as its parent is.
    """

    def initialize(self, *, timeout: float = TIMEOUT, max_clients: int = MAX_CLIENTS) -> None:  # type: ignore[override]
        """Set the limits; `timeout` is in seconds and covers a whole request."""
        super().initialize(
            max_clients=max_clients,
            max_buffer_size=MAX_BODY + MAX_HEADERS,
            max_header_size=MAX_HEADERS,
            max_body_size=MAX_BODY,
            defaults={
                "connect_timeout": timeout,
                "request_timeout": timeout,
                "follow_redirects": False,  # a redirect would carry the token or the code elsewhere
                "decompress_response": False,  # a small body must not unfold into a large one
                "user_agent": "tornado-auth",
            },
        )


def upstream_failure(provider: str, cause: str, *, status: int | None = None) -> UpstreamError:
    """Log why a login provider failed and return the error to raise, which does not tell."""
    details = {} if status is None else {"status": status}
    logger.warning("upstream_error", extra={"provider": provider, "reason": cause, **details})
    return UpstreamError(
        "The login provider did not answer as it should. Please try again in a moment."
    )


async def fetch_json(
    client: AsyncHTTPClient,
    url: str,
    *,
    provider: str,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    absent: Collection[int] = (),
) -> Any:
    """Return the parsed body of a 200 answer, or None for a status in `absent`.

    With `form` it is a POST, which is sent once. A GET is tried a second time if the connection
    broke or the answer was a 5xx. Raises UpstreamError for everything else.
    """
    request = HTTPRequest(
        url,
        method="GET" if form is None else "POST",
        headers={"Accept": "application/json", **(headers or {})},
        body=None if form is None else urlencode(form),
    )
    response = await _send(client, request, provider=provider, tries=2 if form is None else 1)
    return None if response.code in absent else _json_of(response, provider)


async def fetch_pages(
    client: AsyncHTTPClient, url: str, *, provider: str, headers: Mapping[str, str]
) -> list[Any] | None:
    """Return a list that comes in pages, each with a link to the next (RFC 8288).

    None, which is logged, if the user may be why it cannot be had: access was refused, a page is
    too large, or there are more than MAX_PAGES. The pages are of one origin. Raises UpstreamError
    for a provider that is out of order.
    """
    entries: list[Any] = []
    next_url, headers = url, {"Accept": "application/json", **headers}
    for _ in range(MAX_PAGES):
        response = await _fetch_page(client, next_url, provider=provider, headers=headers)
        if response is None:
            return None
        page = _json_of(response, provider)
        if not isinstance(page, list):
            raise upstream_failure(provider, "wrong_type")
        entries += page
        links = ",".join(response.headers.get_list("Link"))
        target = next((link[1] for link in _LINK.finditer(links) if _NEXT.search(link[2])), "")
        if not target:
            return entries
        next_url = urljoin(next_url, target)
        if not _is_same_origin(next_url, url):
            break  # the token is for nobody else
    upstream_failure(provider, "pages")
    return None


async def _fetch_page(
    client: AsyncHTTPClient, url: str, *, provider: str, headers: dict[str, str]
) -> HTTPResponse | None:
    head: list[str] = []
    request = HTTPRequest(url, headers=headers, header_callback=head.append)
    try:
        response = await _send(client, request, provider=provider, tries=2)
    except UpstreamError:
        if any(map(_OK.match, head)):
            return None  # it began well: what the user has there is too much for one page
        raise
    if response.code < 500 and response.code != 200:
        upstream_failure(provider, "http_status", status=response.code)
        return None
    return response


def _is_same_origin(url: str, other: str) -> bool:
    try:
        return origin_of(url) == origin_of(other)
    except ValueError:
        return False


def _json_of(response: HTTPResponse, provider: str) -> Any:
    if response.code != 200:
        raise upstream_failure(provider, "http_status", status=response.code)
    try:
        value = json.loads(response.body)
    except (ValueError, RecursionError):
        value = None
    if value is None:
        raise upstream_failure(provider, "not_json")
    return value


async def _send(
    client: AsyncHTTPClient, request: HTTPRequest, *, provider: str, tries: int
) -> HTTPResponse:
    while True:
        tries -= 1
        try:
            response = await client.fetch(request, raise_error=False)
        except HTTPTimeoutError:
            raise upstream_failure(provider, "timeout") from None
        except (HTTPClientError, OSError, ValueError):
            # ValueError: an address or a header that Tornado refuses to send.
            if not tries:
                raise upstream_failure(provider, "connection") from None
            continue
        if response.code < 500 or not tries:
            return response


def object_of(value: Any, provider: str) -> dict[str, Any]:
    """Return the value if it is a JSON object; raises UpstreamError if not."""
    if not isinstance(value, dict):
        raise upstream_failure(provider, "wrong_type")
    return value


def access_token_of(answer: dict[str, Any], provider: str) -> str:
    """Read a token response (RFC 6749 §5.1); GitHub reports its errors with status 200.

    Raises UpstreamError.
    """
    if "error" in answer:
        raise upstream_failure(provider, "code_refused")
    token, token_type = answer.get("access_token"), answer.get("token_type", "bearer")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise upstream_failure(provider, "no_access_token")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise upstream_failure(provider, "token_type")
    return token


def code_challenge(code_verifier: str) -> str:
    """Derive the S256 challenge of a verifier (RFC 7636 §4.2)."""
    return digest(code_verifier)


def bearer(access_token: str) -> dict[str, str]:
    """Return the header that carries an access token (RFC 6750 §2.1)."""
    return {"Authorization": f"Bearer {access_token}"}


class BearerOAuth2Mixin(OAuth2Mixin):
    """Tornado's OAuth2Mixin with our limits, and with the access token out of the address."""

    def get_auth_http_client(self) -> AsyncHTTPClient:
        """Return the client with limits that one event loop shares."""
        return UpstreamClient()

    async def oauth2_request(
        self,
        url: str,
        access_token: str | None = None,
        post_args: dict[str, Any] | None = None,
        **args: Any,  # the signature is Tornado's
    ) -> Any:
        """Fetch JSON with the token in a header, where Tornado writes it into the address.

        Raises UpstreamError.
        """
        return await fetch_json(
            self.get_auth_http_client(),
            url_concat(url, args),
            provider=type(self).__name__,
            headers=bearer(access_token) if access_token else None,
            form=post_args,
        )


def same_text(value: object, expected: str) -> bool:
    """Compare in constant time a text from outside with one that is not empty."""
    if not isinstance(value, str) or not expected:
        return False
    return hmac.compare_digest(value.encode(errors="surrogatepass"), expected.encode())
