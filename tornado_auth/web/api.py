"""What the JSON endpoints share: the form of answers and errors, and other origins' access."""

import json
from collections.abc import Mapping
from typing import Any

from tornado_auth.web.base import BaseHandler
from tornado_auth.web.errors import describe


class APIHandler(BaseHandler):
    """A handler that speaks JSON, and to other origins only when they are listed."""

    via = "api"

    def write_json(self, answer: Mapping[str, object]) -> None:
        """Finish with a JSON object; no other form, whatever the caller asks for."""
        self.finish_json(json.dumps(answer, separators=(",", ":")))

    def finish_json(self, body: str | bytes) -> None:
        """Finish with an object that is JSON already."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(body)

    async def prepare(self) -> None:
        """Refuse what no endpoint takes."""
        self.allow_listed_origin()
        await super().prepare()

    def allow_listed_origin(self) -> None:
        """Add what a listed origin's script needs to read the answer; never with credentials."""
        origin = self.request.headers.get("Origin", "")
        self.set_header("Vary", "Origin")
        if origin in self.server.settings.cors_origins:
            self.set_header("Access-Control-Allow-Origin", origin)
            self.set_header("Access-Control-Allow-Headers", "Authorization, auth-token")
            self.set_header("Access-Control-Allow-Methods", ", ".join(self.methods()))

    def check_xsrf_cookie(self) -> None:
        """Ask for the XSRF token only where a cookie is at work."""
        if self.credential() is not None:
            super().check_xsrf_cookie()

    def options(self, *_: str) -> None:
        """Answer a preflight (Fetch §3.2)."""
        self.set_header("Allow", ", ".join(self.methods()))
        self.set_status(204)
        self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error as JSON: `error` is for programs, `error_description` for people."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        status, reason, message = describe(status_code, error)
        self.start_error(status, error)
        self.allow_listed_origin()
        self.write_json({"error": reason, "error_description": message})
