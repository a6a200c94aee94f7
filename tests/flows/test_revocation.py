"""How soon an end counts: at every process, within 1.2 seconds, for good."""

import asyncio
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.processes import Client, Cluster, MakeCluster, Process

pytestmark = pytest.mark.alone

BOUND = 1.2


@pytest.fixture
def two(request: pytest.FixtureRequest, cluster: MakeCluster, tmp_path: Path) -> Cluster:
    url = f"sqlite:///{tmp_path}/store.db"
    if getattr(request, "param", "") == "mongodb":
        url = request.getfixturevalue("mongo_url")
    made = cluster(DATABASE_URL=url)
    made.start(2)
    return made


on_both_stores = pytest.mark.parametrize("two", ["sqlite", "mongodb"], indirect=True)


class Watch:
    """Asks a process again and again whether a token passes."""

    def __init__(self, client: Client, process: Process, token: str) -> None:
        self._client, self._process, self._token = client, process, token
        self.answers: list[tuple[float, bool]] = []
        self._task = asyncio.ensure_future(self._go_on())

    async def _go_on(self) -> None:
        while True:
            asked_at = time.monotonic()
            check = await self._client.json(f"{self._process.url}/auth/check", token=self._token)
            verify = await self._client.fetch(f"{self._process.url}/auth/verify", token=self._token)
            self.answers.append((asked_at, check["authenticated"] or verify.code == 200))
            await asyncio.sleep(0.02)

    async def until_passed(self) -> None:
        async with asyncio.timeout(5):
            while not self.answers:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.01)
        assert all(passed for _, passed in self.answers)

    async def assert_refused_since(self, ended_at: float) -> None:
        """Watch for two more seconds: nothing that was asked after the bound has passed."""
        await asyncio.sleep(max(0.0, ended_at + BOUND + 1 - time.monotonic()))
        self._task.cancel()
        late = [passed for asked_at, passed in self.answers if asked_at >= ended_at + BOUND]
        assert len(late) >= 5
        assert not any(late)


async def off_loop(function: Callable[[], subprocess.CompletedProcess[str]]) -> float:
    """Run a subcommand and return when it had ended."""
    loop = asyncio.get_running_loop()
    result = await loop.run_in_executor(None, function)
    assert result.returncode == 0, result.stderr
    return time.monotonic()


# D13 S125 S131
@on_both_stores
async def test_who_signs_out_at_one_process_is_refused_by_the_other(
    two: Cluster, client: Client
) -> None:
    a, b = two.processes
    token, other = await client.sign_in(a.url, "ann"), await client.sign_in(a.url, "ann")
    watch = Watch(client, b, token)
    await watch.until_passed()
    answer = await client.json(f"{a.url}/auth/logout", token=token, form={})
    ended_at = time.monotonic()
    assert answer == {"success": True}
    assert (await client.json(f"{a.url}/auth/check", token=token))["authenticated"] is False
    await watch.assert_refused_since(ended_at)
    for process in (a, b):
        answer = await client.json(f"{process.url}/auth/check", token=other)
        assert answer["authenticated"] is True


# D12 S125
@pytest.mark.parametrize("two", ["mongodb"], indirect=True)
async def test_who_is_disabled_by_the_operator_is_refused_by_both(
    two: Cluster, client: Client
) -> None:
    token = await client.sign_in(two.processes[0].url, "ann")
    watches = [Watch(client, process, token) for process in two.processes]
    for watch in watches:
        await watch.until_passed()
    ended_at = await off_loop(lambda: two.run("users", "disable", "ann"))
    for watch in watches:
        await watch.assert_refused_since(ended_at)
    refused = await client.submit_dev_login(two.processes[1].url, "ann")
    assert refused.code == 403
    # Letting somebody in again does not bring old sessions back.
    await off_loop(lambda: two.run("users", "enable", "ann"))
    await asyncio.sleep(BOUND)
    for process in two.processes:
        assert (await client.fetch(f"{process.url}/auth/verify", token=token)).code == 401
        new = await client.sign_in(process.url, "ann")
        assert (await client.fetch(f"{process.url}/auth/verify", token=new)).code == 200


# S125
async def test_a_new_password_ends_every_session(two: Cluster, client: Client) -> None:
    tokens = [await client.sign_in(process.url, "ann") for process in two.processes]
    watches = [Watch(client, process, token) for process in two.processes for token in tokens]
    for watch in watches:
        await watch.until_passed()
    ended_at = await off_loop(
        lambda: two.run("users", "password", "ann", "--password-stdin", input="correct horse\n")
    )
    for watch in watches:
        await watch.assert_refused_since(ended_at)
