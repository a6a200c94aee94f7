"""Why somebody may do something or not, as operators are told."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FakeClock
from tests.modules import MakeModule, counted_answers, module, writing_modules
from tests.permissions_world import PermissionsWorld
from tests.unreliable import Unreliable
from tornado_auth.permission_providers import BUILT_IN
from tornado_auth.roles import Source

ROLE = "wiki:editor"
SECRET = "mongodb://root:hunter2@db"


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path, monkeypatch)


@pytest.fixture
async def world(clock: FakeClock) -> PermissionsWorld:
    """Ann edits as one of the staff, and reads in person in the resource "a"."""
    world = PermissionsWorld(clock)
    await world.roles.put_role("wiki", "editor", permissions=["edit"])
    await world.roles.put_role("wiki", "reader", permissions=["read"])
    await world.roles.put_group("staff")
    await world.roles.assign("group:staff", ROLE)
    await world.roles.add_member("staff", "ann")
    await world.roles.assign("user:ann", "wiki:reader", resource="a")
    return world


async def test_it_tells_which_role_and_holder_decide(world: PermissionsWorld) -> None:
    permissions = world.load([("wiki", BUILT_IN)])
    why = await permissions.explain("wiki", "ann", permission="edit")
    assert (why.service, why.user_id, why.permission, why.resource) == ("wiki", "ann", "edit", "")
    assert (why.granted, why.decided_by) == (True, BUILT_IN)
    assert why.permissions == {"edit": True, "read": False}
    assert why.sources == [Source("edit", ROLE, "group:staff", "")]
    assert why.result == "answered"
    (provider,) = why.providers
    assert (provider.name, provider.result, provider.error) == (BUILT_IN, "answered", "")
    assert provider.permissions == why.permissions
    assert 0 < provider.milliseconds <= why.milliseconds


async def test_it_tells_what_is_not_granted(world: PermissionsWorld) -> None:
    permissions = world.load([("wiki", BUILT_IN)])
    for permission in ("read", "delete"):
        why = await permissions.explain("wiki", "ann", permission=permission)
        assert (why.granted, why.sources) == (False, [])
        assert why.decided_by == (BUILT_IN if permission == "read" else "")
    here = await permissions.explain("wiki", "ann", permission="read", resource="a")
    assert here.granted is True
    assert here.sources == [Source("read", "wiki:reader", "user:ann", "a")]


async def test_without_a_permission_it_tells_all_of_them(world: PermissionsWorld) -> None:
    why = await world.load([("wiki", BUILT_IN)]).explain("wiki", "ann", resource="a")
    assert (why.granted, why.decided_by) == (None, "")
    assert why.permissions == {"edit": True, "read": True}
    assert [source.permission for source in why.sources] == ["read", "edit"]


async def test_it_tells_what_each_provider_said(
    world: PermissionsWorld, make_module: MakeModule
) -> None:
    make_module("mine", "async def get_permissions(s, u): return {'edit': False, 'more': 1}")
    why = await world.load([("wiki", f"first(mine,{BUILT_IN})")]).explain(
        "wiki", "ann", permission="edit"
    )
    assert (why.granted, why.decided_by) == (False, "mine")
    assert why.permissions == {"edit": False, "more": 1, "read": False}
    assert [(one.name, one.permissions) for one in why.providers] == [
        ("mine", {"edit": False, "more": 1}),
        (BUILT_IN, {"edit": True, "read": False}),
    ]
    assert why.sources == [Source("edit", ROLE, "group:staff", "")]


FAILING = {
    "raises": ("error", "OSError", f"raise OSError('{SECRET}')"),
    "hangs": ("timeout", "TimeoutError", "await asyncio.sleep(30)"),
    "junk": ("junk", "get_permissions returned a str, not a dict", f"return '{SECRET}'"),
    "none": ("junk", "get_permissions returned a NoneType, not a dict", "pass"),
    "object": (
        "junk",
        "get_permissions returned what JSON cannot carry",
        "return {'edit': object()}",
    ),
}


# S107 S149
@pytest.mark.parametrize("failing", FAILING)
async def test_it_tells_which_provider_failed_and_how_but_no_secret(
    world: PermissionsWorld, make_module: MakeModule, failing: str
) -> None:
    result, error, body = FAILING[failing]
    make_module("mine", f"import asyncio\nasync def get_permissions(s, u): {body}")
    permissions = world.load([("wiki", f"union({BUILT_IN},mine)")], timeout=0.2)
    began = time.monotonic()
    why = await permissions.explain("wiki", "ann", permission="edit")
    assert time.monotonic() - began < 1
    assert (why.granted, why.permissions, why.result) == (False, {}, result)
    assert [(one.result, one.error) for one in why.providers] == [("answered", ""), (result, error)]
    assert (why.providers[1].permissions, why.decided_by) == (None, "mine")
    assert SECRET not in repr(why)
    assert why.sources == [Source("edit", ROLE, "group:staff", "")]
    assert await permissions.ask("wiki", "ann") is None


# S106
@pytest.mark.parametrize("service", ["none", "os", "..", "", "wiki\0", "wiki:editor|a"])
async def test_a_service_that_is_not_allowed_grants_nothing(
    world: PermissionsWorld, service: str
) -> None:
    why = await world.load([("wiki", BUILT_IN)]).explain(service, "ann", permission="edit")
    assert (why.granted, why.permissions, why.result) == (False, {}, "unknown_service")
    assert why.providers == []
    assert why.sources == []


async def test_roles_in_a_service_that_is_not_allowed_are_told_of(world: PermissionsWorld) -> None:
    why = await world.load([]).explain("wiki", "ann", permission="edit")
    assert (why.granted, why.result) == (False, "unknown_service")
    assert why.sources == [Source("edit", ROLE, "group:staff", "")]


async def test_it_asks_anew_and_tells_what_is_cached_and_how_old_that_is(
    world: PermissionsWorld, make_module: MakeModule, clock: FakeClock
) -> None:
    make_module("mine", "said = {'edit': True}\ndef get_permissions(s, u): return said")
    permissions = world.load([("wiki", "mine")], cache_seconds=60)
    why = await permissions.explain("wiki", "ann")
    assert (why.cached, why.cached_age) == (None, None)
    await permissions.ask("wiki", "ann")
    clock.advance(40)
    module("mine").said.clear()
    why = await permissions.explain("wiki", "ann", permission="edit")
    assert (why.granted, why.permissions) == (False, {})
    assert (why.cached, why.cached_age) == ({"edit": True}, 40)
    assert await permissions.ask("wiki", "ann") == {"edit": True}
    await world.roles.unassign("user:ann|wiki:reader|a")
    assert (await permissions.explain("wiki", "ann")).cached is None
    # An operator's curiosity is not a question of a service.
    assert counted_answers(world.metrics) == {"answered": 1, "cached": 1}


async def test_a_resource_that_cannot_be_one_is_denied_as_in_any_question(
    world: PermissionsWorld, make_module: MakeModule
) -> None:
    make_module("mine", "def get_permissions(s, u): return {'edit': True}")
    permissions = world.load([("wiki", f"union(mine,{BUILT_IN})")])
    why = await permissions.explain("wiki", "ann", permission="edit", resource="a b")
    assert (why.granted, why.permissions, why.result) == (False, {}, "unknown_resource")
    assert why.providers == []


async def test_it_tells_that_the_store_is_away(world: PermissionsWorld) -> None:
    away = Unreliable(world.storage.memberships)
    away.failing = True
    world.storage.memberships = away  # type: ignore[assignment]
    world = PermissionsWorld(world.clock, storage=world.storage)
    why = await world.load([("wiki", BUILT_IN)]).explain("wiki", "ann", permission="edit")
    assert (why.granted, why.result, why.sources) == (False, "error", [])
    assert why.providers[0].error == "StorageUnavailable"
