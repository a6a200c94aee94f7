"""The service inside an application of one's own, with a page for people and an API for clients.

    tornado-auth keys generate
    export PRIVATE_KEY_FILE=private.pem TORNADO_AUTH_SECRET_FILE=secret
    tornado-auth users add ann
    python examples/embedded.py     # http://localhost:8080

Everything of the service is there beside the application's own: sign-in, account page, clients and
tokens, administration.
"""

import asyncio
import os

from tornado.web import Application, RequestHandler

from tornado_auth.app import Rule, application_settings, routes, run
from tornado_auth.oauth2.errors import InsufficientScope, InvalidBearerToken
from tornado_auth.oauth2.handlers.base import OAuth2Handler
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings
from tornado_auth.web import PageHandler

SCOPE = "notes:read"
SCOPES = f'[{{"name": "{SCOPE}", "description": "Read the board"}}]'
BOARD = """
{% extends "base.html" %}
{% block title %}The board{% end %}
{% block content %}
<h1>The board</h1>
<ul id="notes">
  {% for name, note in notes %}<li><bdi>{{ name }}</bdi>: <bdi>{{ note }}</bdi></li>{% end %}
</ul>
<form method="post" action="/">
  {% raw xsrf_form_html() %}
  <div class="field"><label for="note">Note</label><input id="note" name="note" required></div>
  <button class="button primary" id="pin" type="submit">Pin it</button>
</form>
{% end %}
"""


class BoardHandler(PageHandler):
    """GET and POST /: a board for everybody who is signed in."""

    async def get(self) -> None:
        """Show the notes; whoever is not signed in comes back here afterwards."""
        if await self.who() is None:
            self.redirect("/auth/login?next=/")
            return
        self.render("board.html", notes=self.settings["notes"])

    async def post(self) -> None:
        """Pin a note; Tornado has checked the form's XSRF token."""
        who = await self.who()
        if who is not None:
            self.settings["notes"].append((who.user.username, self.body_parameter("note")))
        self.redirect("/", status=303)


class NotesHandler(OAuth2Handler):
    """GET /api/notes: the same for programs, which have an access token for it."""

    is_resource = True

    async def get(self) -> None:
        """List the notes; what is raised is answered as RFC 6750 has it."""
        scheme, token = self.access_token()
        if not token:
            raise InvalidBearerToken
        access_tokens = self.server.oauth2.access_tokens
        access_token = await access_tokens.admit(token, scheme=scheme, proof=self.proof())
        if SCOPE not in access_token.scope:
            raise InsufficientScope(SCOPE)
        self.write_json({"notes": [note for _, note in self.settings["notes"]]})


class AboutHandler(RequestHandler):
    """GET /about: a handler as it was before, which knows nothing of the service."""

    def get(self) -> None:
        """Answer everybody."""
        self.write("A board, for whoever signs in.")


def make(server: AuthServer) -> Application:
    """Return the application: own routes first, then those of the service."""
    own: list[Rule] = [
        (r"/", BoardHandler, {"server": server}),
        (r"/api/notes", NotesHandler, {"server": server}),
        (r"/about", AboutHandler, {}),
    ]
    settings = {"notes": [], **application_settings(server, {"board.html": BOARD})}
    return Application([*own, *routes(server)], **settings)


if __name__ == "__main__":
    server = AuthServer(load_settings({"TORNADO_AUTH_SCOPES": SCOPES, **os.environ}))
    asyncio.run(run(make(server), server))
