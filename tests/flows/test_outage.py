"""A MongoDB that is killed and comes back while people are being checked.

The load runs in a thread with a loop of its own; mongod is killed and started by the test's thread,
because a child dies with the thread that started it.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.flows.processes import Client, MakeCluster, Process
from tests.mongod import Mongod, ReplicaSet, wait_until

pytestmark = pytest.mark.alone  # it is about how long an answer takes

STORAGE_TIMEOUT = 1.0
KNOWN, UNKNOWN = 5, 5


@dataclass(frozen=True)
class Answer:
    """What a request got, and when; `phase` is that of the store when it was sent."""

    who: str
    path: str
    phase: str
    seconds: float
    code: int
    reason: str
    body: bytes


class Load:
    """Asks for people again and again, in a thread, until it is told to stop."""

    def __init__(self, process: Process) -> None:
        self.phase = "before"
        self.answers: list[Answer] = []
        self._process = process
        self.tokens: dict[str, list[str]] = {"known": [], "unknown": []}
        self._ready, self._stop = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(30)
        assert self._failure is None

    def finish(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert self._failure is None

    def of(self, phase: str, who: str = "", path: str = "") -> list[Answer]:
        return [
            answer
            for answer in self.answers
            if answer.phase == phase and who in ("", answer.who) and path in ("", answer.path)
        ]

    def _run(self) -> None:
        try:
            asyncio.run(self._ask())
        except BaseException as error:
            self._failure = error
        self._ready.set()

    async def _ask(self) -> None:
        client = Client()
        for who, number in (("known", KNOWN), ("unknown", UNKNOWN)):
            for index in range(number):
                token = await client.sign_in(self._process.url, f"{who}{index}")
                self.tokens[who].append(token)
        workers = [self._check(client, "known", token) for token in self.tokens["known"]]
        workers += [self._check(client, "unknown", token) for token in self.tokens["unknown"]]
        workers += [self._sign_in(client), self._ready_or_not(client)]
        await asyncio.gather(*workers)
        client.close()

    async def _check(self, client: Client, who: str, token: str) -> None:
        while not self._stop.is_set():
            if who == "known" or self.phase not in ("before", "ending"):
                for path in ("/auth/check", "/auth/verify"):
                    await self._note(who, path, client.fetch(self._process.url + path, token=token))
            self._ready.set()
            await asyncio.sleep(0.03)

    async def _sign_in(self, client: Client) -> None:
        while not self._stop.is_set():
            if self.phase == "down":
                request = client.submit_dev_login(self._process.url, "eve")
                await self._note("eve", "login", request)
            await asyncio.sleep(0.1)

    async def _ready_or_not(self, client: Client) -> None:
        while not self._stop.is_set():
            request = client.fetch(f"{self._process.ops_url}/health/ready")
            await self._note("operator", "ready", request)
            await asyncio.sleep(0.1)

    async def _note(self, who: str, path: str, request: Any) -> None:
        phase, sent_at = self.phase, time.monotonic()
        response = await request
        self.answers.append(
            Answer(
                who=who,
                path=path,
                phase=phase,
                seconds=time.monotonic() - sent_at,
                code=response.code,
                reason=response.headers.get("X-Auth-Reason", ""),
                body=response.body or b"",
            )
        )


@pytest.fixture(params=[pytest.param("standalone", marks=pytest.mark.long), "replica set"])
def mongod(request: pytest.FixtureRequest) -> Iterator[tuple[Mongod, str]]:
    """A mongod of this test alone, and the address by which the service knows it."""
    if request.param == "standalone":
        single = Mongod()
        single.start()
        yield single, single.url
        single.remove()
    else:
        replica_set = ReplicaSet(1)
        yield replica_set.members[0], replica_set.url
        replica_set.remove()


@pytest.fixture
def process(cluster: MakeCluster, mongod: tuple[Mongod, str]) -> Process:
    environ = {"TORNADO_AUTH_STORAGE_TIMEOUT": str(STORAGE_TIMEOUT)}
    (process,) = cluster(DATABASE_URL=mongod[1], **environ).start()
    return process


@pytest.fixture
def load(process: Process, mongod: tuple[Mongod, str]) -> Load:
    """A load during which the store was killed and came back."""
    load, store = Load(process), mongod[0]
    time.sleep(0.5)
    load.phase = "ending"  # what was sent before is answered before
    time.sleep(0.3)
    store.kill()
    load.phase = "down"
    time.sleep(STORAGE_TIMEOUT + 1)
    load.phase = "dark"  # by now nothing is fresh, and the first have waited in vain
    time.sleep(1.5)
    load.phase = "coming"
    store.start()
    wait_until(process.is_ready, "the service does not find its store again")
    load.phase = "settling"  # for up to a second it is as it was a moment ago
    time.sleep(1.2)
    load.phase = "after"
    time.sleep(0.5)
    load.finish()
    return load


# D13 S127 S140
def test_no_outage_signs_anybody_out(load: Load, process: Process) -> None:
    # Everybody is answered in time, and nobody with a good token is called a stranger.
    # A sign-in is two requests, and the second asks the store for several things.
    for path, limit in (("", STORAGE_TIMEOUT + 1), ("login", 2 * STORAGE_TIMEOUT + 1)):
        answers = [answer for answer in load.answers if (answer.path == "login") == bool(path)]
        slowest = max(answers, key=lambda answer: answer.seconds)
        assert slowest.seconds < limit, slowest
    checks = [answer for answer in load.answers if answer.path == "/auth/check"]
    verifies = [answer for answer in load.answers if answer.path == "/auth/verify"]
    assert len(checks) > 100
    assert not [answer for answer in checks if b'"authenticated":false' in answer.body]
    assert {answer.code for answer in checks} == {200, 503}
    assert {answer.code for answer in verifies} == {200, 403}
    assert {answer.reason for answer in verifies if answer.code == 403} == {"storage_unavailable"}

    # Who was known never notices; most do not even wait.
    assert [a for a in load.answers if a.who == "known" and a.code != 200] == []
    dark = load.of("dark", "known")
    assert len(dark) > 50
    assert len([answer for answer in dark if answer.seconds < 0.5]) > 0.8 * len(dark)

    # Who was not is told that nobody can tell.
    assert {answer.code for answer in load.of("down", "unknown", "/auth/check")} == {503}
    assert {answer.code for answer in load.of("down", "unknown", "/auth/verify")} == {403}

    # New people cannot come in, and are told so on a page.
    pages = load.of("down", "eve")
    assert {answer.code for answer in pages} == {503}
    assert all(b"<html" in answer.body for answer in pages)
    assert all(b"storage_unavailable" in answer.body for answer in pages)

    # Operators see it come and go, without a restart.
    assert [a for a in load.of("before", path="ready") if a.code != 200] == []
    assert {answer.code for answer in load.of("down", path="ready")} == {503}
    assert [a for a in load.of("after", path="ready") if a.code != 200] == []
    assert [answer for answer in load.of("after") if answer.code != 200] == []
    assert {answer.who for answer in load.of("after")} == {"known", "unknown", "operator"}
    for result in ("passed", "stale", "unavailable"):
        assert process.metric("checks_total", result=result) > 0
    assert process.metric("checks_total", result="refused") == 0
    assert process.metric("storage_errors_total") > 0

    # And a sign-out counts again, at once.
    asyncio.run(assert_sign_out_counts(load, process))


async def assert_sign_out_counts(load: Load, process: Process) -> None:
    client = Client()
    for who in ("known", "unknown"):
        token = load.tokens[who][0]
        answer = await client.json(f"{process.url}/auth/logout", token=token, form={})
        assert answer == {"success": True}
        assert (await client.fetch(f"{process.url}/auth/verify", token=token)).code == 401
    token = await client.sign_in(process.url, "eve")
    answer = json.loads((await client.fetch(f"{process.url}/auth/check", token=token)).body)
    assert answer["profile"]["username"] == "eve"
    client.close()
