"""The pages: sign in, one's own account, sign out.

Owns what a person sees and the forms on it. Thin: every decision is made by the server's parts.
Needs no script in the browser.
"""

from contextlib import suppress
from dataclasses import dataclass

from tornado.web import HTTPError

from tornado_auth.accounts import profile
from tornado_auth.errors import (
    FreshLoginRequired,
    InvalidUsername,
    LoginError,
    NextNotAllowed,
    TooManyAttempts,
    UsernameError,
)
from tornado_auth.known_devices import LIFETIME as DEVICE_LIFETIME
from tornado_auth.models import AssertedIdentity, Identity, Session, Who
from tornado_auth.next_urls import NextURL
from tornado_auth.pages.account_rows import (
    IdentityRow,
    KeyForm,
    NewKey,
    identity_row,
    key_form,
    key_row,
    session_row,
)
from tornado_auth.usernames import username_key
from tornado_auth.web import PageHandler, login_url, status_of

FRESH_LOGIN = 300  # seconds for which a sign-in is recent enough to add a way in


@dataclass(frozen=True, slots=True)
class ProviderLink:
    """A login provider as the sign-in page shows it."""

    name: str
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class LinkForm:
    """A login provider that an account can be linked with."""

    name: str
    label: str
    action: str


class HomeHandler(PageHandler):
    """GET /: nothing is here but the way to the account."""

    def get(self) -> None:
        """Redirect."""
        self.redirect("/auth/account", status=303)


class LoginPageHandler(PageHandler):
    """GET /auth/login: every way to sign in that is switched on."""

    async def get(self) -> None:
        """Show the page, or send on who is signed in already and has somewhere to go."""
        next_url = self.requested_next()
        who = await self.who()
        if who and next_url and self.parameter("prompt") != "login":
            return await self.redirect_with_token(who.session, next_url)
        return self.show(next_url, signed_in_as=who.user.username if who else "")

    def requested_next(self) -> NextURL | None:
        """Return `next`, or the page at which a trusted proxy stopped the browser."""
        if value := self.parameter("next"):
            return self.safe_next(value)
        original = self.request.headers.get("X-Original-URI", "")
        if self.from_trusted_proxy and original.startswith("/"):
            # Whoever typed such an address still gets to sign in.
            with suppress(NextNotAllowed):
                return self.safe_next(original)
        return None

    def show(
        self,
        next_url: NextURL | None,
        *,
        error: str = "",
        username: str = "",
        signed_in_as: str = "",
    ) -> None:
        """Render the page with what was typed so far, but never a password."""
        self.allow_form_to(next_url)
        settings = self.server.settings
        self.render(
            "login.html",
            providers=self._providers(next_url),
            local_action="/auth/login/local" if settings.local_accounts else "",
            dev_action="/auth/login/dev" if settings.dev else "",
            next=next_url.url if next_url else "",
            error=error,
            username=username,
            signed_in_as=signed_in_as,
        )

    def _providers(self, next_url: NextURL | None) -> list[ProviderLink]:
        return [
            ProviderLink(name, provider.label, login_url(name, next_url.url if next_url else ""))
            for name, provider in self.server.login_providers.items()
        ]


class FormLoginHandler(LoginPageHandler):
    """What signing in by a form on our own page shares."""

    provider: str

    async def get(self) -> None:
        """Show the sign-in page: this address is what callers are told to send people to."""
        self._require_enabled()
        await super().get()

    async def post(self) -> None:
        """Sign in and send the browser on, or show the form again with the reason."""
        self._require_enabled()
        next_url = self.safe_next(self.parameter("next"))
        username = self.body_parameter("username")
        try:
            asserted = await self._prove_or_count(username)
            session = await self.server.logins.sign_in(asserted, self.visitor)
        except (LoginError, TooManyAttempts, InvalidUsername) as error:
            self.start_error(status_of(error), error)
            return self.show(next_url, error=str(error), username=username)
        await self.remember(session)
        return await self.redirect_with_token(session, next_url)

    async def _prove_or_count(self, username: str) -> AssertedIdentity:
        try:
            return await self.prove(username)
        except (LoginError, TooManyAttempts, InvalidUsername) as error:
            await self.server.logins.refused(self.provider, error, self.visitor, username=username)
            raise

    def is_enabled(self) -> bool:
        """Tell whether the settings allow this way in."""
        raise NotImplementedError

    async def prove(self, username: str) -> AssertedIdentity:
        """Return the identity that the form proves; raises LoginError."""
        raise NotImplementedError

    async def remember(self, session: Session) -> None:
        """Leave in the browser what its next sign-in is to know; here, nothing."""

    def _require_enabled(self) -> None:
        if not self.is_enabled():
            raise HTTPError(404)


