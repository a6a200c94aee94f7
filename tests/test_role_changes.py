"""Changes of roles that meet each other, break off, or are to be heard of elsewhere."""

import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.permissions_world import PermissionsWorld
from tornado_auth.errors import NotFound, StorageUnavailable
from tornado_auth.roles import Roles
from tornado_auth.storage import Storage

ROLE = "wiki:editor"
KINDS = ("roles", "groups", "memberships", "assignments", "group_mappings", "revocations")
WRITES = {"insert", "replace", "delete", "delete_where"}

Change = Callable[[Roles], Awaitable[object]]


class Interrupted:
    """A collection that calls `before` with the name of each operation."""

    def __init__(self, inner: Any, before: Callable[[str], Awaitable[None]]) -> None:
        self._inner = inner
        self._before = before

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._before(name)
            return await getattr(self._inner, name)(*args, **kwargs)

        return call


def interrupt(storage: Storage, before: Callable[[str], Awaitable[None]], *kinds: str) -> None:
    for kind in kinds or KINDS:
        setattr(storage, kind, Interrupted(getattr(storage, kind), before))


async def filled(clock: FakeClock) -> PermissionsWorld:
    """A group that holds a role, with a member, and somebody who holds it in person."""
    world = PermissionsWorld(clock)
    roles = world.roles
    await roles.put_role("wiki", "editor", permissions=["edit"])
    await roles.put_group("staff")
    await roles.assign("group:staff", ROLE)
    await roles.assign("user:u1", ROLE)
    await roles.add_member("staff", "u2")
    await roles.map_group("github", "acme", "staff")
    await roles.map_group("github", "acme/b", "staff")
    await roles.follow_groups("u3", "github", ["acme"])
    return world


CHANGES: dict[str, tuple[Change, set[str]]] = {
    "put_role": (lambda roles: roles.put_role("wiki", "editor", permissions=["read"]), {"wiki"}),
    "put_new_role": (lambda roles: roles.put_role("wiki", "reader", permissions=[]), {"wiki"}),
    "delete_role": (lambda roles: roles.delete_role(ROLE), {"wiki"}),
    "put_group": (lambda roles: roles.put_group("staff", description="All."), set()),
    "delete_group": (lambda roles: roles.delete_group("staff"), {"wiki"}),
    "add_member": (lambda roles: roles.add_member("staff", "u9"), {"u9"}),
    "remove_member": (lambda roles: roles.remove_member("staff", "u2"), {"u2"}),
    "assign_user": (lambda roles: roles.assign("user:u9", ROLE, resource="a"), {"u9"}),
    "assign_group": (lambda roles: roles.assign("group:staff", ROLE, resource="a"), {"wiki"}),
    "unassign_user": (lambda roles: roles.unassign(f"user:u1|{ROLE}|"), {"u1"}),
    "unassign_group": (lambda roles: roles.unassign(f"group:staff|{ROLE}|"), {"wiki"}),
    "follow_in": (lambda roles: roles.follow_groups("u9", "github", ["acme"]), {"u9"}),
    "follow_out": (lambda roles: roles.follow_groups("u3", "github", []), {"u3"}),
    "map_group": (lambda roles: roles.map_group("corp", "acme", "staff"), set()),
    "forget_user": (lambda roles: roles.forget_user("u1"), set()),
}

# What was done already is not known any more: it is heard of when cached answers are too old.
SOON_ENOUGH = {"delete_group", "follow_in", "follow_out"}


async def records(storage: Storage) -> dict[str, list[Any]]:
    return {kind: await getattr(storage, kind).find() for kind in KINDS if kind != "revocations"}


async def marks(storage: Storage) -> set[str]:
    return {mark.user_id or mark.service for mark in await storage.revocations.find(limit=500)}


async def clean(storage: Storage) -> None:
    for mark in await storage.revocations.find(limit=500):
        await storage.revocations.delete(mark.id)


