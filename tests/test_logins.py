"""Signing in and out: the order of things, the hooks, and what is counted."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from tests.modules import MakeModule, module, writing_modules
from tests.service import Service, ServiceFactory
from tornado_auth.errors import LoginBlocked, LoginRefused
from tornado_auth.logins import Visitor
from tornado_auth.models import AssertedIdentity

HOOKS = ("on_new_user", "on_user_login", "on_user_logout")
RECORDER = """
calls = []
server = None

async def sessions_of(user_info):
    return len(await server.sessions.of_user(user_info["id"])) if server else None

async def on_new_user(user_info):
    calls.append(("on_new_user", user_info["username"], await sessions_of(user_info)))

async def on_user_login(user_info):
    calls.append(("on_user_login", user_info["username"], await sessions_of(user_info)))

async def on_user_logout(user_info):
    calls.append(("on_user_logout", user_info["username"], await sessions_of(user_info)))
"""
GATE = """
blocking = True
calls = []
closed = True

def on_new_user(user_info):
    calls.append("on_new_user")
    if closed:
        raise ValueError("no")
"""
UNLINKER = """
accounts = asserted = None
new_owner = ""

async def on_user_login(user_info):
    if accounts:
        await accounts.unlink(user_info["provider_id"])
    if new_owner:
        await accounts.link(new_owner, asserted)
