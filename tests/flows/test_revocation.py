"""How soon an end counts: at every process, within a second, for good."""

import asyncio
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.flows.asking import Asker
from tests.flows.processes import Client, Cluster, MakeCluster, Process
from tests.mongod import ReplicaSet

pytestmark = pytest.mark.alone

BOUND = 1.0
ENDED_SESSIONS = int(os.environ.get("TORNADO_AUTH_TEST_REVOCATIONS", "20"))
LOAD = 6  # connections to each process that ask without a pause worth the name


@pytest.fixture
def two(request: pytest.FixtureRequest, cluster: MakeCluster, tmp_path: Path) -> Iterator[Cluster]:
    store, _, fast_path = getattr(request, "param", "sqlite").partition("/")
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path}/store.db"
        if store == "mongodb":
            url = request.getfixturevalue("mongo_url")
        elif store == "replica set":
            replica_set = ReplicaSet(3)
            stack.callback(replica_set.remove)
            url = replica_set.url
        made = cluster(DATABASE_URL=url, TORNADO_AUTH_FAST_PATH=fast_path or "on")
        stack.callback(made.end)
        made.start(2)
        yield made


on_both_stores = pytest.mark.parametrize("two", ["sqlite", "mongodb"], indirect=True)


class Load:
    """Asks a process for one token, again and again, while the context lasts."""

    def __init__(self, process: Process, token: str) -> None:
        self._askers = [Asker(process.port) for _ in range(LOAD)]
        self._token = token
        self.passed = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.ensure_future(self._go_on(asker)) for asker in self._askers]
        return self

    async def __aexit__(self, *exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for asker in self._askers:
            asker.close()
        assert all(isinstance(result, asyncio.CancelledError) for result in results), results

    async def _go_on(self, asker: Asker) -> None:
        while True:
            answer = await asker.ask(self._token)
            assert answer.passed
            self.passed += 1
            await asyncio.sleep(0.002)


async def seconds_until_refused(process: Process, token: str, ended_at: float) -> float:
    """Return how long after the end a question that still passed was asked; 0 if none was."""
    asker, last_passed_at = Asker(process.port), ended_at
    try:
        while (answer := await asker.ask(token)).passed:
            last_passed_at = answer.asked_at
            assert last_passed_at - ended_at < 5, "it passes for ever"
            await asyncio.sleep(0.003)
    finally:
        asker.close()
    assert (answer.code, answer.reason) == (401, "login_required")
    return last_passed_at - ended_at


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
@pytest.mark.gen_test(timeout=30 + ENDED_SESSIONS)
@pytest.mark.parametrize(
    "two",
    ["sqlite", pytest.param("sqlite/off", marks=pytest.mark.long), "replica set"],
    indirect=True,
)
async def test_sessions_that_end_under_load_are_refused_everywhere(
    two: Cluster, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = two.processes
    names = [f"user{number}" for number in range(ENDED_SESSIONS)]
    tokens = [await client.sign_in(a.url, name) for name in names]
    kept = await client.sign_in(b.url, "kept")
    here: list[float] = []
    there: list[float] = []
    with closing(Asker(a.port)) as at_a, closing(Asker(b.port)) as at_b:
        askers = (at_a, at_b)
        async with Load(a, kept) as load_a, Load(b, kept) as load_b:
            for number, token in enumerate(tokens):
                for asker in askers:
                    assert (await asker.ask(token)).passed
                at, other = (a, b) if number % 2 else (b, a)
                answer = await client.json(f"{at.url}/auth/logout", token=token, form={})
                ended_at = time.monotonic()
                assert answer == {"success": True}
                delays = await asyncio.gather(
                    *(seconds_until_refused(process, token, ended_at) for process in (at, other))
                )
                here.append(delays[0])
                there.append(delays[1])
            for _ in range(2):  # and it stays so
                for asker in askers:
                    for token in tokens:
                        assert (await asker.ask(token)).refused
                        assert (await asker.ask(token, "/auth/check")).refused
                await asyncio.sleep(BOUND)
    with capsys.disabled():
        print(
            f"\n{ENDED_SESSIONS} sessions ended, asked under {load_a.passed + load_b.passed} other"
            f" questions: by the other process refused after"
            f" {statistics.median(there) * 1000:.0f} ms (median), {max(there) * 1000:.0f} ms (most)"
        )
    assert max(here) == 0.0
    assert max(there) < BOUND
    assert load_a.passed > 100
    assert load_b.passed > 100


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
    await asyncio.gather(*(watch.assert_refused_since(ended_at) for watch in watches))
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
    await asyncio.gather(*(watch.assert_refused_since(ended_at) for watch in watches))
