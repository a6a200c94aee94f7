"""The base classes of the handlers; `base.py` has what all share."""

from tornado_auth.web.api import APIHandler
from tornado_auth.web.base import BaseHandler, InFlight, log_request
from tornado_auth.web.errors import BadRequest, describe, status_of
from tornado_auth.web.page import NotFoundHandler, PageHandler, login_url
from tornado_auth.web.static import StaticHandler, load_files, load_templates

__all__ = [
    "APIHandler",
    "BadRequest",
    "BaseHandler",
    "InFlight",
    "NotFoundHandler",
    "PageHandler",
    "StaticHandler",
    "describe",
    "load_files",
    "load_templates",
    "log_request",
    "login_url",
    "status_of",
]
