"""`tornado-auth serve`: listens where it is told, drops no request at its end, leaves nothing."""

import asyncio
import gc
import http.client
import json
import os
import signal
import socket
import stat
import threading
import time
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.cli.conftest import CLI
from tests.flows.processes import Client, MakeCluster
from tests.mongod import wait_until
from tests.ports import free_port

SLOW = """
import asyncio, pathlib

async def get_permissions(service, userid):
    pathlib.Path("asked").touch()
    await asyncio.sleep(1)
    return {"read": True}
"""


def refuses(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) != 0


class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_a_request_under_way_is_answered(
        self, cluster: MakeCluster, client: Client, tmp_path: Path, number: signal.Signals
    ) -> None:
        (tmp_path / "slow_permissions.py").write_text(SLOW)
        made = cluster(
            DATABASE_URL=f"sqlite:///{tmp_path}/store.db", ALLOWED_SERVICES="files:slow_permissions"
        )
        made.environ["PYTHONPATH"] += f":{tmp_path}"
        (process,) = made.start()
        token = await client.sign_in(process.url, "ann")
        slow = asyncio.ensure_future(
            client.fetch(f"{process.url}/auth/authorize?service=files", token=token)
        )
        for _ in range(200):
            if (tmp_path / "asked").exists():
                break
            await asyncio.sleep(0.02)
        process.popen.send_signal(number)
        await asyncio.sleep(0.3)
        assert refuses(process.port)
        assert refuses(process.ops_port)
        assert process.popen.poll() is None
        response = await slow
        assert response.code == 200
        assert json.loads(response.body)["permissions"] == {"read": True}
        assert await asyncio.to_thread(process.popen.wait, 10) == 0
        assert process.has_left_nothing()
        assert response.headers["Connection"] == "close"
        assert process.events()[-2:] == ["stopping", "request"]
        assert "Traceback" not in process.log.read_text()

    def test_connections_that_ask_nothing_do_not_hold_it_up(self, cluster: MakeCluster) -> None:
        (process,) = cluster(DATABASE_URL="memory://").start()
        kept = http.client.HTTPConnection("127.0.0.1", process.port)
        kept.request("GET", "/auth/public-key")
        kept.getresponse().read()
        idle = socket.create_connection(("127.0.0.1", process.port))
        began = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - began < 5
        kept.close()
        idle.close()

    def test_a_kept_connection_is_told_that_it_closes(self, cluster: MakeCluster) -> None:
        (process,) = cluster(DATABASE_URL="memory://").start()
        kept = {
            path: http.client.HTTPConnection("127.0.0.1", process.port)
            for path in ("/auth/public-key", "/auth/check", "/auth/nowhere")
        }
        for path, connection in kept.items():
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.headers["Connection"] is None
            response.read()
        process.popen.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(process.port), "it goes on listening")
        for path, connection in kept.items():
            other_end = connection.sock.dup()
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.headers["Connection"] == "close"
            response.read()
            with other_end:
                assert other_end.recv(1) == b""
            connection.close()
        assert process.popen.wait(10) == 0


