import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.modules import MakeModule, counted_answers, module, writing_modules
from tests.permissions_world import Load, PermissionsWorld
from tornado_auth.errors import SettingsError
from tornado_auth.metrics import Metrics
from tornado_auth.permissions import Permissions

COUNTING = """
    import asyncio
    calls = []
    async def get_permissions(service, userid):
        calls.append((service, userid))
        await asyncio.sleep(0.01)
        return {"service": service, "user": userid, "number": len(calls)}
"""
HELD = """
    import asyncio
    calls, may_answer, ended = [], asyncio.Event(), []
    async def get_permissions(service, userid):
        number = len(calls)
        calls.append(userid)
        try:
            await may_answer.wait()
            return {"number": number}
        finally:
            ended.append(number)
"""


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path, monkeypatch)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def load(clock: FakeClock, metrics: Metrics) -> Load:
    def load(*entries: tuple[str, str], timeout: float = 5, cache_seconds: int = 5) -> Permissions:
        world = PermissionsWorld(clock, metrics=metrics)
        return world.load(entries, timeout=timeout, cache_seconds=cache_seconds)

    return load


# D24
async def test_a_coroutine_provider_answers(
    make_module: MakeModule, load: Load, metrics: Metrics
) -> None:
    permissions = load(("wiki", make_module("provider", COUNTING)))
    assert await permissions.ask("wiki", "u1") == {"service": "wiki", "user": "u1", "number": 1}
    assert counted_answers(metrics) == {"answered": 1}


async def test_a_plain_provider_answers_from_a_thread(make_module: MakeModule, load: Load) -> None:
    source = """
        import threading
        def get_permissions(service, userid):
            return {"on_loop": threading.current_thread() is threading.main_thread()}
    """
    permissions = load(("wiki", make_module("provider", source)))
    assert await permissions.ask("wiki", "u1") == {"on_loop": False}


async def test_a_service_without_alias_has_the_name_of_its_module(
    make_module: MakeModule, load: Load
) -> None:
    permissions = load(("", make_module("provider", COUNTING)))
    answer = await permissions.ask("provider", "u1")
    assert answer is not None
    assert answer["service"] == "provider"


async def test_a_module_behind_two_aliases_is_told_which_was_asked_for(
    make_module: MakeModule, load: Load
) -> None:
    make_module("provider", COUNTING)
    permissions = load(("wiki", "provider"), ("blog", "provider"))
    assert await permissions.ask("provider", "u1") is None
    for service in ("wiki", "blog"):
        answer = await permissions.ask(service, "u1")
        assert answer is not None
        assert answer["service"] == service


async def test_the_arguments_may_have_any_name(make_module: MakeModule, load: Load) -> None:
    source = "def get_permissions(*names): return {'names': names}"
    permissions = load(("wiki", make_module("provider", source)))
    assert await permissions.ask("wiki", "u1") == {"names": ["wiki", "u1"]}


async def test_no_permissions_are_an_answer_too(
    make_module: MakeModule, load: Load, metrics: Metrics
) -> None:
    source = "def get_permissions(service, userid): return {}"
    permissions = load(("wiki", make_module("provider", source)))
    assert await permissions.ask("wiki", "u1") == {}
    assert await permissions.ask("wiki", "u1") == {}
    assert counted_answers(metrics) == {"answered": 1, "cached": 1}


# S106
@pytest.mark.parametrize(
    "service",
    [
        "os",
        "..",
        "",
        ".",
        "not_imported",
        "not_imported.x",
        "wiki.x",
        "WIKI",
        "w\u0456ki",
        "wiki\0",
    ],
)
async def test_a_service_outside_the_list_is_denied_and_not_imported(
    make_module: MakeModule, load: Load, metrics: Metrics, service: str
) -> None:
    make_module("not_imported", COUNTING)
    make_module("not_imported.x", COUNTING)
    permissions = load(("wiki", make_module("provider", COUNTING)))
    modules_before = set(sys.modules)
    assert await permissions.ask(service, "u1") is None
    assert set(sys.modules) == modules_before
    assert module("provider").calls == []
    assert counted_answers(metrics, "(unknown)") == {"unknown_service": 1}


