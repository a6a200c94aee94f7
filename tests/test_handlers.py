"""The /auth API over real HTTP: one class a route."""

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
    return await make_service(ALLOWED_SERVICES=permissions_module)


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


class TestUpdate:
    # D15
    async def test_a_user_name_is_chosen_once(self, service: Service) -> None:
        token = await service.sign_in("ann")
        response = await service.fetch("/auth/update", token=token, form={"username": "Queen.Ann"})
        assert (response.code, json.loads(response.body)) == (200, {"success": True})
        answer = await service.json("/auth/check", token=token)
        assert answer["profile"]["username"] == "queen.ann"
        response = await service.fetch("/auth/update", token=token, form={"username": "other"})
        assert response.code == 409
        assert json.loads(response.body) == {
            "success": False,
            "error": "Cannot modify username, already set",
        }

    async def test_the_parameters_may_stand_in_the_query(self, service: Service) -> None:
        token = await service.sign_in("ann")
        answer = await service.json(
            f"/auth/update?jwt={token}&username=queen", method="POST", body=""
        )
        assert answer == {"success": True}

    # S104
    async def test_twenty_parallel_choices_make_one(self, service: Service) -> None:
        token = await service.sign_in("ann")
        responses = await asyncio.gather(
            *(
                service.fetch("/auth/update", token=token, form={"username": f"name{number}"})
                for number in range(20)
            )
        )
        codes = sorted(response.code for response in responses)
        assert codes == [200] + [409] * 19
        winner = next(n for n, response in enumerate(responses) if response.code == 200)
        answer = await service.json("/auth/check", token=token)
        assert answer["profile"]["username"] == f"name{winner}"

    # S104
    async def test_no_other_field_changes(self, service: Service) -> None:
        token = await service.sign_in("ann")
        before = await service.json("/auth/check", token=token)
        form = {"id": "x", "email": "x@x.example", "role": "admin", "sub": "x", "name": "x"}
        assert await service.json("/auth/update", token=token, form=form) == {"success": True}
        assert await service.json("/auth/check", token=token) == before

    # S104
    async def test_it_takes_a_post(self, service: Service) -> None:
        token = await service.sign_in("ann")
        response = await service.fetch("/auth/update?username=queen", token=token)
        assert response.code == 405
        assert "POST" in response.headers["Allow"]
        profile = (await service.json("/auth/check", token=token))["profile"]
        assert profile["username"] == "ann"

    # S104 S119
    async def test_a_cookie_alone_changes_nothing(self, service: Service) -> None:
        token = await service.sign_in("ann")
        response = await service.fetch(
            "/auth/update", cookies={"tornado_auth": token}, form={"username": "queen"}
        )
        assert response.code == 403
        profile = (await service.json("/auth/check", token=token))["profile"]
        assert profile["username"] == "ann"

    # D27
    @pytest.mark.parametrize(
        ("token", "code", "error"),
        [("", 401, "No token"), ("rubbish", 401, "Not authenticated")],
    )
    async def test_who_is_not_signed_in_is_told_so(
        self, service: Service, token: str, code: int, error: str
    ) -> None:
        response = await service.fetch("/auth/update", token=token, form={"username": "queen"})
        assert response.code == code
        assert json.loads(response.body) == {"success": False, "error": error}

    # S147
    @pytest.mark.parametrize("username", ["ab", "a@b", "admin", "a b", "x" * 65])
    async def test_a_bad_name_is_refused_with_a_reason(
        self, service: Service, username: str
    ) -> None:
        token = await service.sign_in("ann")
        response = await service.fetch("/auth/update", token=token, form={"username": username})
        assert response.code in (400, 409)
        answer = json.loads(response.body)
        assert answer["success"] is False
        assert len(answer["error"]) > 10


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
    async def test_the_pem_and_the_key_set_are_the_same_key(self, service: Service) -> None:
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


