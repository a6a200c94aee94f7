"""Clients, what is known of users, and their applications, for programs of administrators."""

import json
from typing import Any

import pytest

from tests.admin.conftest import API
from tests.service import Service
from tornado_auth.digests import digest
from tornado_auth.models import Grant, Who
from tornado_auth.oauth2.errors import InvalidClient
from tornado_auth.oauth2.values import ClientCredentials

KEY = {"kty": "OKP", "crv": "Ed25519", "x": 43 * "A"}
CALLBACK = "https://wiki.example/callback"
WIKI = {
    "client_name": "The wiki",
    "redirect_uris": [CALLBACK],
    "scope": "openid offline_access",
    "grant_types": ["authorization_code", "refresh_token"],
}


async def add(api: API, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = await api.post("clients", **{**WIKI, **fields})
    return made


async def proves_itself(service: Service, client_id: str, secret: str) -> bool:
    credentials = ClientCredentials(
        client_id=client_id, method="client_secret_basic", secret=secret
    )
    try:
        await service.server.oauth2.authenticator.authenticate(credentials)
    except InvalidClient:
        return False
    return True


async def connect(api: API, client_id: str, name: str = "ann", **attributes: Any) -> Grant:
    """Let a client keep its access to what is somebody's."""
    server = api.service.server
    session = await api.service.session(name, **attributes)
    user, client = (
        await server.accounts.get(session.user_id),
        await server.oauth2.clients.get(client_id),
    )
    assert user is not None
    assert client is not None
    return await server.oauth2.grants.start(
        Who(user=user, session=session), client, scope=client.scope, lifetime=600
    )


class TestClients:
    # S030
    async def test_a_secret_is_in_one_answer_and_its_digest_in_none(
        self, api: API, service: Service
    ) -> None:
        made = await add(api)
        client_id, secret = made["client_id"], made.pop("client_secret")
        assert len(secret) == len("tcs_") + 43  # 256 bits
        assert await proves_itself(service, client_id, secret)
        assert await api.get(f"clients/{client_id}") == made
        assert (await api.get("clients"))["items"] == [made]
        changed = await api.call("PATCH", f"clients/{client_id}", {"client_name": "Wiki"})
        assert changed.body == {**made, "client_name": "Wiki"}
        new = await api.post(f"clients/{client_id}/secret")
        answers = [changed.body, new, await api.get("clients"), await api.get("audit")]
        for kept in (secret, digest(secret), digest(new["client_secret"])):
            assert kept not in json.dumps(answers)
        stored = await service.server.storage.clients.get(client_id)
        assert new["client_secret"] not in repr(await service.server.storage.audit_events.find())
        assert stored is not None
        assert stored.secret_digests == (digest(new["client_secret"]),)

    # S030
    async def test_a_secret_is_replaced_at_once_or_step_by_step(
        self, api: API, service: Service
    ) -> None:
        first = await add(api)
        path = f"clients/{first['client_id']}/secret"
        second = await api.post(path, keep_old=True)
        assert second["secrets"] == 2
        for made in (first, second):
            assert await proves_itself(service, first["client_id"], made["client_secret"])
        third = await api.post(path)
        good = [
            await proves_itself(service, first["client_id"], made["client_secret"])
            for made in (first, second, third)
        ]
        assert good == [False, False, True]
        public = await add(api, token_endpoint_auth_method="none")
        assert public["client_secret"] is None
        assert (await api.call("POST", f"clients/{public['client_id']}/secret")).status == 400

    async def test_a_change_leaves_alone_what_it_does_not_name(self, api: API) -> None:
        made = await add(
            api,
            is_trusted=True,
            access_token_lifetime=60,
            client_uri="https://wiki.example",
            default_max_age=0,
            jwks={"keys": [KEY]},
        )
        del made["client_secret"]
        path = f"clients/{made['client_id']}"
        assert (await api.call("PATCH", path, {})).body == made
        changes = {"access_token_lifetime": None, "client_uri": None, "jwks": None, "scope": ""}
        answer = await api.call("PATCH", path, changes)
        begun = {"access_token_lifetime": None, "client_uri": "", "jwks": None, "scope": ""}
        assert answer.body == {**made, **begun}
        answer = await api.call("PATCH", path, {"default_max_age": None, "is_trusted": False})
        assert answer.body == {**made, **begun, "default_max_age": None, "is_trusted": False}

    async def test_what_does_not_fit_together_is_refused_with_the_reason(self, api: API) -> None:
        client_id = (await add(api))["client_id"]
        for changes in (
            {"redirect_uris": []},
            {"redirect_uris": ["http://wiki.example/"]},
            {"redirect_uris": [f"{CALLBACK}#x"]},
            {"scope": "unheard-of"},
            {"grant_types": ["password"]},
            {"token_endpoint_auth_method": "private_key_jwt"},
            {"token_endpoint_auth_method": "none", "require_pkce": False},
            {"jwks_uri": "http://10.0.0.1/"},
            {"resources": ["/relative"]},
            {"jwks": {"keys": [{**KEY, "d": 43 * "A"}]}},
            {"jwks": {"keys": [{**KEY, "d": [1]}]}},
        ):
            for method, path, sent in (
                ("POST", "clients", {**WIKI, **changes}),
                ("PATCH", f"clients/{client_id}", changes),
            ):
                answer = await api.call(method, path, sent)
                assert (answer.status, answer.body["error"]) == (400, "invalid_request"), changes
                assert answer.body["error_description"]
        for name in (
            "client_id",
            "client_secret",
            "secret_digests",
            "is_self_registered",
            "registration_token_digest",
            "disabled_at",
            "created_at",
            "secrets",
        ):
            assert (await api.call("PATCH", f"clients/{client_id}", {name: "x"})).status == 400
        assert len((await api.get("clients"))["items"]) == 1

    async def test_there_may_be_more_than_a_page_of_them(self, api: API) -> None:
        ids = sorted([(await add(api))["client_id"] for _ in range(3)])
        first = await api.get("clients", limit=2)
        rest = await api.get("clients", limit=2, after=first["next"])
        assert [one["client_id"] for one in first["items"] + rest["items"]] == ids
        assert rest["next"] is None

    async def test_a_disabled_client_and_its_tokens_count_no_more(
        self, api: API, service: Service
    ) -> None:
        made = await add(api)
        client_id, grants = made["client_id"], service.server.oauth2.grants
        grant = await connect(api, client_id)
        for state, counts in (("disable", False), ("enable", True)):
            answer = await api.post(f"clients/{client_id}/{state}")
            assert (answer["disabled_at"] is None) is counts
            assert await proves_itself(service, client_id, made["client_secret"]) is counts
            assert (await grants.live(grant.id) is not None) is counts
        await api.delete(f"clients/{client_id}")
        assert await grants.live(grant.id) is None
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/enable"), ("POST", "/secret")):
            assert (await api.call(method, f"clients/{client_id}{path}")).status == 404

    # S150
    async def test_each_change_is_in_the_audit_log(self, api: API) -> None:
        client_id = (await add(api))["client_id"]
        await api.call("PATCH", f"clients/{client_id}", {"is_trusted": True})
        for action in ("secret", "disable", "enable"):
            await api.post(f"clients/{client_id}/{action}")
        await api.delete(f"clients/{client_id}")
        token = await api.post("initial-access-tokens", name="ci", lifetime=60)
        events = (await api.get("audit", limit=7))["items"][::-1]
        assert [event["action"] for event in events] == [
            "client_registered",
            "client_changed",
            "client_secret_rotated",
            "client_disabled",
            "client_enabled",
            "client_removed",
            "initial_access_token_created",
        ]
        assert {event["target"] for event in events[:-1]} == {client_id}
        assert {event["actor_name"] for event in events} == {"rita"}
        assert [event["details"] for event in events[:3]] == [
            ["name=The wiki"],
            ["fields=is_trusted"],
            ["secrets=1"],
        ]
        assert token["initial_access_token"] not in json.dumps(events)

    # S030
    async def test_a_token_for_registration_opens_it_as_long_as_it_is_good(
        self, api: API, service: Service
    ) -> None:
        made = await api.post("initial-access-tokens", name="ci", lifetime=60)
        clients = service.server.oauth2.clients
        record = await clients.find_initial_access_token(made["initial_access_token"])
        assert record is not None
        assert (record.name, made["expires_in"]) == ("ci", 60)
        assert record.expires_at == record.created_at + 60
        assert record.id == digest(made["initial_access_token"])

    # S153
    async def test_a_key_neither_makes_clients_nor_changes_them(self, api: API) -> None:
        made = await api.post("users/rita/keys", name="job", scopes=["admin:read", "admin:write"])
        program = api.as_holder_of(made["key"])
        client_id = (await add(api))["client_id"]
        for method, path, sent in (
            ("POST", "clients", WIKI),
            ("PATCH", f"clients/{client_id}", {"redirect_uris": ["https://evil.example/"]}),
            ("POST", f"clients/{client_id}/secret", None),
            ("POST", "initial-access-tokens", {"name": "x"}),
        ):
            answer = await program.call(method, path, sent)
            assert (answer.status, answer.body["error"]) == (403, "insufficient_permissions")
        assert (await program.get(f"clients/{client_id}"))["redirect_uris"] == [CALLBACK]
        assert (await program.post(f"clients/{client_id}/disable"))["disabled_at"]
        await program.delete(f"clients/{client_id}")


class TestUsers:
    async def test_claims_are_told_and_shown(self, api: API, service: Service) -> None:
        await service.session("ann")
        assert await api.get("users/ann/claims") == {}
        claims = {
            "given_name": "Ann",
            "email": "ann@mail.example",
            "email_verified": True,
            "address": {"formatted": "Storgatan 1\nLund", "country": "Sverige"},
        }
        known = await api.put("users/ann/claims", claims)
        assert known == {**claims, "updated_at": known["updated_at"]}
        assert await api.get("users/ann/claims") == known
        for wrong in (
            {"sub": "x"},
            {"updated_at": 1},
            {"given_name": ""},
            {"given_name": None},
            {"address": {}},
            {"address": {"street": "x"}},
            {"address": {"country": "a\nb"}},
            {"email_verified": True},
            {"email_verified": "true", "email": "ann@mail.example"},
        ):
            answer = await api.call("PUT", "users/ann/claims", wrong)
            assert (answer.status, answer.body["error"]) == (400, "invalid_request"), wrong
        assert await api.get("users/ann/claims") == known
        assert (await api.put("users/ann/claims", {})).keys() == {"updated_at"}
        assert (await api.call("PUT", "users/nobody/claims", {})).status == 404
        events = (await api.get("audit", action="user_claims_set"))["items"]
        assert events[-1]["details"] == ["claims=given_name email email_verified address"]
        assert "Storgatan" not in json.dumps(events)

    async def test_an_application_is_shown_and_withdrawn(self, api: API, service: Service) -> None:
        client_id = (await add(api, is_trusted=True))["client_id"]
        grant, other = await connect(api, client_id), await connect(api, client_id, "bob")
        assert (await api.get("users/ann/applications"))["items"] == [
            {
                "client_id": client_id,
                "client_name": "The wiki",
                "scope": "openid offline_access",
                "confirmed_at": None,  # nobody is asked
                "last_granted_at": grant.created_at,
            }
        ]
        await api.delete(f"users/ann/applications/{client_id}")
        assert (await api.get("users/ann/applications"))["items"] == []
        grants = service.server.oauth2.grants
        assert await grants.live(grant.id) is None
        assert await grants.live(other.id) is not None
        for path in (client_id, "c-nobody"):
            assert (await api.call("DELETE", f"users/ann/applications/{path}")).status == 404
        (event,) = (await api.get("audit", action="consent_withdrawn"))["items"]
        assert (event["actor_name"], event["target"]) == ("rita", client_id)

    async def test_what_applications_may_do_ends_with_a_disabled_user_for_good(
        self, api: API, service: Service
    ) -> None:
        client_id = (await add(api))["client_id"]
        grant, other = await connect(api, client_id), await connect(api, client_id, "bob")
        grants = service.server.oauth2.grants
        assert grant.is_offline
        await api.post("users/ann/disable")
        assert await grants.live(grant.id) is None
        await api.post("users/ann/enable")
        assert await grants.live(grant.id) is None
        assert await grants.live(other.id) is not None

    async def test_what_began_while_a_user_was_being_disabled_ends_when_it_is_enabled(
        self, api: API, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client_id = (await add(api))["client_id"]
        grants = service.server.oauth2.grants

        async def nothing(_: str) -> int:
            return 0

        grant = await connect(api, client_id)
        with monkeypatch.context() as patch:
            patch.setattr(grants, "forget_user", nothing)
            await api.post("users/ann/disable")
        await api.post("users/ann/enable")
        assert await grants.live(grant.id) is None
