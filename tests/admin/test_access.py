"""Who gets into the admin API, with what, and who does not."""

import asyncio
import json
from typing import Any

import jwt
import pytest

from tests.admin.addresses import ADMIN_ADDRESSES
from tests.admin.conftest import API, SHELL, administrator
from tests.conftest import FakeClock
from tests.service import Service, ServiceFactory
from tornado_auth.administrators import ADMINISTRATOR, AUDITOR, INVITATION_LIFETIME, TOKEN_LIFETIME

OPEN = {"/admin/api/openapi.json"}
FOR_SESSIONS = {"/admin/api/token", "/admin/api/first-administrator"}
CLOSED = [
    (method, path.removeprefix("/admin/api/"))
    for path, methods in ADMIN_ADDRESSES.items()
    for method in methods
    if path not in OPEN | FOR_SESSIONS and method != "HEAD"
]


async def make(api: API, name: str, role_id: str) -> API:
    """Sign somebody in who holds a role, with an admin token for all that it permits."""
    session = API(api.service, await api.service.sign_in(name))
    await api.post("assignments", holder=f"user:{name}", role_id=role_id)
    return session.as_holder_of((await session.post("token"))["access_token"])


async def key_of(api: API, name: str, *scopes: str) -> API:
    made = await api.post(f"users/{name}/keys", name="key", scopes=list(scopes))
    return api.as_holder_of(made["key"])


async def outcome(api: API, method: str, path: str) -> tuple[int, str]:
    answer = await api.call(method, path)
    return answer.status, (answer.body or {}).get("error", "")


class TestCredentials:
    # S153
    async def test_only_an_admin_token_or_key_opens_anything(
        self, api: API, service: Service
    ) -> None:
        ann = await service.sign_in("ann")
        permission = (await service.json("/auth/authorize?service=wiki", token=ann))["token"]
        wrong = {
            "nothing": ("", "no_token"),
            "junk": ("x", "invalid_token"),
            "a session token": (ann, "invalid_token"),
            "an administrator's session token": (await service.sign_in("rita"), "invalid_token"),
            "a permission token": (permission, "invalid_token"),
            "a made up key": ("tak_" + 43 * "x", "invalid_token"),
        }
        for method, path in CLOSED:
            for what, (token, reason) in wrong.items():
                answer = await api.as_holder_of(token).call(method, path)
                assert (answer.status, answer.body["error"]) == (401, reason), (what, path)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    # S153
    async def test_nothing_but_the_authorization_header_counts(
        self, api: API, service: Service
    ) -> None:
        for token in (api.token, await service.sign_in("rita")):
            for sent in (
                {"cookies": {"tornado_auth": token}},
                {"headers": {"auth-token": token}},
                {"headers": {"Authorization": f"Basic {token}"}},
                {"headers": {"Authorization": token}},
            ):
                assert (await service.fetch("/admin/api/users", **sent)).code == 401
            assert (await service.fetch(f"/admin/api/users?jwt={token}")).code == 401

    # S153
    async def test_an_admin_token_opens_nothing_else(self, api: API, service: Service) -> None:
        assert not (await service.json("/auth/check", token=api.token))["authenticated"]
        assert (await service.fetch("/auth/verify", token=api.token)).code == 401
        audience = f"{service.url}/admin/api"
        for query in ("service=wiki", "service=tornado_auth", f"service={audience}"):
            answer = await service.json(f"/auth/authorize?{query}", token=api.token)
            assert answer == {"permissions": {}, "error": "invalid_token"}
        for path in ("token", "first-administrator"):
            assert await outcome(api, "POST", path) == (401, "invalid_token")

    # S153
    async def test_the_claims_of_an_admin_token(self, api: API, service: Service) -> None:
        claims = jwt.decode(api.token, options={"verify_signature": False})
        assert jwt.get_unverified_header(api.token)["typ"] == "admin+jwt"
        assert (claims["iss"], claims["aud"]) == (service.url, f"{service.url}/admin/api")
        assert claims["scope"] == "admin:read admin:write"
        assert claims["exp"] - claims["iat"] == TOKEN_LIFETIME

    async def test_a_key_of_no_scope_for_this_is_refused(self, api: API) -> None:
        for scopes in (("*",), ("wiki", "tornado_auth")):
            key = await key_of(api, "rita", *scopes)
            for method, path in CLOSED:
                assert await outcome(key, method, path) == (403, "insufficient_scope")

    async def test_a_key_opens_no_door_of_a_session(self, api: API) -> None:
        key = await key_of(api, "rita", "admin:read", "admin:write", "*")
        assert await outcome(key, "GET", "users") == (200, "")
        for path in FOR_SESSIONS:
            where = path.removeprefix("/admin/api/")
            assert await outcome(key, "POST", where) == (401, "invalid_token")

    # S153
    async def test_a_key_makes_nothing_that_outlives_it(self, api: API) -> None:
        key = (await api.post("users/rita/keys", name="job", scopes=["admin:read", "admin:write"]))[
            "key"
        ]
        program = api.as_holder_of(key)
        assert (await program.call("GET", "users")).status == 200
        for path, sent in (
            ("invitations", None),
            ("users/rita/keys", {"name": "more", "scopes": ["*"]}),
            ("users/rita/identities", {"provider": "github", "subject": "4711"}),
        ):
            answer = await program.call("POST", path, sent)
            assert (answer.status, answer.body["error"]) == (403, "insufficient_permissions")
        assert len((await api.get("users/rita/keys"))["items"]) == 1

    async def test_a_scope_says_what_is_missing(self, api: API, service: Service) -> None:
        session = api.as_holder_of(await service.sign_in("rita"))
        token = (await session.post("token", scope="admin:read"))["access_token"]
        answer = await api.as_holder_of(token).call("PUT", "groups/g", {})
        assert (answer.status, answer.body["error"]) == (403, "insufficient_scope")
        wanted = 'Bearer error="insufficient_scope", scope="admin:write"'
        assert answer.headers["WWW-Authenticate"] == wanted


