"""What the pages share: templates, where a browser goes next, the start of a login."""

from typing import Any
from urllib.parse import urlencode

from tornado.web import HTTPError, RequestHandler

from tornado_auth.login_attempts import LIFETIME as ATTEMPT_LIFETIME
from tornado_auth.models import AssertedIdentity, Session, User, Who
from tornado_auth.next_urls import Handover, NextURL, resolve_next
from tornado_auth.oauth2.authorize import AUTHORIZE, WaitingClient
from tornado_auth.scheduling import give_way
from tornado_auth.web.base import ATTEMPT_COOKIE, BaseHandler
from tornado_auth.web.errors import describe
from tornado_auth.web.headers import content_security_policy

MAX_ATTEMPTS = 5
# All cookies together must fit into one header line of the proxy in front, often 8 KiB.
MAX_ATTEMPT_BYTES = 4500


class PageHandler(BaseHandler):
    """A handler that shows HTML, for a person who is signed in by the cookie."""

    user: User | None = None
    administers = False
    section = ""
    retry_url = ""
    opens_in_popups = False  # whether the site that opened the window keeps its hold on it

    def set_default_headers(self) -> None:
        """Loosen what would cut a sign-in off from the application that waits for it."""
        super().set_default_headers()
        if self.opens_in_popups:
            self.set_header("Cross-Origin-Opener-Policy", "unsafe-none")

    @property
    def takes_jwt_parameter(self) -> bool:
        """Ignore it: a link must not decide whom a page is shown to."""
        return False

    async def who(self) -> Who | None:
        """Return who the request is made by, and let the page's header name them."""
        who = await super().who()
        self.user = who.user if who else None
        return who

    def allow_form_to(self, target: str, *, script_nonce: str = "") -> None:
        """Let the form on this page end at another origin: browsers check the whole redirect.

        `target` may be a scheme as well ("https:"), for where nobody knows all the origins that a
        form passes through.
        """
        policy = content_security_policy(target, script_nonce=script_nonce)
        self.set_header("Content-Security-Policy", policy)

    @property
    def asks_again(self) -> bool:
        """Tell whether somebody who is signed in is to prove it once more."""
        return self.parameter("prompt") == "login"

    async def sign_in(self, asserted: AssertedIdentity) -> Session:
        """Sign this browser in, in place of whom it was signed in as; raises LoginError."""
        credential = self.credential()
        # A caller's own token proves nothing about the session of a browser.
        before = await super().who() if credential and not credential.explicit else None
        return await self.server.logins.sign_in(asserted, self.visitor, before=before)

    async def waiting_client(self, next: str) -> WaitingClient | None:
        """Return the client whose authorization request is where the browser goes on to."""
        address, _, query = next.partition("?")
        if address != f"{self.server.settings.issuer}{AUTHORIZE}":
            return None
        return await self.server.oauth2.authorization.waiting(query)

    async def begin_login(self, name: str, *, next: str = "", link_user_id: str = "") -> str:
        """Bind a login attempt to this browser and return the provider's address to go to."""
        provider = self.server.login_providers.get(name)
        if provider is None:
            raise HTTPError(404)
        waiting = await self.waiting_client(next)
        attempt, sealed = self.server.login_attempts.begin(
            name,
            next=next,
            link_user_id=link_user_id,
            # Whoever sits at the browser can take the parameter away, not what is in the request.
            asks_again=self.asks_again or (waiting is not None and waiting.asks_again),
        )
        url = await provider.authorization_url(attempt)
        self._drop_old_attempts(len(sealed))
        expires_at = attempt.started_at + ATTEMPT_LIFETIME
        self.set_own_cookie(self.attempt_cookie(attempt.state), sealed, expires_at=expires_at)
        return url

    def _drop_old_attempts(self, new_size: int) -> None:
        """Make room for a new attempt; browsers send the oldest cookie first."""
        prefix = f"{self._cookie_prefix}{ATTEMPT_COOKIE}"
        sizes = {
            name: len(morsel.value)
            for name, morsel in self.request.cookies.items()
            if name.startswith(prefix)
        }
        for name in list(sizes):
            if len(sizes) < MAX_ATTEMPTS and sum(sizes.values()) + new_size <= MAX_ATTEMPT_BYTES:
                return
            del sizes[name]
            self.clear_own_cookie(name)

    def safe_next(self, value: str) -> NextURL | None:
        """Read a `next` address; None if there is none. Raises NextNotAllowed."""
        settings = self.server.settings
        return resolve_next(value, settings.issuer, settings.allowed_next) if value else None

    async def redirect_with_token(self, session: Session, next_url: NextURL | None) -> None:
        """Put a session into the cookie and send the browser on, with what its target takes."""
        token = await self.server.sessions.token(session)
        self.set_own_cookie(self.session_cookie, token, expires_at=session.expires_at or 0)
        # A form that was open before the sign-in must not act for whoever signed in.
        self.clear_own_cookie(self.application.settings["xsrf_cookie_name"])
        location = await self.handover_location(session, token, next_url)
        await give_way()
        self.redirect(location, status=303)

    async def handover_location(
        self, session: Session, token: str, next_url: NextURL | None
    ) -> str:
        """Return the address to go to, with the token in the form that its origin is allowed."""
        if next_url is None:
            return "/auth/account"
        if next_url.handover in (Handover.QUERY, Handover.CODE):
            await self.server.sessions.share(session)
        if next_url.handover is Handover.QUERY:
            return next_url.with_parameter("jwt", token)
        if next_url.handover is Handover.CODE:
            code = await self.server.sessions.hand_over(session.id)
            return next_url.with_parameter("code", code)
        return next_url.url

    def render_string(self, template_name: str, **kwargs: Any) -> bytes:
        """Render by the templates of this application: Tornado keeps one loader a process."""
        template = self.settings["template_loader"].load(template_name)
        return bytes(template.generate(**{**self.get_template_namespace(), **kwargs}))

    def get_template_namespace(self) -> dict[str, Any]:
        """Add what every template uses."""
        namespace: dict[str, Any] = super().get_template_namespace()
        return namespace | {
            "app_name": "tornado_auth",
            "static_path": static_path,
            "user": self.user,
            "administers": self.administers,
            "section": self.section,
        }

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Show an error page with its reason code."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        status, reason, message = describe(status_code, error)
        self.start_error(status, error)
        self.render(
            "error.html", status=status, reason=reason, message=message, retry_url=self.retry_url
        )


class NotFoundHandler(PageHandler):
    """Every other address."""

    SUPPORTED_METHODS = RequestHandler.SUPPORTED_METHODS

    def check_xsrf_cookie(self) -> None:
        """Need no proof: nothing is changed here."""

    async def prepare(self) -> None:
        """Answer 404 whatever the method."""
        raise HTTPError(404)


def login_url(provider: str, next: str, *, asks_again: bool = False) -> str:
    """Return the path at which a sign-in with this provider starts."""
    values = {"next": next, "prompt": "login" if asks_again else ""}
    query = urlencode({name: value for name, value in values.items() if value})
    return f"/auth/login/{provider}" + (f"?{query}" if query else "")


def static_path(name: str) -> str:
    """Return the address of one of our static files."""
    return f"/auth/static/{name}"
