"""The composition: what it refuses to be built of, its housekeeping, its start and end."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.conftest import FakeClock
from tests.issuer import private_pem
from tests.service import SECRET, ServiceFactory
from tests.unreliable import Unreliable
from tornado_auth import server as server_module
from tornado_auth.errors import SettingsError, StorageUnavailable
from tornado_auth.models import Session
from tornado_auth.server import AuthServer, clock
from tornado_auth.settings import load_settings

ENVIRON = {
    "PRIVATE_KEY": private_pem(),
    "TORNADO_AUTH_SECRET": SECRET,
    "DATABASE_URL": "memory://",
}


def make_server(**environ: str) -> AuthServer:
    return AuthServer(load_settings({**ENVIRON, **environ}))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(500):
        if await condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("waited in vain")


# D23 S103
def test_the_problems_of_all_parts_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        make_server(
            PRIVATE_KEY=private_pem("ES256"),
            ALLOWED_SERVICES="files:no_such_permissions",
            INSTALLED_EXTENSIONS="no_such_extension",
            DATABASE_URL="sqlite:///:memory:",
        )
    text = "\n".join(caught.value.problems)
    for name in ("PRIVATE_KEY", "ALLOWED_SERVICES", "INSTALLED_EXTENSIONS", "DATABASE_URL"):
        assert name in text
    assert len(caught.value.problems) == 4


def test_its_clock_is_that_of_the_machine() -> None:
    assert abs(clock() - time.time()) <= 1


async def test_it_can_be_stopped_without_a_start() -> None:
    server = make_server()
    await server.stop()


async def test_a_store_that_is_not_there_keeps_it_from_starting() -> None:
    server = make_server(
        DATABASE_URL="mongodb://127.0.0.1:1/nothing", TORNADO_AUTH_STORAGE_TIMEOUT="0.2"
    )
    with pytest.raises(StorageUnavailable):
        await server.start()
    await server.stop()


async def test_two_servers_live_in_one_process() -> None:
    servers = [make_server(), make_server()]
    for server in servers:
        await server.start()
    servers[0].metrics.logouts.inc()
    assert b"logouts_total 1.0" in servers[0].metrics.render()[0]
    assert b"logouts_total 0.0" in servers[1].metrics.render()[0]
    for server in servers:
        await server.stop()


class TestHousekeeping:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server_module, "HOUSEKEEPING_INTERVAL", 0.01)

    async def test_it_writes_down_when_sessions_were_used(
        self, make_service: ServiceFactory, clock: FakeClock
    ) -> None:
        service = await make_service(now=clock)
        session = await service.session("ann")
        token = await service.server.sessions.token(session)
        clock.advance(300)
        await service.json("/auth/check", token=token)

        async def is_written() -> bool:
            (found,) = await service.server.sessions.of_user(session.user_id)
            return found.last_seen_at == clock()

        await until(is_written)

    async def test_it_removes_what_has_expired(
        self, make_service: ServiceFactory, clock: FakeClock, tmp_path: Path
    ) -> None:
        service = await make_service(now=clock, DATABASE_URL=f"sqlite:///{tmp_path}/store.db")
        session = await service.session("ann")
        clock.advance(14 * 86400)
        collection = service.server.storage.sessions._inner  # beneath what hides the expired

        async def is_gone() -> bool:
            return await collection.get(session.id) is None

        await until(is_gone)

    # S140
    @pytest.mark.parametrize("error", ["StorageUnavailable", "something unforeseen"])
    async def test_it_goes_on_after_a_failure(
        self,
        make_service: ServiceFactory,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        error: str,
    ) -> None:
        service = await make_service()
        server, purges = service.server, []
        raised = StorageUnavailable(error) if error == "StorageUnavailable" else KeyError(error)

        async def purge() -> int:
            purges.append(1)
            if len(purges) < 3:
                raise raised
            return 0

        monkeypatch.setattr(server.storage, "purge", purge)

        async def has_gone_on() -> bool:
            return len(purges) >= 4

        await until(has_gone_on)
        errors = server.metrics.registry.get_sample_value("tornado_auth_storage_errors_total")
        assert errors == 2
        failed = [r for r in caplog.records if r.message == "housekeeping_failed"]
        assert [record.levelno for record in failed] == [logging.ERROR] * 2


class TestStop:
    async def test_it_writes_down_what_is_due(
        self, make_service: ServiceFactory, clock: FakeClock, tmp_path: Path
    ) -> None:
        url = f"sqlite:///{tmp_path}/store.db"
        first, second = [await make_service(now=clock, DATABASE_URL=url) for _ in range(2)]
        session = await first.session("ann")
        token = await first.server.sessions.token(session)
        clock.advance(400)
        await first.json("/auth/check", token=token)
        await first.stop()
        (found,) = await second.server.sessions.of_user(session.user_id)
        assert found.last_seen_at == clock()

    # S140
    async def test_a_store_that_fails_does_not_keep_it_from_ending(
        self, make_service: ServiceFactory, clock: FakeClock
    ) -> None:
        service = await make_service(now=clock)
        token = await service.sign_in("ann")
        clock.advance(400)
        await service.json("/auth/check", token=token)
        unreliable = Unreliable(service.server.storage.sessions)
        unreliable.failing = True
        service.server.sessions._sessions = unreliable  # type: ignore[assignment]
        await service.server.stop()
        errors = service.server.metrics.registry.get_sample_value(
            "tornado_auth_storage_errors_total"
        )
        assert errors == 1


async def test_a_part_that_cannot_close_spares_none_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = make_server()
    await server.start()
    closed: list[str] = []

    async def fail() -> None:
        raise OSError("no way")

    async def close() -> None:
        closed.append("storage")

    monkeypatch.setattr(server.extensions, "close", fail)
    monkeypatch.setattr(server.storage, "close", close)
    with pytest.raises(OSError, match="no way"):
        await server.stop()
    assert closed == ["storage"]


async def test_what_could_not_be_written_down_is_tried_again(
    make_service: ServiceFactory, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await make_service(now=clock)
    server = service.server
    tokens = [await service.sign_in(name) for name in ("ann", "bob")]
    clock.advance(301)
    for token in tokens:
        assert await server.checks.who(token) is not None
    update = server.sessions._sessions.replace
    calls = 0

    async def fail_once(record: Session) -> Session:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise StorageUnavailable("away")
        return await update(record)

    monkeypatch.setattr(server.sessions._sessions, "replace", fail_once)
    await server._tidy()
    assert calls == 1
    await server._tidy()
    seen = [session.last_seen_at for session in await server.storage.sessions.find()]
    assert seen == [clock(), clock()]
