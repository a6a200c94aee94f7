"""The base classes of the handlers; `base.py` has what all share."""

from tornado_auth.web.answers import (
    Headers,
    check_answer,
    check_body,
    denial,
    identity_headers,
    needed_permission,
    out_of_scope_answer,
    permission_names,
    signed_in_answer,
    signed_out_answer,
    verdict_headers,
)
from tornado_auth.web.api import APIHandler
from tornado_auth.web.base import (
    BaseHandler,
    Credential,
    InFlight,
    log_request,
    session_cookie_name,
)
from tornado_auth.web.errors import BadRequest, describe, status_of
from tornado_auth.web.headers import PASSING_HEADERS, safe_headers, set_passing_headers
from tornado_auth.web.page import NotFoundHandler, PageHandler, login_url
from tornado_auth.web.static import StaticHandler, load_files, load_templates

__all__ = [
    "PASSING_HEADERS",
    "APIHandler",
    "BadRequest",
    "BaseHandler",
    "Credential",
    "Headers",
    "InFlight",
    "NotFoundHandler",
    "PageHandler",
    "StaticHandler",
    "check_answer",
    "check_body",
    "denial",
    "describe",
    "identity_headers",
    "load_files",
    "load_templates",
    "log_request",
    "login_url",
    "needed_permission",
    "out_of_scope_answer",
    "permission_names",
    "safe_headers",
    "session_cookie_name",
    "set_passing_headers",
    "signed_in_answer",
    "signed_out_answer",
    "status_of",
    "verdict_headers",
]
