"""What all answers have in common: headers, methods, errors."""

import json
import logging
import re
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from tests.admin.addresses import ADMIN_ADDRESSES
from tests.forms import open_page
from tests.service import Service, ServiceFactory
from tornado_auth.app import ROUTES
from tornado_auth.errors import Stale

GET = ["GET", "HEAD"]
API, PAGE = [*GET, "OPTIONS"], GET
# Each address with the methods that it answers.
ADDRESSES = {
    "/": PAGE,
    "/auth": PAGE,
    "/auth/check": API,
    "/auth/verify": GET,
    "/auth/authorize": API,
    "/auth/update": ["POST", "OPTIONS"],
    "/auth/public-key": API,
    "/.well-known/jwks.json": API,
    "/auth/resolve": API,
    "/auth/get_profile": API,
    "/auth/token": ["POST", "OPTIONS"],
    "/auth/login": PAGE,
    "/auth/login/local": [*GET, "POST"],
    "/auth/login/dev": [*GET, "POST"],
    "/auth/login/github": PAGE,
    "/auth/oauth_callback": PAGE,
    "/auth/logout": [*GET, "POST"],
    "/auth/account": PAGE,
    "/auth/account/username": [*GET, "POST"],
    "/auth/account/end-session": [*GET, "POST"],
    "/auth/account/end-other-sessions": [*GET, "POST"],
    "/auth/account/create-key": [*GET, "POST"],
    "/auth/account/revoke-key": [*GET, "POST"],
    "/auth/account/revoke-application": [*GET, "POST"],
    "/auth/account/link/github": [*GET, "POST"],
    "/oauth2/authorize": [*GET, "POST"],
    "/oauth2/par": ["POST", "OPTIONS"],
    "/oauth2/token": ["POST", "OPTIONS"],
    "/oauth2/userinfo": [*GET, "POST", "OPTIONS"],
    "/oauth2/introspect": ["POST", "OPTIONS"],
    "/oauth2/revoke": ["POST", "OPTIONS"],
    "/.well-known/openid-configuration": API,
    "/.well-known/oauth-authorization-server": API,
    "/oauth2/register": ["POST", "OPTIONS"],
    "/oauth2/register/c-someone": [*GET, "PUT", "DELETE"],
    "/oauth2/consent": [*GET, "POST"],
    "/oauth2/device": [*GET, "POST"],
    "/oauth2/device_authorization": ["POST", "OPTIONS"],
    "/oauth2/logout": [*GET, "POST"],
    "/oauth2/logged-out": PAGE,
    "/auth/backchannel_logout/corp": ["POST", "OPTIONS"],
    "/auth/admin": [*GET, "POST"],
    "/auth/admin/users/someone": [*GET, "POST"],
    "/auth/admin/users/someone/delete": [*GET, "POST"],
    "/auth/admin/users/someone/why": PAGE,
    "/auth/admin/groups": [*GET, "POST"],
    "/auth/admin/groups/staff": [*GET, "POST"],
    "/auth/admin/groups/staff/delete": [*GET, "POST"],
    "/auth/admin/roles": [*GET, "POST"],
    "/auth/admin/roles/reports:reader": [*GET, "POST"],
    "/auth/admin/roles/reports:reader/delete": [*GET, "POST"],
    "/auth/admin/audit": PAGE,
    "/auth/admin/invitation": [*GET, "POST"],
    "/auth/static/style.css": GET,
    **ADMIN_ADDRESSES,
}
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE")


@pytest.fixture
async def app(make_service: ServiceFactory) -> Service:
    return await make_service(dev=True, GITHUB_KEY="id", GITHUB_SECRET="secret")


async def send(service: Service, method: str, path: str, **arguments: Any) -> HTTPResponse:
    body = "" if method in ("POST", "PUT", "PATCH") else None
    return await service.fetch(
        path, method=method, body=body, allow_nonstandard_methods=True, **arguments
    )