class TestListening:
    # Tornado leaves a socket that it could not bind to the garbage collector.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_a_port_in_use_is_told_in_a_sentence(self, cli: CLI) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for variable in ("TORNADO_AUTH_LISTEN", "TORNADO_AUTH_OPS_LISTEN"):
                free = {
                    "TORNADO_AUTH_LISTEN": f"127.0.0.1:{free_port()}",
                    "TORNADO_AUTH_OPS_LISTEN": f"127.0.0.1:{free_port()}",
                }
                result = cli("serve", **free | {variable: address})
                assert result.exit_code == 1
                assert result.stderr.startswith(f"{variable}: cannot listen on {address}: ")
                assert "in use" in result.stderr
                assert result.stderr.count("\n") == 1
                del result
                gc.collect()

    def test_a_unix_socket_is_for_the_group_and_replaces_a_stale_one(
        self, cluster: MakeCluster, tmp_path: Path
    ) -> None:
        path = tmp_path / "auth.sock"
        made = cluster(DATABASE_URL="memory://", TORNADO_AUTH_LISTEN=f"unix:{path}")
        for _ in range(2):
            (process,) = made.start(dev=False)
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(b"GET /auth/public-key HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(12) == b"HTTP/1.1 200"
            process.kill()
            assert path.exists()

    def test_a_unix_socket_goes_with_its_process(
        self, cluster: MakeCluster, tmp_path: Path
    ) -> None:
        path = tmp_path / "auth.sock"
        made = cluster(DATABASE_URL="memory://", TORNADO_AUTH_LISTEN=f"unix:{path}")
        first, second = (made.start(dev=False)[0] for _ in range(2))
        inode = path.stat().st_ino
        assert first.stop() == 0
        assert path.stat().st_ino == inode  # which is the second's
        assert second.stop() == 0
        assert not path.exists()

    def test_a_file_in_the_way_stays(self, cluster: MakeCluster, tmp_path: Path) -> None:
        path = tmp_path / "precious"
        path.touch()
        result = cluster(TORNADO_AUTH_LISTEN=f"unix:{path}").run("serve")
        assert result.returncode == 1
        assert result.stderr.startswith(f"TORNADO_AUTH_LISTEN: cannot listen on unix:{path}: ")
        assert "Traceback" not in result.stderr
        assert path.exists()

    # D28 S103
    @pytest.mark.parametrize("variable", ["TORNADO_AUTH_LISTEN", "TORNADO_AUTH_OPS_LISTEN"])
    def test_the_development_login_never_listens_to_others(self, cli: CLI, variable: str) -> None:
        result = cli("serve", "--dev", **{variable: "0.0.0.0:8080"})
        assert result.exit_code == 2
        assert variable in result.stderr


class TestStart:
    def test_it_serves_and_ends_with_status_0(self, cli: CLI, tmp_path: Path) -> None:
        """In this process: its handlers of signals are there before it answers."""
        port, ops_port = free_port(), free_port()
        seen: list[int] = []

        def ask_and_end() -> None:
            wait_until(lambda: not refuses(ops_port), "it does not listen")
            for address in (f"{port}/auth/public-key", f"{ops_port}/health/ready"):
                with urlopen(f"http://127.0.0.1:{address}", timeout=10) as response:
                    seen.append(response.status)
            os.kill(os.getpid(), signal.SIGTERM)

        asking = threading.Thread(target=ask_and_end)
        asking.start()
        result = cli(
            "serve",
            TORNADO_AUTH_LISTEN=f"127.0.0.1:{port}",
            TORNADO_AUTH_OPS_LISTEN=f"127.0.0.1:{ops_port}",
        )
        asking.join(30)
        assert result.exit_code == 0, result.output
        assert seen == [200, 200]
        assert refuses(port)

    def test_with_workers_it_serves_reloads_and_ends_with_status_0(
        self, cli: CLI, tmp_path: Path
    ) -> None:
        """The parent is in this process."""
        port, ops_port = free_port(), free_port()
        ops_url = f"http://127.0.0.1:{ops_port}"
        settings = tmp_path / "settings.toml"
        settings.touch()
        seen: list[str] = []

        def answers(path: str, words: str = "") -> bool:
            try:
                with urlopen(ops_url + path, timeout=10) as response:
                    seen.append(path)
                    return words in response.read().decode()
            except OSError:
                return False

        def ask_and_end() -> None:
            try:
                wait_until(lambda: answers("/health/ready"), "it is not ready")
                assert answers("/health/live", '"workers": 1')
                for text, result in (("no_such = 1", "refused"), ("", "done")):
                    settings.write_text(text)
                    os.kill(os.getpid(), signal.SIGHUP)
                    counted = f'tornado_auth_reloads_total{{result="{result}"}} 1.0'
                    wait_until(partial(answers, "/metrics", counted), f"it is not {result}")
            finally:
                if not refuses(port):
                    os.kill(os.getpid(), signal.SIGTERM)

        asking = threading.Thread(target=ask_and_end)
        asking.start()
        result = cli(
            f"--config={settings}",
            "serve",
            "--processes=1",
            TORNADO_AUTH_LISTEN=f"127.0.0.1:{port}",
            TORNADO_AUTH_OPS_LISTEN=f"127.0.0.1:{ops_port}",
        )
        asking.join(30)
        assert result.exit_code == 0, result.output
        assert set(seen) == {"/health/ready", "/health/live", "/metrics"}
        assert refuses(port)
        assert refuses(ops_port)

    def test_workers_cannot_share_what_is_in_the_memory_of_one(self, cli: CLI) -> None:
        result = cli("serve", "--processes=0", DATABASE_URL="memory://")
        assert result.exit_code == 2
        assert "DATABASE_URL: memory:// is a store for one process." in result.stderr

    @pytest.mark.parametrize("number", ["-1", "1025", "many"])
    def test_a_number_of_workers_that_cannot_be(self, cli: CLI, number: str) -> None:
        result = cli("serve", f"--processes={number}")
        assert result.exit_code == 2
        assert "--processes" in result.stderr

    @pytest.mark.parametrize("processes", [None, 1])
    def test_without_an_operators_port_there_is_none(
        self, cluster: MakeCluster, tmp_path: Path, processes: int | None
    ) -> None:
        port = free_port()
        made = cluster(
            DATABASE_URL=f"sqlite:///{tmp_path}/store.db",
            TORNADO_AUTH_LISTEN=f"127.0.0.1:{port}",
            TORNADO_AUTH_OPS_LISTEN="off",
        )
        process = made.launch(processes=processes)
        wait_until(lambda: not refuses(port), "it does not listen")
        with urlopen(f"http://127.0.0.1:{port}/auth/public-key", timeout=10) as response:
            assert response.status == 200
        assert process.stop() == 0

    # S140
    def test_a_store_that_does_not_answer_is_told_in_a_sentence(self, cli: CLI) -> None:
        result = cli(
            "serve",
            TORNADO_AUTH_LISTEN=f"127.0.0.1:{free_port()}",
            TORNADO_AUTH_OPS_LISTEN="off",
            TORNADO_AUTH_STORAGE_TIMEOUT="0.2",
            DATABASE_URL="mongodb://user:sesame@127.0.0.1:1/auth",
        )
        assert result.exit_code == 1
        assert result.stderr.startswith("DATABASE_URL: the store does not answer: MongoDB: ")
        assert "sesame" not in result.output

    def test_a_store_that_cannot_be_is_told_like_any_setting(self, cli: CLI) -> None:
        listen = {
            "TORNADO_AUTH_LISTEN": f"127.0.0.1:{free_port()}",
            "TORNADO_AUTH_OPS_LISTEN": "off",
        }
        for url in ("mongodb://a:b:c/", "sqlite:///nowhere/store.db"):
            result = cli("serve", DATABASE_URL=url, **listen)
            assert result.exit_code == 2
            assert "DATABASE_URL" in result.stderr

    # D29
    def test_without_a_key_it_does_not_start(self, cli: CLI) -> None:
        result = cli("serve", PRIVATE_KEY="")
        assert result.exit_code == 2
        assert "PRIVATE_KEY" in result.stderr

    def test_mistakes_that_only_the_parts_see_keep_it_from_starting_too(self, cli: CLI) -> None:
        result = cli("serve", INSTALLED_EXTENSIONS="no_such_extension")
        assert result.exit_code == 2
        assert "INSTALLED_EXTENSIONS" in result.stderr
