"""The processes of a run: started, pinned to CPUs, watched and stopped.

Everything that is started here listens on loopback, writes into a scratch folder, and ends with
the run, however that ends. Never ends a process that it did not start.
"""

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_LIMIT = 60.0
STOP_LIMIT = 10.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
PR_SET_PDEATHSIG = 1

CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU = frozenset(CPUS[:1])
CLIENT_CPU = frozenset(CPUS[1:2] or CPUS[:1])
EVERY_CPU = frozenset(CPUS)

_libc = ctypes.CDLL(None)


class Failed(Exception):
    """A case cannot be run, or its answers are wrong: its figures would mean nothing."""


class Process:
    """A server with the processes that it starts itself."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        environ: Mapping[str, str] | None = None,
        cpus: frozenset[int] = EVERY_CPU,
    ) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=plain_environ() | dict(environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: _prepare(cpus),
            )

    @property
    def pid(self) -> int:
        """Its number; that of the parent, where there are several."""
        return self._process.pid

    def require_alive(self) -> None:
        """Raise Failed, with the end of the log, if it has ended."""
        if self._process.poll() is not None:
            raise Failed(f"{self.name} ended with {self._process.returncode}:\n{self.log_end()}")

    def wait(self) -> None:
        """Wait for the end of what is no server; raises Failed if it went wrong."""
        if self._process.wait(START_LIMIT):
            self.require_alive()

    def log_end(self) -> str:
        """Return the last lines that it wrote."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def cpu_seconds(self) -> float:
        """Return the user and system time that it and its children took so far."""
        return sum(_cpu_ticks(pid) for pid in _family(self.pid)) / TICKS

    def resident(self) -> int:
        """Return the bytes of memory that it and its children hold."""
        return sum(_resident_pages(pid) for pid in _family(self.pid)) * PAGE_SIZE

    def stop(self) -> None:
        """End it and whatever it started."""
        family = _family(self.pid)
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_LIMIT)
        for pid in family:
            if _session_of(pid) == self.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()


def plain_environ() -> dict[str, str]:
    """Return the variables that every process gets: none that would change what is measured."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def find(name: str) -> str:
    """Return the path of a program; raises Failed if it is not installed."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        raise Failed(f"{name} is not installed")
    return path


def raise_open_files_limit() -> int:
    """Let this process and its children open as many files as the system permits."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder that goes when the block ends."""
    base = ROOT / ".bench"
    base.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(process: Process, address: str) -> None:
    """Return when a server takes connections at `host:port` or `unix:/path`."""
    end = time.monotonic() + START_LIMIT
    while time.monotonic() < end:
        process.require_alive()
        with contextlib.suppress(OSError):
            connect(address, timeout=1.0).close()
            return
        time.sleep(0.05)
    raise Failed(f"{process.name} does not listen on {address}:\n{process.log_end()}")


def connect(address: str, *, timeout: float) -> socket.socket:
    """Connect to `host:port` or `unix:/path`."""
    if address.startswith("unix:"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(address.removeprefix("unix:"))
        return connection
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout)


def _prepare(cpus: frozenset[int]) -> None:
    # Between fork and exec: should the run be killed, its servers end, too.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.sched_setaffinity(0, cpus)


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has just ended
        return []
    return text.rpartition(")")[2].split()


def _session_of(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[3]) if fields else 0


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, task.read_text().split())
    return found


def _cpu_ticks(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def _resident_pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
