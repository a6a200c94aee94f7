"""`serve --processes`: workers that share a port, are replaced, and end together."""

import asyncio
import json
import os
import signal
import socket
import stat
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.flows.keep_alive import KeepAlive
from tests.flows.processes import Client, Cluster, MakeCluster, Process
from tests.mongod import wait_until

SLOW = """
import asyncio, pathlib

async def get_permissions(service, userid):
    pathlib.Path("asked").touch()
    await asyncio.sleep(1.5)
    return {"read": True}
"""
KEYS = b"GET /auth/public-key HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def made(cluster: MakeCluster, tmp_path: Path) -> Cluster:
    (tmp_path / "slow_permissions.py").write_text(SLOW)
    made = cluster(
        DATABASE_URL=f"sqlite:///{tmp_path}/store.db",
        ALLOWED_SERVICES="files:slow_permissions",
    )
    made.environ["PYTHONPATH"] += f":{tmp_path}"
    return made


async def off_loop(function, *arguments):
    return await asyncio.to_thread(function, *arguments)


async def ask_slowly(process: Process, client: Client, folder: Path) -> asyncio.Future:
    """Return a request that will be under way for a while."""
    token = await client.sign_in(process.url, "ann")
    url = f"{process.url}/auth/authorize?service=files"
    asked = asyncio.ensure_future(client.fetch(url, token=token))
    await off_loop(wait_until, (folder / "asked").exists, "nobody asks")
    return asked


def first_line_of(connection: socket.socket) -> bytes:
    with connection:
        connection.settimeout(10)
        connection.sendall(KEYS)
        return connection.recv(15)


class TestOneAddress:
    def test_each_worker_answers_on_the_port(self, made: Cluster) -> None:
        process = made.serve(2)
        workers = process.workers
        assert len(workers) == 2
        for paused in workers:
            os.kill(paused, signal.SIGSTOP)
            connection = socket.create_connection(("127.0.0.1", process.port))
            assert first_line_of(connection) == b"HTTP/1.1 200 OK"
            os.kill(paused, signal.SIGCONT)

    def test_and_on_a_unix_socket_that_goes_with_the_parent(
        self, made: Cluster, tmp_path: Path
    ) -> None:
        path = tmp_path / "auth.sock"
        process = made.serve(2, dev=False, TORNADO_AUTH_LISTEN=f"unix:{path}")
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        for paused in process.workers:
            os.kill(paused, signal.SIGSTOP)
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(path))
            assert first_line_of(connection) == b"HTTP/1.1 200 OK"
            os.kill(paused, signal.SIGCONT)
        assert process.stop() == 0
        assert not path.exists()
        assert os.listdir(made.environ["TMPDIR"]) == []


class TestDeath:
    async def test_of_a_killed_worker_only_what_it_was_answering_is_lost(
        self, made: Cluster
    ) -> None:
        process = await off_loop(made.serve, 2)
        before = process.workers
        clients = KeepAlive(process.port, KEYS, pauses=(0.0, 0.0, 0.01, 0.01, 0.05, 0.05))
        async with clients.running():
            await asyncio.sleep(0.3)
            os.kill(before[1], signal.SIGKILL)
            await off_loop(
                wait_until,
                lambda: (
                    process.metric("workers_started_total") == 3 and process.metric("workers") == 2
                ),
                "it is not replaced",
            )
            assert process.workers[0] == before[0]
            assert process.workers[1] != before[1]
            failed, answered = len(clients.failures), clients.answers.total()
            await asyncio.sleep(0.3)
        # A request was under way on each of its connections at most.
        assert failed <= len(clients.pauses)
        assert len(clients.failures) == failed
        assert clients.answers.total() > answered
        assert set(clients.answers) == {200}
        assert process.metric("workers_died_total") == 1
        assert "worker_died" in process.events()

    async def test_of_the_parent_ends_the_workers_after_what_is_under_way(
        self, made: Cluster, client: Client, tmp_path: Path
    ) -> None:
        process = await off_loop(made.serve, 2)
        asked = await ask_slowly(process, client, tmp_path)
        process.popen.kill()
        await off_loop(process.popen.wait, 10)
        assert json.loads((await asked).body)["permissions"] == {"read": True}
        await off_loop(wait_until, process.has_left_nothing, "workers stay without a parent")


class TestStop:
    async def test_all_finish_what_is_under_way(
        self, made: Cluster, client: Client, tmp_path: Path
    ) -> None:
        process = await off_loop(made.serve, 2)
        asked = await ask_slowly(process, client, tmp_path)
        process.popen.terminate()
        await asyncio.sleep(0.3)
        for port in (process.port, process.ops_port):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
        assert process.popen.poll() is None
        response = await asked
        assert json.loads(response.body)["permissions"] == {"read": True}
        assert response.headers["Connection"] == "close"
        assert await off_loop(process.popen.wait, 10) == 0
        assert process.has_left_nothing()
        assert "worker_died" not in process.events()

    @pytest.mark.long
    def test_the_keyboards_signal_reaches_all_and_harms_once(self, made: Cluster) -> None:
        process = made.serve(2)
        for _ in range(2):
            os.killpg(process.group, signal.SIGINT)
        assert process.popen.wait(10) == 0
        assert process.has_left_nothing()
        assert process.events().count("stopping") == 3
        assert "Traceback" not in process.log.read_text()


class TestStart:
    @pytest.mark.parametrize(
        ("variables", "status", "says"),
        [
            ({"INSTALLED_EXTENSIONS": "no_such_extension"}, 2, "INSTALLED_EXTENSIONS"),
            (
                {"DATABASE_URL": "mongodb://127.0.0.1:1/", "TORNADO_AUTH_STORAGE_TIMEOUT": "0.2"},
                1,
                "DATABASE_URL: the store does not answer: ",
            ),
        ],
    )
    def test_what_keeps_a_worker_from_starting_ends_the_command(
        self, made: Cluster, variables: dict[str, str], status: int, says: str
    ) -> None:
        process = made.launch(processes=3, dev=False, **variables)
        assert process.popen.wait(20) == status
        told = [line for line in process.log.read_text().splitlines() if not line.startswith("{")]
        assert says in "\n".join(told)
        assert len([line for line in told if says in line]) == 1
        assert "Traceback" not in "\n".join(told)
        assert process.has_left_nothing()


class TestOperators:
    def test_they_see_all_workers_at_one_port(self, made: Cluster) -> None:
        process = made.serve(2)
        assert said(process, "/health/live") == (200, {"status": "live", "workers": 2})
        workers = {"0": "ready", "1": "ready"}
        assert said(process, "/health/ready") == (200, {"status": "ready", "workers": workers})
        assert seen_workers(process) == {"0", "1"}

        os.kill(process.workers[1], signal.SIGSTOP)
        told = {"status": "not_ready", "workers": {"0": "ready", "1": "no_answer"}}
        assert said(process, "/health/ready") == (503, told)
        assert seen_workers(process) == {"0"}
        os.kill(process.workers[1], signal.SIGCONT)
        assert process.metric("worker_silences_total") == 2


def said(process: Process, path: str) -> tuple[int, object]:
    try:
        with urlopen(process.ops_url + path, timeout=10) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def seen_workers(process: Process) -> set[str]:
    with urlopen(f"{process.ops_url}/metrics", timeout=10) as response:
        text = response.read().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert text.count("# TYPE tornado_auth_checks_total ") == 1
    assert families["tornado_auth_workers"].samples[0].value == 2
    return {sample.labels["worker"] for sample in families["tornado_auth_logouts"].samples}
