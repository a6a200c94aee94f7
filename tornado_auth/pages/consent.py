"""The consent page (OpenID Connect Core §3.1.2.4): an application asks, a person answers.

Owns the words and the form. Whether anybody is to be asked, and what an answer is worth, is decided
by the authorization endpoint alone: a browser goes back there, or to the client with a no.
"""

from urllib.parse import urlencode

from tornado_auth.models import User, Who
from tornado_auth.oauth2.authorization_requests import AuthorizationRequest
from tornado_auth.oauth2.authorize import AUTHORIZE, ConsentNeeded, ConsentView
from tornado_auth.oauth2.handlers.responses import OAuth2PageHandler, write_response
from tornado_auth.oauth2.responses import RedirectableError, scheme_of
from tornado_auth.pages.shown_clients import shown_client
from tornado_auth.web import BadRequest


class ConsentHandler(OAuth2PageHandler):
    """GET and POST /oauth2/consent: ask, and take the answer.

    The address has the parameters of the authorization request that waits for it.
    """

    opens_in_popups = True

    async def get(self) -> None:
        """Show the page, if there is something to ask, or send the browser back."""
        who, request = await self.who(), await self.read()
        view = await self.question(request, who)
        if who and request and view:
            # The client may send the browser on to anywhere: no policy could name all hosts.
            self.allow_form_to(scheme_of(request.address.redirect_uri))
            return self.show(who.user, view)
        return self.go_back()

    async def post(self) -> None:
        """Keep a yes, and go back for the code; or bring the client a no."""
        decision, who, request = self.decision(), await self.who(), await self.read()
        if who and request and decision == "deny":
            denied = await self.server.oauth2.authorization.deny(request)
            return write_response(self, denied)
        if who and request and await self.question(request, who):
            url = await self.server.oauth2.authorization.agree(
                request, who, remote_ip=self.remote_ip
            )
            return self.redirect(url, status=303)
        return self.go_back()

    def decision(self) -> str:
        """Return the button that was pressed: from the form alone, whatever the client sent."""
        [decision] = self.request.body_arguments.get("decision", [b""])[-1:]
        if decision not in (b"approve", b"deny"):
            raise BadRequest("Say whether you allow it or not.")
        return decision.decode()

    async def read(self) -> AuthorizationRequest | None:
        """Return the request; None for one that the endpoint has to refuse."""
        try:
            return await self.server.oauth2.authorization.read_forms(self.request.query.encode())
        except RedirectableError:
            return None

    async def question(
        self, request: AuthorizationRequest | None, who: Who | None
    ) -> ConsentView | None:
        """Return what is to be asked now, None if it is something else's turn."""
        if request is None:
            return None
        try:
            missing = await self.server.oauth2.authorization.missing(request, who)
        except RedirectableError:
            return None
        return missing.view if isinstance(missing, ConsentNeeded) else None

    def go_back(self) -> None:
        """Let the authorization endpoint decide what is next."""
        self.redirect(f"{AUTHORIZE}?{self.request.query}", status=303)

    def show(self, user: User, view: ConsentView) -> None:
        """Render the page."""
        query = self.request.query
        back = {"prompt": "login", "next": f"{AUTHORIZE}?{query}"}
        self.render(
            "consent.html",
            client=shown_client(view.client),
            host=view.redirect_host,
            username=user.username,
            scopes=view.scopes,
            is_wider=not all(scope.is_new for scope in view.scopes),
            claims=", ".join(name.replace("_", " ") for name in view.claims),
            resources=view.resources,
            action=f"{self.request.path}?{query}",
            switch_url=f"/auth/login?{urlencode(back)}",
        )
