"""The examples as they are started by hand: `python examples/<name>.py`, each a process.

examples   a fixture: `examples.start("embedded")` returns the address once it answers there, with
           keywords as environment variables. Every process ends with the test.
"""

import ctypes
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.flows.processes import ROOT, base_environ
from tests.issuer import private_pem
from tests.mongod import PR_SET_PDEATHSIG, wait_until
from tests.ports import free_port
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings

STOP_LIMIT = 20
PASSWORD = "wide wooden windmill"

_libc = ctypes.CDLL(None)


class Examples:
    """Everything that runs in one folder, with one store and at one address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"http://localhost:{self.port}"
        self.environ = base_environ(
            PRIVATE_KEY=private_pem("ES256"),
            TORNADO_AUTH_SIGNING_ALGORITHM="ES256",
            TORNADO_AUTH_LISTEN=f"127.0.0.1:{self.port}",
            EXTERNAL_ADDRESS=self.address,
            DATABASE_URL=f"sqlite:///{folder}/example.db",
        )
        self._running: list[subprocess.Popen[str]] = []

    def popen(self, name: str, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """Begin to run an example."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / f"{name}.py"), *arguments],
            env=self.environ | environ,
            cwd=self.folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        )

    def run(self, name: str, *arguments: str, input: str = "", **environ: str) -> str:
        """Run an example to its end and return what it printed."""
        with self.popen(name, *arguments, **environ) as process:
            output, errors = process.communicate(input, timeout=60)
        assert process.returncode == 0, errors
        return output

    def start(self, name: str, **environ: str) -> str:
        """Start an example and return its address; a PORT is where it listens."""
        process = self.popen(name, **environ)
        self._running.append(process)
        port = int(environ.get("PORT", self.port))

        def answers() -> bool:
            if process.poll() is not None:
                raise RuntimeError(process.communicate()[1])
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
            return False

        wait_until(answers, f"{name} does not answer")
        return f"http://localhost:{port}"

    def stop(self) -> list[int]:
        """Stop what runs and return the exit statuses."""
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        statuses = []
        for process in self._running:
            with process:
                _, errors = process.communicate(timeout=STOP_LIMIT)
            statuses.append(process.returncode)
            assert "Traceback" not in errors, errors
        self._running.clear()
        return statuses

    def kill(self) -> None:
        for process in self._running:
            with process:
                process.kill()

    async def prepare(self, *clients: dict[str, Any], **environ: str) -> list[tuple[str, str]]:
        """Put ann and clients into the store; returns their ids and secrets."""
        server = AuthServer(load_settings(self.environ | environ))
        await server.start()
        try:
            user = await server.accounts.create("ann")
            await server.local_accounts.set_password(user.id, PASSWORD)
            made = [
                await server.oauth2.clients.register(client, by_operator=True) for client in clients
            ]
        finally:
            await server.stop()
        return [(registered.client.id, registered.secret) for registered in made]


@pytest.fixture
def examples(tmp_path: Path) -> Iterator[Examples]:
    examples = Examples(tmp_path)
    yield examples
    examples.kill()