@pytest.mark.parametrize("name", CHANGES)
async def test_every_process_hears_of_a_change(name: str, clock: FakeClock) -> None:
    change, expected = CHANGES[name]
    world = await filled(clock)
    await clean(world.storage)
    await change(world.roles)
    assert await marks(world.storage) == expected


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_that_broke_off_anywhere_is_finished_by_doing_it_again(
    name: str, clock: FakeClock
) -> None:
    change, expected = CHANGES[name]
    whole = await filled(clock)
    await change(whole.roles)
    at = 0
    while True:
        world = await filled(clock)
        await clean(world.storage)
        left = at

        async def crash(operation: str) -> None:
            nonlocal left
            if operation in WRITES:
                left -= 1
                if left < 0:
                    raise StorageUnavailable("the process ended here")

        storage = Storage(world.storage._backend, clock)
        interrupt(storage, crash)
        try:
            await change(PermissionsWorld(clock, storage=storage).roles)
        except StorageUnavailable:
            pass
        else:
            break
        try:
            await change(world.roles)
        except NotFound:
            assert name.startswith(("delete", "remove", "unassign"))
        assert await records(world.storage) == await records(whole.storage)
        heard = await marks(world.storage)
        assert heard == expected or (name in SOON_ENOUGH and heard <= expected)
        at += 1
    assert at > 0


MEETINGS = [
    ("delete_role", "assign_user"),
    ("delete_role", "assign_group"),
    ("delete_group", "assign_group"),
    ("delete_group", "add_member"),
    ("delete_group", "map_group"),
    ("delete_group", "follow_in"),
]


@pytest.mark.parametrize(("deletion", "addition"), MEETINGS)
async def test_what_comes_in_while_a_deletion_is_under_way_goes_with_it(
    deletion: str, addition: str, clock: FakeClock
) -> None:
    delete, add = CHANGES[deletion][0], CHANGES[addition][0]
    for at in range(20):
        world = await filled(clock)
        storage = Storage(world.storage._backend, clock)
        came_in = coming_in(at, refused_or(add), world.roles)
        interrupt(storage, came_in, *KINDS[:-1])
        await delete(PermissionsWorld(clock, storage=storage).roles)
        check_nothing_is_left(deletion, await records(world.storage))


@pytest.mark.parametrize(("deletion", "addition"), MEETINGS)
async def test_what_is_given_while_it_is_deleted_is_not_there_for_the_next_of_that_name(
    deletion: str, addition: str, clock: FakeClock
) -> None:
    """Let the deletion come in before each operation of the addition, one after the other."""
    delete, add = CHANGES[deletion][0], CHANGES[addition][0]
    for at in range(20):
        world = await filled(clock)
        storage = Storage(world.storage._backend, clock)
        interrupt(storage, coming_in(at, delete, world.roles), *KINDS[:-1])
        try:
            await add(PermissionsWorld(clock, storage=storage).roles)
        except NotFound:
            assert addition != "follow_in"  # nobody's sign-in ends by it
        left = await records(world.storage)
        if left["roles"] and left["groups"]:
            break  # the addition was through before its turn came
        check_nothing_is_left(deletion, left)
    assert 3 <= at < 10


def check_nothing_is_left(deletion: str, left: dict[str, list[Any]]) -> None:
    if deletion == "delete_role":
        assert left["assignments"] == []
    else:
        assert left["memberships"] == left["group_mappings"] == []
        assert {one.holder for one in left["assignments"]} == {"user:u1"}


def refused_or(change: Change) -> Change:
    async def attempt(roles: Roles) -> None:
        with contextlib.suppress(NotFound):
            await change(roles)

    return attempt


def coming_in(at: int, change: Change, roles: Roles) -> Callable[[str], Awaitable[None]]:
    operations = itertools.count()

    async def come_in(operation: str) -> None:
        if next(operations) == at:
            await change(roles)

    return come_in


async def test_two_who_put_the_same_role_at_once_both_succeed(clock: FakeClock) -> None:
    world = PermissionsWorld(clock)
    other = PermissionsWorld(clock, storage=world.storage)
    storage = Storage(world.storage._backend, clock)
    came = False

    async def come_in(operation: str) -> None:
        nonlocal came
        if operation == "insert" and not came:
            came = True
            await other.roles.put_role("wiki", "editor", permissions=["read"])

    interrupt(storage, come_in, "roles")
    late = PermissionsWorld(clock, storage=storage).roles
    assert (await late.put_role("wiki", "editor", permissions=["edit"])).permissions == ("edit",)
    assert (await world.roles.role(ROLE)).permissions == ("edit",)


