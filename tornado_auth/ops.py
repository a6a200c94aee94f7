"""What operators and their monitoring ask, on a port of its own.

Owns health and metrics, of one process and of a parent with its workers. Never served on the public
address.
"""

import json
import logging

from tornado.httpclient import HTTPResponse
from tornado.web import RequestHandler

from tornado_auth.errors import StorageUnavailable
from tornado_auth.server import AuthServer
from tornado_auth.supervisor import Supervisor, WorkersAnswers

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


# -- a parent with its workers ------------------------------------------------------------------


class WorkersHandler(RequestHandler):
    """A handler of the operators' port where there are workers."""

    def initialize(self, supervisor: Supervisor, answers: WorkersAnswers) -> None:
        """Take the supervisor from the route."""
        self.supervisor = supervisor
        self.answers = answers


class WorkersLiveHandler(WorkersHandler):
    """GET /health/live: does any worker run?"""

    def get(self) -> None:
        """Answer 200 while there is one, else 503."""
        running = len(self.supervisor.workers)
        self.set_status(200 if running else 503)
        self.finish({"status": "live" if running else "no_worker", "workers": running})


class WorkersReadyHandler(WorkersHandler):
    """GET /health/ready: can every worker do its work?"""

    async def get(self) -> None:
        """Answer 200 if all say so, else 503, with what each of them says."""
        answers = await self.answers.get("/health/ready")
        told = dict.fromkeys(range(self.supervisor.size), "not_running")
        told |= {number: _status(answer) for number, answer in answers.items()}
        all_ready = set(told.values()) == {"ready"}
        self.set_status(200 if all_ready else 503)
        status = "ready" if all_ready else "not_ready"
        self.finish({"status": status, "workers": told})


class WorkersMetricsHandler(WorkersHandler):
    """GET /metrics: the parent's counters, and those of all workers with the label `worker`."""

    async def get(self) -> None:
        """Answer with all workers that answer in time."""
        answers = await self.answers.get("/metrics")
        texts = {
            number: answer.body.decode()
            for number, answer in answers.items()
            if answer is not None and answer.code == 200
        }
        body, content_type = self.supervisor.metrics.render(texts)
        self.set_header("Content-Type", content_type)
        self.finish(body)


def _status(answer: HTTPResponse | None) -> str:
    return str(json.loads(answer.body)["status"]) if answer is not None else "no_answer"
