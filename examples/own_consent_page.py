"""A consent page of one's own: other words, and terms that have to be accepted.

    tornado-auth keys generate
    export PRIVATE_KEY_FILE=private.pem TORNADO_AUTH_SECRET_FILE=secret
    tornado-auth users add ann
    tornado-auth clients add "The wiki" --redirect-uri https://wiki.example.com/callback
    python examples/own_consent_page.py     # http://localhost:8080

For other words alone the template is enough. When anybody is asked, and what the answer is worth,
stays with the authorization endpoint: no page can hand out a code.
"""

import asyncio
import os

from tornado.web import Application

from tornado_auth.app import make_app, run
from tornado_auth.pages.consent import ConsentHandler
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings

PAGE = """
{% extends "base.html" %}
{% block title %}May it?{% end %}
{% block content %}
<h1><bdi>{{ username }}</bdi>, may <bdi>{{ client.name }}</bdi> do this?</h1>
<ul id="scopes">{% for scope in scopes %}<li><bdi>{{ scope.description }}</bdi></li>{% end %}</ul>
<p>You go on to <strong id="host">{{ host }}</strong>{% if client.is_unverified %}, which
nobody here has checked{% end %}.</p>
<form method="post" action="{{ action }}">
  {% raw xsrf_form_html() %}
  <p><label><input type="checkbox" name="terms" value="yes" required> I accept the terms of use of
  our data</label></p>
  <button class="button primary" id="yes" name="decision" value="approve">It may</button>
  <button class="button" id="no" name="decision" value="deny" formnovalidate>No</button>
</form>
{% end %}
"""


class TermsHandler(ConsentHandler):
    """GET and POST /oauth2/consent, in place of the page that the service has there."""

    async def post(self) -> None:
        """Take a yes only with the terms; a browser would not have sent it without."""
        if self.decision() == "approve" and not self.body_parameter("terms"):
            return await self.get()
        return await super().post()


def make(server: AuthServer) -> Application:
    """Return the service's application with the own page in it."""
    own = [(r"/oauth2/consent", TermsHandler, {"server": server})]
    return make_app(server, own, own_templates={"consent.html": PAGE})


if __name__ == "__main__":
    server = AuthServer(load_settings(os.environ))
    asyncio.run(run(make(server), server))
