"""A replica set whose primary dies or hangs, while people are being checked and sign in.

The load runs in a thread with a loop of its own; the members are killed, stopped and continued by
the test's thread, because a child dies with the thread that started it.
"""

import asyncio
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import pymongo
import pytest

from tests.flows.asking import Answer, Asker
from tests.flows.processes import Client, Cluster, MakeCluster, Process
from tests.mongod import Mongod, ReplicaSet, fresh_database, wait_until

pytestmark = [pytest.mark.alone, pytest.mark.long]

CONNECTIONS = int(os.environ.get("TORNADO_AUTH_TEST_CONNECTIONS", "32"))
# For a moment: short enough to come back before it knows that there is another one.
FAULTS = ["hung for a moment", "hung", "killed"]
KNOWN, LEAVERS = 16, 30
QUESTIONS_A_SECOND = 600  # of all connections together
SIGN_INS_A_SECOND = max(5, CONNECTIONS // 12)
SIGN_OUTS_A_SECOND = 3
VERIFY, CHECK = "/auth/verify", "/auth/check"


class Load:
    """Checks known people, lets new ones in and checks those, until it is told to stop."""

    def __init__(self, processes: list[Process]) -> None:
        self.phase = "before"
        self.known: list[tuple[str, Answer]] = []
        self.fresh: list[Answer] = []
        self.signed_in: dict[str, str] = {}  # name -> token
        self.refused_logins: list[tuple[str, int]] = []
        self.login_seconds: list[float] = []
        self.signed_out = 0
        self.passed_after: list[float] = []  # seconds after an end, 0 if nobody passed any more
        self._processes = processes
        self._stop, self._ready = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)
        assert self._failure is None, self._failure

    def finish(self) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        assert self._failure is None, repr(self._failure)

    def signs_in(self) -> bool:
        """Tell whether somebody came in since the last time that this was asked."""
        before, self._before = getattr(self, "_before", 0), len(self.signed_in)
        return len(self.signed_in) > before

    def _run(self) -> None:
        try:
            asyncio.run(self._go())
        except BaseException as error:
            self._failure = error
        self._ready.set()

    async def _go(self) -> None:
        client = Client()
        url = self._processes[0].url
        tokens = [await client.sign_in(url, f"known{number}") for number in range(KNOWN)]
        leavers = [await client.sign_in(url, f"leaver{number}") for number in range(LEAVERS)]
        for process in self._processes:  # each of them knows each
            asker = Asker(process.port)
            for token in tokens + leavers:
                assert (await asker.ask(token)).passed
            asker.close()
        self._ready.set()
        workers = [self._check_known(number, tokens) for number in range(CONNECTIONS)]
        workers += [self._check_fresh(process) for process in self._processes * 2]
        workers += [self._sign_in_often(client), self._sign_out_often(client, leavers)]
        await asyncio.gather(*workers)
        client.close()

    async def _check_known(self, number: int, tokens: list[str]) -> None:
        asker = Asker(self._processes[number % len(self._processes)].port)
        token, path = tokens[number % KNOWN], (CHECK, VERIFY)[number // 2 % 2]
        while not self._stop.is_set():
            phase = self.phase
            self.known.append((phase, await asker.ask(token, path)))
            await asyncio.sleep(CONNECTIONS / QUESTIONS_A_SECOND * random.uniform(0.5, 1.5))
        asker.close()

    async def _check_fresh(self, process: Process) -> None:
        asker = Asker(process.port)
        while not self._stop.is_set():
            newest = list(self.signed_in.values())[-20:]
            if newest:
                answer = await asker.ask(random.choice(newest), random.choice((CHECK, VERIFY)))
                self.fresh.append(answer)
            await asyncio.sleep(0.01)
        asker.close()

    async def _sign_in_often(self, client: Client) -> None:
        running: set[asyncio.Task[None]] = set()
        number = 0
        while not self._stop.is_set():
            number += 1
            task = asyncio.ensure_future(self._sign_in(client, f"new{number}"))
            running.add(task)
            task.add_done_callback(running.discard)
            await asyncio.sleep(1 / SIGN_INS_A_SECOND)
        await asyncio.gather(*running)

    async def _sign_out_often(self, client: Client, leavers: list[str]) -> None:
        running = []
        for number, token in enumerate(leavers):
            if self._stop.is_set():
                break
            process = self._processes[number % len(self._processes)]
            running.append(asyncio.ensure_future(self._sign_out(client, process, token)))
            await asyncio.sleep(1 / SIGN_OUTS_A_SECOND)
        await asyncio.gather(*running)

    async def _sign_out(self, client: Client, process: Process, token: str) -> None:
        response = await client.fetch(f"{process.url}/auth/logout", token=token, form={})
        ended_at = time.monotonic()
        if response.code != 200:  # whether it ended, nobody can tell
            assert response.code == 503
            return
        self.signed_out += 1
        watched = [self._last_passed(asked, token, ended_at) for asked in self._processes]
        self.passed_after += await asyncio.gather(*watched)

    async def _last_passed(self, process: Process, token: str, ended_at: float) -> float:
        """Return when a token last passed, in seconds after its end, watching for two."""
        asker, last_passed_at = Asker(process.port), ended_at
        while time.monotonic() < ended_at + 2.0:
            answer = await asker.ask(token)
            if answer.passed:
                last_passed_at = answer.asked_at
            await asyncio.sleep(0.03)
        asker.close()
        return last_passed_at - ended_at

    async def _sign_in(self, client: Client, name: str) -> None:
        began_at = time.monotonic()
        process = random.choice(self._processes)
        response = await client.submit_dev_login(process.url, name)
        self.login_seconds.append(time.monotonic() - began_at)
        if response.code != 303:
            self.refused_logins.append((name, response.code))
            return
        token = _session_cookie(response.headers.get_list("Set-Cookie"))
        # At once, and at the other process too: who came in must not be called a stranger.
        for asked in self._processes:
            asker = Asker(asked.port)
            self.fresh.append(await asker.ask(token, CHECK))
            asker.close()
        self.signed_in[name] = token


def _session_cookie(lines: list[str]) -> str:
    (line,) = [line for line in lines if line.startswith("tornado_auth=")]
    return line.partition("=")[2].partition(";")[0]


@pytest.fixture(scope="module")
def replica_set() -> Iterator[ReplicaSet]:
    """A set for all tests of this module; the member that is killed stays dead."""
    made = ReplicaSet(3)
    yield made
    made.remove()


@pytest.fixture
def database_url(replica_set: ReplicaSet) -> Iterator[str]:
    with fresh_database(replica_set.url) as url:
        yield url


@pytest.fixture
def two(cluster: MakeCluster, database_url: str) -> Iterator[Cluster]:
    made = cluster(DATABASE_URL=database_url)
    made.start(2)
    yield made
    made.end()


def primary_of(replica_set: ReplicaSet) -> Mongod:
    with pymongo.MongoClient[dict[str, object]](replica_set.url) as client:
        client.admin.command("ping")
        assert client.primary is not None
        port = client.primary[1]
    (member,) = [member for member in replica_set.members if member.port == port]
    return member


def assert_nobody_noticed(load: Load, two: Cluster, database_url: str) -> None:
    known = [answer for _, answer in load.known]
    assert len(known) > 1000
    assert [answer for answer in known if not answer.passed] == []
    # Who is not known may have to hear that nobody can tell, but never that the token is bad.
    assert [answer for answer in load.fresh if answer.refused] == []
    assert {answer.code for answer in load.fresh} <= {200, 403, 503}
    reasons = {answer.reason for answer in load.fresh if answer.code == 403}
    assert reasons <= {"storage_unavailable"}
    # Who signed out is refused within a second, whichever member is asked.
    assert load.signed_out > 0
    assert max(load.passed_after) < 1.0
    # A sign-in that was not acknowledged was refused for the store's sake.
    assert {code for _, code in load.refused_logins} <= {503}
    # All that were acknowledged are there, at both processes.
    assert len(load.signed_in) > 10
    asyncio.run(assert_all_pass(list(load.signed_in.values()), two))
    with pymongo.MongoClient[dict[str, object]](database_url) as client:
        users = client.get_default_database()["users"].find({}, {"username": 1})
        assert {*load.signed_in} <= {user["username"] for user in users}
    for process in two.processes:
        assert process.is_ready()
        assert process.metric("revocation_lag_seconds") < 1


async def assert_all_pass(tokens: list[str], two: Cluster) -> None:
    for process in two.processes:
        asker = Asker(process.port)
        for token in tokens:
            assert (await asker.ask(token)).passed
        asker.close()


def report(what: str, load: Load) -> str:
    known = {
        phase: sorted(answer.seconds for its, answer in load.known if its == phase)
        for phase in ("before", "during")
    }
    lines = [f"\n{what}, {CONNECTIONS} connections:"]
    for phase, seconds in known.items():
        lines.append(
            f"  {phase}: {len(seconds)} checks of known people, p50 {_milliseconds(seconds, 0.5)},"
            f" p99 {_milliseconds(seconds, 0.99)}, longest {_milliseconds(seconds, 1)}"
        )
    unknown = sum(answer.code != 200 for answer in load.fresh)
    lines.append(
        f"  {len(load.signed_in)} signed in (median {statistics.median(load.login_seconds):.2f} s,"
        f" longest {max(load.login_seconds):.1f} s), {len(load.refused_logins)} were told to try"
        f" again; {unknown} of {len(load.fresh)} checks of new ones got no answer from the store"
    )
    lines.append(
        f"  {load.signed_out} signed out, and passed for up to"
        f" {max(load.passed_after) * 1000:.0f} ms after that"
    )
    return "\n".join(lines)


def _milliseconds(seconds: list[float], share: float) -> str:
    return f"{seconds[min(int(len(seconds) * share), len(seconds) - 1)] * 1000:.1f} ms"


def watch(load: Load, seconds: float, condition: Callable[[], bool], complaint: str) -> None:
    """Let it go on for a while, and until the condition holds."""
    time.sleep(seconds)
    wait_until(condition, complaint)


# S140
@pytest.mark.parametrize("fault", FAULTS)
def test_nobody_notices_the_loss_of_the_primary(
    two: Cluster,
    replica_set: ReplicaSet,
    database_url: str,
    fault: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    load = Load(two.processes)
    time.sleep(1)
    primary = primary_of(replica_set)
    load.phase = "during"
    if fault == "killed":
        primary.kill()
    else:
        primary.pause()
    time.sleep(1.7 if fault == "hung for a moment" else 4)
    if fault == "hung for a moment":
        primary.resume()  # and it does not know yet that there is another one
    load.signs_in()
    watch(load, 0.5, load.signs_in, "nobody can sign in any more")
    load.phase = "afterwards"
    if fault == "hung":
        primary.resume()
        time.sleep(1)
    load.finish()
    with capsys.disabled():
        print(report(f"The primary was {fault}", load))
    assert_nobody_noticed(load, two, database_url)
    # Each waits a few times for half a second at most, and all others are as fast as ever.
    seconds = sorted(answer.seconds for _, answer in load.known)
    assert seconds[-1] < 1.5
    assert len([one for one in seconds if one > 0.2]) <= 3 * CONNECTIONS
