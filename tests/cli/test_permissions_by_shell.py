"""From an empty store to a permission and back, by the command line alone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.cli.conftest import CLI
from tests.flows.processes import Client, MakeCluster
from tests.service import ServiceFactory
from tornado_auth.server import clock

BOUND = 1.0  # seconds
QUESTION = "/auth/authorize?service=reports"

Asked = Callable[[str], Awaitable[list[object]]]


async def everybody_says(ask: Asked, key: str, value: object) -> float:
    """Return after how many seconds all processes answer so."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(500):
        if set(await ask(key)) == {value}:
            return loop.time() - began
        await asyncio.sleep(0.01)
    raise AssertionError(f"nobody said {value}")


async def story(cli: CLI, ask: Asked) -> None:
    """The tests' own loop goes on while a subcommand runs in a thread."""

    async def do(*arguments: str, status: int = 0) -> str:
        result = await asyncio.to_thread(cli, *arguments)
        assert result.exit_code == status, result.output
        return result.stdout

    await do("service-accounts", "create", "nightly")
    key = (await do("api-keys", "create", "nightly", "--name", "x", "--scope", "reports")).strip()
    await everybody_says(ask, key, value=None)
    await do("permissions", "why", "nightly", "reports", "read", status=1)

    await do("roles", "set", "reports:reader", "read")
    await do("groups", "set", "analysts")
    await do("roles", "assign", "reports:reader", "--group", "analysts")
    await do("groups", "add", "analysts", "nightly")
    assert await do("permissions", "show", "nightly", "reports") == "read  true\n"
    await everybody_says(ask, key, value=True)
    why = await do("permissions", "why", "nightly", "reports", "read")
    assert "read by the role reports:reader of group:analysts" in why

    await do("groups", "remove", "analysts", "nightly")
    assert await everybody_says(ask, key, value=None) < BOUND
    await do("permissions", "why", "nightly", "reports", "read", status=1)

    await do("groups", "add", "analysts", "nightly")
    await everybody_says(ask, key, value=True)
    await do("roles", "unassign", "reports:reader", "--group", "analysts")
    assert await everybody_says(ask, key, value=None) < BOUND
    assert await do("permissions", "show", "nightly", "reports") == ""


@pytest.mark.alone
async def test_a_permission_is_given_seen_explained_and_taken_away(
    cli: CLI, environ: dict[str, str], make_service: ServiceFactory
) -> None:
    names = ("DATABASE_URL", "PRIVATE_KEY", "ALLOWED_SERVICES", "TORNADO_AUTH_SECRET")
    service = await make_service(now=clock, **{name: environ[name] for name in names})

    async def ask(key: str) -> list[object]:
        answer = await service.json(QUESTION, token=key)
        return [answer["permissions"].get("read")]

    await story(cli, ask)


@pytest.mark.alone
@pytest.mark.long
async def test_so_it_is_with_two_processes_on_mongodb(
    cli: CLI,
    environ: dict[str, str],
    cluster: MakeCluster,
    client: Client,
    mongo_url: str,
) -> None:
    environ["DATABASE_URL"] = mongo_url
    processes = cluster(**environ).start(2)

    async def ask(key: str) -> list[object]:
        answers = [await client.json(p.url + QUESTION, token=key) for p in processes]
        return [answer["permissions"].get("read") for answer in answers]

    await story(cli, ask)