# S106
async def test_invented_services_make_one_time_series(load: Load, metrics: Metrics) -> None:
    permissions = load()
    for number in range(20):
        assert await permissions.ask(f"s{number}", "u1") is None
    assert b"s19" not in metrics.render()[0]
    assert counted_answers(metrics, "(unknown)") == {"unknown_service": 20}


# D24
async def test_those_who_ask_at_the_same_time_wait_for_one_call(
    make_module: MakeModule, load: Load, metrics: Metrics
) -> None:
    permissions = load(("wiki", make_module("provider", COUNTING)))
    answers = await asyncio.gather(
        *(permissions.ask("wiki", "u1") for _ in range(50)), permissions.ask("wiki", "u2")
    )
    assert [answer and answer["user"] for answer in answers] == ["u1"] * 50 + ["u2"]
    assert module("provider").calls == [("wiki", "u1"), ("wiki", "u2")]
    assert counted_answers(metrics) == {"answered": 51}


async def test_those_who_wait_for_a_call_that_fails_are_all_denied(
    make_module: MakeModule,
    load: Load,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = """
        import asyncio
        async def get_permissions(service, userid):
            await asyncio.sleep(0.01)
            raise OSError
    """
    permissions = load(("wiki", make_module("provider", source)))
    answers = await asyncio.gather(*(permissions.ask("wiki", "u1") for _ in range(5)))
    assert answers == [None] * 5
    assert counted_answers(metrics) == {"error": 5}
    assert len(caplog.records) == 1


async def test_who_goes_away_does_not_end_the_call_for_the_others(
    make_module: MakeModule, load: Load
) -> None:
    permissions = load(("wiki", make_module("held", HELD)))
    first, second, third = (asyncio.ensure_future(permissions.ask("wiki", "u1")) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    third.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    module("held").may_answer.set()
    assert await second == {"number": 0}
    assert module("held").calls == ["u1"]
    assert third.cancelled()


async def test_the_answer_is_kept_even_if_everybody_went_away(
    make_module: MakeModule, load: Load
) -> None:
    permissions = load(("wiki", make_module("held", HELD)))
    asked = asyncio.ensure_future(permissions.ask("wiki", "u1"))
    await asyncio.sleep(0.01)
    asked.cancel()
    module("held").may_answer.set()
    await asyncio.sleep(0.01)
    assert await permissions.ask("wiki", "u1") == {"number": 0}
    assert module("held").calls == ["u1"]


# D24
async def test_an_answer_is_given_again_for_the_seconds_that_the_settings_allow(
    make_module: MakeModule, load: Load, clock: FakeClock, metrics: Metrics
) -> None:
    permissions = load(("wiki", make_module("provider", COUNTING)), cache_seconds=5)
    numbers = []
    for seconds in (0, 4, 1, 0):
        clock.advance(seconds)
        answer = await permissions.ask("wiki", "u1")
        assert answer is not None
        numbers.append(answer["number"])
    assert numbers == [1, 1, 2, 2]
    assert counted_answers(metrics) == {"answered": 2, "cached": 2}


async def test_an_answer_ages_from_when_it_was_asked_for(
    make_module: MakeModule, load: Load, clock: FakeClock
) -> None:
    permissions = load(("wiki", make_module("held", HELD)), cache_seconds=5)
    asked = asyncio.ensure_future(permissions.ask("wiki", "u1"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.advance(5)
    module("held").may_answer.set()
    assert await asked == {"number": 0}
    assert await permissions.ask("wiki", "u1") == {"number": 1}


async def test_a_clock_that_was_set_back_keeps_no_answer(
    make_module: MakeModule, load: Load, clock: FakeClock
) -> None:
    permissions = load(("wiki", make_module("provider", COUNTING)))
    await permissions.ask("wiki", "u1")
    clock.advance(-3600)
    await permissions.ask("wiki", "u1")
    assert len(module("provider").calls) == 2


async def test_without_cache_seconds_each_request_is_a_call(
    make_module: MakeModule, load: Load
) -> None:
    permissions = load(("wiki", make_module("provider", COUNTING)), cache_seconds=0)
    await permissions.ask("wiki", "u1")
    await permissions.ask("wiki", "u1")
    assert len(module("provider").calls) == 2


async def test_what_a_caller_does_with_an_answer_does_not_reach_the_next(
    make_module: MakeModule, load: Load
) -> None:
    source = "answer = {'pages': ['read']}\ndef get_permissions(s, u): return answer"
    permissions = load(("wiki", make_module("provider", source)))
    for _ in range(3):
        answer: Any = await permissions.ask("wiki", "u1")
        assert answer == {"pages": ["read"]}
        answer["pages"].append("delete")
    assert module("provider").answer == {"pages": ["read"]}


async def test_the_cache_is_bounded(
    make_module: MakeModule, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornado_auth.permissions.MAX_CACHED", 10)
    permissions = load(("wiki", make_module("provider", COUNTING)))
    for number in range(50):
        await permissions.ask("wiki", f"u{number}")
    assert 0 < len(permissions._cache) <= 10
    assert not permissions._asking
    assert not permissions._tasks


async def test_closing_denies_whoever_still_waits(
    make_module: MakeModule, load: Load, metrics: Metrics
) -> None:
    permissions = load(("wiki", make_module("held", HELD)))
    asked = asyncio.ensure_future(permissions.ask("wiki", "u1"))
    await asyncio.sleep(0.01)
    await permissions.close()
    assert await asked is None
    assert module("held").ended == [0]
    assert counted_answers(metrics) == {"closed": 1}


# D24
def test_all_mistakes_in_allowed_services_are_named_at_once(
    make_module: MakeModule, load: Load
) -> None:
    make_module("good", COUNTING)
    make_module("raising", "raise KeyError('WIKI_DB')")
    make_module("exiting", "raise SystemExit('no')")
    make_module("needs_another", "import no_such_dependency")
    make_module("empty", "")
    make_module("not_callable", "get_permissions = {}")
    make_module("one_argument", "def get_permissions(userid): return {}")
    make_module("three_arguments", "def get_permissions(service, userid, scope): return {}")
    make_module("by_keyword", "def get_permissions(*, service, userid): return {}")
    expected = [
        ("wiki", "good", None),
        ("wiki", "good", "two modules are called 'wiki'"),
        ("", "no_such_module", "no_such_module: there is no module 'no_such_module'"),
        ("a", "no_such_parent.child", "no_such_parent.child: there is no module 'no_such_parent'"),
        ("b", "sys.child", "sys.child: there is no module 'sys.child'"),
        ("c", "raising", "raising: it fails at import with KeyError: 'WIKI_DB'"),
        ("d", "exiting", "exiting: it fails at import with SystemExit: no"),
        ("e", "needs_another", "it fails at import with ModuleNotFoundError"),
        ("f", "empty", "empty: it has no function get_permissions(service, userid)"),
        ("g", "not_callable", "get_permissions cannot be called with two arguments"),
        ("h", "one_argument", "get_permissions cannot be called with two arguments"),
        ("i", "three_arguments", "get_permissions cannot be called with two arguments"),
        ("j", "by_keyword", "get_permissions cannot be called with two arguments"),
        ("k", "..", "it fails at import with"),
        ("l", "", "it fails at import with ValueError"),
    ]
    with pytest.raises(SettingsError) as caught:
        load(*((alias, name) for alias, name, _ in expected))
    texts = [text for _, _, text in expected if text]
    assert len(caught.value.problems) == len(texts)
    for problem, text in zip(caught.value.problems, texts, strict=True):
        assert problem.startswith("ALLOWED_SERVICES: ")
        assert text in problem


def test_an_alias_may_not_be_the_name_of_another_service(
    make_module: MakeModule, load: Load
) -> None:
    make_module("good", COUNTING)
    make_module("other", COUNTING)
    with pytest.raises(SettingsError, match="two modules are called 'other'"):
        load(("other", "good"), ("", "other"))


async def test_no_services_are_fine(load: Load) -> None:
    permissions = load()
    assert await permissions.ask("wiki", "u1") is None
    await permissions.close()
