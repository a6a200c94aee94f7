"""One parent and its workers: processes that share the listening sockets.

Owns the life of the workers: start, replacement, reload one by one, end. The parent binds and never
accepts; each worker is a fresh interpreter, so a reload loads new settings and new code. Never
knows what a worker serves: `cli/` says how one is started, and `ops.py` answers for all of them.
"""

from tornado_auth.supervisor.asking import WorkersAnswers
from tornado_auth.supervisor.lifeline import Lifeline
from tornado_auth.supervisor.metrics import SupervisorMetrics, merge
from tornado_auth.supervisor.pool import Supervisor
from tornado_auth.supervisor.workers import Launch, Worker

__all__ = [
    "Launch",
    "Lifeline",
    "Supervisor",
    "SupervisorMetrics",
    "Worker",
    "WorkersAnswers",
    "merge",
]