class TestLookup:
    # D17
    async def test_only_who_is_signed_in_may_look_people_up(self, service: Service) -> None:
        token = await service.sign_in("ann")
        for path, denied in (
            ("/auth/resolve", {"userid": None, "error": "login_required"}),
            ("/auth/get_profile", {"found": False, "error": "login_required"}),
        ):
            response = await service.fetch(f"{path}?username=ann")
            assert (response.code, json.loads(response.body)) == (401, denied)
            assert (await service.fetch(f"{path}?username=ann", token=token)).code == 200

    async def test_a_name_is_resolved(self, service: Service) -> None:
        token = await service.sign_in("ann")
        me = (await service.json("/auth/check", token=token))["profile"]["id"]
        answer = await service.json("/auth/resolve?username=ANN", token=token)
        assert answer == {"userid": me}
        for name in ("nobody", "", "a@b", "%F0%9F%98%80"):
            answer = await service.json(f"/auth/resolve?username={name}", token=token)
            assert answer == {"userid": None}

    # D17 S102
    async def test_a_public_profile_has_no_address_and_no_digest(self, service: Service) -> None:
        token = await service.sign_in("ann")
        answer = await service.json("/auth/get_profile?username=ann", token=token)
        assert answer["found"] is True
        profile = answer["profile"]
        assert set(profile) == {"id", "name", "join_date", "avatar_url", "gravatar"}
        assert profile["gravatar"] is None
        assert "example.org" not in json.dumps(answer)
        assert await service.json("/auth/get_profile?username=no", token=token) == {"found": False}

    async def test_an_operator_can_open_the_lookup(self, make_service: ServiceFactory) -> None:
        service = await make_service(TORNADO_AUTH_PUBLIC_PROFILES="true")
        await service.sign_in("ann")
        assert (await service.json("/auth/get_profile?username=ann"))["found"] is True

    # D17
    async def test_nobody_looks_up_a_whole_list(self, service: Service) -> None:
        token = await service.sign_in("ann")
        codes = [
            (await service.fetch(f"/auth/resolve?username=name{n}", token=token)).code
            for n in range(70)
        ]
        assert codes[0] == 200
        assert codes[-1] == 429
        response = await service.fetch("/auth/resolve?username=x", token=token)
        assert int(response.headers["Retry-After"]) > 0


class TestHandover:
    @pytest.fixture
    async def app(self, make_service: ServiceFactory, clock: FakeClock) -> Service:
        return await make_service(now=clock)

    async def test_a_code_is_exchanged_once(self, app: Service) -> None:
        session = await app.session("ann")
        code = await app.server.sessions.hand_over(session.id)
        answer = await app.json("/auth/token", form={"code": code})
        assert answer["token_type"] == "Bearer"
        assert answer["expires_in"] == 14 * 86400
        assert (await app.json("/auth/check", token=answer["token"]))["authenticated"] is True
        response = await app.fetch("/auth/token", form={"code": code})
        assert response.code == 400
        assert json.loads(response.body)["error"] == "invalid_grant"

    async def test_twenty_callers_with_one_code_get_one_token(self, app: Service) -> None:
        session = await app.session("ann")
        code = await app.server.sessions.hand_over(session.id)
        responses = await asyncio.gather(
            *(app.fetch("/auth/token", form={"code": code}) for _ in range(20))
        )
        assert sorted(r.code for r in responses) == [200] + [400] * 19

    async def test_a_code_ends_after_a_minute(self, app: Service, clock: FakeClock) -> None:
        session = await app.session("ann")
        code = await app.server.sessions.hand_over(session.id)
        clock.advance(60)
        assert (await app.fetch("/auth/token", form={"code": code})).code == 400

    async def test_a_code_of_an_ended_session_gives_nothing(self, app: Service) -> None:
        session = await app.session("ann")
        code = await app.server.sessions.hand_over(session.id)
        await app.server.sessions.end(session.id)
        assert (await app.fetch("/auth/token", form={"code": code})).code == 400

    async def test_a_code_stands_in_the_body(self, app: Service) -> None:
        session = await app.session("ann")
        code = await app.server.sessions.hand_over(session.id)
        response = await app.fetch(f"/auth/token?code={code}", form={})
        assert response.code == 400
        assert (await app.fetch("/auth/token", form={"code": code})).code == 200
        assert (await app.fetch("/auth/token", form={"code": ""})).code == 400


class TestLogout:
    # D13
    async def test_the_token_is_dead_afterwards(self, service: Service) -> None:
        token = await service.sign_in("ann")
        other = await service.sign_in("ann")
        answer = await service.json("/auth/logout", token=token, form={})
        assert answer == {"success": True}
        assert (await service.json("/auth/check", token=token))["authenticated"] is False
        assert (await service.fetch("/auth/verify", token=token)).code == 401
        assert (await service.json("/auth/check", token=other))["authenticated"] is True
        assert (await service.json("/auth/logout", token=token, form={})) == {"success": False}

    async def test_a_link_does_not_sign_out(self, service: Service) -> None:
        token = await service.sign_in("ann")
        response = await service.fetch("/auth/logout", cookies={"tornado_auth": token})
        assert response.code == 200
        assert b'id="logout-confirm"' in response.body
        assert (await service.json("/auth/check", token=token))["authenticated"] is True