class TestPeople:
    # S153
    async def test_who_is_no_administrator_is_refused(self, api: API, service: Service) -> None:
        ann = API(service, await service.sign_in("ann"))
        assert await outcome(ann, "POST", "token") == (403, "insufficient_permissions")
        key = await key_of(api, "ann", "admin:read", "admin:write")
        for method, path in CLOSED:
            assert await outcome(key, method, path) == (403, "insufficient_permissions")

    # S153
    async def test_an_auditor_sees_everything_and_changes_nothing(self, api: API) -> None:
        auditor = await make(api, "olga", AUDITOR)
        key = await key_of(api, "olga", "admin:read", "admin:write")
        for method, path in CLOSED:
            if method == "GET":
                assert (await auditor.call(method, path)).status in (200, 400, 404), path
            else:
                assert await outcome(auditor, method, path) == (403, "insufficient_scope")
                assert await outcome(key, method, path) == (403, "insufficient_permissions")
        session = auditor.as_holder_of(await auditor.service.sign_in("olga"))
        answer = await session.call("POST", "token", {"scope": "admin:read admin:write"})
        assert (answer.status, answer.body["error"]) == (403, "insufficient_permissions")

    # S153
    async def test_who_is_no_administrator_any_more_is_out_at_once(self, api: API) -> None:
        second = await make(api, "sam", ADMINISTRATOR)
        key = await key_of(api, "sam", "admin:read")
        assert await outcome(second, "GET", "users") == (200, "")
        (held,) = (await api.get("users/sam/roles"))["items"]
        await api.delete_named("assignments", held["id"])
        for caller in (second, key):
            assert await outcome(caller, "GET", "users") == (403, "insufficient_permissions")

    # S153
    @pytest.mark.parametrize("end", ["sessions", "disable", "delete"])
    async def test_an_admin_token_ends_with_its_session(self, api: API, end: str) -> None:
        second = await make(api, "sam", ADMINISTRATOR)
        if end == "disable":
            await api.post("users/sam/disable")
        else:
            await api.delete("users/sam/sessions" if end == "sessions" else "users/sam")
        assert await outcome(second, "GET", "users") == (401, "invalid_token")

    async def test_an_admin_token_ends_after_ten_minutes(
        self, make_service: ServiceFactory, clock: FakeClock
    ) -> None:
        api = await administrator(await make_service(now=clock))
        assert await outcome(api, "GET", "users") == (200, "")
        clock.advance(TOKEN_LIFETIME)
        assert await outcome(api, "GET", "users") == (401, "invalid_token")

    # S153
    async def test_no_other_origin_reads_an_answer(self, make_service: ServiceFactory) -> None:
        service = await make_service(TORNADO_AUTH_CORS_ORIGINS="https://app.example")
        api = await administrator(service)
        for path in ("users", "users?x=1", "openapi.json", "token"):
            for method in ("GET", "POST", "OPTIONS"):
                answer = await api.call(method, path, Origin="https://app.example")
                headers = {name.lower() for name in answer.headers}
                assert not any(name.startswith("access-control") for name in headers)
        assert (await api.call("OPTIONS", "users", Origin="https://app.example")).status == 405


