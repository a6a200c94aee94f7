"""The pages: one's own account, sign out.

Owns what a person sees and the forms on it. Thin: every decision is made by the server's parts.
Needs no script in the browser.
"""

from dataclasses import dataclass

from tornado_auth.accounts import profile
from tornado_auth.errors import FreshLoginRequired, UsernameError
from tornado_auth.models import Actor, Identity, User, Who
from tornado_auth.pages.account_rows import (
    ApplicationRow,
    IdentityRow,
    KeyForm,
    NewKey,
    application_row,
    identity_row,
    key_form,
    key_row,
    session_row,
)
from tornado_auth.web import PageHandler, status_of

FRESH_LOGIN = 300  # seconds for which a sign-in is recent enough to add a way in


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

    def actor(self, who: Who) -> Actor:
        """Return who does it, for the audit log."""
        return Actor(
            user_id=who.user.id, name=who.user.username, via=self.via, remote_ip=self.remote_ip
        )

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
            applications=await self._applications(who.user),
            keys=[key_row(key) for key in await self.server.api_keys.of_user(who.user.id)],
            key_form=form or await self.key_form(who),
            new_key=new_key,
            username_action="/auth/account/username",
            can_choose_username=not who.user.username_chosen,
            logout_action="/auth/logout",
            message=message,
            error=error,
        )

    async def _applications(self, user: User) -> list[ApplicationRow]:
        oauth2 = self.server.oauth2
        found = await oauth2.consents.of_user(user.id)
        return [application_row(one, oauth2.scopes.descriptions) for one in found]

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


class RevokeApplicationHandler(AccountPageHandler):
    """POST /auth/account/revoke-application: take back what an application was allowed."""

    async def post(self) -> None:
        """End all that it has of this user; one that has nothing changes nothing."""
        who = await self.require_login()
        await self.server.oauth2.consents.withdraw(
            who.user.id, self.body_parameter("client_id"), actor=self.actor(who)
        )
        self.redirect("/auth/account", status=303)


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
        self.allow_form_to(next_url.origin if next_url else "")
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
