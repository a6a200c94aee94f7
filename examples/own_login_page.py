"""A sign-in page of one's own, which asks a list of people of one's own.

The list, named by STAFF_FILE, is a JSON object. Make it, and start:

    tornado-auth keys generate
    export PRIVATE_KEY_FILE=private.pem TORNADO_AUTH_SECRET_FILE=secret STAFF_FILE=staff.json
    python examples/own_login_page.py ann > staff.json      # asks for her password
    python examples/own_login_page.py                       # http://localhost:8080

The service does the rest: it limits guessing, makes the user at the first sign-in, starts the
session, tells the audit log, and sends the browser back to whoever waits for it, clients too.
"""

import asyncio
import getpass
import hashlib
import hmac
import json
import os
import secrets
import sys
from pathlib import Path

from tornado_auth.app import make_app, run
from tornado_auth.errors import WrongPassword
from tornado_auth.models import AssertedIdentity
from tornado_auth.pages.login import FormLoginHandler
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings
from tornado_auth.throttle import address_key

PAGE = """
{% extends "base.html" %}
{% block title %}Staff entrance{% end %}
{% block content %}
<h1>Staff entrance</h1>
{% if client %}<p id="for">You are on your way to <bdi>{{ client.name }}</bdi>.</p>{% end %}
{% if error %}<p class="notice bad" role="alert" id="error">{{ error }}</p>{% end %}
<form id="staff" method="post" action="/auth/login">
  {% raw xsrf_form_html() %}
  <input type="hidden" name="next" value="{{ next }}">
  <div class="field">
    <label for="username">Your name</label>
    <input id="username" name="username" value="{{ username }}" autocomplete="username" required>
  </div>
  <div class="field">
    <label for="password">Password</label>
    <input id="password" name="password" type="password" autocomplete="current-password" required>
  </div>
  <button class="button primary" type="submit">Come in</button>
</form>
{% end %}
"""
NOBODY = {"id": "", "password": "-$-"}


class StaffLoginHandler(FormLoginHandler):
    """GET and POST /auth/login, in place of the page that the service has there."""

    provider = "staff"

    def is_enabled(self) -> bool:
        """See FormLoginHandler."""
        return True

    async def prove(self, username: str) -> AssertedIdentity:
        """Return who this is; raises WrongPassword, or TooManyAttempts for who guesses."""
        guesses = {"login-address": address_key(self.remote_ip), "login-account": username}
        async with self.server.login_throttle.attempt(guesses):
            # Reading a file and hashing would hold up everybody else.
            person = await asyncio.to_thread(find, username, self.body_parameter("password"))
            if person is None:
                raise WrongPassword("There is nobody of this name with this password.")
        # What is asserted of somebody is theirs for good by this id: not by name or e-mail address.
        return AssertedIdentity(
            provider=self.provider, subject=person["id"], username=username, name=person["name"]
        )


def find(username: str, password: str) -> dict[str, str] | None:
    """Return the person; for who is not there it takes as long as for a wrong password."""
    staff = json.loads(Path(os.environ["STAFF_FILE"]).read_text(encoding="utf-8"))
    person: dict[str, str] = staff.get(username, NOBODY)
    salt, _, expected = person["password"].partition("$")
    return person if hmac.compare_digest(hashed(password, salt), expected) else None


def hashed(password: str, salt: str) -> str:
    """Return what is kept of a password."""
    return hashlib.scrypt(password.encode(), salt=salt.encode(), n=2**14, r=8, p=1).hex()


def entry(username: str, password: str) -> str:
    """Return a list with one person in it."""
    salt = secrets.token_hex(16)
    person = {
        "id": secrets.token_hex(8),
        "name": username.capitalize(),
        "password": f"{salt}${hashed(password, salt)}",
    }
    return json.dumps({username: person}, indent=2)


def main() -> None:
    """Run the service, with no other way in by password than the own page."""
    settings = load_settings({"TORNADO_AUTH_LOCAL_ACCOUNTS": "off", **os.environ})
    server = AuthServer(settings)
    own = [(r"/auth/login", StaffLoginHandler, {"server": server})]
    asyncio.run(run(make_app(server, own, own_templates={"login.html": PAGE}), server))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(entry(sys.argv[1], getpass.getpass()))
    else:
        main()
