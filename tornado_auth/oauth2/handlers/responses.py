"""How a person's browser is answered: sent on to the client, or shown what is wrong.

Owns the response modes `query` (RFC 6749 §4.1.2) and `form_post` (OAuth 2.0 Form Post Response
Mode), and the error page. Never decides what the client is told.
"""

import secrets
from typing import Any
from urllib.parse import urlsplit

from tornado_auth.oauth2.errors import OAuth2Error, PageError
from tornado_auth.oauth2.responses import FORM_POST, AuthorizationResponse
from tornado_auth.web import PageHandler


class OAuth2PageHandler(PageHandler):
    """A page at which clients send people to us."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Show an error of the protocol to the person, with what their client's makers need."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, OAuth2Error):
            super().write_error(status_code, **kwargs)
            return
        self.start_error(error.status, error)
        self.render(
            "oauth_error.html",
            code=error.code,
            parameter=error.parameter if isinstance(error, PageError) else "",
            description=error.description,
        )

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Leave what the protocol refuses to the access log."""
        if not isinstance(value, OAuth2Error):
            super().log_exception(typ, value, tb)


def write_response(handler: PageHandler, response: AuthorizationResponse) -> None:
    """Send the browser to the client: by a redirect, or by a form that sends itself.

    A redirect after a form is a 303, so that no browser sends the form on (RFC 9700 §4.12).
    """
    if response.mode == FORM_POST:
        _write_form(handler, response)
    else:
        is_form = handler.request.method == "POST"
        handler.redirect(response.location, status=303 if is_form else 302)


def _write_form(handler: PageHandler, response: AuthorizationResponse) -> None:
    nonce = secrets.token_urlsafe(16)
    # The client may send the browser on to where it likes: the policy names no host.
    handler.allow_form_to(response.scheme, script_nonce=nonce)
    handler.render(
        "form_post.html",
        action=response.redirect_uri,
        host=urlsplit(response.redirect_uri).hostname,
        fields=response.parameters,
        nonce=nonce,
    )
