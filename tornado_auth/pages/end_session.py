"""Where clients send people to sign out (OpenID Connect RP-Initiated Logout §2).

Owns when a person is asked first: always, unless the client shows an ID token of the very session
that this browser has. Nobody is signed out, and nobody sent on, by a request that is not right.
"""

from urllib.parse import urlencode

from tornado_auth.models import Who
from tornado_auth.oauth2.end_session import LogoutRequest
from tornado_auth.oauth2.handlers.responses import OAuth2PageHandler
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.pages.shown_clients import shown_client

PATH = "/oauth2/logout"
LOGGED_OUT = "/oauth2/logged-out"
USED = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")


class RPLogoutHandler(OAuth2PageHandler):
    """GET and POST /oauth2/logout."""

    def check_xsrf_cookie(self) -> None:
        """Ask for the proof only where somebody says yes or no: a client's form ends nothing."""
        if self.body_parameter("decision"):
            super().check_xsrf_cookie()
        else:
            self.check_form()

    async def get(self) -> None:
        """Sign out whom the client's hint is about, ask anybody else, and go on."""
        parameters = Parameters.parse(self.request.query.encode())
        requests, who = self.server.oauth2.logout_requests, await self.who()
        request = await requests.read(parameters)
        if who is None or await requests.is_about(request, who.session):
            await self._end(who, "" if request.needs_click else request.location)
        else:
            self._ask(parameters, request)

    async def post(self) -> None:
        """Take the answer, or let a client's form start over by GET.

        Browsers send our cookie with a form from another site no more, but with the redirect.
        """
        parameters = Parameters.parse(self.request.query.encode(), self.request.body)
        decision = self.body_parameter("decision")
        if decision == "confirm":
            request = await self.server.oauth2.logout_requests.read(parameters)
            await self._end(await self.who(), request.location)
        elif decision:
            self.redirect("/auth/account", status=303)
        else:
            self.redirect(f"{PATH}?{urlencode(_used(parameters))}", status=303)

    def _ask(self, parameters: Parameters, request: LogoutRequest) -> None:
        self.allow_form_to(request.form_target)
        self.render(
            "end_session.html",
            action=PATH,
            fields=_used(parameters),
            client=shown_client(request.client) if request.client else None,
        )

    async def _end(self, who: Who | None, location: str) -> None:
        if who is not None:
            await self.server.logins.sign_out(who, self.visitor)
        self.clear_own_cookie(self.session_cookie)
        self.clear_own_cookie(self.settings["xsrf_cookie_name"])
        self.redirect(location or LOGGED_OUT, status=303)


class LoggedOutHandler(OAuth2PageHandler):
    """GET /oauth2/logged-out: where those end whose client names no place to go on to."""

    def get(self) -> None:
        """Say so."""
        self.render("logged_out.html")


def _used(parameters: Parameters) -> dict[str, str]:
    return {name: parameters.get(name) for name in USED if name in parameters}
