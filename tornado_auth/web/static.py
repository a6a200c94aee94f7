"""The files that the pages are made with.

Owns their headers and errors. Never serves anything that is not part of the package.
"""

from http import HTTPStatus
from typing import Any

from tornado.web import StaticFileHandler

from tornado_auth.web.headers import set_safe_headers


class StaticHandler(StaticFileHandler):
    """GET /auth/static/<name>: a style sheet or picture."""

    SUPPORTED_METHODS = ("GET", "HEAD")

    def set_default_headers(self) -> None:
        """Set what every answer carries."""
        set_safe_headers(self)

    def set_extra_headers(self, path: str) -> None:
        """Let browsers and proxies keep the file for a while: it is the same for everybody."""
        self.set_header("Cache-Control", "public, max-age=300")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log nothing: the access log has the request, without its query."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error in two words."""
        if status_code == 405:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(HTTPStatus(status_code).phrase)
