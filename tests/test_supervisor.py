"""The parent of the workers, with small programs in their place."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

from tornado_auth.supervisor import Launch, Lifeline, Supervisor, WorkersAnswers, pool

BEGIN = "import os, signal, sys, time; lifeline = int(sys.argv[1]);"
LISTEN = "os.write(lifeline, b'r');"
END_WHEN_TOLD = BEGIN + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0));"
GOOD = END_WHEN_TOLD + LISTEN + "signal.pause()"
SLOW = END_WHEN_TOLD + "time.sleep(0.4);" + LISTEN + "signal.pause()"
DIES = BEGIN + LISTEN
FAILS = BEGIN + "sys.exit(7)"
IS_KILLED = BEGIN + "os.kill(os.getpid(), signal.SIGKILL)"
GIVES_UP = BEGIN + "sys.exit(0)"
DEAF = BEGIN + "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
HANGS = DEAF + "time.sleep(60)"
NEVER_ENDS = DEAF + LISTEN + "time.sleep(60)"


async def until(condition: Callable[[], object]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError(condition)


class Parent:
    """A supervisor that is told which program each of its workers is, and notes when."""

    def __init__(self, folder: Path, size: int, programs: tuple[str, ...]) -> None:
        self.programs = list(programs)
        self.launched: list[float] = []
        self.may_reload: list[bool] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.supervisor = Supervisor(
            size,
            [self.listening],
            folder=folder,
            make_launch=self._launch,
            may_reload=self._may_reload,
        )
        self.running = asyncio.ensure_future(self.supervisor.run())

    def _launch(self, lifeline: int, ops_path: Path) -> Launch:
        self.launched.append(time.monotonic())
        program = self.programs.pop(0) if self.programs else GOOD
        python = "/nowhere/python" if program == "" else sys.executable
        return Launch([python, "-ISEc", program, str(lifeline)], {"WHERE": str(ops_path)})

    async def _may_reload(self) -> bool:
        return True if self.may_reload == [] else self.may_reload.pop(0)

    def pids(self) -> list[int]:
        return [worker.pid for _, worker in sorted(self.supervisor.workers.items())]

    async def all_listen(self) -> list[int]:
        await until(lambda: len(self.pids()) == self.supervisor.size)
        return self.pids()

    async def reloads(self, result: str, *, times: int = 1) -> None:
        await until(lambda: self.counted("reloads_total", result=result) == times)

    def counted(self, name: str, **labels: str) -> float | None:
        return self.supervisor.metrics.registry.get_sample_value(f"tornado_auth_{name}", labels)

    async def stop(self) -> int:
        self.supervisor.stop()
        return await self.running


MakeParent = Callable[..., Parent]


@pytest.fixture
async def make_parent(tmp_path: Path) -> AsyncIterator[MakeParent]:
    parents: list[Parent] = []

    def make(size: int, *programs: str) -> Parent:
        parents.append(Parent(tmp_path, size, programs))
        return parents[-1]

    yield make
    for parent in parents:
        await parent.stop()


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestLife:
    async def test_all_start_and_all_end(self, make_parent: MakeParent) -> None:
        parent = make_parent(3)
        pids = await parent.all_listen()
        assert len(set(pids)) == 3
        assert parent.counted("workers") == 3
        with socket.create_connection(("127.0.0.1", parent.port)):
            assert await parent.stop() == 0
        assert not any(exists(pid) for pid in pids)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", parent.port))

    async def test_each_has_a_socket_for_operators_of_its_own(
        self, make_parent: MakeParent, tmp_path: Path
    ) -> None:
        parent = make_parent(2)
        pids = await parent.all_listen()
        given = {_read(pid, "environ") for pid in pids}
        names = [worker.name for worker in parent.supervisor.workers.values()]
        assert given == {f"WHERE={tmp_path}/{name}.sock\0".encode() for name in names}
        assert len(given) == 2

    async def test_signals_of_the_terminal_are_for_the_parent(
        self, make_parent: MakeParent
    ) -> None:
        parent = make_parent(1)
        (pid,) = await parent.all_listen()
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGHUP)
        await asyncio.sleep(0.1)
        assert parent.pids() == [pid]
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())

    @pytest.mark.parametrize(
        ("program", "status"), [(FAILS, 7), (IS_KILLED, 1), (GIVES_UP, 1), ("", 1)]
    )
    async def test_the_first_that_cannot_start_ends_the_command(
        self, make_parent: MakeParent, program: str, status: int
    ) -> None:
        parent = make_parent(3, program)
        assert await parent.running == status
        assert len(parent.launched) == 1

    async def test_a_later_one_that_cannot_start_ends_all(self, make_parent: MakeParent) -> None:
        parent = make_parent(3, GOOD, FAILS)
        await until(parent.pids)
        pids = parent.pids()
        assert await parent.running == 7
        assert not any(exists(pid) for pid in pids)

    async def test_one_that_never_listens_is_killed(
        self, make_parent: MakeParent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "START_WITHIN", 0.3)
        assert await make_parent(1, HANGS).running == 1

    async def test_stop_while_the_first_starts(self, make_parent: MakeParent) -> None:
        parent = make_parent(2, SLOW)
        await until(lambda: parent.counted("workers_started_total"))
        assert await parent.stop() == 0
        assert len(parent.launched) == 1

    async def test_stop_before_anything_started(self, make_parent: MakeParent) -> None:
        parent = make_parent(2)
        await asyncio.sleep(0)
        assert await parent.stop() == 0

    async def test_one_that_does_not_end_is_killed(
        self, make_parent: MakeParent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "STOP_WITHIN", 0.3)
        parent = make_parent(2, NEVER_ENDS)
        pids = await parent.all_listen()
        assert await parent.stop() == 0
        assert not any(exists(pid) for pid in pids)


class TestReplacing:
    async def test_one_that_dies_is_replaced_at_once(self, make_parent: MakeParent) -> None:
        parent = make_parent(2)
        first, second = await parent.all_listen()
        os.kill(second, signal.SIGKILL)
        await until(lambda: parent.pids()[1:] not in ([], [second]))
        assert parent.pids()[0] == first
        assert parent.counted("workers_died_total") == 1
        assert parent.counted("workers_started_total") == 3

    async def test_one_that_keeps_dying_is_replaced_after_longer_and_longer_pauses(
        self, make_parent: MakeParent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "LONGEST_PAUSE", 0.4)
        # In whatever way: ready and dead, dead before, not there at all.
        parent = make_parent(1, DIES, DIES, FAILS, "", DIES)
        await until(lambda: len(parent.launched) == 6)
        gaps = [after - before for before, after in zip(parent.launched, parent.launched[1:])]  # noqa: B905 - one is shorter
        assert gaps[1] > 0.1
        assert gaps[2] > 0.2
        assert 0.4 < gaps[3] < 0.8
        assert 0.4 < gaps[4] < 0.8
        await parent.all_listen()

    async def test_a_death_after_a_long_life_is_the_first_again(
        self, make_parent: MakeParent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "FIRST_PAUSE", 30)
        monkeypatch.setattr(pool, "LONGEST_PAUSE", 30)
        parent = make_parent(1, DIES)
        await until(lambda: len(parent.launched) == 2)
        (pid,) = await parent.all_listen()
        monkeypatch.setattr(pool, "STEADY_AFTER", 0)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: len(parent.launched) == 3)

    async def test_stop_in_a_pause(
        self, make_parent: MakeParent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "FIRST_PAUSE", 30)
        monkeypatch.setattr(pool, "LONGEST_PAUSE", 30)
        parent = make_parent(1, DIES, DIES)
        await until(lambda: parent.counted("workers_died_total") == 2)
        assert await parent.stop() == 0


class TestReload:
    async def test_each_is_replaced_by_one_that_listens(self, make_parent: MakeParent) -> None:
        parent = make_parent(2)
        before = await parent.all_listen()
        parent.supervisor.reload()
        fewest = 2
        while not parent.counted("reloads_total", result="done"):
            fewest = min(fewest, len(parent.pids()))
            await asyncio.sleep(0.001)
        assert fewest == 2
        assert not set(before) & set(parent.pids())
        assert not any(exists(pid) for pid in before)
        assert parent.counted("workers_died_total") == 0

    async def test_with_bad_settings_nothing_changes(self, make_parent: MakeParent) -> None:
        parent = make_parent(2)
        before = await parent.all_listen()
        parent.may_reload = [False]
        parent.supervisor.reload()
        await parent.reloads("refused")
        assert parent.pids() == before
        assert len(parent.launched) == 2

    @pytest.mark.parametrize("program", [FAILS, ""])
    async def test_the_old_ones_stay_if_a_new_one_fails(
        self, make_parent: MakeParent, program: str
    ) -> None:
        parent = make_parent(2)
        before = await parent.all_listen()
        parent.programs = [program]
        parent.supervisor.reload()
        await parent.reloads("failed")
        assert parent.pids() == before
        parent.supervisor.reload()
        await parent.reloads("done")
        assert not set(before) & set(parent.pids())

    async def test_one_that_is_wanted_meanwhile_comes_after_it(
        self, make_parent: MakeParent
    ) -> None:
        parent = make_parent(1)
        await parent.all_listen()
        parent.supervisor.reload()
        await until(lambda: len(parent.launched) == 2)
        parent.supervisor.reload()
        parent.supervisor.reload()
        await parent.reloads("done", times=2)
        await asyncio.sleep(0.1)
        assert len(parent.launched) == 3

    async def test_a_death_meanwhile_is_not_made_good_twice(self, make_parent: MakeParent) -> None:
        parent = make_parent(1)
        (pid,) = await parent.all_listen()
        parent.programs = [SLOW]
        parent.supervisor.reload()
        await until(lambda: len(parent.launched) == 2)
        os.kill(pid, signal.SIGKILL)
        await parent.reloads("done")
        await until(lambda: parent.counted("workers_died_total") == 1)
        await asyncio.sleep(0.1)
        assert len(parent.launched) == 2
        assert len(parent.pids()) == 1

    async def test_it_fills_a_place_that_waits_for_a_worker(
        self, make_parent: MakeParent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "FIRST_PAUSE", 30)
        monkeypatch.setattr(pool, "LONGEST_PAUSE", 30)
        parent = make_parent(1, DIES, DIES)
        await until(lambda: parent.counted("workers_died_total") == 2)
        parent.supervisor.reload()
        await parent.reloads("done")
        assert len(parent.pids()) == 1

    async def test_a_mistake_of_ours_does_not_end_the_workers(
        self, make_parent: MakeParent, caplog: pytest.LogCaptureFixture
    ) -> None:
        parent = make_parent(1)
        before = await parent.all_listen()
        parent.may_reload = None  # type: ignore[assignment]
        with caplog.at_level("ERROR"):
            parent.supervisor.reload()
            await until(lambda: "supervisor_failed" in caplog.messages)
        assert parent.pids() == before

    async def test_stop_meanwhile_leaves_nothing(self, make_parent: MakeParent) -> None:
        parent = make_parent(2)
        before = await parent.all_listen()
        parent.programs = [SLOW]
        parent.supervisor.reload()
        await until(lambda: parent.counted("workers_started_total") == 3)
        assert await parent.stop() == 0
        assert not any(exists(pid) for pid in before)
        children = [int(pid) for pid in _read(os.getpid(), f"task/{os.getpid()}/children").split()]
        assert not [pid for pid in children if b"lifeline" in _read(pid, "cmdline")]


def _read(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


class TestAsking:
    async def test_workers_are_asked_on_their_sockets(self, make_parent: MakeParent) -> None:
        parent = make_parent(2)
        await parent.all_listen()
        second = parent.supervisor.workers[1]
        server = HTTPServer(Application([(r"/health/ready", Ready)]))
        server.add_socket(bind_unix_socket(str(parent.supervisor.ops_path(second.name))))
        answers = await WorkersAnswers(parent.supervisor).get("/health/ready")
        server.stop()
        await server.close_all_connections()
        # Nobody listens on the socket of the first one.
        assert answers[0] is None
        assert answers[1] is not None
        assert answers[1].body == b"yes"
        assert parent.counted("worker_silences_total") == 1


class Ready(RequestHandler):
    def get(self) -> None:
        self.finish("yes")


class TestLifeline:
    async def test_the_end_of_the_parent_is_noticed(self) -> None:
        ours, theirs = socket.socketpair()
        lifeline, lost = Lifeline(theirs.detach()), asyncio.Event()
        lifeline.when_lost(lost)
        lifeline.tell_ready()
        assert ours.recv(2) == b"r"
        await asyncio.sleep(0.02)
        assert not lost.is_set()
        ours.close()
        await asyncio.wait_for(lost.wait(), 5)
        lifeline.tell_ready()

    def test_no_child_of_the_worker_keeps_it(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.set_inheritable(True)
            Lifeline(theirs.fileno())
            assert not theirs.get_inheritable()
