"""What the admin API leaves behind: audit events, and nothing of who was deleted."""

import json
import logging
from dataclasses import asdict
from typing import Any

import pytest

from tests.admin.conftest import API
from tests.admin.test_clients import add, connect
from tests.service import Service
from tornado_auth.errors import StorageUnavailable

USER_TRACES = "audit_events", "username_claims", "revocations"


async def all_of(service: Service) -> dict[str, list[dict[str, Any]]]:
    """Return every record in the store."""
    backend = service.server.storage._backend
    return {
        kind: list(documents.values())
        for kind, documents in backend._documents.items()  # type: ignore[attr-defined]
    }


# S153
async def test_nothing_is_left_of_a_deleted_user(api: API, service: Service) -> None:
    token = await service.sign_in("ann", subject="1")
    ann = (await api.get("users/ann"))["id"]
    await api.put("roles/wiki:reader", {"permissions": ["read"]})
    await api.put("groups/writers", {})
    await api.put("groups/writers/members/ann")
    await api.post("assignments", holder="user:ann", role_id="wiki:reader")
    await api.post("users/ann/identities", provider="example", subject="2")
    key = (await api.post("users/ann/keys", name="k", scopes=["*"]))["key"]
    await api.put("users/ann/claims", {"given_name": "Ann"})
    grant = await connect(api, (await add(api))["client_id"], subject="1")
    assert grant.user_id == ann

    await api.delete("users/ann")
    for credential in (token, key):
        assert (await service.json("/auth/check", token=credential))["authenticated"] is False
    assert (await api.call("GET", f"users/{ann}")).status == 404
    left = {
        kind: found
        for kind, records in (await all_of(service)).items()
        if (found := [one for one in records if ann in json.dumps(one)])
    }
    assert left.keys() <= set(USER_TRACES)
    assert "audit_events" in left


# S150
async def test_every_change_is_in_the_audit_log_once(
    api: API, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tornado_auth.audit")
    await service.session("ann", subject="1")
    ann, rita = (await api.get("users/ann"))["id"], (await api.get("users/rita"))["id"]
    caplog.clear()
    await api.put("roles/wiki:reader", {"permissions": ["read"]})
    await api.put("groups/writers", {})
    await api.put("groups/writers/members/ann")
    given = await api.post("assignments", holder="user:ann", role_id="wiki:reader")
    mapping = await api.post("mappings", provider="github", upstream="org", group="writers")
    identity = await api.post("users/ann/identities", provider="example", subject="2")
    key = await api.post("users/ann/keys", name="k", scopes=["*"])
    await api.post("invitations")
    await api.post("service-accounts", username="robot")
    await api.delete(f"keys/{key['id']}")
    await api.delete_named("users/ann/identities", identity["id"])
    await api.delete_named("mappings", mapping["id"])
    await api.delete_named("assignments", given["id"])
    await api.delete("groups/writers/members/ann")
    await api.delete("groups/writers")
    await api.delete("roles/wiki:reader")
    await api.delete("users/ann/sessions")
    await api.post("users/ann/disable")
    await api.post("users/ann/enable")
    await api.delete("users/ann")
    events = (await api.get("audit", actor=rita, limit=20))["items"]
    expected = [
        "role_put",
        "group_put",
        "member_added",
        "role_assigned",
        "group_mapped",
        "identity_linked",
        "api_key_created",
        "administrator_invited",
        "service_account_created",
        "api_key_revoked",
        "identity_unlinked",
        "group_unmapped",
        "role_unassigned",
        "member_removed",
        "group_deleted",
        "role_deleted",
        "sessions_ended",
        "user_disabled",
        "user_enabled",
        "user_deleted",
    ]
    assert [event["action"] for event in reversed(events)] == expected
    assert {event["via"] for event in events} == {"api"}
    assert {event["remote_ip"] for event in events} <= {"127.0.0.1", "::1"}
    logged = [record for record in caplog.records if record.message == "audit"]
    assert len(logged) == len(expected)
    assert [event["subject"] for event in events[:3]] == [ann] * 3
    assert key["key"] not in json.dumps(events)


# S150
async def test_reading_and_what_cannot_be_done_leave_no_event(api: API, service: Service) -> None:
    async def count() -> int:
        return len((await all_of(service)).get("audit_events", []))

    before = await count()
    for path in ("users", "groups", "roles", "audit", "users/rita/permissions?service=wiki"):
        await api.call("GET", path)
    await api.call("DELETE", "groups/nothing")
    await api.call("PUT", "groups/writers", {"unknown": 1})
    await api.as_holder_of("x").call("PUT", "groups/writers", {})
    assert await count() == before


# S140
async def test_a_store_that_is_away_is_a_503_that_the_document_knows(
    api: API, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StorageUnavailable("The store does not answer.")

    for part, name in (
        (service.server.administration, "groups"),
        (service.server.administrators, "is_administrator"),
    ):
        monkeypatch.setattr(part, name, away)
        answer = await api.call("GET", "groups")
        assert (answer.status, answer.body["error"]) == (503, "storage_unavailable")


async def test_a_user_is_shown_without_what_is_for_the_store(api: API, service: Service) -> None:
    shown = await api.get("users/rita")
    stored = await service.server.storage.users.get(shown["id"])
    assert stored is not None
    assert shown.items() <= asdict(stored).items()
    assert not shown.keys() & {"version", "username_key", "welcomed_at"}
