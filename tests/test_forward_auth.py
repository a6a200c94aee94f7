"""The decision behind /auth/verify: who, for which service, with which permission."""

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tornado.httpclient import HTTPResponse

from tests.modules import MakeModule, module, writing_modules
from tests.service import Service, ServiceFactory
from tornado_auth.forward_auth import Verdict

FILES = """
calls = []
async def get_permissions(service, userid):
    calls.append((service, userid))
    return {"read": True, "write": False, "limit": 5, "admin": "true"}
"""
MAIL = "def get_permissions(service, userid):\n    return {}\n"


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path, monkeypatch)


@pytest.fixture(params=["fast path", "handlers alone"])
async def site(
    request: pytest.FixtureRequest, make_service: ServiceFactory, make_module: MakeModule
) -> Service:
    """A service with two providers, whose answers count for no time at all."""
    services = f"files:{make_module('files', FILES)};mail:{make_module('mail', MAIL)}"
    return await make_service(
        ALLOWED_SERVICES=services,
        TORNADO_AUTH_PERMISSION_CACHE_SECONDS="0",
        TORNADO_AUTH_FAST_PATH="on" if request.param == "fast path" else "off",
    )


async def verify(site: Service, token: str, query: str = "") -> HTTPResponse:
    return await site.fetch(f"/auth/verify{query and '?' + query}", token=token)


async def permission_token(site: Service, token: str, service: str = "files") -> str:
    answer = await site.json(f"/auth/authorize?service={service}", token=token)
    return str(answer["token"])


async def decide(site: Service, token: str, *, service: str = "", needed: str = "") -> Verdict:
    return await site.server.forward_auth.decide(token, service=service, needed=needed)


class TestSessionToken:
    async def test_it_names_a_person_or_nobody(self, site: Service) -> None:
        token = await site.sign_in("ann")
        verdict = await decide(site, token)
        assert verdict.known is not None
        assert verdict.known.who is not None
        assert verdict.known.who.user.username == "ann"
        assert (verdict.allowed, verdict.granted) == (True, None)
        for nobody in ("", "rubbish"):
            verdict = await decide(site, nobody)
            assert (verdict.known, verdict.allowed, verdict.granted) == (None, False, None)

    @pytest.mark.parametrize(
        ("service", "needed", "allowed", "granted"),
        [
            ("files", "", True, {"read"}),
            ("files", "read", True, {"read"}),
            ("files", "write", False, {"read"}),
            ("files", "admin", False, {"read"}),  # nothing but `true` grants
            ("mail", "", False, set()),
            ("unknown", "", False, set()),
        ],
    )
    async def test_the_provider_says_what_is_granted(
        self, site: Service, service: str, needed: str, allowed: bool, granted: set[str]
    ) -> None:
        token = await site.sign_in("ann")
        for _ in range(2):  # the session is read, and then remembered
            verdict = await decide(site, token, service=service, needed=needed)
            assert (verdict.allowed, verdict.granted) == (allowed, granted)

    async def test_what_is_known_is_decided_without_waiting(
        self, make_service: ServiceFactory, make_module: MakeModule
    ) -> None:
        site = await make_service(ALLOWED_SERVICES=f"files:{make_module('files', FILES)}")
        token = await site.sign_in("ann")
        recall = site.server.forward_auth.recall
        verified = site.server.checks.verify(token)

        first = recall(verified, service="files", needed="read")
        assert inspect.isawaitable(first)
        assert (await first).allowed
        for service, needed in (("files", "read"), ("files", "write"), ("", "")):
            verdict = recall(verified, service=service, needed=needed)
            assert isinstance(verdict, Verdict)
            assert verdict.allowed is (needed != "write")
        assert len(module("files").calls) == 1


class TestPermissionToken:
    # S105
    async def test_it_opens_its_own_service_with_what_it_grants(self, site: Service) -> None:
        token = await permission_token(site, await site.sign_in("ann"))
        asked = len(module("files").calls)
        for _ in range(2):
            response = await verify(site, token, "service=files")
            assert response.code == 200
            assert response.headers["X-Auth-Username"] == "ann"
            assert response.headers["X-Auth-Permissions"] == "read"
        response = await verify(site, token, "service=files&read=write&write=read")
        assert response.code == 200
        response = await verify(site, token, "service=files&read=read&write=admin")
        assert (response.code, response.headers["X-Auth-Reason"]) == (
            403,
            "insufficient_permissions",
        )
        assert len(module("files").calls) == asked  # the token says it all

    # S105 S116
    async def test_it_opens_nothing_else(self, site: Service) -> None:
        token = await permission_token(site, await site.sign_in("ann"))
        for query in ("", "service=mail", "service=unknown", "service="):
            response = await verify(site, token, query)
            assert (response.code, response.headers["X-Auth-Reason"]) == (401, "login_required")
            assert "X-Auth-User" not in response.headers
        assert (await site.json("/auth/check", token=token))["authenticated"] is False
        jwt = await site.json(f"/auth/check?jwt={quote(token)}")
        assert jwt["authenticated"] is False
        for path in ("/auth/authorize?service=files", "/auth/authorize?service=mail"):
            answer = await site.json(path, token=token)
            assert "token" not in answer or answer["token"] is None
        response = await site.fetch("/auth/logout", token=token, form={})
        assert response.code in (200, 401)
        assert (await verify(site, token, "service=files")).code == 200  # nobody signed out by it

    # D13 S125
    async def test_after_sign_out_it_opens_nothing(self, site: Service) -> None:
        session_token, other = await site.sign_in("ann"), await site.sign_in("ann")
        token = await permission_token(site, session_token)
        others = await permission_token(site, other)
        assert (await verify(site, token, "service=files")).code == 200
        await site.json("/auth/logout", token=session_token, form={})
        response = await verify(site, token, "service=files")
        assert (response.code, response.headers["X-Auth-Reason"]) == (401, "login_required")
        assert (await verify(site, others, "service=files")).code == 200

    # D12 S125
    async def test_it_opens_nothing_for_who_is_disabled(self, site: Service) -> None:
        session = await site.session("ann")
        session_token = await site.server.sessions.token(session)
        token = await permission_token(site, session_token)
        assert (await verify(site, token, "service=files")).code == 200
        await site.server.accounts.set_disabled(session.user_id, disabled=True)
        for one in (token, session_token):
            assert (await verify(site, one, "service=files")).code == 401

    async def test_of_who_may_nothing_it_grants_nothing(self, site: Service) -> None:
        token = await permission_token(site, await site.sign_in("ann"), "mail")
        response = await verify(site, token, "service=mail")
        assert (response.code, response.headers["X-Auth-Reason"]) == (
            403,
            "insufficient_permissions",
        )

    # S131
    async def test_many_at_once_get_each_their_own(self, site: Service) -> None:
        names = [f"name{number}" for number in range(20)]
        tokens = [await permission_token(site, await site.sign_in(name)) for name in names]
        answers = await asyncio.gather(
            *(verify(site, token, "service=files") for token in tokens * 3)
        )
        assert [answer.headers["X-Auth-Username"] for answer in answers] == names * 3