async def test_a_role_that_is_deleted_while_it_is_put_is_put_again(clock: FakeClock) -> None:
    world = await filled(clock)
    storage = Storage(world.storage._backend, clock)

    operations: list[str] = []

    async def come_in(operation: str) -> None:
        operations.append(operation)
        if operations == ["get", "insert", "get"]:
            await world.storage.roles.delete(ROLE)

    interrupt(storage, come_in, "roles")
    await PermissionsWorld(clock, storage=storage).roles.put_role(
        "wiki", "editor", permissions=["read"]
    )
    assert (await world.roles.role(ROLE)).permissions == ("read",)
    assert operations.count("insert") == 2


class Landing(Interrupted):
    """A collection that calls `before` when the operation is done: its name is a past one."""

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            done = await getattr(self._inner, name)(*args, **kwargs)
            await self._before(name)
            return done

        return call


# S107 S125
@pytest.mark.parametrize("name", [name for name, (_, heard) in CHANGES.items() if heard])
async def test_a_change_that_landed_without_an_answer_is_heard_of_all_the_same(
    name: str, clock: FakeClock
) -> None:
    change, expected = CHANGES[name]
    for at in itertools.count():
        world = await filled(clock)
        await clean(world.storage)
        storage = Storage(world.storage._backend, clock)
        writes = itertools.count()

        async def lose_the_answer(operation: str, writes: Any = writes, at: int = at) -> None:
            if operation in WRITES and next(writes) == at:
                raise StorageUnavailable("it is done, but nobody was told")

        for kind in KINDS[:-1]:
            setattr(storage, kind, Landing(getattr(storage, kind), lose_the_answer))
        here = PermissionsWorld(clock, storage=storage)
        read_at = here.monotonic()
        try:
            await change(here.roles)
        except StorageUnavailable:
            pass
        else:
            break
        known = here.revocations
        assert all(
            known.has_changed(one, read_at) or known.has_service_changed(one, read_at)
            for one in expected
        )
        await known.stop()  # what is due is left
        assert await marks(world.storage) == expected
    assert at > 0


async def test_one_mark_that_is_not_taken_keeps_none_of_the_others_back(clock: FakeClock) -> None:
    world = await filled(clock)
    for service in ("blog", "shop"):
        await world.roles.put_role(service, "reader", permissions=["read"])
        await world.roles.assign("group:staff", f"{service}:reader")
    await clean(world.storage)
    storage = Storage(world.storage._backend, clock)
    failed: list[str] = []

    async def fail_once(operation: str) -> None:
        if not failed:
            failed.append(operation)
            raise StorageUnavailable("not this one")

    interrupt(storage, fail_once, "revocations")
    here = PermissionsWorld(clock, storage=storage)
    with pytest.raises(StorageUnavailable):
        await here.roles.delete_group("staff")
    assert failed == ["insert"]
    assert len(await marks(world.storage)) == 2
    await here.revocations.stop()
    assert await marks(world.storage) == {"wiki", "blog", "shop"}


async def test_a_new_group_has_nothing_that_is_left_of_one_of_its_name(clock: FakeClock) -> None:
    world = await filled(clock)
    await world.storage.groups.delete("staff")  # and there the process ended
    await clean(world.storage)
    await world.roles.put_group("staff")
    check_nothing_is_left("delete_group", await records(world.storage))
    assert await marks(world.storage) == {"wiki"}
    await world.roles.add_member("staff", "u9")
    await world.roles.put_group("staff", description="All.")
    assert [one.user_id for one in await world.roles.members("staff")] == ["u9"]


async def test_a_new_role_is_held_by_nobody_who_held_one_of_its_name(clock: FakeClock) -> None:
    world = await filled(clock)
    await world.storage.roles.delete(ROLE)  # and there the process ended
    await world.roles.put_role("wiki", "editor", permissions=["edit"])
    assert await world.roles.holders_of(ROLE) == []
    await world.roles.assign("user:u9", ROLE)
    await world.roles.put_role("wiki", "editor", permissions=["read"])
    assert [one.holder for one in await world.roles.holders_of(ROLE)] == ["user:u9"]
