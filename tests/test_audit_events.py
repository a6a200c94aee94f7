"""What people do leaves exactly one event each: who, when, from where, with what result."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.forms import PASSWORD, account_page, add_local_user, open_page
from tests.service import Service, ServiceFactory
from tornado_auth.errors import IdentityTaken, LoginRefused, StorageUnavailable
from tornado_auth.logins import Visitor
from tornado_auth.models import Actor, AssertedIdentity, AuditEvent

HERE = Visitor(user_agent="Firefox", remote_ip="192.0.2.7")
PROXY = {"TORNADO_AUTH_TRUSTED_PROXIES": "127.0.0.1/32"}
FROM = {"X-Forwarded-For": "192.0.2.7"}
ANN = AssertedIdentity(provider="github", subject="1", username="ann", email="ann@example.org")
ANN_AT_GOOGLE = AssertedIdentity(provider="google", subject="g1", username="ann")


@pytest.fixture
async def service(make_service: ServiceFactory, clock: Any) -> Service:
    return await make_service(now=clock, **PROXY)


async def events(service: Service, action: str = "") -> list[AuditEvent]:
    """Return what happened, the oldest first, without the start of the service."""
    found = await service.server.audit_log.find(action=action, limit=1000)
    return [event for event in reversed(found) if event.via != "system"]


async def actions(service: Service) -> list[str]:
    return [event.action for event in await events(service)]


async def who_is(service: Service, token: str) -> Any:
    return await service.server.checks.who(token)


class TestSigningIn:
    # S150
    async def test_the_first_time_makes_a_user_and_a_session(self, service: Service, clock: Any):
        session = await service.server.logins.sign_in(ANN, HERE)
        created, login = await events(service)
        assert (created.action, created.target) == ("user_created", "github:1")
        assert (login.action, login.target) == ("login", session.id)
        assert login.details == ("identity=github:1",)
        for event in (created, login):
            assert (event.actor, event.actor_name) == (session.user_id, "ann")
            assert (event.subject, event.result) == (session.user_id, "success")
            assert (event.via, event.remote_ip, event.at) == ("login", "192.0.2.7", clock())
        await service.server.logins.sign_in(ANN, HERE)
        assert await actions(service) == ["user_created", "login", "login"]

    # S150
    async def test_twenty_at_once_make_one_user(self, service: Service):
        logins = service.server.logins
        await asyncio.gather(*(logins.sign_in(ANN, HERE) for _ in range(20)))
        assert Counter(await actions(service)) == {"user_created": 1, "login": 20}

    # S150
    async def test_who_is_not_let_in_is_named(self, service: Service):
        session = await service.server.logins.sign_in(ANN, HERE)
        await service.server.accounts.set_disabled(session.user_id, disabled=True)
        with pytest.raises(LoginRefused):
            await service.server.logins.sign_in(ANN, HERE)
        (failed,) = await events(service, "login_failed")
        assert (failed.actor, failed.subject) == ("", session.user_id)
        assert (failed.target, failed.result) == ("github:1", "access_denied")
        assert (failed.remote_ip, failed.details) == ("192.0.2.7", ("provider=github",))

    # S150
    async def test_a_wrong_password_is_one_event_without_what_was_typed(
        self, make_service: ServiceFactory
    ):
        service = await make_service(**PROXY)
        user_id = await add_local_user(service)
        page = await open_page(service)
        send = {"username": "Lena", "password": "hunter2-hunter2", "headers": FROM}
        answer = await page.send("/auth/login/local", **send)
        assert answer.code == 401
        await page.send("/auth/login/local", **{**send, "username": "my-own-passphrase"})
        await page.send("/auth/login/local", **{**send, "username": "\u2028"})
        known, *unknown = await events(service, "login_failed")
        assert (known.subject, known.result) == (user_id, "wrong_password")
        assert [(event.subject, event.target) for event in unknown] == [("", "")] * 2
        for event in (known, *unknown):
            assert (event.actor, event.remote_ip) == ("", "192.0.2.7")
            assert event.details == ("provider=local",)
            assert "hunter2" not in repr(event)
            assert "passphrase" not in repr(event)
        answer = await page.send("/auth/login/local", username="lena", password=PASSWORD)
        assert answer.code == 303
        assert Counter(await actions(service)) == {"login_failed": 3, "login": 1}

    # S150
    async def test_a_callback_of_nobodys_attempt_is_a_failure(self, service: Service):
        await service.fetch("/auth/oauth_callback?state=x&code=secret-code", headers=FROM)
        (failed,) = await events(service)
        assert (failed.action, failed.result) == ("login_failed", "invalid_state")
        assert (failed.remote_ip, failed.details) == ("192.0.2.7", ("provider=(unknown)",))

    # S150
    async def test_the_groups_that_a_login_brings_or_takes_are_told(self, service: Service):
        roles = service.server.roles
        await roles.put_group("staff")
        await roles.map_group("github", "acme", "staff")
        for groups in (("acme",), ("acme",), ()):
            asserted = AssertedIdentity(provider="github", subject="1", groups=groups)
            session = await service.server.logins.sign_in(asserted, HERE)
        added, removed = [e for e in await events(service) if e.action.startswith("member_")]
        assert (added.action, removed.action) == ("member_added", "member_removed")
        for event in (added, removed):
            assert (event.subject, event.target) == (session.user_id, "staff")
            assert (event.via, event.details) == ("login", ("provider=github",))


class TestAfterwards:
    # S150
    async def test_signing_out_twenty_times_at_once_is_one_event(self, service: Service):
        session = await service.server.logins.sign_in(ANN, HERE)
        token = await service.server.sessions.token(session)
        await asyncio.gather(
            *(service.fetch("/auth/logout", token=token, form={}, headers=FROM) for _ in range(20))
        )
        assert await actions(service) == ["user_created", "login", "logout"]
        logout = (await events(service))[-1]
        assert (logout.actor, logout.actor_name) == (session.user_id, "ann")
        assert (logout.target, logout.via) == (session.id, "page")
        assert (logout.remote_ip, logout.result) == ("192.0.2.7", "success")

    # S150
    @pytest.mark.parametrize("form", ["end-session", "end-other-sessions"])
    async def test_another_session_that_is_ended_has_its_own_event(
        self, service: Service, form: str
    ):
        here, there = await service.session("ann"), await service.session("ann")
        page = await account_page(service, await service.server.sessions.token(here))
        fields = {"session_id": there.id} if form == "end-session" else {}
        for _ in range(2):
            await page.send(f"/auth/account/{form}", headers=FROM, **fields)
        (ended,) = await events(service, "session_ended")
        assert (ended.actor, ended.subject) == (here.user_id, here.user_id)
        assert (ended.target, ended.remote_ip) == (there.id, "192.0.2.7")
        assert await events(service, "logout") == []

    # S150
    async def test_a_user_name_is_chosen_once(self, service: Service):
        token = await service.sign_in("ann")
        page = await account_page(service, token)
        answers = await asyncio.gather(
            service.json("/auth/update", token=token, form={"username": "anna"}, headers=FROM),
            page.send("/auth/account/username", username="annie"),
        )
        assert answers[0]["success"] is (answers[1].code == 409)
        (chosen,) = await events(service, "username_chosen")
        assert chosen.actor == chosen.subject
        assert chosen.actor_name == ("anna" if answers[0]["success"] else "annie")
        assert chosen.via == ("api" if answers[0]["success"] else "page")
        assert chosen.details == ("before=ann",)

    # S150
    async def test_an_identity_is_linked_once_and_what_failed_is_told(self, service: Service):
        logins = service.server.logins
        ann = await who_is(service, await service.sign_in("ann"))
        bob = await who_is(service, await service.sign_in("bob"))
        for _ in range(2):
            await logins.link(ann, ANN_AT_GOOGLE, HERE)
        with pytest.raises(IdentityTaken):
            await logins.link(bob, ANN_AT_GOOGLE, HERE)
        linked, failed = await events(service, "identity_linked")
        assert (linked.actor, linked.subject) == (ann.user.id, ann.user.id)
        assert (linked.target, linked.result) == ("google:g1", "success")
        assert (failed.actor, failed.subject) == (bob.user.id, bob.user.id)
        assert (failed.target, failed.result) == ("google:g1", "identity_taken")
        assert {linked.remote_ip, failed.remote_ip} == {"192.0.2.7"}


class TestTheServer:
    # S150
    async def test_the_key_that_signs_is_told_once(
        self, make_service: ServiceFactory, tmp_path: Any
    ):
        url = f"sqlite:///{tmp_path}/store.db"
        services = [await make_service(DATABASE_URL=url) for _ in range(3)]
        (event,) = await services[0].server.audit_log.find(action="signing_key_used")
        assert event.target == services[0].server.keys.kid
        assert (event.actor, event.via) == ("", "system")

    async def test_what_was_left_out_is_summed_up_when_the_service_stops(
        self, make_service: ServiceFactory, tmp_path: Any
    ):
        url = f"sqlite:///{tmp_path}/store.db"
        service = await make_service(DATABASE_URL=url, **PROXY)
        for _ in range(13):
            await service.fetch("/auth/oauth_callback?state=x", headers=FROM)
        assert len(await events(service, "login_failed")) == 10
        await service.server.stop()
        await service.server.storage.open()
        (event,) = await service.server.audit_log.find(action="failures_left_out")
        assert event.details == ("number=3", "192.0.2.7=3")

    async def test_the_retention_is_that_of_the_settings(
        self, make_service: ServiceFactory, clock: Any
    ):
        service = await make_service(now=clock, TORNADO_AUTH_AUDIT_RETENTION="7d")
        await service.server.audit_log.record("x", actor=Actor(via="shell"))
        assert [event.expires_at for event in await events(service)] == [clock() + 7 * 86400]

    async def test_a_store_without_room_for_events_lets_people_in(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ):
        async def refuse(event: AuditEvent) -> None:
            raise StorageUnavailable("the disk is full")

        monkeypatch.setattr(service.server.storage.audit_events, "insert", refuse)
        token = await service.sign_in("ann")
        assert (await service.json("/auth/check", token=token))["authenticated"] is True
        assert service.server.audit_log.waiting == 2
        monkeypatch.undo()
        await service.server.audit_log.stop()
        assert await actions(service) == ["user_created", "login"]
