"""Two processes on one store: the races that one process alone cannot have."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.flows.processes import Client, Cluster, MakeCluster
from tornado_auth.server import clock
from tornado_auth.storage import Storage, open_backend


@pytest.fixture(params=["sqlite", "mongodb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue("mongo_url")
    return url


@pytest.fixture
def two(cluster: MakeCluster, database_url: str) -> Cluster:
    made = cluster(DATABASE_URL=database_url)
    made.start(2)
    return made


async def records(database_url: str, kind: str) -> list[Any]:
    storage = Storage(open_backend(database_url, timeout=5), clock)
    await storage.open()
    try:
        return await getattr(storage, kind).find(limit=100)
    finally:
        await storage.close()


# D16
async def test_twenty_parallel_first_sign_ins_of_one_person_make_one_user(
    two: Cluster, client: Client, database_url: str
) -> None:
    urls = [process.url for process in two.processes] * 10
    tokens = await asyncio.gather(*(client.sign_in(url, "ann") for url in urls))
    answers = await asyncio.gather(
        *(
            client.json(f"{url}/auth/check", token=token)
            for url, token in zip(reversed(urls), tokens, strict=True)
        )
    )
    assert len(set(tokens)) == 20
    assert {answer["profile"]["username"] for answer in answers} == {"ann"}
    assert len({answer["profile"]["id"] for answer in answers}) == 1
    for kind, number in (("users", 1), ("identities", 1), ("username_claims", 1), ("sessions", 20)):
        assert len(await records(database_url, kind)) == number, kind
    (user,) = await records(database_url, "users")
    assert user.welcomed_at is not None


# S104 S146 D15
@pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("mongodb", marks=pytest.mark.long)], indirect=True
)
async def test_twenty_parallel_claims_of_one_name_have_one_winner(
    two: Cluster, client: Client, database_url: str
) -> None:
    urls = [process.url for process in two.processes] * 10
    tokens = await asyncio.gather(
        *(client.sign_in(url, f"person{number}") for number, url in enumerate(urls))
    )
    responses = await asyncio.gather(
        *(
            client.fetch(f"{url}/auth/update", token=token, form={"username": name})
            for url, token, name in zip(urls, tokens, ["queen", "Queen"] * 10, strict=True)
        )
    )
    assert sorted(response.code for response in responses) == [200] + [409] * 19
    winner = tokens[[response.code for response in responses].index(200)]
    # The other process knows the new name within a second, like everything of a session.
    await asyncio.sleep(1)
    for process in two.processes:
        answer = await client.json(f"{process.url}/auth/check", token=winner)
        assert answer["profile"]["username"] == "queen"
        resolved = await client.json(f"{process.url}/auth/resolve?username=QUEEN", token=tokens[0])
        assert resolved == {"userid": answer["profile"]["id"]}
    users = await records(database_url, "users")
    assert [user.username_key for user in users].count("queen") == 1
    assert len({user.username_key for user in users}) == 20


async def test_a_process_that_is_killed_harms_nobody_at_the_other(
    cluster: MakeCluster, client: Client, tmp_path: Path
) -> None:
    two = cluster(DATABASE_URL=f"sqlite:///{tmp_path}/store.db")
    a, b = two.start(2)
    here, there = await client.sign_in(a.url, "ann"), await client.sign_in(b.url, "bob")
    answers: list[Any] = []

    async def check_on(seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            for token in (here, there):
                answers.append(await client.json(f"{a.url}/auth/check", token=token))

    checking = asyncio.ensure_future(check_on(2))
    await asyncio.sleep(0.5)
    b.kill()
    await checking
    assert len(answers) > 20
    assert {answer["authenticated"] for answer in answers} == {True}
    assert {answer["profile"]["username"] for answer in answers} == {"ann", "bob"}
    # Whoever signed in there goes on at a new process, and new people come in meanwhile.
    await client.sign_in(a.url, "eve")
    (c,) = two.start()
    assert (await client.json(f"{c.url}/auth/check", token=there))["authenticated"] is True