class TestTheFirstAdministrator:
    # S153
    async def test_the_secret_makes_exactly_one_of_many_an_administrator(
        self, service: Service
    ) -> None:
        secret = await service.server.administration.invite_administrator(SHELL)
        people = [
            API(service, await service.sign_in(f"user-{n}", subject=str(n))) for n in range(8)
        ]
        answers = await asyncio.gather(
            *(one.call("POST", "first-administrator", {"secret": secret}) for one in people)
        )
        assert sorted(answer.status for answer in answers) == [204] + 7 * [403]
        tokens = await asyncio.gather(*(outcome(one, "POST", "token") for one in people))
        assert [status for status, _ in tokens] == [
            200 if answer.status == 204 else 403 for answer in answers
        ]

    # S153
    async def test_the_secret_lasts_an_hour(
        self, make_service: ServiceFactory, clock: FakeClock
    ) -> None:
        service = await make_service(now=clock)
        secret = await service.server.administration.invite_administrator(SHELL)
        clock.advance(INVITATION_LIFETIME)
        ann = API(service, await service.sign_in("ann"))
        answer = await ann.call("POST", "first-administrator", {"secret": secret})
        assert (answer.status, answer.body["error"]) == (403, "insufficient_permissions")

    async def test_a_wrong_secret_makes_nobody_anything(self, service: Service) -> None:
        await service.server.administration.invite_administrator(SHELL)
        ann = API(service, await service.sign_in("ann"))
        for secret in ("x", "$ne", "*", 43 * "a"):
            answer = await ann.call("POST", "first-administrator", {"secret": secret})
            assert answer.status == 403
        assert await outcome(ann, "POST", "token") == (403, "insufficient_permissions")

    async def test_an_administrator_invites_the_next(self, api: API, service: Service) -> None:
        invitation = await api.post("invitations")
        assert invitation["expires_in"] == INVITATION_LIFETIME
        ann = API(service, await service.sign_in("ann"))
        await ann.post("first-administrator", secret=invitation["secret"])
        assert (await ann.post("token"))["scope"] == "admin:read admin:write"

    # S148
    async def test_the_store_holds_no_secret(self, api: API, service: Service) -> None:
        secrets: list[str] = [(await api.post("invitations"))["secret"], api.token]
        secrets.append((await key_of(api, "rita", "admin:read")).token)
        stored = json.dumps(everything(service), default=str)
        assert "rita" in stored
        assert [secret for secret in secrets if secret in stored] == []


def everything(service: Service) -> Any:
    return service.server.storage._backend._documents  # type: ignore[attr-defined]