"""
ANN = AssertedIdentity(provider="github", subject="1", username="ann")


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    yield from writing_modules(tmp_path, monkeypatch)


@pytest.fixture
async def recorded(make_service: ServiceFactory, make_module: MakeModule) -> Service:
    """A service whose extension `recorder` writes down each call of a hook."""
    service = await make_service(INSTALLED_EXTENSIONS=make_module("recorder", RECORDER))
    module("recorder").server = service.server
    return service


def count(service: Service, name: str, **labels: str) -> float:
    registry = service.server.metrics.registry
    return registry.get_sample_value(f"tornado_auth_{name}_total", labels) or 0


class TestSignIn:
    # D22
    async def test_the_hooks_run_in_order_before_the_session_starts(
        self, recorded: Service
    ) -> None:
        await recorded.server.logins.sign_in(ANN, Visitor())
        assert module("recorder").calls == [("on_new_user", "ann", 0), ("on_user_login", "ann", 0)]
        await recorded.server.logins.sign_in(ANN, Visitor())
        assert module("recorder").calls[2:] == [("on_user_login", "ann", 1)]

    async def test_it_is_counted_and_logged_with_its_visitor(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "tornado_auth.audit")
        visitor = Visitor(user_agent="Firefox", remote_ip="192.0.2.7")
        session = await service.server.logins.sign_in(ANN, visitor)
        assert (session.user_agent, session.remote_ip) == ("Firefox", "192.0.2.7")
        assert count(service, "logins", provider="github", result="success") == 1
        assert count(service, "sessions_started") == 1
        record = caplog.records[-1]
        assert (record.message, record.action) == ("audit", "login")
        assert (record.actor, record.remote_ip) == (session.user_id, "192.0.2.7")

    async def test_somebody_made_by_hand_is_new_at_the_first_sign_in(
        self, recorded: Service
    ) -> None:
        user = await recorded.server.accounts.create("ann")
        asserted = AssertedIdentity(provider="local", subject=user.id, username="ann")
        for _ in range(2):
            await recorded.server.logins.sign_in(asserted, Visitor())
        hooks = [hook for hook, *_ in module("recorder").calls]
        assert hooks == ["on_new_user", "on_user_login", "on_user_login"]

    async def test_who_may_not_sign_in_reaches_no_hook(
        self, recorded: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        session = await recorded.server.logins.sign_in(ANN, Visitor())
        await recorded.server.accounts.set_disabled(session.user_id, disabled=True)
        module("recorder").calls.clear()
        with pytest.raises(LoginRefused):
            await recorded.server.logins.sign_in(ANN, Visitor())
        assert module("recorder").calls == []
        assert len(await recorded.server.sessions.of_user(session.user_id)) == 1
        assert count(recorded, "logins", provider="github", result="access_denied") == 1
        assert count(recorded, "sessions_started") == 1
        (failed,) = [record for record in caplog.records if record.message == "login_failed"]
        assert (failed.provider, failed.reason) == ("github", "access_denied")

    # D20
    async def test_a_blocking_extension_keeps_the_session_from_starting(
        self, make_service: ServiceFactory, make_module: MakeModule
    ) -> None:
        service = await make_service(
            INSTALLED_EXTENSIONS=f"{make_module('gate', GATE)};{make_module('recorder', RECORDER)}"
        )
        for attempt in (1, 2):
            with pytest.raises(LoginBlocked):
                await service.server.logins.sign_in(ANN, Visitor())
            assert module("gate").calls == ["on_new_user"] * attempt
        assert module("recorder").calls == []
        assert await service.server.storage.sessions.find() == []
        assert count(service, "logins", provider="github", result="login_blocked") == 2
        # It ran in vain, so the person is still new; once it has passed, never again.
        module("gate").closed = False
        for _ in range(2):
            await service.server.logins.sign_in(ANN, Visitor())
        assert module("gate").calls == ["on_new_user"] * 3
        assert [hook for hook, *_ in module("recorder").calls].count("on_new_user") == 1
        assert len(await service.server.storage.sessions.find()) == 2

    # D21
    async def test_a_hook_cannot_change_who_signs_in(
        self, make_service: ServiceFactory, make_module: MakeModule
    ) -> None:
        source = "def on_user_login(user_info):\n    user_info['id'] = 'mallory'\n"
        service = await make_service(INSTALLED_EXTENSIONS=make_module("meddler", source))
        token = await service.sign_in("ann")
        answer = await service.json("/auth/check", token=token)
        (user,) = await service.server.storage.users.find()
        assert answer["profile"]["id"] == user.id
        labels = {"extension": "meddler", "hook": "on_user_login"}
        assert count(service, "extension_failures", **labels) == 1


class TestUnlinkedMeanwhile:
    @pytest.mark.parametrize("new_owner", [False, True])
    async def test_no_session_outlives_its_identity(
        self, make_service: ServiceFactory, make_module: MakeModule, new_owner: bool
    ) -> None:
        service = await make_service(INSTALLED_EXTENSIONS=make_module("unlinker", UNLINKER))
        server = service.server
        await server.logins.sign_in(ANN, Visitor())
        [ann] = await server.storage.users.find()
        for group in ("staff", "guests"):
            await server.roles.put_group(group)
        await server.roles.map_group("github", "acme", "staff")
        await server.roles.add_member("guests", ann.id)
        module("unlinker").accounts = server.accounts
        if new_owner:
            bob = await server.accounts.create("bob")
            module("unlinker").new_owner, module("unlinker").asserted = bob.id, ANN
        with pytest.raises(LoginRefused, match="does not exist any more"):
            await server.logins.sign_in(replace(ANN, groups=("acme",)), Visitor())
        assert len(await server.storage.sessions.find()) == 1  # of the first sign-in
        assert [one.group for one in await server.roles.groups_of(ann.id)] == ["guests"]
        assert count(service, "sessions_started") == 1
        assert count(service, "logins", provider="github", result="access_denied") == 1


class TestWelcome:
    async def test_the_time_of_the_first_counts(self, make_service: ServiceFactory, clock) -> None:
        service = await make_service(now=clock)
        session = await service.session("ann")
        accounts, users = service.server.accounts, service.server.storage.users
        first = clock()
        clock.advance(100)
        await accounts.mark_welcomed(session.user_id)
        user = await users.get(session.user_id)
        assert user is not None
        assert user.welcomed_at == first

    async def test_nobody_is_made_of_it(self, service: Service) -> None:
        await service.server.accounts.mark_welcomed("nobody")
        assert await service.server.storage.users.find() == []


class TestSignOut:
    # D13 D22
    async def test_the_hook_runs_when_the_session_is_over(self, recorded: Service) -> None:
        token = await recorded.sign_in("ann")
        await recorded.json("/auth/logout", token=token, form={})
        assert module("recorder").calls[-1] == ("on_user_logout", "ann", 0)
        assert count(recorded, "logouts") == 1

    # D13 D22
    async def test_twenty_parallel_sign_outs_are_one(self, recorded: Service) -> None:
        token = await recorded.sign_in("ann")
        await asyncio.gather(
            *(recorded.fetch("/auth/logout", token=token, form={}) for _ in range(20))
        )
        hooks = [hook for hook, *_ in module("recorder").calls]
        assert hooks.count("on_user_logout") == 1
        assert count(recorded, "logouts") == 1

    # D13
    async def test_another_session_of_the_same_user_can_be_ended(self, recorded: Service) -> None:
        here, there = await recorded.session("ann"), await recorded.session("ann")
        tokens = [await recorded.server.sessions.token(session) for session in (here, there)]
        whose = [await recorded.server.checks.who(token) for token in tokens]
        assert all(whose)
        who = whose[0]
        await recorded.server.logins.end(who, there)
        assert (await recorded.json("/auth/check", token=tokens[0]))["authenticated"] is True
        assert (await recorded.json("/auth/check", token=tokens[1]))["authenticated"] is False