class LocalLoginHandler(FormLoginHandler):
    """POST /auth/login/local: sign in with user name and password."""

    provider = "local"

    def is_enabled(self) -> bool:
        """See FormLoginHandler."""
        return self.server.settings.local_accounts

    async def prove(self, username: str) -> AssertedIdentity:
        """Check the password; slows down whoever guesses."""
        return await self.server.local_logins.prove(
            username,
            self.body_parameter("password"),
            remote_ip=self.remote_ip,
            device=self.get_cookie(self.device_cookie) or "",
        )

    async def remember(self, session: Session) -> None:
        """Let nobody lock this person out of this browser by guessing elsewhere."""
        device = self.get_cookie(self.device_cookie) or ""
        sealed = await self.server.local_logins.remember(device, session.user_id)
        expires_at = self.server.now() + DEVICE_LIFETIME
        self.set_own_cookie(self.device_cookie, sealed, expires_at=expires_at)

    @property
    def device_cookie(self) -> str:
        """The name of the cookie that a browser keeps in which somebody has signed in."""
        return f"{self._cookie_prefix}tornado_auth_device"


class DevLoginHandler(FormLoginHandler):
    """POST /auth/login/dev: be anybody, on a machine that only its developer reaches."""

    provider = "dev"

    def is_enabled(self) -> bool:
        """See FormLoginHandler."""
        return self.server.settings.dev

    async def prove(self, username: str) -> AssertedIdentity:
        """Believe the name."""
        key = username_key(username)
        return AssertedIdentity(provider="dev", subject=key, username=username, name=username)


class AccountPageHandler(PageHandler):
    """GET /auth/account: the profile, the ways to sign in, the sessions."""

    async def get(self) -> None:
        """Show the page, or the way to sign in."""
        if who := await self.who():
            return await self.show(who)
        return self.redirect("/auth/login?next=/auth/account", status=303)

    async def require_login(self) -> Who:
        """Return who is signed in; raises FreshLoginRequired."""
        who = await self.who()
        if who is None:
            raise FreshLoginRequired("Sign in first.")
        return who

    def require_fresh_login(self, who: Who, what: str) -> None:
        """Refuse to do `what` for whoever may just have found an open browser."""
        if self.server.now() - who.session.auth_time > FRESH_LOGIN:
            raise FreshLoginRequired(
                f"To {what}, sign out and in again first, and then do it within "
                f"{FRESH_LOGIN // 60} minutes."
            )

    async def key_form(self, who: Who) -> KeyForm:
        """Return the form for a new API key of this user."""
        scopes = ["*", *(service for service, _ in self.server.settings.allowed_services)]
        for scope, write in ("admin:read", False), ("admin:write", True):
            if await self.server.administrators.is_administrator(who.user.id, write=write):
                scopes.append(scope)
        return key_form(scopes)

    async def show(
        self,
        who: Who,
        *,
        message: str = "",
        error: str = "",
        form: KeyForm | None = None,
        new_key: NewKey | None = None,
    ) -> None:
        """Render the page of a user, with what just happened."""
        identities = await self.server.accounts.identities_of(who.user.id)
        sessions = await self.server.sessions.of_user(who.user.id)
        sessions.sort(key=lambda session: session.id != who.session.id)
        self.user = who.user
        self.administers = await self.server.administration.is_administrator(
            who.user.id, write=False
        )
        self.render(
            "account.html",
            profile=profile(who.user, who.session.identity_id),
            identities=[self._identity_row(identity) for identity in identities],
            linkable=self._linkable({identity.provider for identity in identities}),
            sessions=[session_row(session, who) for session in sessions],
            end_others_action="/auth/account/end-other-sessions",
            keys=[key_row(key) for key in await self.server.api_keys.of_user(who.user.id)],
            key_form=form or await self.key_form(who),
            new_key=new_key,
            username_action="/auth/account/username",
            can_choose_username=not who.user.username_chosen,
            logout_action="/auth/logout",
            message=message,
            error=error,
        )

    def _linkable(self, linked: set[str]) -> list[LinkForm]:
        return [
            LinkForm(name, provider.label, f"/auth/account/link/{name}")
            for name, provider in self.server.login_providers.items()
            if name not in linked
        ]

    def _identity_row(self, identity: Identity) -> IdentityRow:
        provider = self.server.login_providers.get(identity.provider)
        return identity_row(identity, provider.label if provider else "")


