import asyncio
import logging
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.modules import MakeModule, module, writing_modules
from tornado_auth.errors import LoginBlocked, SettingsError
from tornado_auth.extensions import HOOKS, Extensions, Hook

USER_INFO = {"id": "u1", "username": "ada", "teams": ["wiki", {"role": "editor"}]}
Load = Callable[..., Extensions]


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path, monkeypatch)


@pytest.fixture
def failures() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def load(failures: list[tuple[str, str]]) -> Load:
    def load(*modules: str, timeout: float = 5) -> Extensions:
        def on_failure(extension: str, hook: str) -> None:
            failures.append((extension, hook))

        return Extensions.load(modules, timeout=timeout, on_failure=on_failure)

    return load


def problems(load: Load, *modules: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(*modules)
    return caught.value.problems


RECORDER = """
    calls = []
    async def on_new_user(user_info): calls.append(("on_new_user", user_info))
    async def on_user_login(user_info): calls.append(("on_user_login", user_info))
    def on_user_logout(user_info): calls.append(("on_user_logout", user_info))
"""


# D22
@pytest.mark.parametrize("hook", HOOKS)
async def test_each_hook_is_called_when_it_is_fired(
    make_module: MakeModule, load: Load, hook: Hook
) -> None:
    extensions = load(make_module("recorder", RECORDER))
    await extensions.fire(hook, {"id": "u1"})
    assert module("recorder").calls == [(hook, {"id": "u1"})]


async def test_extensions_are_called_in_the_order_listed(
    make_module: MakeModule, load: Load
) -> None:
    make_module("log_of_calls", "calls = []")
    source = """
        import asyncio, log_of_calls
        async def on_user_login(user_info):
            await asyncio.sleep({pause})
            log_of_calls.calls.append("{name}")
    """
    for name, pause in (("zebra", 0.02), ("ape", 0)):
        make_module(name, source.format(name=name, pause=pause))
    await load("zebra", "ape").fire("on_user_login", USER_INFO)
    assert module("log_of_calls").calls == ["zebra", "ape"]


async def test_an_extension_object_is_asked_for_the_hooks_that_it_overrides(
    make_module: MakeModule, load: Load
) -> None:
    source = """
        from tornado_auth.extensions import Extension
        class Counter(Extension):
            def __init__(self): self.seen = []
            async def on_user_login(self, user_info): self.seen.append(user_info["id"])
        extension = Counter()
    """
    extensions = load(make_module("counter", source))
    for hook in HOOKS:
        await extensions.fire(hook, USER_INFO)
    assert module("counter").extension.seen == ["u1"]


async def test_a_submodule_called_extension_is_not_taken_for_one(
    make_module: MakeModule, load: Load
) -> None:
    make_module("pack.extension", "")
    make_module("pack.__init__", "from . import extension\n" + textwrap.dedent(RECORDER))
    await load("pack").fire("on_user_login", USER_INFO)
    assert len(module("pack").calls) == 1


# D21
async def test_a_hook_cannot_change_what_others_see(
    make_module: MakeModule, load: Load, failures: list[tuple[str, str]]
) -> None:
    source = """
        attempts = []
        def on_user_login(user_info):
            for change in (
                lambda: user_info.update(id="root"),
                lambda: user_info.__setitem__("id", "root"),
                lambda: user_info["teams"].append("admins"),
                lambda: user_info["teams"][1].__setitem__("role", "owner"),
                lambda: user_info["tags"].add("admin"),
            ):
                try:
                    change()
                except (TypeError, AttributeError) as error:
                    attempts.append(error)
            user_info["id"] = "root"
    """
    user_info = {"id": "u1", "teams": ["wiki", {"role": "editor"}], "tags": {"new"}}
    extensions = load(make_module("intruder", source), make_module("recorder", RECORDER))
    await extensions.fire("on_user_login", user_info)
    ((_, seen),) = module("recorder").calls
    assert len(module("intruder").attempts) == 5
    assert failures == [("intruder", "on_user_login")]
    assert user_info == {"id": "u1", "teams": ["wiki", {"role": "editor"}], "tags": {"new"}}
    assert seen == {"id": "u1", "teams": ("wiki", {"role": "editor"}), "tags": {"new"}}


async def test_a_change_after_the_sign_in_does_not_reach_a_hook_that_kept_its_copy(
    make_module: MakeModule, load: Load
) -> None:
    user_info = {"id": "u1", "teams": [{"role": "editor"}]}
    extensions = load(make_module("recorder", RECORDER))
    await extensions.fire("on_user_login", user_info)
    user_info["teams"][0]["role"] = "owner"  # type: ignore[index]
    assert module("recorder").calls[0][1]["teams"] == ({"role": "editor"},)


# D20
@pytest.mark.parametrize("form", ["def", "async def"])
@pytest.mark.parametrize(
    ("failing", "exception"),
    [
        ("user_info.no_such_attribute", "AttributeError"),
        ("raise ValueError('full disk')", "ValueError"),
        ("raise StopIteration", "RuntimeError"),
        ("raise SystemExit(3)", "RuntimeError"),
        ("import asyncio; raise asyncio.CancelledError", "RuntimeError"),
    ],
)
async def test_a_failing_hook_is_logged_and_counted_and_breaks_nothing(
    make_module: MakeModule,
    load: Load,
    failures: list[tuple[str, str]],
    caplog: pytest.LogCaptureFixture,
    form: str,
    failing: str,
    exception: str,
) -> None:
    make_module("broken", f"{form} on_user_login(user_info):\n    {failing}\n")
    extensions = load("broken", make_module("recorder", RECORDER))
    await extensions.fire("on_user_login", USER_INFO)
    assert len(module("recorder").calls) == 1
    assert failures == [("broken", "on_user_login")]
    (record,) = caplog.records
    assert record.message == "extension_failed"
    assert record.levelno == logging.ERROR
    extras = vars(record)
    assert extras["extension"] == "broken"
    assert extras["hook"] == "on_user_login"
    assert extras["reason"] == "error"
    assert extras["exception"] == exception
    assert f"{exception}: " in caplog.text  # the traceback


# D20
@pytest.mark.parametrize(
    "hanging",
    [
        "async def on_user_login(user_info): await asyncio.sleep(60)",
        "def on_user_login(user_info): released.wait(60)",
    ],
)
async def test_a_hanging_hook_ends_at_its_time_limit(
    make_module: MakeModule,
    load: Load,
    failures: list[tuple[str, str]],
    caplog: pytest.LogCaptureFixture,
    hanging: str,
) -> None:
    make_module("hanging", f"import asyncio, threading\nreleased = threading.Event()\n{hanging}")
    extensions = load("hanging", make_module("recorder", RECORDER), timeout=0.1)
    began = time.monotonic()
    await extensions.fire("on_user_login", USER_INFO)
    assert 0.09 < time.monotonic() - began < 1
    assert failures == [("hanging", "on_user_login")]
    assert [vars(record)["reason"] for record in caplog.records] == ["timeout"]
    assert len(module("recorder").calls) == 1
    module("hanging").released.set()
    await extensions.close()


BLOCKING_FORMS = {
    "functions": """
        blocking = True
        async def on_new_user(user_info): raise ValueError
        async def on_user_login(user_info): raise ValueError
        async def on_user_logout(user_info): raise ValueError
    """,
    "object": """
        from tornado_auth.extensions import Extension
        class Gate(Extension):
            blocking = True
            async def on_new_user(self, user_info): raise ValueError
            async def on_user_login(self, user_info): raise ValueError
            async def on_user_logout(self, user_info): raise ValueError
        extension = Gate()
    """,
}


# D20
@pytest.mark.parametrize("form", BLOCKING_FORMS)
@pytest.mark.parametrize("hook", ["on_new_user", "on_user_login"])
async def test_a_blocking_extension_that_fails_ends_the_sign_in(
    make_module: MakeModule, load: Load, failures: list[tuple[str, str]], form: str, hook: Hook
) -> None:
    make_module("gate", BLOCKING_FORMS[form])
    extensions = load("gate", make_module("recorder", RECORDER))
    with pytest.raises(LoginBlocked):
        await extensions.fire(hook, USER_INFO)
    assert failures == [("gate", hook)]
    assert module("recorder").calls == []


@pytest.mark.parametrize("form", BLOCKING_FORMS)
async def test_a_sign_out_is_never_blocked(
    make_module: MakeModule, load: Load, failures: list[tuple[str, str]], form: str
) -> None:
    make_module("gate", BLOCKING_FORMS[form])
    extensions = load("gate", make_module("recorder", RECORDER))
    await extensions.fire("on_user_logout", USER_INFO)
    assert failures == [("gate", "on_user_logout")]
    assert len(module("recorder").calls) == 1


async def test_a_blocking_extension_that_does_not_fail_lets_the_sign_in_pass(
    make_module: MakeModule, load: Load
) -> None:
    make_module("recorder", "blocking = True\n" + textwrap.dedent(RECORDER))
    await load("recorder").fire("on_user_login", USER_INFO)
    assert len(module("recorder").calls) == 1


# D23
def test_all_mistakes_in_installed_extensions_are_named_at_once(
    make_module: MakeModule, load: Load
) -> None:
    make_module("good", RECORDER)
    make_module("raising", "def boom(): raise KeyError('AUDIT_DB')\nboom()")
    make_module("exiting", "import sys; sys.exit(1)")
    make_module("ill_written", "def on_user_login(user_info:")
    make_module("empty", "")
    make_module("needs_another", "import no_such_dependency")
    make_module("arguments", "def on_user_login(): pass\ndef on_user_logout(a, b): pass")
    make_module("not_callable", "on_user_login = None")
    make_module("undecided", "blocking = 'no'\ndef on_user_login(user_info): pass")
    base = "from tornado_auth.extensions import Extension\n"
    make_module("a_class", base + "class extension(Extension): pass")
    make_module("idle", base + "extension = Extension()")
    make_module("both", base + "extension = Extension()\ndef on_new_user(user_info): pass")
    found = problems(
        load,
        *("good", "good", "no_such_module", "no_such_parent.child", "sys.child", "raising"),
        *("exiting", "ill_written", "empty", "needs_another", "arguments", "not_callable"),
        *("undecided", "a_class", "idle", "both", ".relative"),
    )
    assert all(problem.startswith("INSTALLED_EXTENSIONS: ") for problem in found)
    expected = [
        ("good", "listed twice"),
        ("no_such_module", "there is no module 'no_such_module'"),
        ("no_such_parent.child", "there is no module 'no_such_parent'"),
        ("sys.child", "there is no module 'sys.child'"),
        ("raising", "fails at import with KeyError: 'AUDIT_DB'"),
        ("exiting", "fails at import with SystemExit: 1"),
        ("ill_written", "fails at import with SyntaxError"),
        ("empty", "none of on_new_user, on_user_login, on_user_logout"),
        ("needs_another", "fails at import with ModuleNotFoundError"),
        ("arguments", "on_user_login cannot be called with one argument"),
        ("arguments", "on_user_logout cannot be called with one argument"),
        ("not_callable", "on_user_login cannot be called with one argument"),
        ("undecided", "`blocking` is neither True nor False"),
        ("a_class", "Write `extension = extension()`"),
        ("idle", "none of on_new_user"),
        ("both", "both `extension` and on_new_user"),
        (".relative", "fails at import with TypeError"),
    ]
    assert len(found) == len(expected)
    for problem, (name, text) in zip(found, expected, strict=True):
        assert problem.startswith(f"INSTALLED_EXTENSIONS: {name}: ")
        assert text in problem


# D23
def test_a_module_that_fails_at_import_is_reported_with_the_line(
    make_module: MakeModule, load: Load
) -> None:
    make_module("raising", "def boom():\n    raise KeyError('AUDIT_DB')\nboom()")
    (problem,) = problems(load, "raising")
    assert "raising.py, line 2)" in problem


def test_no_extensions_are_fine(load: Load) -> None:
    assert load()._installed == []


def test_a_hook_written_in_c_without_a_signature_is_accepted(
    make_module: MakeModule, load: Load
) -> None:
    load(make_module("built_in", "on_user_login = dict"))


async def test_the_loop_runs_on_while_a_plain_hook_blocks(
    make_module: MakeModule, load: Load
) -> None:
    make_module("slow", "import time\ndef on_user_login(user_info): time.sleep(0.2)")
    fired = asyncio.ensure_future(load("slow").fire("on_user_login", USER_INFO))
    ticks = 0
    while not fired.done():
        await asyncio.sleep(0.005)
        ticks += 1
    assert ticks >= 10


async def test_the_sign_in_goes_away_with_the_one_who_asked(
    make_module: MakeModule, load: Load, failures: list[tuple[str, str]]
) -> None:
    source = """
        import asyncio
        ended = []
        async def on_user_login(user_info):
            try:
                await asyncio.sleep(60)
            finally:
                ended.append(user_info["id"])
    """
    extensions = load(make_module("slow", source))
    fired = asyncio.ensure_future(extensions.fire("on_user_login", USER_INFO))
    await asyncio.sleep(0.01)
    fired.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fired
    await extensions.close()
    assert module("slow").ended == ["u1"]
    assert failures == []
