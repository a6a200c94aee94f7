"""The /auth API over real HTTP, one class a route: tokens, permissions, nginx, keys."""

import asyncio
import json
import sys
import types
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import jwt
import pytest

from tests.conftest import FakeClock
from tests.service import Service, ServiceFactory

PROFILE = {"id", "idhash", "provider_id", "username", "name", "email", "avatar_url", "join_date"}


@pytest.fixture
def permissions_module() -> Iterator[str]:
    """Two permission providers of an operator: `files` is a coroutine, `plain` is not."""
    module = types.ModuleType("operators_permissions")
    plain = types.ModuleType("operators_plain_permissions")

    async def get_permissions(service: str, userid: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"permission-x": True, "permission-y": False, "for": userid}

    def get_plain_permissions(service: str, userid: str) -> dict[str, Any]:
        return {service: True}

    module.get_permissions = get_permissions  # type: ignore[attr-defined]
    plain.get_permissions = get_plain_permissions  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    sys.modules[plain.__name__] = plain
    yield f"files:{module.__name__};plain:{plain.__name__}"
    del sys.modules[module.__name__], sys.modules[plain.__name__]


@pytest.fixture
async def files(make_service: ServiceFactory, permissions_module: str) -> Service:
    """A service with two permission providers."""
    return await make_service(
        ALLOWED_SERVICES=permissions_module, TORNADO_AUTH_SIGNING_ALGORITHM="RS256"
    )


class TestCheck:
    async def test_a_token_is_answered_with_the_profile(self, service: Service) -> None:
        token = await service.sign_in("ann")
        answer = await service.json("/auth/check", token=token)
        assert answer["authenticated"] is True
        assert set(answer["profile"]) == PROFILE
        assert answer["profile"]["username"] == "ann"
        assert answer["profile"]["email"] == "ann@example.org"
        assert answer["profile"]["idhash"] == answer["profile"]["id"]

    async def test_the_token_is_taken_from_each_of_four_places(self, service: Service) -> None:
        token = await service.sign_in()
        for arguments in (
            {"headers": {"Authorization": f"bearer {token}"}},
            {"headers": {"auth-token": token}},
            {"cookies": {"tornado_auth": token}},
        ):
            assert (await service.json("/auth/check", **arguments))["authenticated"] is True
        answer = await service.json(f"/auth/check?jwt={quote(token)}")
        assert answer["authenticated"] is True

    async def test_the_parameter_can_be_switched_off(self, make_service: ServiceFactory) -> None:
        service = await make_service(TORNADO_AUTH_JWT_PARAMETER="false")
        token = await service.sign_in()
        assert (await service.json(f"/auth/check?jwt={token}"))["authenticated"] is False
        assert (await service.json("/auth/check", token=token))["authenticated"] is True

    async def test_a_stranger_is_told_where_to_sign_in(self, make_service: ServiceFactory) -> None:
        service = await make_service(
            GOOGLE_KEY="g", GOOGLE_SECRET="s", GITHUB_KEY="g", GITHUB_SECRET="s"
        )
        answer = await service.json("/auth/check?next=https://app.example/p?a=1%26b=2")
        assert answer["authenticated"] is False
        assert set(answer["providers"]) == {"google", "github", "local"}
        url = urlsplit(answer["providers"]["google"]["url"])
        assert f"{url.scheme}://{url.netloc}{url.path}" == service.url + "/auth/login/google"
        assert parse_qs(url.query) == {"next": ["https://app.example/p?a=1&b=2"]}

    # S103 D28
    async def test_without_a_provider_there_is_no_way_in(
        self, make_service: ServiceFactory
    ) -> None:
        service = await make_service(TORNADO_AUTH_LOCAL_ACCOUNTS="false")
        answer = await service.json("/auth/check")
        assert answer == {"authenticated": False, "providers": {}}
        for name in ("dev", "local"):
            assert (await service.fetch(f"/auth/login/{name}")).code == 404
            assert (await service.fetch("/auth/login")).code == 200
        assert await service.server.storage.users.find() == []

    # S102 D18
    async def test_no_script_of_another_site_can_read_the_answer(
        self, make_service: ServiceFactory
    ) -> None:
        service = await make_service(TORNADO_AUTH_CORS_ORIGINS="https://app.example")
        token = await service.sign_in()
        response = await service.fetch(
            "/auth/check?callback=f", token=token, headers={"Origin": "https://evil.example"}
        )
        assert json.loads(response.body)["authenticated"] is True
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert not [name for name in response.headers if name.startswith("Access-Control")]
        response = await service.fetch("/auth/check", headers={"Origin": "https://app.example"})
        assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "Access-Control-Allow-Credentials" not in response.headers

    async def test_a_listed_origin_may_ask_before_it_sends_a_header(
        self, make_service: ServiceFactory
    ) -> None:
        service = await make_service(TORNADO_AUTH_CORS_ORIGINS="https://app.example")
        response = await service.fetch(
            "/auth/update",
            method="OPTIONS",
            headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"},
        )
        assert response.code == 204
        assert "auth-token" in response.headers["Access-Control-Allow-Headers"]
        assert "POST" in response.headers["Access-Control-Allow-Methods"]

    async def test_a_parameter_that_is_there_twice_is_refused(self, service: Service) -> None:
        response = await service.fetch("/auth/check?next=/a&next=/b")
        assert response.code == 400
        assert json.loads(response.body)["error"] == "invalid_request"

    async def test_a_token_ends_with_its_session(
        self, make_service: ServiceFactory, clock: FakeClock
    ) -> None:
        service = await make_service(now=clock)
        token = await service.sign_in()
        # Fourteen days, less the second in which it would end.
        clock.advance(14 * 86400 - 1)
        assert (await service.json("/auth/check", token=token))["authenticated"] is True
        clock.advance(1)
        assert (await service.json("/auth/check", token=token))["authenticated"] is False

    async def test_a_session_that_is_not_used_ends(
        self, make_service: ServiceFactory, clock: FakeClock
    ) -> None:
        service = await make_service(now=clock, TORNADO_AUTH_SESSION_IDLE_LIMIT="1h")
        token = await service.sign_in()
        for _ in range(3):
            clock.advance(3599)
            assert (await service.json("/auth/check", token=token))["authenticated"] is True
        clock.advance(3600)
        assert (await service.json("/auth/check", token=token))["authenticated"] is False


