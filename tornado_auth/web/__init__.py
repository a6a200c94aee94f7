"""The base classes of the handlers; `base.py` has what all share."""

from tornado_auth.web.answers import (
    Headers,
    denial,
    needed_permission,
    signed_in_answer,
    signed_out_answer,
    verdict_headers,
)
from tornado_auth.web.api import APIHandler
from tornado_auth.web.base import BaseHandler, InFlight, log_request, session_cookie_name
from tornado_auth.web.errors import BadRequest, describe, status_of
from tornado_auth.web.headers import safe_headers
from tornado_auth.web.page import NotFoundHandler, PageHandler, login_url
from tornado_auth.web.static import StaticHandler, load_files, load_templates

__all__ = [
    "APIHandler",
    "BadRequest",
    "BaseHandler",
    "Headers",
    "InFlight",
    "NotFoundHandler",
    "PageHandler",
    "StaticHandler",
    "denial",
    "describe",
    "load_files",
    "load_templates",
    "log_request",
    "login_url",
    "needed_permission",
    "safe_headers",
    "session_cookie_name",
    "signed_in_answer",
    "signed_out_answer",
    "status_of",
    "verdict_headers",
]
