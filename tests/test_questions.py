"""What /auth/authorize and /auth/verify answer of many services, of resources and to API keys."""

import json
from typing import Any

import jwt
import pytest

from tests.service import Service, ServiceFactory
from tornado_auth.errors import StorageUnavailable
from tornado_auth.handlers import MAX_LISTED

PROVIDER = "tests.fast_path.provider"
EVERYWHERE = {"reader": True, "writer": True, "a,b c": True}
IN_DOCS = {"reader": False, "writer": True, "docs/1": True}


@pytest.fixture
async def site(make_service: ServiceFactory) -> Service:
    """A service with three of which one allows nothing; `bob` may also write."""
    return await make_service(ALLOWED_SERVICES=f"files:{PROVIDER};mail:{PROVIDER};empty:{PROVIDER}")


@pytest.fixture
async def bob(site: Service) -> str:
    return await site.sign_in("bob", subject="1")


@pytest.fixture(autouse=True)
def _everybody_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the provider say the same of everybody, whatever their random id is."""
    monkeypatch.setattr("tests.fast_path.provider.sum", lambda numbers: 0, raising=False)


async def key_of_bob(site: Service, *scopes: str) -> str:
    session = await site.session("bob", subject="1")
    _, key = await site.server.api_keys.create(session.user_id, name="k", scopes=scopes)
    return key


def claims_of(site: Service, token: str, audience: str) -> dict[str, Any]:
    pem = site.server.keys.public_pem()
    return jwt.decode(token, pem, algorithms=["ES256"], audience=audience, issuer=site.url)


async def reason(site: Service, question: str, token: str) -> tuple[int, str | None]:
    response = await site.fetch(f"/auth/verify?{question}", token=token)
    assert response.body == b""
    return response.code, response.headers.get("X-Auth-Reason")


class TestResource:
    async def test_what_is_allowed_there_is_answered(self, site: Service, bob: str) -> None:
        answer = await site.json("/auth/authorize?service=files&resource=docs/1", token=bob)
        assert set(answer) == {"userid", "permissions", "service", "resource", "token"}
        assert (answer["service"], answer["resource"]) == ("files", "docs/1")
        assert answer["permissions"] == IN_DOCS
        answer = await site.json("/auth/authorize?service=files&resource=", token=bob)
        assert (answer["permissions"], "resource" in answer) == (EVERYWHERE, False)

    # S105
    async def test_its_token_is_good_for_it_alone(self, site: Service, bob: str) -> None:
        there = "service=files&resource=docs/1"
        in_docs = (await site.json(f"/auth/authorize?{there}", token=bob))["token"]
        in_files = (await site.json("/auth/authorize?service=files", token=bob))["token"]
        claims = claims_of(site, in_docs, "files:docs/1")
        assert (claims["service"], claims["permissions"]) == ("files:docs/1", IN_DOCS)
        with pytest.raises(jwt.InvalidAudienceError):
            claims_of(site, in_docs, "files")
        assert await reason(site, there, in_docs) == (200, None)
        for token, question in [
            (in_docs, "service=files"),
            (in_docs, "service=files&resource=docs/2"),
            (in_docs, "service=mail&resource=docs/1"),
            (in_files, there),
        ]:
            assert await reason(site, question, token) == (401, "login_required")
        again = await site.json(f"/auth/authorize?{there}", token=in_docs)
        assert again == {"permissions": {}, "error": "invalid_token"}

    # S142 S145
    async def test_one_that_cannot_be_one_is_refused(self, site: Service, bob: str) -> None:
        for wrong in ("a%20b", "a%00", "%0d%0a", "x" * 129, "%C3%A4", "{}", "a%5B$ne%5D"):
            for question in (
                f"service=files&resource={wrong}",
                f"services=files&resources={wrong}",
            ):
                response = await site.fetch(f"/auth/authorize?{question}", token=bob)
                assert response.code == 400, question
                assert json.loads(response.body)["error"] == "invalid_request"
            question = f"service=files&resource={wrong}"
            assert await reason(site, question, bob) == (403, "invalid_request")


class TestYesOrNo:
    async def test_a_permission_is_there_or_not(self, site: Service, bob: str) -> None:
        for question, code in [
            ("service=files&permission=reader", 200),
            ("service=files&permission=nothing", 403),
            ("service=files&permission=reader&resource=docs/1", 403),
            ("service=files&permission=docs/1&resource=docs/1", 200),
            ("service=files&permission=writer&resource=locked", 403),
            ("service=files&resource=locked", 403),
            ("service=empty&permission=reader", 403),
            ("service=nobody&permission=reader", 403),
            ("permission=reader", 403),
            ("resource=docs/1", 403),
            # The one for the method counts first.
            ("service=files&permission=reader&write=nothing", 403),
            ("service=files&permission=nothing&write=writer", 200),
            ("service=files&permission=nothing&read=reader", 403),
        ]:
            refused = None if code == 200 else "insufficient_permissions"
            for _ in range(2):  # fresh, and from memory
                assert await reason(site, question, bob) == (code, refused), question

    async def test_whatever_the_method_is(self, make_service: ServiceFactory) -> None:
        site = await make_service(
            ALLOWED_SERVICES=f"files:{PROVIDER}", TORNADO_AUTH_TRUSTED_PROXIES="127.0.0.0/8"
        )
        token = await site.sign_in()
        for method in ("GET", "POST", "DELETE"):
            for permission, code in [("reader", 200), ("nothing", 403)]:
                response = await site.fetch(
                    f"/auth/verify?service=files&permission={permission}",
                    token=token,
                    headers={"X-Original-Method": method},
                )
                assert response.code == code


class TestMany:
    async def test_each_service_has_its_own_answer(self, site: Service, bob: str) -> None:
        answer = await site.json("/auth/authorize?services=files,empty,nobody,files", token=bob)
        assert set(answer) == {"userid", "services"}
        assert list(answer["services"]) == ["files", "empty", "nobody"]
        files = answer["services"]["files"]
        assert set(files) == {"permissions", "token"}
        assert files["permissions"] == EVERYWHERE
        assert claims_of(site, files["token"], "files")["permissions"] == EVERYWHERE
        assert answer["services"]["empty"]["permissions"] == {}
        assert claims_of(site, answer["services"]["empty"]["token"], "empty")["permissions"] == {}
        assert answer["services"]["nobody"] == {"permissions": {}, "error": "access_denied"}

    async def test_and_each_of_its_resources(self, site: Service, bob: str) -> None:
        question = "services=files,nobody&resources=docs/1,locked"
        answer = await site.json(f"/auth/authorize?{question}", token=bob)
        denied = {"permissions": {}, "error": "access_denied"}
        assert answer["services"] == {
            "files": {
                "resources": {"docs/1": {"permissions": IN_DOCS}, "locked": {"permissions": {}}}
            },
            "nobody": {"resources": {"docs/1": denied, "locked": denied}},
        }

    async def test_a_stranger_may_do_nothing(self, site: Service) -> None:
        answer = await site.json("/auth/authorize?services=files")
        assert answer == {"services": {}, "error": "invalid_token"}

    async def test_too_many_or_mixed_up_questions_are_refused(
        self, site: Service, bob: str
    ) -> None:
        too_many = ",".join(f"s{n}" for n in range(MAX_LISTED + 1))
        for question in (
            f"services={too_many}",
            f"services=a&resources={too_many}",
            "services=a,b,c,d,e,f&resources=" + ",".join(f"s{n}" for n in range(17)),
            "services=a&service=a",
            "services=a&resource=x",
            "service=a&resources=x,y",
            "resources=x,y",
            "services=,",
            "services=a&services=b",
        ):
            response = await site.fetch(f"/auth/authorize?{question}", token=bob)
            assert response.code == 400, question
            assert json.loads(response.body)["error"] == "invalid_request"

    async def test_as_many_as_that_are_answered(self, site: Service, bob: str) -> None:
        services = ",".join(["files", *(f"s{n}" for n in range(MAX_LISTED - 1))])
        answer = await site.json(f"/auth/authorize?services={services}", token=bob)
        assert len(answer["services"]) == MAX_LISTED
        assert answer["services"]["files"]["permissions"] == EVERYWHERE


class TestAPIKeys:
    async def test_it_asks_about_its_services_alone(self, site: Service) -> None:
        key = await key_of_bob(site, "files")
        answer = await site.json("/auth/authorize?service=files", token=key)
        assert answer["permissions"] == EVERYWHERE
        response = await site.fetch("/auth/authorize?service=mail", token=key)
        assert response.code == 403
        assert json.loads(response.body) == {"permissions": {}, "error": "insufficient_scope"}
        answer = await site.json("/auth/authorize?services=files,mail", token=key)
        assert answer["services"]["files"]["permissions"] == EVERYWHERE
        assert answer["services"]["mail"] == {"permissions": {}, "error": "insufficient_scope"}

    async def test_a_proxy_lets_it_pass_to_its_services_alone(self, site: Service) -> None:
        for scopes, question, refused in [
            (("files",), "service=files", None),
            (("files",), "service=files&permission=writer&resource=docs/1", None),
            (("files",), "service=files&permission=nothing", "insufficient_permissions"),
            (("mail", "files"), "service=files", None),
            (("mail",), "service=files", "insufficient_scope"),
            (("mail",), "service=files&resource=mail", "insufficient_scope"),
            (("file",), "service=files", "insufficient_scope"),
            (("files",), "", "insufficient_scope"),
            (("admin:write",), "service=files", "insufficient_scope"),
            (("admin:read",), "", "insufficient_scope"),
            (("*",), "service=files", None),
            (("*",), "", None),
        ]:
            key = await key_of_bob(site, *scopes)
            for _ in range(2):
                expected = (403, refused) if refused else (200, None)
                assert await reason(site, question, key) == expected, (scopes, question)

    async def test_its_permission_tokens_reach_no_further(self, site: Service) -> None:
        session = await site.session("bob", subject="1")
        key, _ = await site.server.api_keys.create(session.user_id, name="k", scopes=["mail"])
        sign = site.server.tokens.permission_token
        assert await reason(site, "service=mail", await sign(key, "mail", {"a": True})) == (
            200,
            None,
        )
        token = await sign(key, "files", {"a": True})
        assert await reason(site, "service=files", token) == (403, "insufficient_scope")

    async def test_only_one_for_everything_is_told_who_it_is(self, site: Service) -> None:
        answer = await site.json("/auth/check", token=await key_of_bob(site, "*"))
        assert answer["profile"]["username"] == "bob"
        for headers in ({}, {"Accept-Charset": "x", "Content-Type": "text/plain"}):  # fast or not
            key = await key_of_bob(site, "files")
            answer = await site.json("/auth/check", token=key, headers=headers)
            assert (answer["authenticated"], answer["error"]) == (False, "insufficient_scope")
            assert "profile" not in answer

    async def test_only_one_for_everything_looks_people_up(self, site: Service) -> None:
        for scope, code in [("*", 200), ("files", 403), ("admin:read", 403)]:
            key = await key_of_bob(site, scope)
            for path in ("get_profile", "resolve"):
                response = await site.fetch(f"/auth/{path}?username=bob", token=key)
                assert response.code == code
                error = json.loads(response.body).get("error")
                assert error == (None if code == 200 else "insufficient_scope")

    async def test_it_changes_nothing_and_opens_no_page(self, site: Service) -> None:
        key = await key_of_bob(site, "*")
        response = await site.fetch("/auth/update", form={"username": "rob"}, token=key)
        assert (response.code, json.loads(response.body)["error"]) == (401, "Not authenticated")
        response = await site.fetch("/auth/account", cookies={"tornado_auth": key})
        assert response.code == 303
        assert response.headers["Location"].startswith("/auth/login")

    async def test_it_ends_when_it_is_revoked(self, site: Service) -> None:
        session = await site.session("bob", subject="1")
        record, key = await site.server.api_keys.create(session.user_id, name="k", scopes=["*"])
        assert await reason(site, "service=files", key) == (200, None)
        await site.server.api_keys.revoke(record.id)
        assert await reason(site, "service=files", key) == (401, "login_required")

    async def test_a_store_that_is_away_refuses_no_key(
        self, site: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fail(ids: list[str]) -> Any:
            raise StorageUnavailable("away")

        key = await key_of_bob(site, "files")
        monkeypatch.setattr(site.server.storage.sessions, "get_many", fail)
        assert await reason(site, "service=files", key) == (403, "storage_unavailable")
        assert (await site.fetch("/auth/authorize?service=files", token=key)).code == 503