class TestAuthorize:
    async def test_a_coroutine_says_what_the_user_may_do(self, files: Service) -> None:
        token = await files.sign_in()
        answer = await files.json("/auth/authorize?service=files", token=token)
        assert set(answer) == {"userid", "permissions", "service", "token"}
        assert answer["permissions"]["permission-x"] is True
        assert answer["permissions"]["for"] == answer["userid"]
        assert answer["service"] == "files"

    async def test_a_plain_function_says_it_too(self, files: Service) -> None:
        token = await files.sign_in()
        answer = await files.json("/auth/authorize?service=plain", token=token)
        assert answer["permissions"] == {"plain": True}

    # S105 D11
    async def test_a_permission_token_names_its_service_and_ends(self, files: Service) -> None:
        token = await files.sign_in()
        answer = await files.json("/auth/authorize?service=files", token=token)
        header = jwt.get_unverified_header(answer["token"])
        assert header["typ"] == "permission+jwt"
        claims = jwt.decode(
            answer["token"],
            files.server.keys.public_pem(),
            algorithms=["RS256"],
            audience="files",
            issuer=files.url,
        )
        assert claims["exp"] - claims["iat"] == 300
        assert claims["sub"] == claims["userid"] == answer["userid"]
        assert claims["permissions"] == answer["permissions"]
        assert claims["service"] == "files"
        assert len(claims["jti"]) > 20

    # S105 S116
    async def test_a_permission_token_opens_nothing_here(self, files: Service) -> None:
        token = await files.sign_in()
        answer = await files.json("/auth/authorize?service=files", token=token)
        permission_token = answer["token"]
        checked = await files.json("/auth/check", token=permission_token)
        assert checked["authenticated"] is False
        assert (await files.fetch("/auth/verify", token=permission_token)).code == 401
        again = await files.json("/auth/authorize?service=files", token=permission_token)
        assert again["permissions"] == {}
        assert "token" not in again

    # S105 S106
    @pytest.mark.parametrize(
        "service_name", ["other", "os", "..", "a.b", "ünï", "", "files ", "%00"]
    )
    async def test_a_service_that_is_not_listed_gets_nothing(
        self, files: Service, service_name: str
    ) -> None:
        token = await files.sign_in()
        before = set(sys.modules)
        name = service_name if service_name.startswith("%") else quote(service_name)
        response = await files.fetch(f"/auth/authorize?service={name}", token=token)
        answer = json.loads(response.body)
        assert "token" not in answer
        assert answer.get("permissions", {}) == {}
        assert set(sys.modules) == before

    # D12
    async def test_a_deleted_or_disabled_user_may_do_nothing(
        self, make_service: ServiceFactory, permissions_module: str, clock: FakeClock
    ) -> None:
        service = await make_service(ALLOWED_SERVICES=permissions_module, now=clock)
        deleted, disabled = await service.session("ann"), await service.session("bob")
        tokens = [await service.server.sessions.token(s) for s in (deleted, disabled)]
        await service.server.storage.users.delete(deleted.user_id)
        await service.server.accounts.set_disabled(disabled.user_id, disabled=True)
        clock.advance(1)
        for token in tokens:
            answer = await service.json("/auth/authorize?service=files", token=token)
            assert answer == {"permissions": {}, "error": "invalid_token"}
            assert (await service.fetch("/auth/verify", token=token)).code == 401

    async def test_a_stranger_may_do_nothing(self, files: Service) -> None:
        response = await files.fetch("/auth/authorize?service=files")
        assert response.code == 200
        assert json.loads(response.body) == {"permissions": {}, "error": "invalid_token"}


