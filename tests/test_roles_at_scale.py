"""What a question about roles costs, however much there is in the store."""

from pathlib import Path
from typing import Any

import pymongo
import pytest

from bench.permissions import FEW, GROUPS_OF_A_USER, ROLES_OF_A_GROUP, Size
from bench.population import user_id
from tests.conftest import FakeClock
from tests.permissions_world import PermissionsWorld
from tests.unreliable import Unreliable
from tornado_auth.models import Assignment, Membership, Role
from tornado_auth.storage import Storage, open_backend
from tornado_auth.storage.documents import members_of
from tornado_auth.storage.sqlite import SQLiteBackend

MANY = 3_000
ROLE, GROUP = "wiki:editor", "staff"


async def give_some(world: PermissionsWorld) -> None:
    """Let Ann hold a role in person and one through a group, and others in other services."""
    await world.roles.put_role("wiki", "editor", permissions=["edit"])
    await world.roles.put_group(GROUP)
    await world.roles.add_member(GROUP, "ann")
    for holder in ("user:ann", f"group:{GROUP}"):
        await world.roles.assign(holder, ROLE)


def others(number: int) -> tuple[Role, Membership, Assignment]:
    """Make what is about other users, though in the same group, or about other services."""
    return (
        Role(id=f"wiki:r{number}", service="wiki", name=f"r{number}", created_at=0),
        Membership(id=f"{GROUP}:u{number}", group=GROUP, user_id=f"u{number}", created_at=0),
        Assignment(
            id=f"user:u{number}|{ROLE}|",
            holder=f"user:u{number}",
            role_id=ROLE,
            service="wiki",
            created_at=0,
        ),
    )


async def test_on_mongodb_a_question_looks_at_nothing_but_what_it_returns(
    mongo_url: str, clock: FakeClock
) -> None:
    storage = Storage(open_backend(mongo_url, timeout=5), clock)
    await storage.open()
    world = PermissionsWorld(clock, storage=storage)
    await give_some(world)
    with pymongo.MongoClient[dict[str, object]](mongo_url) as client:
        database = client.get_default_database()
        for records in zip(*map(others, range(MANY)), strict=True):
            documents = [{"_id": one.id, **members_of(one)} for one in records]
            database[records[0].KIND].insert_many(documents)
        database.command("profile", 2)
        assert await world.roles.permissions_of("wiki", "ann") == {"edit": True}
        database.command("profile", 0)
        seen = list(database["system.profile"].find({"op": "query"}))
        database["system.profile"].drop()
        database.command("profile", 2)
        pages: list[list[Any]] = [
            await world.roles.roles(service="wiki"),
            await world.roles.roles(after="wiki:r1", limit=50),
            await world.roles.members(GROUP, after=f"{GROUP}:u1", limit=100),
            await world.roles.holders_of(ROLE, limit=100),
        ]
        database.command("profile", 0)
        listed = list(database["system.profile"].find({"op": "query", "limit": {"$ne": 1}}))
    await storage.close()
    assert [len(page) for page in pages] == [100, 50, 100, 100]
    assert [one["nreturned"] for one in listed] == [one["docsExamined"] for one in listed]
    assert sum(int(str(one["nreturned"])) for one in listed) >= 350
    kinds = [str(one["ns"]).rpartition(".")[2] for one in seen]
    assert sorted(kinds) == ["assignments", "assignments", "memberships", "roles"]
    assert [one["docsExamined"] for one in seen] == [1, 1, 1, 1]
    assert all(int(str(one["keysExamined"])) <= 2 for one in seen)


async def test_on_sqlite_every_question_goes_by_an_index(tmp_path: Path, clock: FakeClock) -> None:
    backend = SQLiteBackend(f"sqlite:///{tmp_path}/store.db", timeout=5)
    storage = Storage(backend, clock)
    await storage.open()
    await give_some(PermissionsWorld(clock, storage=storage))
    for query, index in (
        (
            "SELECT body FROM memberships WHERE id > ? AND user_id = ? ORDER BY id LIMIT ?",
            "user_id",
        ),
        ('SELECT body FROM memberships WHERE id > ? AND "group" = ? ORDER BY id LIMIT ?', "group"),
        ("SELECT body FROM assignments WHERE id > ? AND holder = ? ORDER BY id LIMIT ?", "holder"),
        (
            "SELECT body FROM assignments WHERE id > ? AND role_id = ? ORDER BY id LIMIT ?",
            "role_id",
        ),
        ("SELECT body FROM roles WHERE id > ? AND service = ? ORDER BY id LIMIT ?", "service"),
    ):
        plan = await backend._file.read(f"EXPLAIN QUERY PLAN {query}", ("", "x", 100))
        (step,) = [row[3] for row in plan]
        assert f"_{index}_index ({index}=? AND id>?)" in step.replace('"', "")
    await storage.close()


@pytest.mark.parametrize("size", [FEW, Size(300, 30, 30)], ids=str)
async def test_what_is_measured_is_a_store_where_everybody_holds_as_much(
    size: Size, clock: FakeClock
) -> None:
    world = PermissionsWorld(clock)
    for record in size.records():
        await getattr(world.storage, record.KIND).insert(record)
    held = ROLES_OF_A_GROUP * GROUPS_OF_A_USER + 1
    for number in range(10):
        assert len(await world.roles.sources_of("bench", user_id(number))) == held * 2
    assert len(await world.storage.users.find()) == 0  # the population makes them
    kinds = (world.storage.roles, world.storage.groups)
    assert [len(await kind.find()) for kind in kinds] == [size.roles, size.groups]


@pytest.mark.parametrize("groups", [1, 20])
async def test_what_groups_hold_is_read_once_for_all_their_members(
    groups: int, clock: FakeClock
) -> None:
    world = PermissionsWorld(clock)
    counted = Unreliable(world.storage.assignments)
    asked: list[str] = []

    class Counting(Unreliable):
        async def find(self, **options: str) -> object:
            asked.append(options["holder"])
            return await counted.inner.find(**options)

    await world.roles.put_role("wiki", "editor", permissions=["edit"])
    for number in range(groups):
        await world.roles.put_group(f"g{number}")
        await world.roles.assign(f"group:g{number}", ROLE)
        for member in ("ann", "bob"):
            await world.roles.add_member(f"g{number}", member)
    world.storage.assignments = Counting(counted.inner)  # type: ignore[assignment]
    world = PermissionsWorld(clock, storage=world.storage)
    await world.hear()
    assert await world.roles.permissions_of("wiki", "ann") == {"edit": True}
    assert len(asked) == 1 + groups
    asked.clear()
    assert await world.roles.permissions_of("wiki", "bob") == {"edit": True}
    assert asked == ["user:bob"]
    # Until something in the service changes.
    await world.roles.put_role("wiki", "editor", permissions=["read"])
    asked.clear()
    assert await world.roles.permissions_of("wiki", "bob") == {"read": True}
    assert len(asked) == 1 + groups
    await world.revocations.stop()
