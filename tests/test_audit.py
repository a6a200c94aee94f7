"""The audit log: what it says, in which order, for how long, and while the store is away."""

import asyncio
import json
import logging
from typing import Any

import pytest

from tests.unreliable import Unreliable
from tornado_auth import audit
from tornado_auth.audit import SYSTEM, AuditLog, record_signing_key
from tornado_auth.errors import AlreadyExists, StorageUnavailable
from tornado_auth.logs import configure_logging
from tornado_auth.metrics import Metrics
from tornado_auth.models import Actor
from tornado_auth.storage import Storage

YEAR = 365 * 86400
# For what does not depend on the store.
in_memory = pytest.mark.parametrize("storage", ["memory"], indirect=True)
ANN = Actor(user_id="u1", name="ann", via="page", remote_ip="192.0.2.7")


class World:
    """An audit log over a store that can go away; `lines` are what it logged."""

    def __init__(self, storage: Storage, clock: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self.events = Unreliable(storage.audit_events)
        self.metrics = Metrics()
        self.clock = clock
        self.audit_log = self.another()
        self._capsys = capsys

    def another(self) -> AuditLog:
        return AuditLog(self.events, retention=YEAR, now=self.clock, metrics=self.metrics)

    def lines(self) -> list[dict[str, Any]]:
        written = map(json.loads, self._capsys.readouterr().err.splitlines())
        return [line for line in written if line["event"] == "audit"]

    def failures(self, result: str) -> float:
        name = "tornado_auth_audit_failures_total"
        return self.metrics.registry.get_sample_value(name, {"result": result}) or 0

    async def actions(self) -> list[str]:
        return [event.action for event in await self.audit_log.find()]

    async def caught_up(self) -> None:
        async with asyncio.timeout(5):
            while self.audit_log.waiting:  # noqa: ASYNC110 - it has no event for tests
                await asyncio.sleep(0.005)


@pytest.fixture
def world(
    storage: Storage,
    clock: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(audit, "RETRY_AFTER", 0.01)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("INFO", "json")
    yield World(storage, clock, capsys)
    root.handlers[:] = handlers
    root.setLevel(level)


@in_memory
class TestOneEvent:
    # S150
    async def test_it_is_one_line_and_one_record_that_say_the_same(self, world: World):
        await world.audit_log.record(
            "role_assigned",
            actor=ANN,
            subject="u2",
            target="files:reader",
            result="success",
            details=("resource=docs",),
        )
        (event,) = await world.audit_log.find()
        (line,) = world.lines()
        assert line["logger"] == "tornado_auth.audit"
        for name in ("id", "at", "action", "actor", "actor_name", "via", "remote_ip", "subject"):
            assert line[name] == getattr(event, name)
        assert (event.action, event.at) == ("role_assigned", world.clock())
        assert (event.actor, event.actor_name, event.via) == ("u1", "ann", "page")
        assert (event.remote_ip, event.subject, event.target) == (
            "192.0.2.7",
            "u2",
            "files:reader",
        )
        assert line["target"] == "files:reader"
        assert (event.result, line["result"]) == ("success", "success")
        assert (event.details, line["details"]) == (("resource=docs",), ["resource=docs"])

    # S145 S150
    @pytest.mark.parametrize("text", ["a\r\nb", "a\0b", "a\ud800b", "a\u2028b", "a\x1b[2Jb"])
    async def test_a_text_from_outside_stays_on_its_line(self, world: World, text: str):
        await world.audit_log.record("x", actor=Actor(via="api", name=text), target=text)
        (event,) = await world.audit_log.find()
        assert event.target == event.actor_name
        assert event.target.startswith("a?")
        assert event.target.endswith("b")
        assert len(world.lines()) == 1

    # S149 S150
    @pytest.mark.parametrize(
        "secret",
        ["eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "password=hunter2", "Bearer abcdefghijk"],
    )
    async def test_what_looks_like_a_secret_is_in_neither(self, world: World, secret: str):
        await world.audit_log.record("x", actor=ANN, target=secret, details=(secret,))
        (event,) = await world.audit_log.find()
        for text in (event.target, *event.details, *(repr(line) for line in world.lines())):
            assert secret not in text
            assert "[redacted]" in text

    async def test_a_text_and_the_details_are_bounded(self, world: World):
        await world.audit_log.record("x", actor=ANN, target="a" * 9999, details=("b",) * 999)
        (event,) = await world.audit_log.find()
        assert len(event.target) == audit.MAX_TEXT
        assert event.target.endswith("aa…")
        assert len(event.details) == audit.MAX_DETAILS


class TestFinding:
    async def test_the_newest_comes_first_also_within_a_second(self, world: World):
        for number in range(5):
            await world.audit_log.record(f"a{number}", actor=ANN)
        world.clock.advance(1)
        await world.audit_log.record("b", actor=ANN)
        assert await world.actions() == ["b", "a4", "a3", "a2", "a1", "a0"]

    async def test_so_it_does_over_processes_of_one_machine(self, world: World):
        logs = [world.audit_log, world.another()]
        for number in range(6):
            await logs[number % 2].record(f"a{number}", actor=ANN)
        assert await world.actions() == [f"a{number}" for number in reversed(range(6))]

    async def test_it_comes_in_pages_that_new_events_do_not_move(self, world: World):
        for number in range(5):
            await world.audit_log.record(f"a{number}", actor=ANN)
        page = await world.audit_log.find(limit=2)
        await world.audit_log.record("later", actor=ANN)
        rest = await world.audit_log.find(after=page[-1].id, limit=10)
        assert [event.action for event in page + rest] == ["a4", "a3", "a2", "a1", "a0"]

    async def test_actor_subject_and_action_narrow_it_down(self, world: World):
        bob = Actor(user_id="u2", via="api")
        await world.audit_log.record("login", actor=ANN, subject="u1")
        await world.audit_log.record("login", actor=bob, subject="u2")
        await world.audit_log.record("user_disabled", actor=ANN, subject="u2")
        find = world.audit_log.find
        assert len(await find(action="login")) == 2
        assert [event.action for event in await find(actor="u1")] == ["user_disabled", "login"]
        (event,) = await find(actor="u1", subject="u2")
        assert event.action == "user_disabled"
        assert await find(actor="u2", action="user_disabled") == []

    async def test_an_event_goes_when_its_time_is_over(self, world: World, storage: Storage):
        await world.audit_log.record("old", actor=ANN)
        world.clock.advance(YEAR - 1)
        await world.audit_log.record("new", actor=ANN)
        assert await world.actions() == ["new", "old"]
        world.clock.advance(1)
        assert await world.actions() == ["new"]
        assert await storage.purge() == 1
        assert await world.actions() == ["new"]


@in_memory
class TestStoreAway:
    # S150
    async def test_nobody_notices_and_the_events_come_later_each_once(self, world: World):
        world.events.failing = True
        for number in range(3):
            await world.audit_log.record(f"a{number}", actor=ANN)
        assert world.audit_log.waiting == 3
        assert world.failures("late") == 3
        world.events.failing = False
        await world.caught_up()
        assert await world.actions() == ["a2", "a1", "a0"]
        assert [line["action"] for line in world.lines()] == ["a0", "a1", "a2"]
        assert world.failures("lost") == 0
        await world.audit_log.record("a3", actor=ANN)
        assert await world.actions() == ["a3", "a2", "a1", "a0"]

    # S150
    async def test_an_insert_whose_answer_was_lost_is_not_doubled(self, world: World, monkeypatch):
        insert, calls = world.events.inner.insert, []

        async def insert_without_answer(event: Any) -> None:
            calls.append(event.id)
            await insert(event)
            if len(calls) == 1:
                raise StorageUnavailable("the answer was lost")

        monkeypatch.setattr(world.events.inner, "insert", insert_without_answer)
        await world.audit_log.record("once", actor=ANN)
        await world.caught_up()
        assert len(calls) == 2
        assert await world.actions() == ["once"]

    async def test_a_store_that_hangs_holds_nobody_up(self, world: World, monkeypatch):
        async def hang(event: Any) -> None:
            await asyncio.sleep(3600)

        monkeypatch.setattr(audit, "PATIENCE", 0.02)
        monkeypatch.setattr(world.events.inner, "insert", hang)
        async with asyncio.timeout(1):
            await world.audit_log.record("a", actor=ANN)
            # The next one does not even wait for that: the background has it.
            monkeypatch.setattr(audit, "PATIENCE", 3600)
            await world.audit_log.record("b", actor=ANN)
        monkeypatch.undo()
        await world.audit_log.stop()
        assert await world.actions() == ["b", "a"]

    async def test_who_is_cancelled_meanwhile_leaves_the_event(self, world: World, monkeypatch):
        started = asyncio.Event()

        async def hang(event: Any) -> None:
            started.set()
            await asyncio.sleep(3600)

        monkeypatch.setattr(world.events.inner, "insert", hang)
        recording = asyncio.ensure_future(world.audit_log.record("a", actor=ANN))
        await started.wait()
        monkeypatch.undo()
        recording.cancel()
        with pytest.raises(asyncio.CancelledError):
            await recording
        await world.audit_log.stop()
        assert await world.actions() == ["a"]

    async def test_who_is_cancelled_before_the_store_is_asked_leaves_the_event(
        self, world: World, monkeypatch
    ):
        monkeypatch.setattr(audit, "RETRY_AFTER", 0.01)
        recording = asyncio.ensure_future(world.audit_log.record("a", actor=ANN))
        await asyncio.sleep(0)  # it gives way to others now
        recording.cancel()
        with pytest.raises(asyncio.CancelledError):
            await recording
        assert await world.actions() == []
        await asyncio.sleep(0.5)
        assert await world.actions() == ["a"]

    async def test_what_waits_is_bounded_and_what_is_lost_is_counted(
        self, world: World, monkeypatch
    ):
        monkeypatch.setattr(audit, "MAX_WAITING", 2)
        world.events.failing = True
        for number in range(5):
            await world.audit_log.record(f"a{number}", actor=ANN)
        assert world.audit_log.waiting == 2
        assert world.failures("lost") == 3
        world.events.failing = False
        await world.caught_up()
        assert await world.actions() == ["a4", "a3"]
        assert len(world.lines()) == 5

    async def test_stopping_tries_once_more_and_says_what_is_lost(self, world: World, caplog):
        world.events.failing = True
        await world.audit_log.record("a", actor=ANN)
        await world.audit_log.stop()
        assert world.failures("lost") == 1
        (lost,) = [record for record in caplog.records if record.message == "audit_lost"]
        assert lost.count == 1


class TestSigningKey:
    # S150
    async def test_it_is_recorded_when_it_changes(self, world: World, storage: Storage):
        for kid in ("k1", "k1", "k2", "k2", "k1"):
            claims = storage.spent_states
            await record_signing_key(world.audit_log, kid, claims, now=world.clock())
            world.clock.advance(3600)
        events = await world.audit_log.find(action="signing_key_used")
        assert [event.target for event in events] == ["k1", "k2", "k1"]
        assert {event.via for event in events} == {SYSTEM.via}

    # S150
    async def test_processes_that_start_together_record_it_once(
        self, world: World, storage: Storage
    ):
        logs = [world.another() for _ in range(20)]
        await asyncio.gather(
            *(
                record_signing_key(log, "k1", storage.spent_states, now=world.clock())
                for log in logs
            )
        )
        assert await world.actions() == ["signing_key_used"]

    async def test_a_store_that_is_away_stops_no_start(self, world: World, storage: Storage):
        world.events.failing = True
        await record_signing_key(world.audit_log, "k1", storage.spent_states, now=world.clock())
        world.events.failing = False
        assert await world.actions() == []


async def test_mongodb_has_the_newest_first_too(mongo_storage: Storage, clock: Any):
    log = AuditLog(mongo_storage.audit_events, retention=YEAR, now=clock, metrics=Metrics())
    for number in range(3):
        await log.record(f"a{number}", actor=ANN, subject="u2")
        clock.advance(number)
    found = await log.find(subject="u2")
    assert [event.action for event in found] == ["a2", "a1", "a0"]
    page = await log.find(after=found[0].id, limit=1)
    assert page == found[1:2]
    claims = mongo_storage.spent_states
    await asyncio.gather(*(record_signing_key(log, "k1", claims, now=clock()) for _ in range(8)))
    assert len(await log.find(action="signing_key_used")) == 1


async def test_an_id_is_never_given_twice(world: World):
    logs = [world.audit_log, world.another()]
    await asyncio.gather(
        *(log.record("a", actor=ANN) for log in logs for _ in range(50)),
    )
    events = await world.audit_log.find(limit=1000)
    assert len(events) == 100
    with pytest.raises(AlreadyExists):
        await world.events.inner.insert(events[0])


def test_nothing_changes_or_deletes_an_event():
    public = {name for name in vars(AuditLog) if not name.startswith("_")}
    assert public == {"record", "find", "waiting", "stop"}
