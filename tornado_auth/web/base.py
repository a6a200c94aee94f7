"""What every handler shares: how a request is read, and what every answer carries.

Owns the one way in for credentials, parameters, the address that a request came from, cookies, and
the proof that a form was ours. Never decides anything about users, sessions or tokens: it asks
`self.server`.
"""

import asyncio
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any
from weakref import WeakSet

from tornado.web import HTTPError, RequestHandler

from tornado_auth.digests import digest
from tornado_auth.errors import Stale, StorageUnavailable, TooManyAttempts
from tornado_auth.logins import Visitor
from tornado_auth.models import API_KEY, Who
from tornado_auth.scheduling import give_way
from tornado_auth.server import AuthServer
from tornado_auth.web.errors import BadRequest, describe
from tornado_auth.web.headers import set_safe_headers

logger = logging.getLogger(__name__)
access_logger = logging.getLogger("tornado_auth.access")

MAX_PARAMETERS = 100
ATTEMPT_COOKIE = "tornado_auth_login_"


@dataclass(frozen=True, slots=True)
class Credential:
    """A token as it came; `explicit` unless a browser added it by itself, as a cookie."""

    token: str
    explicit: bool


class InFlight:
    """The requests under way, so that a stopping server can wait for them."""

    def __init__(self) -> None:
        self.stopping = False
        self._handlers: WeakSet[object] = WeakSet()
        self._others = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, handler: object) -> None:
        """Count a request that begins."""
        self._handlers.add(handler)
        self._idle.clear()

    def discard(self, handler: object) -> None:
        """Count a request that is answered."""
        self._handlers.discard(handler)
        self._look_round()

    def begin(self) -> None:
        """Count a request that has no handler, and comes to an `end` whatever happens."""
        self._others += 1
        self._idle.clear()

    def end(self) -> None:
        """Count a request that has begun as answered."""
        self._others -= 1
        self._look_round()

    def _look_round(self) -> None:
        if not self._others and not self._handlers:
            self._idle.set()

    def stop(self) -> None:
        """Say with every further answer that its connection is about to close."""
        self.stopping = True

    async def wait_idle(self) -> None:
        """Return when no request is under way."""
        await self._idle.wait()