class TestVerify:
    async def test_a_session_passes_with_its_identity(self, service: Service) -> None:
        token = await service.sign_in("ann")
        response = await service.fetch("/auth/verify", token=token)
        assert (response.code, response.body) == (200, b"")
        assert response.headers["X-Auth-Username"] == "ann"
        assert response.headers["X-Auth-Email"] == "ann@example.org"
        assert len(response.headers["X-Auth-User"]) > 20
        assert response.headers["Content-Length"] == "0"
        assert "X-Auth-Permissions" not in response.headers

    async def test_a_stranger_does_not(self, service: Service) -> None:
        response = await service.fetch("/auth/verify")
        assert (response.code, response.body) == (401, b"")
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.headers["Content-Length"] == "0"
        assert "X-Auth-User" not in response.headers

    async def test_a_service_wants_a_permission(self, files: Service) -> None:
        token = await files.sign_in("ann")
        response = await files.fetch("/auth/verify?service=files", token=token)
        assert response.code == 200
        # Only what is exactly true: `permission-y` is false, `for` is a text.
        assert response.headers["X-Auth-Permissions"] == "permission-x"
        response = await files.fetch("/auth/verify?service=unknown", token=token)
        assert (response.code, response.body) == (403, b"")
        assert response.headers["X-Auth-Reason"] == "insufficient_permissions"
        assert "X-Auth-User" not in response.headers

    # S127
    async def test_a_permission_of_no_service_is_one_that_nobody_has(self, files: Service) -> None:
        token = await files.sign_in("ann")
        for query in ("write=permission-x", "read=a&write=permission-x&service="):
            response = await files.fetch(f"/auth/verify?{query}", token=token)
            assert (response.code, response.body) == (403, b""), query

    # S127
    async def test_nothing_but_200_401_and_403_is_answered(self, files: Service) -> None:
        token = await files.sign_in("ann")
        for query in ("service=a&service=b", "service=%00", "service=%ff", "x=1&x=2"):
            response = await files.fetch(f"/auth/verify?{query}", token=token)
            assert response.code in (200, 403), query
            assert response.body == b""

    # S129
    async def test_the_original_method_counts_only_from_a_trusted_proxy(
        self, make_service: ServiceFactory, permissions_module: str
    ) -> None:
        path = "/auth/verify?service=files&read=permission-x&write=permission-y"
        for proxies, codes in (("", [403, 403, 403]), ("127.0.0.0/8", [200, 403, 403])):
            service = await make_service(
                ALLOWED_SERVICES=permissions_module, TORNADO_AUTH_TRUSTED_PROXIES=proxies
            )
            token = await service.sign_in("ann")
            for method, code in zip(("GET", "POST", ""), codes, strict=True):
                response = await service.fetch(
                    path, token=token, headers={"X-Original-Method": method}
                )
                assert response.code == code, (proxies, method)

    # S132 S145
    async def test_a_name_cannot_end_the_header(self, service: Service) -> None:
        token = await service.sign_in("ann", email="a\u00e4,b%\r\nX-Evil: 1@example.org")
        response = await service.fetch("/auth/verify", token=token)
        assert response.code == 200
        assert "X-Evil" not in response.headers
        assert response.headers["X-Auth-Email"] == "a%C3%A4%2Cb%25%0D%0AX-Evil%3A%201@example.org"


class TestPublicKey:
    async def test_the_pem_and_the_key_set_are_the_same_key(
        self, make_service: ServiceFactory
    ) -> None:
        service = await make_service(TORNADO_AUTH_SIGNING_ALGORITHM="RS256")
        response = await service.fetch("/auth/public-key")
        assert response.headers["Content-Type"].startswith("text/plain")
        pem = response.body.decode()
        assert pem.startswith("-----BEGIN PUBLIC KEY-----")
        (key,) = (await service.json("/.well-known/jwks.json"))["keys"]
        loaded = jwt.PyJWK(key).key
        assert (
            loaded.public_numbers()
            == jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
            .prepare_key(pem)
            .public_numbers()
        )
        assert set(key) & {"d", "p", "q", "k", "dp", "dq", "qi"} == set()
