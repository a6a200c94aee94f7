import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FakeClock
from tests.modules import MakeModule, counted_answers, module, writing_modules
from tests.permissions_world import Load, PermissionsWorld
from tornado_auth.metrics import Metrics
from tornado_auth.permission_providers import MAX_ANSWER
from tornado_auth.permissions import Permissions


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path, monkeypatch)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def load(clock: FakeClock, metrics: Metrics) -> Load:
    def load(*entries: tuple[str, str], timeout: float = 5) -> Permissions:
        return PermissionsWorld(clock, metrics=metrics).load(entries, timeout=timeout)

    return load


FAILING = {
    "raises": ("error", "ValueError", "raise ValueError('the directory is down')"),
    "has_a_bug": ("error", "AttributeError", "service.no_such_attribute"),
    "stops": ("error", "RuntimeError", "raise StopIteration"),
    "exits": ("error", "RuntimeError", "raise SystemExit(0)"),
    "cancels_itself": ("error", "RuntimeError", "raise asyncio.CancelledError"),
    "returns_none": ("junk", "Junk", "return None"),
    "returns_true": ("junk", "Junk", "return True"),
    "returns_a_list": ("junk", "Junk", "return [{'pages': 'edit'}]"),
    "returns_pairs": ("junk", "Junk", "return (('pages', 'edit'),)"),
    "returns_text": ("junk", "Junk", "return '{}'"),
    "returns_an_object": ("junk", "Junk", "return {'pages': object()}"),
    "returns_bytes": ("junk", "Junk", "return {'pages': b'edit'}"),
    "returns_a_set": ("junk", "Junk", "return {'pages': {'edit'}}"),
    "returns_nan": ("junk", "Junk", "return {'pages': float('nan')}"),
    "has_number_keys": ("junk", "Junk", "return {1: 'edit'}"),
    "has_deep_number_keys": ("junk", "Junk", "return {'pages': [{'x': ({None: 1},)}]}"),
    "has_tuple_keys": ("junk", "Junk", "return {('a', 'b'): 1}"),
    "is_circular": ("junk", "Junk", "answer = {}; answer['a'] = answer; return answer"),
    "is_too_deep": ("junk", "Junk", "return {'a': nested(100_000)}"),
    "is_too_big": ("junk", "Junk", f"return {{'a': 'x' * {MAX_ANSWER - 7}}}"),
    "yields": ("junk", "Junk", "yield {}"),
}
NESTED = """
import asyncio
calls = 0
def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value
"""


# D24 S107
@pytest.mark.parametrize("form", ["def", "async def"])
@pytest.mark.parametrize("failing", FAILING)
async def test_a_provider_that_fails_denies(
    make_module: MakeModule,
    load: Load,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
    form: str,
    failing: str,
) -> None:
    reason, exception, body = FAILING[failing]
    function = f"{form} get_permissions(service, userid):\n    global calls\n    calls += 1\n    "
    permissions = load(("wiki", make_module("provider", f"{NESTED}{function}{body}\n")))
    assert await permissions.ask("wiki", "u1") is None
    (record,) = caplog.records
    assert record.message == "permission_provider_failed"
    assert record.levelno == logging.ERROR
    extras = vars(record)
    assert (extras["service"], extras["reason"]) == ("wiki", reason)
    assert extras["exception"] == exception
    assert f"{exception}: " in caplog.text  # the traceback
    assert counted_answers(metrics) == {reason: 1}


# S107
async def test_the_next_request_asks_a_provider_that_failed_again(
    make_module: MakeModule, load: Load, metrics: Metrics
) -> None:
    source = """
        calls = 0
        async def get_permissions(service, userid):
            global calls
            calls += 1
            if calls == 1:
                raise OSError
            return {"pages": "edit"}
    """
    permissions = load(("wiki", make_module("provider", source)))
    assert await permissions.ask("wiki", "u1") is None
    assert await permissions.ask("wiki", "u1") == {"pages": "edit"}
    assert counted_answers(metrics) == {"error": 1, "answered": 1}


async def test_the_biggest_answer_passes(make_module: MakeModule, load: Load) -> None:
    source = f"def get_permissions(service, userid): return {{'a': 'x' * {MAX_ANSWER - 8}}}"
    permissions = load(("wiki", make_module("provider", source)))
    answer = await permissions.ask("wiki", "u1")
    assert answer is not None
    assert len(json.dumps(answer, separators=(",", ":"))) == MAX_ANSWER


HANGING = """
    import asyncio, threading
    released = threading.Event()
    {function}
"""
HANGING_FORMS = {
    "plain": "def get_permissions(service, userid): released.wait(30)",
    "coroutine": "async def get_permissions(service, userid): await asyncio.sleep(30)",
}


# D24 S107
@pytest.mark.parametrize("form", HANGING_FORMS)
async def test_a_provider_that_hangs_is_denied_at_its_time_limit(
    make_module: MakeModule,
    load: Load,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
    form: str,
) -> None:
    make_module("hanging", HANGING.format(function=HANGING_FORMS[form]))
    permissions = load(("wiki", "hanging"), timeout=0.1)
    began = time.monotonic()
    assert await permissions.ask("wiki", "u1") is None
    assert 0.09 < time.monotonic() - began < 1
    assert counted_answers(metrics) == {"timeout": 1}
    assert [vars(record)["reason"] for record in caplog.records] == ["timeout"]
    module("hanging").released.set()
    await permissions.close()


# D24 S107
async def test_the_loop_runs_on_while_a_plain_provider_blocks(
    make_module: MakeModule, load: Load
) -> None:
    source = "import time\ndef get_permissions(service, userid): time.sleep(0.3); return {}"
    permissions = load(("wiki", make_module("slow", source)))
    asked = asyncio.ensure_future(permissions.ask("wiki", "u1"))
    ticks = 0
    while not asked.done():
        await asyncio.sleep(0.005)
        ticks += 1
    assert asked.result() == {}
    assert ticks >= 15


# S107
async def test_a_service_that_hangs_takes_no_thread_from_the_others(
    make_module: MakeModule, load: Load, metrics: Metrics
) -> None:
    make_module("hanging", HANGING.format(function=HANGING_FORMS["plain"]))
    make_module("quick", "def get_permissions(service, userid): return {'pages': 'edit'}")
    permissions = load(("wiki", "hanging"), ("blog", "quick"), timeout=0.2)
    answers = await asyncio.gather(*(permissions.ask("wiki", f"u{n}") for n in range(40)))
    assert answers == [None] * 40
    assert 0 < sum(thread.name == "tornado-auth-call" for thread in threading.enumerate()) <= 16
    assert await permissions.ask("blog", "u1") == {"pages": "edit"}
    began = time.monotonic()
    assert await permissions.ask("wiki", "u41") is None
    assert time.monotonic() - began < 0.19
    assert counted_answers(metrics) == {"timeout": 41}
    module("hanging").released.set()
