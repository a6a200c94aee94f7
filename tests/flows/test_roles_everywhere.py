"""Roles that are taken away while two processes on one MongoDB remember what they allowed."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.flows.processes import Client, Cluster, MakeCluster
from tests.permissions_world import PermissionsWorld
from tornado_auth.roles import Roles
from tornado_auth.server import clock
from tornado_auth.storage import Storage, open_backend

pytestmark = pytest.mark.alone

BOUND = 1.0
REMEMBERED = "300"  # seconds: nothing that is gone sooner has become too old

TakeAway = Callable[[Roles, str], Awaitable[object]]
WAYS: dict[str, TakeAway] = {
    "the role of a user": lambda roles, ann: roles.unassign(f"user:{ann}|wiki:own|"),
    "a member": lambda roles, ann: roles.remove_member("staff", ann),
    "the role of a group": lambda roles, ann: roles.unassign("group:staff|wiki:edit|"),
    "a permission of a role": lambda roles, ann: roles.put_role("wiki", "edit", permissions=[]),
    "a role": lambda roles, ann: roles.delete_role("wiki:edit"),
    "a group": lambda roles, ann: roles.delete_group("staff"),
    "a group of the login provider": lambda roles, ann: roles.follow_groups(ann, "corp", []),
}


@pytest.fixture
def two(cluster: MakeCluster, mongo_url: str) -> Cluster:
    made = cluster(
        DATABASE_URL=mongo_url,
        ALLOWED_SERVICES="wiki:tornado_auth.roles",
        TORNADO_AUTH_PERMISSION_CACHE_SECONDS=REMEMBERED,
    )
    made.start(2)
    return made


@pytest.fixture
async def roles(mongo_url: str) -> AsyncIterator[Roles]:
    """Roles as a third process sees them: an operator's."""
    storage = Storage(open_backend(mongo_url, timeout=5), clock)
    await storage.open()
    yield PermissionsWorld(clock, storage=storage).roles
    await storage.close()


async def give_all(roles: Roles, user_id: str, provider: str) -> None:
    await roles.put_role("wiki", "own", permissions=["own"])
    await roles.put_role("wiki", "edit", permissions=["edit"])
    await roles.put_group("staff")
    await roles.assign(f"user:{user_id}", "wiki:own")
    await roles.assign("group:staff", "wiki:edit")
    await roles.add_member("staff", user_id, provider=provider)


# S107
async def test_what_is_taken_away_is_gone_from_every_process_within_a_second(
    two: Cluster, client: Client, roles: Roles
) -> None:
    token = await client.sign_in(two.processes[0].url, "ann")
    ann = (await client.json(f"{two.processes[0].url}/auth/check", token=token))["profile"]["id"]

    async def asked(url: str) -> set[str]:
        answer = await client.json(f"{url}/auth/authorize?service=wiki", token=token)
        return set(answer["permissions"])

    async def seconds_until(expected: set[str], since: float) -> float:
        async with asyncio.timeout(10):
            for process in two.processes:
                while await asked(process.url) != expected:  # noqa: ASYNC110 - a test may poll
                    await asyncio.sleep(0.01)
        return time.monotonic() - since

    took = {}
    for way, take_away in WAYS.items():
        await give_all(roles, ann, "corp" if way.endswith("provider") else "")
        await seconds_until({"own", "edit"}, time.monotonic())
        await take_away(roles, ann)
        left = {"edit"} if way.endswith("user") else {"own"}
        took[way] = await seconds_until(left, time.monotonic())
    assert max(took.values()) < BOUND, took
