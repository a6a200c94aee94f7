"""What is remembered of permissions while nobody would tell that they changed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.conftest import FakeClock
from tests.modules import MakeModule, writing_modules
from tests.permissions_world import PermissionsWorld
from tests.unreliable import Unreliable, WithFeed
from tornado_auth import revocations
from tornado_auth.administrators import AUDITOR, READ, SERVICE
from tornado_auth.errors import PositionLost
from tornado_auth.permission_providers import BUILT_IN
from tornado_auth.permissions import Permissions
from tornado_auth.storage import Storage
from tornado_auth.storage.memory import MemoryBackend

EDIT = frozenset({"edit"})
MODULE = "async def get_permissions(service, userid): return {'edit': True}"


class Moments:
    """A clock that a test moves, and that never says the same twice."""

    at = 100.0

    def __call__(self) -> float:
        self.at += 1e-6
        return self.at


class World(PermissionsWorld):
    """A process whose feed a test feeds; `elsewhere` is one of which it hears nothing."""

    def __init__(self, clock: FakeClock) -> None:
        storage = Storage(MemoryBackend(), clock)
        self.elsewhere = PermissionsWorld(clock, storage=Storage(storage._backend, clock)).roles
        self.feed = WithFeed(storage.revocations)
        storage.revocations = self.feed  # type: ignore[assignment]
        self.moments = Moments()
        super().__init__(clock, storage=storage, monotonic=self.moments)

    async def hear(self) -> None:
        """Be told that there is nothing up to now."""
        await self.feed.report()
        await self.feed.report()


@pytest.fixture
async def world(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Ann and Bob may edit, for they are in a group; the feed is alive."""
    monkeypatch.setattr(revocations, "RETRY_AFTER", 0.001)
    world = World(clock)
    await world.elsewhere.put_role("wiki", "editor", permissions=["edit"])
    await world.elsewhere.put_group("staff")
    await world.elsewhere.assign("group:staff", "wiki:editor")
    for name in ("ann", "bob", "eve"):
        await world.elsewhere.add_member("staff", name)
    await world.revocations.start()
    await world.hear()
    yield world
    await world.revocations.stop()


@pytest.fixture
def permissions(world: World) -> Permissions:
    return world.load([("wiki", BUILT_IN)], cache_seconds=300)


# S107 S131
async def test_with_a_feed_an_answer_is_given_again_as_long_as_the_cache_says(
    world: World, permissions: Permissions
) -> None:
    assert await permissions.ask("wiki", "ann") == {"edit": True}
    world.moments.at += 50
    await world.hear()
    assert permissions.recall("wiki", "ann") == EDIT
    await world.elsewhere.unassign("group:staff|wiki:editor|")  # to be told of
    assert await permissions.ask("wiki", "bob") == {"edit": True}  # what the group holds is known


# S107 S131
async def test_while_the_feed_is_deaf_an_answer_is_read_anew(
    world: World, permissions: Permissions
) -> None:
    assert await permissions.ask("wiki", "ann") == {"edit": True}
    await world.elsewhere.unassign("group:staff|wiki:editor|")
    world.moments.at += 0.9
    assert permissions.recall("wiki", "ann") == EDIT
    world.moments.at += 0.2
    assert permissions.recall("wiki", "ann") is None
    assert await permissions.ask("wiki", "ann") == {}
    assert await permissions.ask("wiki", "bob") == {}
    world.moments.at += 0.9  # what was read without a feed stands for a second, too
    assert permissions.recall("wiki", "ann") == frozenset()
    world.moments.at += 0.2
    assert permissions.recall("wiki", "ann") is None


# S107
async def test_what_a_group_holds_does_not_get_a_second_more_by_being_asked_for_again(
    world: World, permissions: Permissions
) -> None:
    assert await permissions.ask("wiki", "ann") == {"edit": True}
    world.moments.at += 0.9
    assert await permissions.ask("wiki", "bob") == {"edit": True}  # from what is known of the group
    assert permissions.recall("wiki", "bob") == EDIT
    world.moments.at += 0.2
    assert permissions.recall("wiki", "bob") is None


# S107 S131
async def test_what_was_known_before_the_feed_lost_its_place_is_known_no_more(
    world: World, permissions: Permissions
) -> None:
    assert await permissions.ask("wiki", "ann") == {"edit": True}
    await world.elsewhere.unassign("group:staff|wiki:editor|")
    world.moments.at += 50
    await world.feed.fail(PositionLost("too old"))
    await world.hear()
    assert world.revocations.lag < 1
    assert permissions.recall("wiki", "ann") is None
    assert await permissions.ask("wiki", "bob") == {}
    world.moments.at += 50
    await world.hear()
    assert permissions.recall("wiki", "bob") == frozenset()


async def test_without_a_feed_a_question_under_way_is_shared_for_a_second(world: World) -> None:
    held = Unreliable(world.storage.roles)
    world.roles._held._roles = held  # type: ignore[assignment]
    permissions = world.load([("wiki", BUILT_IN)])
    world.moments.at += 2
    held.answering.clear()
    asked = [asyncio.ensure_future(permissions.ask("wiki", "ann")) for _ in range(2)]
    await asyncio.sleep(0.01)
    assert held.reads == 1
    world.moments.at += 1
    asked.append(asyncio.ensure_future(permissions.ask("wiki", "ann")))
    await asyncio.sleep(0.01)
    assert held.reads == 2
    held.answering.set()
    assert await asyncio.gather(*asked) == [{"edit": True}] * 3


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path, monkeypatch)


async def test_what_a_module_alone_says_needs_no_feed(
    world: World, make_module: MakeModule
) -> None:
    alone = make_module("alone", MODULE)
    entries = [("alone", alone), ("both", f"union({alone},{BUILT_IN})")]
    permissions = world.load(entries, cache_seconds=300)
    for service in ("alone", "both"):
        assert await permissions.ask(service, "ann") == {"edit": True}
    world.moments.at += 100
    assert permissions.recall("alone", "ann") == EDIT
    assert permissions.recall("both", "ann") is None
    await world.roles.put_role("alone", "any", permissions=[])
    assert permissions.recall("alone", "ann") is None  # what is heard of counts all the same


# S107
async def test_nobody_stays_an_administrator_by_what_a_deaf_process_remembers_of_a_group(
    world: World,
) -> None:
    await world.elsewhere.put_role(SERVICE, AUDITOR.partition(":")[2], permissions=[READ])
    await world.elsewhere.assign("group:staff", AUDITOR)
    assert await world.roles.permissions_of(SERVICE, "ann") == {READ: True}
    await world.elsewhere.unassign(f"group:staff|{AUDITOR}|")
    assert await world.roles.permissions_of(SERVICE, "ann") == {READ: True}  # it is yet to be told
    world.moments.at += 1
    assert await world.roles.permissions_of(SERVICE, "ann") == {}
