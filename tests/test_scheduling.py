"""Whose turn it is: what this process asks of its loop, and of the system's scheduler."""

import asyncio
import json
import os
import platform
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from tornado_auth import scheduling
from tornado_auth.scheduling import NICENESS, SLICE, give_way, threads_beside_loop

# Prints what the scheduler knows of a thread before and after it asked, and of one started later.
ASKS = """
import ctypes, json, os, platform, struct, sys, threading

from tornado_auth.scheduling import ask_for_short_slices

NUMBER = {"x86_64": 315, "aarch64": 275}[platform.machine()]  # sched_getattr

def tell():
    told = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(NUMBER, 0, told, 48, 0) == 0
    names = "size policy flags nice priority runtime deadline period".split()
    print(json.dumps(dict(zip(names, struct.unpack("=IIQiIQQQ", told)))))

%s
tell()
ask_for_short_slices()
tell()
thread = threading.Thread(target=tell)
thread.start()
thread.join()
"""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="a thread is scheduled by itself")
scheduled = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="the numbers of the system calls are those of Linux on these machines",
)


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def has_slices() -> bool:
    """Tell whether this Linux lets a thread ask for a length of its slices."""
    release = re.match(r"(\d+)\.(\d+)", platform.release())
    return release is not None and (int(release[1]), int(release[2])) >= (6, 12)


def asked(before: str) -> list[dict[str, int]]:
    """Return what a fresh process tells that does something before it asks."""
    command = [sys.executable, "-c", ASKS % before]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_whoever_is_ready_goes_before_the_next_step() -> None:
    done: list[str] = []

    async def other() -> None:
        for _ in range(2):
            done.append("other")
            await give_way()

    task = asyncio.create_task(other())
    asyncio.get_running_loop().call_soon(done.append, "callback")
    for _ in range(2):
        done.append("own")
        await give_way()
    await task
    assert done == ["own", "other", "callback", "own", "other"]


class TestThreadsBesideLoop:
    def test_they_are_as_many_as_asked_for_and_have_its_name(self) -> None:
        together = threading.Barrier(3, timeout=10)

        def name() -> str:
            together.wait()
            return threading.current_thread().name

        with threads_beside_loop(3, "hash") as threads:
            assert {each.result() for each in [threads.submit(name) for _ in range(3)]} == {
                "hash_0",
                "hash_1",
                "hash_2",
            }

    # S139
    @on_linux
    @pytest.mark.parametrize("own", [0, 5, 15])
    def test_they_are_nicer_than_who_starts_them_as_far_as_that_goes(self, own: int) -> None:
        def start() -> tuple[int, set[int]]:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness() + own)
            with threads_beside_loop(2, "nice") as threads:
                return niceness(), {threads.submit(niceness).result() for _ in range(4)}

        before = niceness()
        with ThreadPoolExecutor(1) as caller:
            of_caller, of_threads = caller.submit(start).result()
        assert of_caller == min(19, before + own)
        assert of_threads == {min(19, of_caller + NICENESS)}
        assert niceness() == before

    @on_linux
    def test_where_only_a_process_can_be_nice_they_are_not(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scheduling, "sys", SimpleNamespace(platform="darwin"))
        with threads_beside_loop(1, "nice") as threads:
            assert threads.submit(niceness).result() == niceness()


class TestShortSlices:
    # S139
    @scheduled
    @pytest.mark.parametrize("nice", [0, 5])
    def test_the_slices_are_short_and_all_else_stays(self, nice: int) -> None:
        before, after, in_thread = asked(f"os.nice({nice})")
        assert (before["policy"], before["nice"]) == (os.SCHED_OTHER, min(19, niceness() + nice))
        assert after == in_thread
        if has_slices():
            assert after["runtime"] == SLICE
        assert after == {**before, "runtime": after["runtime"]}

    @scheduled
    @pytest.mark.parametrize("policy", ["SCHED_BATCH", "SCHED_IDLE"])
    def test_another_policy_stays(self, policy: str) -> None:
        before, *later = asked(f"os.sched_setscheduler(0, os.{policy}, os.sched_param(0))")
        assert before["policy"] == getattr(os, policy)
        assert later == [before] * 2

    @scheduled
    @pytest.mark.parametrize(
        "elsewhere",
        [
            "platform.machine = lambda: 'none'",
            "sys.platform = 'darwin'; del os.sched_getscheduler, os.SCHED_OTHER",
            # a system that does not know the call
            "ask_for_short_slices.__globals__['_SCHED_SETATTR'][platform.machine()] = 100_000",
        ],
    )
    def test_elsewhere_nothing_is_asked_for(self, elsewhere: str) -> None:
        before, *later = asked(elsewhere)
        assert later == [before] * 2
