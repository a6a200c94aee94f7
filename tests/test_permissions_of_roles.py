"""The built-in provider, alone and combined with others, and how long its answers stand."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FakeClock
from tests.modules import MakeModule, counted_answers, module, writing_modules
from tests.permissions_world import PermissionsWorld
from tests.unreliable import Unreliable
from tornado_auth.errors import SettingsError
from tornado_auth.permission_providers import BUILT_IN
from tornado_auth.permissions import Permissions
from tornado_auth.setting_types import parse_services

ROLE = "wiki:editor"
OTHER = """
    answers, calls = {}, 0
    async def get_permissions(service, userid):
        global calls
        calls += 1
        return answers.get(userid, {})
"""


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path, monkeypatch)


@pytest.fixture
async def world(clock: FakeClock) -> PermissionsWorld:
    """Ann may edit and read; in the resource "a" also publish."""
    world = PermissionsWorld(clock)
    await world.roles.put_role("wiki", "editor", permissions=["edit", "read"])
    await world.roles.put_role("wiki", "publisher", permissions=["publish"])
    await world.roles.assign("user:ann", ROLE)
    await world.roles.assign("user:ann", "wiki:publisher", resource="a")
    return world


def recalled(permissions: Permissions, **about: str) -> set[str]:
    granted = permissions.recall("wiki", "ann", **about)
    assert granted is not None
    return set(granted)


# D24 S105
async def test_the_store_answers_in_the_form_of_every_provider(world: PermissionsWorld) -> None:
    permissions = world.load([("wiki", BUILT_IN), ("blog", BUILT_IN)])
    assert await permissions.ask("wiki", "ann") == {"edit": True, "publish": False, "read": True}
    assert await permissions.ask("wiki", "bob") == {}
    assert await permissions.ask("blog", "ann") == {}
    assert recalled(permissions) == {"edit", "read"}


async def test_what_is_answered_of_one_resource_is_not_given_for_another(
    world: PermissionsWorld,
) -> None:
    permissions = world.load([("wiki", BUILT_IN)])
    for _ in range(2):
        here = await permissions.ask("wiki", "ann", resource="a")
        assert here == {"edit": True, "publish": True, "read": True}
        for resource in ("", "b"):
            there = await permissions.ask("wiki", "ann", resource=resource)
            assert there == {"edit": True, "publish": False, "read": True}
    assert recalled(permissions, resource="a") == {"edit", "publish", "read"}
    assert recalled(permissions, resource="b") == {"edit", "read"}
    assert permissions.recall("wiki", "ann", resource="c") is None
    assert counted_answers(world.metrics) == {"answered": 3, "cached": 5}


# S106 S142
@pytest.mark.parametrize("resource", ["a b", "a\0", "a\n", "é", "x" * 129, "a|b"], ids=repr)
async def test_a_resource_that_cannot_be_one_is_denied_without_a_question(
    world: PermissionsWorld, make_module: MakeModule, resource: str
) -> None:
    permissions = world.load([("wiki", f"union({make_module('other', OTHER)},{BUILT_IN})")])
    assert await permissions.ask("wiki", "ann", resource=resource) is None
    assert permissions.recall("wiki", "ann", resource=resource) is None
    assert module("other").calls == 0
    assert counted_answers(world.metrics) == {"unknown_resource": 1}


RULES = {
    # What the module says of Ann, and what comes of it by each rule.
    "first_module": {"edit": False, "read": True, "more": 1, "publish": False},
    "first_roles": {"edit": True, "read": True, "more": 1, "publish": False},
    "last_module": {"edit": True, "read": True, "more": 1, "publish": False},
    "last_roles": {"edit": False, "read": True, "more": 1, "publish": False},
    "union_module": {"edit": True, "read": True, "more": 1, "publish": False},
    "union_roles": {"edit": True, "read": True, "more": 1, "publish": False},
}


@pytest.mark.parametrize("case", RULES)
async def test_a_module_and_roles_are_combined_by_the_rule(
    world: PermissionsWorld, make_module: MakeModule, case: str
) -> None:
    rule, _, first = case.partition("_")
    parts = [make_module("other", OTHER), BUILT_IN]
    listed = ",".join(parts if first == "module" else reversed(parts))
    permissions = world.load([("wiki", f"{rule}({listed})")])
    module("other").answers["ann"] = {"edit": False, "more": 1}
    assert await permissions.ask("wiki", "ann") == RULES[case]
    assert await permissions.ask("wiki", "bob") == {}


async def test_that_no_role_grants_it_here_takes_nothing_from_whom_a_module_allows_it(
    world: PermissionsWorld, make_module: MakeModule
) -> None:
    make_module("other", OTHER)
    for rule, order in itertools.product(
        ("first", "last", "union"), ([BUILT_IN, "other"], ["other", BUILT_IN])
    ):
        permissions = world.load([("wiki", f"{rule}({','.join(order)})")])
        module("other").answers["ann"] = {"publish": True}
        answer = await permissions.ask("wiki", "ann")
        assert answer == {"edit": True, "publish": True, "read": True}


async def test_in_a_union_only_true_outweighs_what_was_said_first(
    world: PermissionsWorld, make_module: MakeModule
) -> None:
    for name, said in (("a", False), ("b", "yes"), ("c", True)):
        source = f"def get_permissions(service, userid): return {{'edit': {said!r}}}"
        make_module(name, source)
    assert await world.load([("x", "union(a,b)")]).ask("x", "u") == {"edit": False}
    assert await world.load([("x", "union(b,a)")]).ask("x", "u") == {"edit": "yes"}
    assert await world.load([("x", "union(a,b,c)")]).ask("x", "u") == {"edit": True}


# S107
@pytest.mark.parametrize("rule", ["first", "last", "union"])
@pytest.mark.parametrize("failing", ["raise OSError", "return []", "await asyncio.sleep(9)"])
async def test_a_part_that_fails_denies_all(
    world: PermissionsWorld, make_module: MakeModule, rule: str, failing: str
) -> None:
    source = f"import asyncio\nasync def get_permissions(service, userid): {failing}"
    listed = f"{BUILT_IN},{make_module('failing', source)}"
    permissions = world.load([("wiki", f"{rule}({listed})")], timeout=0.2)
    assert await permissions.ask("wiki", "ann") is None
    assert permissions.recall("wiki", "ann") is None


async def test_parts_are_asked_at_the_same_time(
    world: PermissionsWorld, make_module: MakeModule
) -> None:
    source = """
        import asyncio
        at_once, both = 0, asyncio.Event()
        async def get_permissions(service, userid):
            global at_once
            at_once += 1
            if at_once == 2:
                both.set()
            await both.wait()
            return {}
        """
    make_module("one", source)
    make_module("two", "from one import get_permissions")
    permissions = world.load([("wiki", "union(one,two)")], timeout=1)
    assert await permissions.ask("wiki", "ann") == {}


async def test_together_the_parts_may_not_say_more_than_fits(
    world: PermissionsWorld, make_module: MakeModule
) -> None:
    for name in ("one", "two"):
        source = f"def get_permissions(service, userid): return {{'{name}': 'x' * 3000}}"
        make_module(name, source)
    assert await world.load([("wiki", "union(one,two)")]).ask("wiki", "ann") is None
    assert counted_answers(world.metrics) == {"junk": 1}


async def test_a_module_that_has_a_third_parameter_of_this_name_is_told_the_resource(
    world: PermissionsWorld, make_module: MakeModule
) -> None:
    for name, parameters in (("takes", "resource=''"), ("does_not", "other=''")):
        third = parameters.partition("=")[0]
        source = f"def get_permissions(service, userid, {parameters}): return {{'at': {third}}}"
        make_module(name, source)
    permissions = world.load([("takes", "takes"), ("does_not", "does_not")])
    assert await permissions.ask("takes", "u", resource="a/b") == {"at": "a/b"}
    assert await permissions.ask("takes", "u") == {"at": ""}
    assert await permissions.ask("does_not", "u", resource="a/b") == {"at": ""}


async def has_read(collection: Unreliable, times: int) -> None:
    async with asyncio.timeout(5):
        while collection.reads < times:  # noqa: ASYNC110 - a test may poll
            await asyncio.sleep(0.001)


class TestChanges:
    # S107
    async def test_what_a_user_lost_is_gone_at_once_where_it_was_taken(
        self, world: PermissionsWorld
    ) -> None:
        permissions = world.load([("wiki", BUILT_IN)], cache_seconds=300)
        await world.roles.put_group("staff")
        await world.roles.put_role("wiki", "owner", permissions=["own"])
        await world.roles.assign("group:staff", "wiki:owner")

        async def granted() -> set[str]:
            asked = await permissions.ask("wiki", "ann")
            assert asked is not None
            names = recalled(permissions)
            assert names == {name for name, value in asked.items() if value is True}
            return names

        assert await granted() == {"edit", "read"}
        await world.roles.add_member("staff", "ann")
        assert await granted() == {"edit", "own", "read"}
        await world.roles.put_role("wiki", "owner", permissions=["see"])
        assert await granted() == {"edit", "read", "see"}
        await world.roles.unassign("group:staff|wiki:owner|")
        assert await granted() == {"edit", "read"}
        await world.roles.unassign(f"user:ann|{ROLE}|")
        assert await granted() == set()
        await world.roles.delete_role("wiki:publisher")
        assert await permissions.ask("wiki", "ann") == {}

    async def test_what_others_are_told_stays_known(self, world: PermissionsWorld) -> None:
        permissions = world.load([("wiki", BUILT_IN), ("blog", BUILT_IN)])
        await world.roles.put_role("blog", "reader", permissions=["read"])
        for service, user in (("wiki", "ann"), ("wiki", "bob"), ("blog", "ann")):
            await permissions.ask(service, user)
        await world.roles.assign("user:ann", "blog:reader")
        assert permissions.recall("wiki", "bob") is not None
        assert permissions.recall("blog", "ann") is None
        await permissions.ask("wiki", "ann")
        await permissions.ask("blog", "ann")
        await world.roles.put_role("blog", "reader", permissions=["see"])
        assert permissions.recall("wiki", "ann") is not None
        assert permissions.recall("blog", "ann") is None

    async def test_an_answer_from_before_a_change_is_not_given_to_who_asks_after_it(
        self, clock: FakeClock
    ) -> None:
        world = PermissionsWorld(clock)
        await world.roles.put_role("wiki", "editor", permissions=["edit"])
        await world.roles.assign("user:ann", ROLE)
        held = Unreliable(world.storage.roles)
        world.storage.roles = held  # type: ignore[assignment]
        world = PermissionsWorld(clock, storage=world.storage)
        permissions = world.load([("wiki", BUILT_IN)], cache_seconds=300)
        held.answering.clear()
        before = asyncio.ensure_future(permissions.ask("wiki", "ann"))
        await has_read(held, 1)
        await world.roles.unassign(f"user:ann|{ROLE}|")
        after = asyncio.ensure_future(permissions.ask("wiki", "ann"))
        await asyncio.sleep(0.05)  # it finds nothing to read
        held.answering.set()
        assert await before == {"edit": True}
        assert await after == {}
        assert await permissions.ask("wiki", "ann") == {}
        assert not permissions._asking
        assert not permissions._tasks

    async def test_a_store_that_is_away_denies(
        self, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        world = PermissionsWorld(clock)
        await world.roles.put_role("wiki", "editor", permissions=["edit"])
        await world.roles.assign("user:ann", ROLE)
        away = Unreliable(world.storage.assignments)
        away.failing = True
        world.storage.assignments = away  # type: ignore[assignment]
        world = PermissionsWorld(clock, storage=world.storage)
        permissions = world.load([("wiki", BUILT_IN)])
        assert await permissions.ask("wiki", "ann") is None
        away.failing = False
        assert await permissions.ask("wiki", "ann") == {"edit": True}
        (record,) = caplog.records
        assert vars(record)["exception"] == "StorageUnavailable"
        assert vars(record)["provider"] == BUILT_IN


async def test_a_function_without_a_signature_gets_two_arguments(
    world: PermissionsWorld, make_module: MakeModule
) -> None:
    permissions = world.load([("wiki", make_module("in_c", "get_permissions = max"))])
    why = await permissions.explain("wiki", "u", resource="a")
    assert why.providers[0].error == "get_permissions returned a str, not a dict"


class TestSettings:
    def test_several_modules_stand_in_the_place_of_one(self) -> None:
        text = "wiki:a.b; reports: first( my.module , tornado_auth.roles );x:union(a,b,c)"
        assert parse_services(text) == (
            ("wiki", "a.b"),
            ("reports", "first(my.module,tornado_auth.roles)"),
            ("x", "union(a,b,c)"),
        )

    @pytest.mark.parametrize(
        "wrong",
        [
            "first(a,b)",
            "x:first(a)",
            "x:first()",
            "x:first(a,a)",
            "x:first(a,)",
            "x:most(a,b)",
            "x:first(a,last(b,c))",
            "x:first(a,b",
            "x:first(a,b)c",
            "x:first(a;b)",
            "x:first(a,os.system())",
        ],
    )
    def test_what_is_no_combination_is_refused(self, wrong: str) -> None:
        with pytest.raises(ValueError, match=r"entry 1 .*\."):
            parse_services(wrong)

    async def test_every_part_has_to_be_there(self, world: PermissionsWorld) -> None:
        with pytest.raises(SettingsError) as caught:
            world.load([("wiki", f"first(no_such_a,{BUILT_IN},no_such_b)"), ("a/b", BUILT_IN)])
        problems = caught.value.problems
        assert ["no_such_a" in problems[0], "no_such_b" in problems[1]] == [True, True]
        assert "cannot be called 'a/b'" in problems[2]
        assert len(problems) == 3
