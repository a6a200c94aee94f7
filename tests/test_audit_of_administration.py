"""What administrators do and what they may not do: each is one event, and no secret is in it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin.conftest import API, administrator
from tests.modules import MakeModule, writing_modules
from tests.service import Service, ServiceFactory
from tornado_auth.administration import Administration
from tornado_auth.errors import NotFound
from tornado_auth.models import Actor, AuditEvent

OPERATOR = Actor(user_id="o1", name="olga", via="api", remote_ip="192.0.2.1")


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path, monkeypatch)


async def events(service: Service, *actions: str) -> list[AuditEvent]:
    found = await service.server.audit_log.find(limit=1000)
    return [event for event in reversed(found) if event.action in actions]


Change = Callable[[Administration, dict[str, str]], Awaitable[Any]]

ONCE: dict[str, Change] = {
    "session_ended": lambda office, of: office.end_session(OPERATOR, of["session"]),
    "user_deleted": lambda office, of: office.delete_user(OPERATOR, of["user"]),
    "identity_unlinked": lambda office, of: office.unlink_identity(
        OPERATOR, of["user"], of["identity"]
    ),
    "api_key_revoked": lambda office, of: office.revoke_key(OPERATOR, of["key"]),
    "role_deleted": lambda office, of: office.delete_role(OPERATOR, "reports:reader"),
    "group_deleted": lambda office, of: office.delete_group(OPERATOR, "staff"),
    "member_removed": lambda office, of: office.remove_member(OPERATOR, "staff", of["user"]),
    "role_unassigned": lambda office, of: office.unassign(OPERATOR, of["assignment"]),
    "group_unmapped": lambda office, of: office.unmap_group(OPERATOR, of["mapping"]),
}


async def furnish(service: Service) -> dict[str, str]:
    """Make one of everything and return the ids."""
    office = service.server.administration
    session = await service.session("ann")
    key, _ = await office.create_key(OPERATOR, session.user_id, name="job", scopes=["*"])
    await office.put_role(OPERATOR, "reports", "reader", permissions=["read"])
    await office.put_group(OPERATOR, "staff")
    await office.add_member(OPERATOR, "staff", session.user_id)
    holder = f"user:{session.user_id}"
    assignment = await office.assign(OPERATOR, holder, "reports:reader")
    mapping = await office.map_group(OPERATOR, "github", "acme", "staff")
    return {
        "user": session.user_id,
        "session": session.id,
        "identity": session.identity_id,
        "key": key.id,
        "assignment": assignment.id,
        "mapping": mapping.id,
    }


# S150
@pytest.mark.parametrize("action", ONCE)
async def test_what_eight_do_at_once_is_one_event(service: Service, action: str) -> None:
    ids = await furnish(service)
    office, change = service.server.administration, ONCE[action]
    results = await asyncio.gather(*(change(office, ids) for _ in range(8)), return_exceptions=True)
    failed = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, NotFound) for error in failed)
    (event,) = await events(service, action)
    assert (event.actor, event.actor_name, event.via) == ("o1", "olga", "api")
    assert (event.remote_ip, event.result) == ("192.0.2.1", "success")


# S150
async def test_a_key_is_named_but_cannot_be_made_of_its_event(service: Service) -> None:
    session = await service.session("ann")
    office = service.server.administration
    key, text = await office.create_key(OPERATOR, session.user_id, name="job", scopes=["a", "b"])
    (event,) = await events(service, "api_key_created")
    assert (event.subject, event.target) == (session.user_id, key.id)
    assert event.details == ("name=job", "scopes=a b")
    assert text not in repr(event)
    assert text.removeprefix("tak_") not in repr(event)


# S150
async def test_an_identity_that_is_linked_already_is_no_event(service: Service) -> None:
    session = await service.session("ann")
    for _ in range(2):
        await service.server.administration.link_identity(OPERATOR, session.user_id, "google", "g1")
    (event,) = await events(service, "identity_linked")
    assert (event.actor, event.target) == ("o1", "google:g1")


class TestTheAdminAPI:
    # S150 S153
    async def test_a_token_for_it_is_an_event_without_the_token(self, service: Service) -> None:
        rita = await administrator(service)
        (event,) = await events(service, "admin_token_issued")
        assert event.actor == event.subject
        assert (event.actor_name, event.via) == ("rita", "api")
        assert event.details == ("scope=admin:read admin:write",)
        assert rita.token not in repr(event)

    # S150 S153
    async def test_who_may_not_is_told_of(self, service: Service) -> None:
        await administrator(service)
        token = await service.sign_in("mallory")
        (answer, *_) = [await API(service, token).call("POST", "token") for _ in range(2)]
        assert answer.status == 403
        refused = await events(service, "administration_refused")
        assert len(refused) == 2
        for event in refused:
            assert (event.actor_name, event.result) == ("mallory", "insufficient_permissions")
            assert (event.actor, event.target) == (event.subject, "POST /admin/api/token")
            assert event.remote_ip == "127.0.0.1"

    # S150 S153
    async def test_a_key_without_the_scope_is_told_of(self, service: Service) -> None:
        await administrator(service)
        user = await service.server.administration.user("rita")
        office = service.server.administration
        _, key = await office.create_key(OPERATOR, user.id, name="job", scopes=["admin:read"])
        answer = await API(service, key).call("PUT", "groups/staff", {})
        assert answer.status == 403
        (event,) = await events(service, "administration_refused")
        assert (event.actor, event.result) == (user.id, "insufficient_scope")
        assert event.target == "PUT /admin/api/groups/staff"

    # S150 S153
    async def test_a_wrong_invitation_is_told_of_without_what_was_sent(
        self, service: Service
    ) -> None:
        token = await service.sign_in("mallory")
        answer = await API(service, token).call(
            "POST", "first-administrator", {"secret": "a-guess-of-mine"}
        )
        assert answer.status == 403
        (event,) = await events(service, "invitation_refused", "administrator_added")
        assert (event.action, event.actor_name) == ("invitation_refused", "mallory")
        assert "a-guess-of-mine" not in repr(event)


# S107
async def test_a_provider_that_fails_is_told_of(
    make_service: ServiceFactory, make_module: MakeModule
) -> None:
    source = (
        "async def get_permissions(service, user_id):\n    raise ValueError('secret=hunter2')\n"
    )
    service = await make_service(ALLOWED_SERVICES=f"reports:{make_module('broken', source)}")
    token = await service.sign_in("ann")
    for _ in range(3):
        answer = await service.json("/auth/authorize?service=reports", token=token)
        assert answer["permissions"] == {}
    await service.server.failed_attempts.sum_up()
    (event,) = await events(service, "permission_provider_failed")
    assert (event.target, event.result) == ("reports", "error")
    assert event.details == ("error=3",)
