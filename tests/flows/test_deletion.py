"""A user who is deleted by the command, while two processes know them."""

import asyncio
import time

import pytest

from tests.flows.processes import Client, Cluster, MakeCluster


@pytest.fixture
def two(cluster: MakeCluster, database_url: str) -> Cluster:
    made = cluster(DATABASE_URL=database_url, TORNADO_AUTH_STORAGE_TIMEOUT="10")
    made.start(2)
    return made


# S125 S131
@pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("mongodb", marks=pytest.mark.long)], indirect=True
)
async def test_who_is_deleted_is_refused_everywhere_within_a_second(
    two: Cluster, client: Client
) -> None:
    urls = [process.url for process in two.processes]
    tokens = [await client.sign_in(url, "ann") for url in urls]
    bobs = await client.sign_in(urls[0], "bob")
    before = await client.json(f"{urls[0]}/auth/check", token=tokens[1])
    passed_at = 0.0
    deleted = asyncio.Event()

    async def keep_asking() -> None:
        nonlocal passed_at
        while not deleted.is_set() or time.monotonic() < deleted_at + 1.5:
            for url in urls:
                for token in tokens:
                    answer = await client.fetch(f"{url}/auth/verify", token=token)
                    if answer.code == 200:
                        passed_at = time.monotonic()
            await asyncio.sleep(0.01)

    asking = asyncio.ensure_future(keep_asking())
    result = await asyncio.to_thread(two.run, "users", "delete", "ann", "--yes")
    deleted_at = time.monotonic()
    deleted.set()
    assert (result.returncode, result.stdout) == (0, "ann is deleted.\n"), result.stderr
    await asking
    assert passed_at < deleted_at + 1
    assert passed_at > 0
    for url in urls:
        assert (await client.fetch(f"{url}/auth/verify", token=bobs)).code == 200
        assert (await client.json(f"{url}/auth/resolve?username=ann", token=bobs)) == {
            "userid": None
        }
    # Whoever comes back is somebody else, under another name.
    again = await client.json(f"{urls[1]}/auth/check", token=await client.sign_in(urls[1], "ann"))
    assert again["profile"]["id"] != before["profile"]["id"]
    assert again["profile"]["username"] == "ann2"