class EndSessionHandler(AccountPageHandler):
    """POST /auth/account/end-session: end one of one's own sessions."""

    async def post(self) -> None:
        """End it if it is the user's; anything else changes nothing."""
        who = await self.require_login()
        wanted = self.body_parameter("session_id")
        for session in await self.server.sessions.of_user(who.user.id):
            if session.id == wanted:
                await self.server.logins.end(who, session, self.visitor)
        self.redirect("/auth/account", status=303)


class EndOtherSessionsHandler(AccountPageHandler):
    """POST /auth/account/end-other-sessions: sign out everywhere else."""

    async def post(self) -> None:
        """End every session but the one that asks."""
        who = await self.require_login()
        for session in await self.server.sessions.of_user(who.user.id):
            if session.id != who.session.id:
                await self.server.logins.end(who, session, self.visitor)
        self.redirect("/auth/account", status=303)


class UsernameHandler(AccountPageHandler):
    """POST /auth/account/username: choose one's user name, once."""

    async def post(self) -> None:
        """Show the account page with the new name, or with the reason why not."""
        who = await self.require_login()
        try:
            user = await self.server.logins.choose_username(
                who, self.body_parameter("username"), self.visitor
            )
        except UsernameError as error:
            self.set_status(status_of(error))
            return await self.show(who, error=str(error))
        who = Who(user=user, session=who.session)
        return await self.show(who, message=f"Your user name is {user.username} now.")


class LinkHandler(AccountPageHandler):
    """POST /auth/account/link/<provider>: add another way to sign in."""

    async def get(self, name: str = "") -> None:
        """Show the account page, where the forms are."""
        await super().get()

    async def post(self, name: str) -> None:
        """Show where to go on; a link and not a redirect, because the page's policy ends at us."""
        who = await self.require_login()
        self.require_fresh_login(who, "add a way to sign in")
        url = await self.begin_login(name, link_user_id=who.user.id)
        provider = self.server.login_providers[name]
        self.render("link.html", label=provider.label, username=who.user.username, url=url)


class LogoutHandler(PageHandler):
    """GET and POST /auth/logout: end the session of this browser or caller."""

    @property
    def takes_jwt_parameter(self) -> bool:
        """Let callers, who post, name their token; the page is for the cookie."""
        return self.request.method == "POST"

    async def get(self) -> None:
        """Ask first: following a link must not sign anybody out."""
        await self.who()
        next_url = self.safe_next(self.parameter("next"))
        self.allow_form_to(next_url)
        self.render("logout.html", action="/auth/logout", next=next_url.url if next_url else "")

    async def post(self) -> None:
        """End the session; the token is refused from now on."""
        next_url = self.safe_next(self.parameter("next"))
        credential = self.credential()
        if who := await self.who():
            await self.server.logins.sign_out(who, self.visitor)
        if credential and credential.explicit:
            # The browser's own session is another matter: nobody proved that it wants to end it.
            self.finish({"success": who is not None})
            return
        self.user = None
        self.clear_own_cookie(self.session_cookie)
        self.clear_own_cookie(self.settings["xsrf_cookie_name"])
        if next_url:
            self.redirect(next_url.url, status=303)
        else:
            self.render("logged_out.html")
