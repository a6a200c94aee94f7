"""Real processes of the service: `python -m tornado_auth serve`, and other subcommands.

cluster   a fixture: `cluster(DATABASE_URL=...)` makes a Cluster, whose processes end with the test

Every process is in a session of its own, is waited for, and goes when pytest goes.
"""

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from tests.issuer import private_pem
from tests.mongod import PR_SET_PDEATHSIG, wait_until
from tests.ports import free_port
from tests.service import SECRET

ROOT = Path(__file__).parent.parent.parent
ISSUER = "http://localhost:8080"
STOP_LIMIT = 20

_libc = ctypes.CDLL(None)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def base_environ(**environ: str) -> dict[str, str]:
    """Return what every process gets, and nothing of the settings of whoever runs the tests."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PRIVATE_KEY": private_pem(),
        "TORNADO_AUTH_SECRET": SECRET,
        "EXTERNAL_ADDRESS": ISSUER,
        **environ,
    }


def popen(
    arguments: list[str], environ: dict[str, str], folder: Path, **options: Any
) -> "subprocess.Popen[str]":
    """Start `python -m tornado_auth` in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tornado_auth", *arguments],
        env=environ,
        cwd=folder,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        **options,
    )


class Process:
    """One `tornado-auth serve`; with `processes`, a parent and its workers."""

    def __init__(
        self, environ: dict[str, str], folder: Path, *, dev: bool, processes: int | None
    ) -> None:
        self.port, self.ops_port = free_port(), free_port()
        self.url = f"http://localhost:{self.port}"
        self.ops_url = f"http://localhost:{self.ops_port}"
        self.log = folder / f"serve-{self.port}.log"
        self.has_workers = processes is not None
        listen = {
            "TORNADO_AUTH_LISTEN": f"127.0.0.1:{self.port}",
            "TORNADO_AUTH_OPS_LISTEN": f"127.0.0.1:{self.ops_port}",
        }
        arguments = ["serve", "--dev"] if dev else ["serve"]
        if processes is not None:
            arguments.append(f"--processes={processes}")
        with self.log.open("w") as log:
            self.popen = popen(
                arguments,
                listen | environ,
                folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def group(self) -> int:
        return self.popen.pid

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers; none without `processes`."""
        return [int(pid) for pid in _children(self.popen.pid)]

    def wait_live(self) -> None:
        wait_until(self._is_live, f"the service does not answer, see {self.log}")

    def wait_ready(self) -> None:
        wait_until(self.is_ready, f"the service is not ready, see {self.log}")

    def kill(self) -> None:
        """End it, with its workers, as a power cut would."""
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        self.popen.wait(STOP_LIMIT)

    def logged(self) -> list[dict[str, Any]]:
        """Return what it has logged."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def events(self) -> list[str]:
        """Return what it has logged, by name."""
        return [line["event"] for line in self.logged()]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end and return its exit status."""
        self.popen.send_signal(number)
        return self.popen.wait(STOP_LIMIT)

    def has_left_nothing(self) -> bool:
        """Tell whether no process of its session is left."""
        try:
            os.killpg(self.group, 0)
        except ProcessLookupError:
            return True
        return False

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a counter; 0 if nothing was counted."""
        with urlopen(f"{self.ops_url}/metrics") as response:
            text = response.read().decode()
        shown = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        wanted = f"tornado_auth_{name}" + (f"{{{shown}}} " if shown else " ")
        lines = [line for line in text.splitlines() if line.startswith(wanted)]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0

    def is_ready(self) -> bool:
        """Tell whether it says that it can do its work."""
        return self._says("/health/ready")

    def _is_live(self) -> bool:
        if self.popen.poll() is not None:
            raise RuntimeError(f"it ended with {self.popen.returncode}:\n{self.log.read_text()}")
        return self._says("/health/live")

    def _says(self, path: str) -> bool:
        try:
            with urlopen(self.ops_url + path, timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False


@dataclass
class Cluster:
    """Processes on one store."""

    folder: Path
    environ: dict[str, str]
    processes: list[Process] = field(default_factory=list)

    def launch(self, *, dev: bool = True, processes: int | None = None, **environ: str) -> Process:
        """Begin to start a process."""
        process = Process(self.environ | environ, self.folder, dev=dev, processes=processes)
        self.processes.append(process)
        return process

    def start(self, number: int = 1, *, dev: bool = True, **environ: str) -> list[Process]:
        """Start processes, by default with the development login, and wait until they answer."""
        started = [self.launch(dev=dev, **environ) for _ in range(number)]
        for process in started:
            process.wait_live()
        return started

    def run(self, *arguments: str, input: str = "") -> "subprocess.CompletedProcess[str]":
        """Run another subcommand to its end."""
        process = popen(
            list(arguments),
            self.environ,
            self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            output, errors = process.communicate(input, timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def serve(self, processes: int, *, dev: bool = True, **environ: str) -> Process:
        """Start a parent with workers, and wait until all of them can work."""
        process = self.launch(dev=dev, processes=processes, **environ)
        process.wait_live()
        process.wait_ready()
        return process

    def end(self) -> None:
        for process in self.processes:
            if process.popen.poll() is None or process.has_workers:
                process.kill()


MakeCluster = Callable[..., Cluster]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[MakeCluster]:
    made: list[Cluster] = []
    # Not in `tmp_path`: the names of unix sockets have to be short.
    with TemporaryDirectory() as temporary:

        def make(**environ: str) -> Cluster:
            made.append(Cluster(tmp_path, base_environ(TMPDIR=temporary, **environ)))
            return made[-1]

        yield make
        for one in made:
            one.end()


class Client:
    """HTTP without a browser's habits: no redirect, no exception for a status."""

    def __init__(self) -> None:
        self._client = AsyncHTTPClient(force_instance=True, max_clients=200)

    async def fetch(
        self, url: str, *, token: str = "", form: dict[str, str] | None = None, **options: Any
    ) -> HTTPResponse:
        headers = {"auth-token": token} if token else {}
        if form is not None:
            options |= {"method": "POST", "body": urlencode(form)}
        return await self._client.fetch(
            url,
            headers=headers | options.pop("headers", {}),
            follow_redirects=False,
            raise_error=False,
            **options,
        )

    async def json(self, url: str, **arguments: Any) -> Any:
        return json.loads((await self.fetch(url, **arguments)).body)

    async def submit_dev_login(self, url: str, name: str) -> HTTPResponse:
        """Fill in the form of the development login and return what it answers."""
        page = await self.fetch(f"{url}/auth/login")
        found = re.search(r'name="_xsrf" value="([^"]+)"', page.body.decode())
        assert found, page.body.decode()
        cookies = SimpleCookie()
        for line in page.headers.get_list("Set-Cookie"):
            cookies.load(line)
        sent = "; ".join(f"{name}={morsel.coded_value}" for name, morsel in cookies.items())
        return await self.fetch(
            f"{url}/auth/login/dev",
            form={"_xsrf": found[1], "username": name, "next": ""},
            headers={"Cookie": sent},
        )

    async def sign_in(self, url: str, name: str) -> str:
        """Sign in by the development login and return the session token."""
        response = await self.submit_dev_login(url, name)
        assert response.code == 303, response.body.decode()
        cookies = SimpleCookie()
        for line in response.headers.get_list("Set-Cookie"):
            cookies.load(line)
        return cookies["tornado_auth"].value

    def close(self) -> None:
        self._client.close()


@pytest.fixture
async def client() -> Any:
    client = Client()
    yield client
    client.close()