class BaseHandler(RequestHandler):
    """A handler of the service."""

    SUPPORTED_METHODS: tuple[str, ...] = ("GET", "HEAD", "POST", "OPTIONS")

    via: str = "page"  # how things are done here, for the audit log

    # Whether an API key will do; the handler then looks at its scopes.
    takes_api_keys: bool = False

    server: AuthServer

    def initialize(self, server: AuthServer) -> None:
        """Take the server from the route."""
        self.server = server
        self.application.settings["in_flight"].add(self)

    def on_finish(self) -> None:
        """Tell the graceful stop that this request is done."""
        self.application.settings["in_flight"].discard(self)

    # -- answers --------------------------------------------------------------------------------

    def set_default_headers(self) -> None:
        """Set what every answer carries."""
        set_safe_headers(self)

    @property
    def ends_connection(self) -> bool:
        """Tell whether the client is to send its next request over another connection."""
        return False

    def flush(self, include_footers: bool = False) -> asyncio.Future[None]:
        """Tell the client, while the server stops, to send its next request elsewhere."""
        # Not earlier: the signal may come while the answer is being made (RFC 9112 §9.6).
        if self.application.settings["in_flight"].stopping or self.ends_connection:
            self.set_header("Connection", "close")
        return super().flush(include_footers)

    def compute_etag(self) -> None:
        """Make none: no answer is ever cached."""

    def start_error(self, status: int, error: BaseException | None) -> None:
        """Set the status and the headers that belong to it."""
        self.set_status(status)
        if isinstance(error, TooManyAttempts):
            self.set_header("Retry-After", str(error.retry_after))
        if status == 405:
            self.set_header("Allow", ", ".join(self.methods()))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what is our fault; what is the caller's shows in the access log."""
        if isinstance(value, StorageUnavailable | Stale):
            self.server.metrics.storage_errors.inc()
            logger.warning("storage_unavailable", exc_info=(typ, value, tb))
        elif not isinstance(value, HTTPError) and describe(500, value)[0] == 500:
            logger.error("request_failed", exc_info=(typ, value, tb))

    def methods(self) -> list[str]:
        """Return the methods that this handler answers."""
        return [method for method in self.SUPPORTED_METHODS if self._answers(method)]

    def _answers(self, method: str) -> bool:
        name = "get" if method == "HEAD" else method.lower()
        return getattr(type(self), name) is not getattr(RequestHandler, name)

    async def head(self, *path: str) -> None:
        """Answer like GET; the connection leaves the body away (RFC 9110 §9.3.2)."""
        outcome = self.get(*path)
        if outcome is not None:
            await outcome

    # -- the request ----------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Refuse what no endpoint takes; for a POST, `check_xsrf_cookie` did it already."""
        self.check_form()
        await give_way()

    def check_form(self) -> None:
        """Refuse bodies that no endpoint takes, before anything else is looked at."""
        # Tornado has refused a form with a Content-Encoding already.
        content_type = (
            self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        )
        if self.request.body and content_type != "application/x-www-form-urlencoded":
            raise BadRequest("Send the body as application/x-www-form-urlencoded.", status=415)
        if sum(len(values) for values in self.request.arguments.values()) > MAX_PARAMETERS:
            raise BadRequest(f"More than {MAX_PARAMETERS} parameters.")

    def parameter(self, name: str, *, lines: bool = False) -> str:
        """Return a parameter of query or body, "" if it is absent or empty.

        Raises BadRequest for one that is there twice (RFC 6749 §3.1) or is no plain text.
        """
        values = self.request.arguments.get(name, [])
        if len(values) > 1:
            raise BadRequest(f"The parameter {name} is there more than once.")
        try:
            text = values[0].decode() if values else ""
        except UnicodeDecodeError:
            raise BadRequest(f"The parameter {name} is not UTF-8.") from None
        allowed = "\r\n\t" if lines else ""
        if any((c < " " and c not in allowed) or c == "\x7f" for c in text):
            raise BadRequest(f"The parameter {name} has control characters in it.")
        return text

    def body_parameter(self, name: str) -> str:
        """Return a parameter of the body alone: what must never stand in an address."""
        if name in self.request.query_arguments:
            raise BadRequest(f"Send {name} in the body, not in the address.")
        return self.parameter(name)

    @property
    def from_trusted_proxy(self) -> bool:
        """Tell whether the peer is one of `trusted_proxies`, whose forwarded headers count."""
        is_trusted: Callable[[str], bool] = self.application.settings["is_trusted_proxy"]
        return is_trusted(self.request.remote_ip or "")

    @property
    def remote_ip(self) -> str:
        """The address of the client: the last hop of X-Forwarded-For that we did not vouch for."""
        is_trusted = self.application.settings["is_trusted_proxy"]
        address = self.request.remote_ip or ""
        hops = ",".join(self.request.headers.get_list("X-Forwarded-For")).split(",")
        while is_trusted(address) and hops:
            try:
                address = str(ip_address(_without_port(hops.pop().strip())))
            except ValueError:
                break
        return address

    @property
    def visitor(self) -> Visitor:
        """Where the request came from."""
        return Visitor(
            user_agent=self.request.headers.get("User-Agent", ""),
            remote_ip=self.remote_ip,
            via=self.via,
        )

    # -- who is it? -----------------------------------------------------------------------------

    @property
    def takes_jwt_parameter(self) -> bool:
        """Tell whether the `jwt` parameter counts here, where the settings allow it."""
        return True

    def credential(self) -> Credential | None:
        """Return the token of the request.

        In this order: `Authorization: Bearer`, the `auth-token` header, the `jwt` parameter, the
        session cookie. The parameter can be switched off, and pages never look at it: anybody can
        put a token of their own into a link or a form for somebody else's browser.
        """
        headers = self.request.headers
        scheme, _, bearer = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and bearer.strip():
            return Credential(bearer.strip(), explicit=True)
        if token := headers.get("auth-token", ""):
            return Credential(token, explicit=True)
        takes_parameter = self.takes_jwt_parameter and self.server.settings.jwt_parameter
        if takes_parameter and (token := self.parameter("jwt")):
            return Credential(token, explicit=True)
        if token := self.get_cookie(self.session_cookie, "") or "":
            return Credential(token, explicit=False)
        return None

    async def who(self) -> Who | None:
        """Return who the request is made by; raises StorageUnavailable if nobody can tell.

        An API key counts only where `takes_api_keys` says so.
        """
        credential = self.credential()
        who = await self.server.checks.who(credential.token) if credential else None
        is_refused = who and who.session.provider == API_KEY and not self.takes_api_keys
        return None if is_refused else who

    # -- cookies --------------------------------------------------------------------------------

    @property
    def _cookie_prefix(self) -> str:
        return cookie_prefix(https=self.application.settings["https"])

    @property
    def session_cookie(self) -> str:
        """The name of the cookie that holds the session token."""
        return session_cookie_name(https=self.application.settings["https"])

    def attempt_cookie(self, state: str) -> str:
        """Return the name of the cookie that holds the login attempt with this state."""
        return f"{self._cookie_prefix}{ATTEMPT_COOKIE}{digest(state)[:16]}"

    def set_own_cookie(self, name: str, value: str, *, expires_at: int) -> None:
        """Set a cookie that no script, no other host and no other site's form gets to use."""
        self.set_cookie(
            name,
            value,
            expires=float(expires_at),
            path="/",
            httponly=True,
            samesite="Lax",
            secure=self.application.settings["https"],
        )

    def clear_own_cookie(self, name: str) -> None:
        """Remove a cookie set by `set_own_cookie`."""
        self.clear_cookie(name, path="/", secure=self.application.settings["https"])

    # -- forgery --------------------------------------------------------------------------------

    def check_xsrf_cookie(self) -> None:
        """Refuse a change that another site's page asks for with our cookie.

        A request that carries its own token needs no such proof: no browser adds it by itself.
        """
        if not self._answers("POST"):
            raise HTTPError(405)
        self.check_form()
        credential = self.credential()
        if credential is not None and credential.explicit:
            return
        self.check_origin()
        try:
            super().check_xsrf_cookie()
        except HTTPError:
            raise BadRequest(
                "This form is out of date. Go back, reload the page and send it again.",
                status=403,
                reason="form_expired",
            ) from None

    def check_origin(self) -> None:
        """Refuse a foreign Origin; browsers that send none are left to the XSRF token."""
        origin = self.request.headers.get("Origin", "null")
        site = self.request.headers.get("Sec-Fetch-Site", "none")
        # Our own Referrer-Policy makes browsers send "null" with our own forms (Fetch §3.1).
        own = hmac.compare_digest(origin.encode(), self.server.settings.issuer.encode())
        if not (own or origin == "null") or site not in ("same-origin", "none"):
            raise BadRequest(
                "This form was sent from another site. Open the page here and try again.",
                status=403,
                reason="cross_site_request",
            )


def cookie_prefix(*, https: bool) -> str:
    """Return the prefix of our cookies: browsers accept it only with Secure."""
    return "__Host-" if https else ""


def session_cookie_name(*, https: bool) -> str:
    """Return the name of the cookie that holds the session token."""
    return f"{cookie_prefix(https=https)}tornado_auth"


def log_request(handler: RequestHandler) -> None:
    """Write one line a request, without its query, which may hold a token."""
    request = handler.request
    said = {
        "method": request.method,
        "path": request.path,
        "status": handler.get_status(),
        "milliseconds": round(1000 * request.request_time(), 1),
        "remote_ip": handler.remote_ip if isinstance(handler, BaseHandler) else "",
    }
    # Not at once: the line can wait, whoever asked meanwhile cannot.
    asyncio.get_running_loop().call_soon(partial(access_logger.info, "request", extra=said))
    if isinstance(handler, BaseHandler):
        handler.server.metrics.request_answered(
            type(handler).__name__,
            request.method or "",
            status=handler.get_status(),
            seconds=request.request_time(),
        )


def _without_port(hop: str) -> str:
    # Some proxies write `address:port` or `[address]:port`.
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