def broken(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def who(token: str) -> None:
        raise ZeroDivisionError("secret-of-the-inside")

    monkeypatch.setattr(service.server.checks, "who", who)


class TestMethods:
    def test_every_route_is_in_the_table(self) -> None:
        for pattern, _ in ROUTES:
            assert any(re.fullmatch(pattern, path) for path in ADDRESSES), pattern

    # S141
    @pytest.mark.parametrize("path", ADDRESSES)
    async def test_only_the_methods_of_the_table_are_answered(
        self, app: Service, path: str
    ) -> None:
        token = await app.sign_in("ann")
        for method in METHODS:
            for sent in ("", token):
                response = await send(app, method, path, token=sent)
                if method in ADDRESSES[path]:
                    assert response.code not in (404, 405, 500, 501), method
                else:
                    assert response.code == 405, method
                    assert response.headers["Allow"].split(", ") == ADDRESSES[path]

    # S141
    @pytest.mark.parametrize("path", [path for path in ADDRESSES if "GET" in ADDRESSES[path]])
    async def test_head_answers_what_get_would(self, app: Service, path: str) -> None:
        for token in ("", await app.sign_in("ann")):
            got = await send(app, "GET", path, token=token)
            head = await send(app, "HEAD", path, token=token)
            assert (head.code, head.body) == (got.code, b"")
            assert set(head.headers) == set(got.headers)
            for name in ("Content-Type", "Content-Length", "Content-Security-Policy"):
                assert head.headers.get(name) == got.headers.get(name)

    # S141
    async def test_nothing_is_a_404_whatever_the_method(self, app: Service) -> None:
        for path in ("/auth/nothing", "/auth/check/", "/admin", "/auth/account/link/"):
            for method in set(METHODS) - {"TRACE"}:
                response = await send(app, method, path)
                assert response.code == 404
                assert (b"not_found" in response.body) is (method != "HEAD")

    async def test_a_provider_that_is_off_is_a_404(self, service: Service) -> None:
        page = await open_page(service, tornado_auth=await service.sign_in("ann"))
        assert (await service.fetch("/auth/login/github")).code == 404
        assert (await page.send("/auth/account/link/github")).code == 404
        assert (await service.fetch("/auth/login/dev")).code == 404
        assert (await page.send("/auth/login/dev", username="dora")).code == 404


# Where an application sends a window that it opened itself, and waits for it.
OPENS_IN_POPUPS = re.compile(r"400|/auth/login|/auth/oauth_callback|/oauth2/(authorize|consent)$")


class TestHeaders:
    @pytest.fixture
    async def https(self, make_service: ServiceFactory) -> Service:
        return await make_service(
            EXTERNAL_ADDRESS="https://auth.example", GITHUB_KEY="id", GITHUB_SECRET="secret"
        )

    @pytest.fixture
    async def answers(
        self, https: Service, monkeypatch: pytest.MonkeyPatch
    ) -> dict[str, HTTPResponse]:
        """One answer of each sort."""
        token = await https.sign_in("ann")
        answers = {
            f"{method} {path}": await send(https, method, path, token=sent)
            for path in ADDRESSES
            for method, sent in (("GET", token), ("HEAD", ""), ("OPTIONS", ""), ("POST", token))
        }
        for path in ("/nothing", "/auth/static/nothing", "/auth/static/../handlers.py"):
            answers[path] = await https.fetch(path)
        answers["400"] = await https.fetch("/auth/login?next=https://evil.example/")
        answers["twice"] = await https.fetch("/auth/check?next=/a&next=/b")
        broken(https, monkeypatch)
        for path in ("/auth/check", "/auth/account", "/auth/verify"):
            answers[f"broken {path}"] = await https.fetch(path, token="x")
        return answers

    # S121 S122 S123
    async def test_every_answer_carries_them(self, answers: dict[str, HTTPResponse]) -> None:
        assert {200, 204, 303, 400, 401, 403, 404, 405, 500} <= {
            answer.code for answer in answers.values()
        }
        for what, answer in answers.items():
            headers = answer.headers
            if what.endswith("/auth/verify") and answer.code == 200:
                # Who is to see this is a proxy; each header would cost it time.
                assert answer.body == b""
                assert {"Cache-Control", "X-Auth-User"} <= headers.keys()
                assert "Content-Security-Policy" not in headers
                continue
            assert headers["X-Frame-Options"] == "DENY", what
            assert headers["X-Content-Type-Options"] == "nosniff", what
            assert headers["Referrer-Policy"] == "no-referrer", what
            opener_policy = "unsafe-none" if OPENS_IN_POPUPS.search(what) else "same-origin"
            assert headers["Cross-Origin-Opener-Policy"] == opener_policy, what
            assert headers["Strict-Transport-Security"] == "max-age=31536000", what
            policy = dict(
                each.strip().partition(" ")[::2]
                for each in headers["Content-Security-Policy"].split(";")
            )
            assert policy == {
                "default-src": "'none'",
                "style-src": "'self'",
                "img-src": "'self' https:",
                "base-uri": "'none'",
                "frame-ancestors": "'none'",
                "form-action": "'self'",
            }, what

    # S123
    async def test_only_what_is_the_same_for_everybody_is_kept(
        self, answers: dict[str, HTTPResponse]
    ) -> None:
        public = (
            "/auth/static/style.css",
            "/auth/public-key",
            "/.well-known/jwks.json",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
        )
        for what, answer in answers.items():
            kept = what.endswith(public) and answer.code == 200
            assert answer.headers["Cache-Control"] == (
                "public, max-age=300" if kept else "no-store"
            ), what
            assert not kept or "Set-Cookie" not in answer.headers, what

    # S141
    async def test_no_answer_says_what_it_was_made_with(
        self, answers: dict[str, HTTPResponse]
    ) -> None:
        for what, answer in answers.items():
            text = f"{answer.headers} {answer.body.decode()}"
            assert "Server" not in answer.headers, what
            for word in ("Traceback", "secret-of-the-inside", "ZeroDivision", "TornadoServer"):
                assert word not in text, what

    # S123
    async def test_without_https_there_is_no_promise_of_it(self, app: Service) -> None:
        for path in ("/auth/login", "/auth/check", "/auth/static/style.css", "/nothing"):
            response = await app.fetch(path)
            assert "Strict-Transport-Security" not in response.headers
            assert response.headers["X-Frame-Options"] == "DENY"

    # S122
    async def test_a_form_may_end_where_the_browser_is_sent_on_to(
        self, make_service: ServiceFactory
    ) -> None:
        service = await make_service(TORNADO_AUTH_ALLOWED_NEXT="https://app.example=code")
        for path in ("/auth/login", "/auth/logout"):
            response = await service.fetch(f"{path}?next=https://app.example/x%3Fa=1")
            policy = response.headers["Content-Security-Policy"]
            assert policy.endswith("form-action 'self' https://app.example")
        # Never an origin that is not on the list, nor more than an origin.
        response = await service.fetch("/auth/login?next=https://evil.example/")
        assert response.headers["Content-Security-Policy"].endswith("form-action 'self'")

    # S102
    async def test_a_listed_origin_can_read_errors_too(self, make_service: ServiceFactory) -> None:
        service = await make_service(TORNADO_AUTH_CORS_ORIGINS="https://app.example")
        for origin, allowed in (("https://app.example", "https://app.example"), ("null", None)):
            response = await service.fetch("/auth/check?next=1&next=2", headers={"Origin": origin})
            assert response.code == 400
            assert response.headers.get("Access-Control-Allow-Origin") == allowed
            assert response.headers["Vary"] == "Origin"


class TestErrors:
    # S141
    async def test_a_mistake_of_ours_is_logged_and_not_shown(
        self,
        app: Service,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        broken(app, monkeypatch)
        response = await app.fetch("/auth/check", token="x")
        assert response.code == 500
        assert json.loads(response.body) == {
            "error": "internal_server_error",
            "error_description": "Internal Server Error",
        }
        response = await app.fetch("/auth/account", cookies={"tornado_auth": "x"})
        assert response.code == 500
        assert b'id="error-reason">internal_server_error' in response.body
        records = [record for record in caplog.records if record.message == "request_failed"]
        assert [record.levelno for record in records] == [logging.ERROR] * 2

    async def test_a_record_that_never_stands_still_is_a_503_and_logged(
        self, app: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def lose(token: str) -> None:
            raise Stale("it kept changing")

        monkeypatch.setattr(app.server.checks, "who", lose)
        assert (await app.fetch("/auth/check", token="x")).code == 503
        records = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert [record.message for record in records] == ["storage_unavailable"]

    async def test_what_the_caller_did_wrong_is_no_error_of_ours(
        self, app: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        await app.fetch("/auth/login?next=https://evil.example/")
        await app.fetch("/auth/check?next=1&next=2")
        await app.fetch("/nothing")
        await app.fetch("/auth/static/nothing")
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []

    async def test_an_error_page_has_its_code_and_a_way_on(self, app: Service) -> None:
        body = (await app.fetch("/auth/login?next=https://evil.example/")).body.decode()
        assert 'id="error-reason">next_not_allowed<' in body
        assert 'href="/auth/login"' in body
