"""`tornado-auth serve --processes`: the parent of the workers.

Owns what a worker is started with, and what a reload checks before the first worker goes. Never
opens the store and never loads a module of the operator: each worker does that itself.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tornado.httpserver import HTTPServer

from tornado_auth.app import make_workers_ops_app
from tornado_auth.cli.common import EXIT_SETTINGS, settings_problems
from tornado_auth.cli.listening import bound
from tornado_auth.errors import SettingsError
from tornado_auth.logs import configure_logging
from tornado_auth.settings import Settings, load_settings
from tornado_auth.supervisor import Launch, Supervisor

logger = logging.getLogger(__name__)

LISTEN = "TORNADO_AUTH_LISTEN"
OPS_LISTEN = "TORNADO_AUTH_OPS_LISTEN"


def supervise(settings: Settings, config: Path | None, *, processes: int) -> int:
    """Run workers until SIGTERM or SIGINT, and return the exit status; 0 is one per core."""
    with settings_problems():
        _check(settings)
    parent = _Parent(settings, config, _program())
    with (
        bound(LISTEN, settings.listen) as sockets,
        bound(OPS_LISTEN, settings.ops_listen) as ops_sockets,
        TemporaryDirectory(prefix="tornado_auth-") as folder,
    ):
        return asyncio.run(
            parent.run(processes or _cores(), sockets, ops_sockets, folder=Path(folder))
        )


@dataclass
class _Parent:
    """The command as it was called, with the settings that it began with."""

    settings: Settings
    config: Path | None
    program: list[str]

    async def run(
        self,
        size: int,
        sockets: list[socket.socket],
        ops_sockets: list[socket.socket],
        *,
        folder: Path,
    ) -> int:
        self._listening = [sock.fileno() for sock in sockets]
        supervisor = Supervisor(
            size, sockets, folder=folder, make_launch=self._launch, may_reload=self._may_reload
        )
        ops = HTTPServer(make_workers_ops_app(supervisor))
        ops.add_sockets(ops_sockets)

        def stop() -> None:
            ops.stop()
            supervisor.stop()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        loop.add_signal_handler(signal.SIGHUP, supervisor.reload)
        logger.info("starting", extra={"address": self.settings.listen, "processes": size})
        try:
            return await supervisor.run()
        finally:
            ops.stop()
            await ops.close_all_connections()

    # -- workers --------------------------------------------------------------------------------

    def _launch(self, lifeline: int, ops_path: Path) -> Launch:
        ops = f"unix:{ops_path}" if self.settings.ops_listen != "off" else "off"
        inherit = [f"--inherit={number}" for number in self._listening]
        # The addresses stay those that are bound, whatever a file says by now.
        bound_to = {LISTEN: self.settings.listen, OPS_LISTEN: self.settings.ops_listen}
        return Launch(
            self._command("serve", *inherit, f"--lifeline={lifeline}", f"--ops={ops}"),
            _with(os.environ, bound_to),
        )

    def _command(self, name: str, *options: str) -> list[str]:
        config = [f"--config={self.config}"] if self.config else []
        dev = ["--dev"] if self.settings.dev else []
        return [*self.program, *config, name, *dev, *options]

    # -- reloads --------------------------------------------------------------------------------

    async def _may_reload(self) -> bool:
        """Tell whether workers can start with the settings of now, and log what keeps them."""
        try:
            settings = await asyncio.to_thread(
                load_settings, os.environ, dev=self.settings.dev, config_file=self.config
            )
            _check(settings)
            await self._check_parts()
        except SettingsError as error:
            logger.error("settings_refused", extra={"problems": error.problems})
            return False
        except OSError:  # no process to check them in
            logger.exception("settings_not_checked")
            return False
        self._take(settings)
        return True

    async def _check_parts(self) -> None:
        """Build all parts in a process of its own, where modules are loaded anew."""
        process = await asyncio.create_subprocess_exec(
            *self._command("check-config"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        if process.returncode != 0:
            lines = errors.decode().splitlines()
            # Below a headline; of a traceback, the last line says what it is.
            problems = lines[1:] if process.returncode == EXIT_SETTINGS else lines[-1:]
            raise SettingsError([line.strip() for line in problems])

    def _take(self, settings: Settings) -> None:
        """Log as the new settings say, and tell what of them counts only after a restart."""
        configure_logging(settings.log_level, settings.log_format)
        for variable, bound_to, wanted in (
            (LISTEN, self.settings.listen, settings.listen),
            (OPS_LISTEN, self.settings.ops_listen, settings.ops_listen),
        ):
            if bound_to != wanted:
                told = {"setting": variable, "kept": bound_to, "remedy": "restart the service"}
                logger.warning("address_kept", extra=told)


def _check(settings: Settings) -> None:
    """Raise SettingsError for what only a process without workers can use."""
    if settings.database_url.startswith("memory:"):
        text = "memory:// is a store for one process. Use another with --processes."
        raise SettingsError([f"DATABASE_URL: {text}"])


def _with(environ: Mapping[str, str], set_here: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with other values, and without the files that would give them."""
    files = {f"{variable}_FILE" for variable in set_here}
    return {name: value for name, value in environ.items() if name not in files} | {**set_here}


def _program() -> list[str]:
    # `-m` lets modules of the working folder be found: only if they are found in this process, too.
    safe = [] if os.getcwd() in sys.path else ["-P"]
    return [sys.executable, *safe, "-m", "tornado_auth"]


def _cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
