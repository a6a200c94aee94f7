"""A flood of failures does not fill the audit log: what is too much is one event."""

from typing import Any

import pytest

from tornado_auth import failed_attempts
from tornado_auth.audit import AuditLog
from tornado_auth.failed_attempts import FAILURE_LIMITS, FailedAttempts
from tornado_auth.metrics import Metrics
from tornado_auth.models import Actor, AuditEvent
from tornado_auth.storage import Storage
from tornado_auth.throttle import Limit

PER_ADDRESS = FAILURE_LIMITS["failure-address"].attempts
PER_USER = FAILURE_LIMITS["failure-user"].attempts


class World:
    def __init__(self, storage: Storage, clock: Any) -> None:
        self.audit_log = AuditLog(
            storage.audit_events, retention=3600, now=clock, metrics=Metrics()
        )
        self.failed = FailedAttempts(self.audit_log, now=clock)
        self._clock = clock

    def limit_all_to(self, attempts: int) -> None:
        limits = {**FAILURE_LIMITS, "failure": Limit(attempts, 60)}
        self.failed = FailedAttempts(self.audit_log, now=self._clock, limits=limits)

    async def fail(self, ip: str, subject: str = "") -> None:
        actor = Actor(via="login", remote_ip=ip)
        await self.failed.record("login_failed", actor=actor, subject=subject, result="no")

    async def recorded(self, action: str = "login_failed") -> list[AuditEvent]:
        return await self.audit_log.find(action=action, limit=1000)

    async def summed_up(self) -> list[tuple[str, ...]]:
        await self.failed.sum_up()
        return [event.details for event in await self.recorded("failures_left_out")]


@pytest.fixture
def world(storage: Storage, clock: Any) -> World:
    return World(storage, clock)


# S150
async def test_an_address_fills_its_share_and_the_rest_is_one_event(world: World):
    for _ in range(PER_ADDRESS + 7):
        await world.fail("192.0.2.7")
    await world.fail("192.0.2.8")
    ips = [event.remote_ip for event in await world.recorded()]
    assert (ips.count("192.0.2.7"), ips.count("192.0.2.8")) == (PER_ADDRESS, 1)
    assert await world.summed_up() == [("number=7", "192.0.2.7=7")]
    # What was summed up is not summed up again.
    assert len(await world.summed_up()) == 1


async def test_after_a_minute_there_is_room_again(world: World, clock: Any):
    for _ in range(PER_ADDRESS + 1):
        await world.fail("192.0.2.7")
    clock.advance(60)
    await world.fail("192.0.2.7")
    assert len(await world.recorded()) == PER_ADDRESS + 1


async def test_a_user_who_is_tried_from_everywhere_fills_one_share(world: World):
    for number in range(PER_USER + 5):
        await world.fail(f"192.0.2.{number}", subject="u1")
    await world.fail("192.0.2.200", subject="u2")
    subjects = [event.subject for event in await world.recorded()]
    assert (subjects.count("u1"), subjects.count("u2")) == (PER_USER, 1)


async def test_a_network_of_addresses_is_one_address(world: World):
    for number in range(PER_ADDRESS + 5):
        await world.fail(f"2001:db8::{number:x}")
    assert len(await world.recorded()) == PER_ADDRESS
    assert await world.summed_up() == [("number=5", "2001:db8::/64=5")]


async def test_all_together_have_a_limit_too(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(failed_attempts, "MAX_ADDRESSES", 20)
    world.limit_all_to(30)
    for number in range(30 + 50):
        await world.fail(f"192.0.2.{number}")
    assert len(await world.recorded()) == 30
    (details,) = await world.summed_up()
    assert details[:2] == ("number=50", "others=30")
    assert len(details) == 1 + failed_attempts.SHOWN_ADDRESSES


async def test_nothing_left_out_is_no_event(world: World):
    await world.fail("192.0.2.7")
    assert await world.summed_up() == []


async def test_who_has_no_address_is_counted_as_unknown(world: World):
    for _ in range(PER_ADDRESS + 1):
        await world.fail("")
    assert await world.summed_up() == [("number=1", "unknown=1")]


# S107
async def test_a_broken_provider_is_one_event_a_minute_for_each_service(world: World):
    for result in ("timeout", "error", "timeout"):
        world.failed.provider_failed("reports", result)
    world.failed.provider_failed("files", "junk")
    assert await world.summed_up() == []
    reports, files = await world.recorded("permission_provider_failed")
    assert (reports.target, reports.result) == ("reports", "timeout")
    assert reports.details == ("error=1", "timeout=2")
    assert (files.target, files.result, files.details) == ("files", "junk", ("junk=1",))
    assert {reports.via, files.via} == {"system"}
    await world.summed_up()
    assert len(await world.recorded("permission_provider_failed")) == 2
