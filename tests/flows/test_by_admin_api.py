"""An operator's first day by API alone: two processes, one MongoDB, and nothing in it at first."""

import asyncio
import json
import time
from typing import Any

import pytest

from tests.flows.processes import Client, Cluster, MakeCluster

pytestmark = pytest.mark.alone

BOUND = 1.0


@pytest.fixture
def two(cluster: MakeCluster, mongo_url: str) -> Cluster:
    made = cluster(
        DATABASE_URL=mongo_url,
        ALLOWED_SERVICES="wiki:tornado_auth.roles",
        TORNADO_AUTH_PERMISSION_CACHE_SECONDS="300",
    )
    made.start(2)
    return made


async def call(client: Client, url: str, method: str, path: str, token: str, sent: Any) -> Any:
    response = await client.fetch(
        f"{url}/admin/api/{path}",
        method=method,
        body=None if sent is None else json.dumps(sent),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        allow_nonstandard_methods=True,
    )
    assert response.code in (200, 201, 204), (path, response.code, response.body)
    return json.loads(response.body) if response.body else None


# S153
async def test_from_an_empty_store_to_a_permission_and_back(two: Cluster, client: Client) -> None:
    here, there = (process.url for process in two.processes)
    secret = json.loads(two.run("admins", "invite", "--json").stdout)["secret"]
    rita, ann = await client.sign_in(here, "rita"), await client.sign_in(here, "ann")
    await call(client, here, "POST", "first-administrator", rita, {"secret": secret})
    token = (await call(client, there, "POST", "token", rita, None))["access_token"]

    async def do(method: str, path: str, sent: Any = None) -> Any:
        return await call(client, here, method, path, token, sent)

    async def asked(url: str) -> Any:
        answer = await client.json(f"{url}/auth/authorize?service=wiki", token=ann)
        return answer["permissions"]

    async def seconds_until(expected: dict[str, bool]) -> float:
        """Ask in both processes as often as it takes, and return how long that was."""
        since = time.monotonic()
        async with asyncio.timeout(10):
            for url in (here, there):
                while await asked(url) != expected:  # noqa: ASYNC110 - a test may poll
                    await asyncio.sleep(0.01)
        return time.monotonic() - since

    assert await seconds_until({}) < BOUND
    await do("PUT", "roles/wiki:editor", {"permissions": ["page:edit"]})
    await do("PUT", "groups/writers", {})
    given = await do("POST", "assignments", {"holder": "group:writers", "role_id": "wiki:editor"})
    await do("PUT", "groups/writers/members/ann")
    assert await seconds_until({"page:edit": True}) < BOUND

    why = await do("GET", "users/ann/permissions?service=wiki&permission=page:edit")
    assert (why["granted"], why["sources"][0]["holder"]) == (True, "group:writers")
    await do("DELETE", "assignments/" + given["id"].replace("|", "%7C"))
    assert await seconds_until({}) < BOUND
    why = await do("GET", "users/ann/permissions?service=wiki&permission=page:edit")
    assert (why["granted"], why["sources"]) == (False, [])
