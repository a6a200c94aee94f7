"""What operators and their monitoring ask, on a port of its own.

Owns health and metrics. Never served on the public address.
"""

import logging

from tornado.web import RequestHandler

from tornado_auth.errors import StorageUnavailable
from tornado_auth.server import AuthServer

logger = logging.getLogger(__name__)


class OpsHandler(RequestHandler):
    """A handler of the operators' port."""

    def initialize(self, server: AuthServer) -> None:
        """Take the server from the route."""
        self.server = server


class LiveHandler(OpsHandler):
    """GET /health/live: does the process answer at all?"""

    def get(self) -> None:
        """Answer 200: a loop that hangs answers nothing."""
        self.finish({"status": "live"})


class ReadyHandler(OpsHandler):
    """GET /health/ready: can it do its work?"""

    async def get(self) -> None:
        """Answer 200 if the store answers, 503 if not."""
        try:
            await self.server.storage.ping()
        except StorageUnavailable:
            self.server.metrics.storage_errors.inc()
            logger.warning("storage_unavailable")
            self.set_status(503)
            self.finish({"status": "storage_unavailable"})
        else:
            self.finish({"status": "ready"})


class MetricsHandler(OpsHandler):
    """GET /metrics: counters in Prometheus' text format."""

    def get(self) -> None:
        """Answer with everything that `docs/metrics.md` lists."""
        body, content_type = self.server.metrics.render()
        self.set_header("Content-Type", content_type)
        self.finish(body)
