"""What callers write is text: no operator, no header, no log line, no part of a page."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from tornado.httpclient import HTTPResponse
from tornado.iostream import StreamClosedError

from tests.forms import Page, make_passwords_cheap, open_page
from tests.security.wire import talk
from tests.service import Service, ServiceFactory
from tornado_auth.logins import Visitor
from tornado_auth.logs import QUIET_LOGGERS, configure_logging
from tornado_auth.models import AssertedIdentity

REFUSALS = {200, 303, 400, 401, 403, 404, 409}
OPERATORS = [
    "{q}[$ne]=",
    "{q}[$ne]=x",
    "{q}[$gt]=",
    "{q}[$regex]=.*",
    "{q}[$where]=1",
    "{q}[$exists]=true",
    "{q}[]=ann&{q}[]=bob",
    "{q}.$ne=x",
    "{q}.username=ann",
    "$where=1&{q}=x",
    "{q}=" + quote('{"$gt":""}'),
    "{q}=" + quote('{"$ne":null}'),
    "{q}=" + quote('["ann"]'),
    "{q}=$ne",
    "{q}=null",
    "{q}=0",
    "{q}=true",
    "{q}=" + quote("' OR 1=1 --"),
    "{q}=" + quote("' OR '1'='1"),
    "{q}=" + quote('" OR ""="'),
    "{q}=" + quote("x'; DROP TABLE records; --"),
    "{q}=%25",
    "{q}=ann%25",
    "{q}=_nn",
    "{q}=ann%00",
    "{q}=%00ann",
    "{q}=ann&{q}=bob",
    "{q}=%ff%fe",
    "{q}=%ed%a0%80",
    "{q}=" + "x" * 5000,
]
# Where each parameter of the API is read, and whether it may stand in the address.
PLACES = [
    ("GET", "/auth/check", "jwt"),
    ("GET", "/auth/verify", "jwt"),
    ("GET", "/auth/verify", "service"),
    ("GET", "/auth/authorize", "service"),
    ("GET", "/auth/resolve", "username"),
    ("GET", "/auth/get_profile", "username"),
    ("GET", "/auth/oauth_callback", "state"),
    ("GET", "/auth/oauth_callback", "code"),
    ("GET", "/auth/check", "next"),
    ("GET", "/auth/login", "next"),
    ("POST", "/auth/update", "username"),
    ("POST", "/auth/token", "code"),
    ("POST", "/auth/login/local", "username"),
    ("POST", "/auth/login/local", "password"),
    ("POST", "/auth/login/local", "_xsrf"),
    ("POST", "/auth/account/end-session", "session_id"),
    ("POST", "/auth/account/username", "username"),
]

READ_AS_JSON = {
    "/auth/check",
    "/auth/authorize",
    "/auth/resolve",
    "/auth/get_profile",
    "/auth/update",
}


@pytest.fixture(params=["memory", "sqlite", "mongodb"])
async def app(
    request: pytest.FixtureRequest, make_service: ServiceFactory, tmp_path: Path
) -> Service:
    url = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/auth.db"}.get(request.param)
    service = await make_service(
        DATABASE_URL=url or request.getfixturevalue("mongo_url"),
        GITHUB_KEY="id",
        GITHUB_SECRET="secret",
        TORNADO_AUTH_STORAGE_TIMEOUT="10",
        TORNADO_AUTH_PUBLIC_PROFILES="true",
    )
    await make_passwords_cheap(service)
    # Here nobody is to be slowed down.
    service.server.throttle.count = lambda scope, key: None  # type: ignore[method-assign]
    service.server.login_throttle.attempt = lambda keys: nullcontext()  # type: ignore[method-assign,assignment]
    return service


async def attack(
    service: Service, page: Page, where: tuple[str, str, str], text: str
) -> HTTPResponse:
    method, path, name = where
    query = text.format(q=name)
    if method == "GET":
        # Without credentials where the parameter is one.
        cookies = {} if name == "jwt" else page.cookies
        return await service.fetch(f"{path}?{query}", cookies=cookies)
    rest = {"username": "ann", "password": "x", "_xsrf": page.token}
    rest = {key: value for key, value in rest.items() if key != name and "local" in path}
    if name != "_xsrf":
        rest["_xsrf"] = page.token
    body = "&".join([query, *(f"{key}={quote_plus(value)}" for key, value in rest.items())])
    return await service.fetch(path, cookies=page.cookies, method="POST", body=body)


def outcome_is_harmless(where: tuple[str, str, str], response: HTTPResponse) -> bool:
    """Tell whether nobody was found, believed or let in."""
    _, path, name = where
    if path == "/auth/verify":
        passed = response.code == 200 and name != "jwt"  # a parameter of another name is none
        return "X-Auth-Permissions" not in response.headers and (passed or response.code > 400)
    if path in ("/auth/token", "/auth/oauth_callback"):
        return response.code == 400
    if name == "_xsrf":
        return response.code == 403
    if path == "/auth/login/local":
        return response.code in (400, 401)
    if response.code == 400:
        return True
    answer = json.loads(response.body) if path in READ_AS_JSON else {}
    return not (answer.get("userid") or answer.get("found") or answer.get("token")) and (
        name != "jwt" or answer["authenticated"] is False
    )


# S142
async def test_no_operator_finds_or_changes_anything(app: Service) -> None:
    storage = app.server.storage
    token = await app.sign_in("ann")
    bob = await app.session("bob")
    page = await open_page(app, "/auth/account", tornado_auth=token)
    people = {user.id: user for user in await storage.users.find()}
    sessions = {session.id for session in await storage.sessions.find()}
    known = await attack(app, page, ("GET", "/auth/resolve", "username"), "{q}=bob")
    assert not outcome_is_harmless(("GET", "/auth/resolve", "username"), known)
    for where in PLACES:
        answers = await asyncio.gather(*(attack(app, page, where, text) for text in OPERATORS))
        for text, response in zip(OPERATORS, answers, strict=True):
            assert response.code in REFUSALS, (where, text, response.body)
            assert outcome_is_harmless(where, response), (where, text, response.body)
    assert {session.id for session in await storage.sessions.find()} == sessions
    assert {user.id for user in await storage.users.find()} == set(people)
    assert await storage.users.get(bob.user_id) == people[bob.user_id]


# S142 S136
@pytest.mark.parametrize(
    "body",
    ['{"username": {"$gt": ""}}', '{"code": {"$ne": null}}', "[]", "null", '{"username": "x"}'],
)
async def test_json_is_not_read_at_all(service: Service, body: str) -> None:
    token = await service.sign_in("ann")
    for path in ("/auth/update", "/auth/token", "/auth/login/local", "/auth/logout"):
        for content_type in ("application/json", "text/plain", "application/xml", ""):
            response = await service.fetch(
                path, token=token, method="POST", body=body, headers={"Content-Type": content_type}
            )
            assert response.code == 415
            assert b"application/x-www-form-urlencoded" in response.body
    answer = await service.json("/auth/check", token=token)
    assert answer["profile"]["username"] == "ann"


XSS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "{{ 7*7 }}{% raw x %}",
    "javascript:alert(1)",
    "<!--",
    "\u2028</script>",
]


# S124
@pytest.mark.parametrize("text", XSS)
async def test_no_text_becomes_a_part_of_a_page(make_service: ServiceFactory, text: str) -> None:
    service = await make_service(
        dev=True, GITHUB_KEY="id", GITHUB_SECRET="s", TORNADO_AUTH_TRUSTED_PROXIES="127.0.0.0/8"
    )
    asserted = AssertedIdentity(
        provider="google",
        subject="1",
        username=text,
        name=text,
        email=f"{text}@example.org",
        avatar_url=f"https://x/{text}",
    )
    session = await service.server.logins.sign_in(asserted, Visitor(user_agent=text))
    token = await service.server.sessions.token(session)
    page = await open_page(service, "/auth/account", tornado_auth=token)
    query = quote(text, safe="")
    agent = {"User-Agent": text.encode("ascii", "ignore").decode()}
    answers = [
        await service.fetch("/auth/account", cookies=page.cookies),
        await service.fetch(f"/auth/login?next={query}"),
        await service.fetch(f"/auth/login?next=/{query}"),
        await service.fetch(f"/auth/logout?next=/{query}"),
        await service.fetch("/auth/login", headers={"X-Original-URI": quote(f"/{text}", "/<>\"'")}),
        await service.fetch(f"/{query}"),
        await service.fetch(f"/auth/login/{query}"),
        await service.fetch(f"/auth/oauth_callback?error={query}&error_description={query}"),
        await service.fetch(f"/auth/oauth_callback?state={query}"),
        await page.send("/auth/login/local", username=text, password=text),
        await page.send("/auth/account/username", username=text),
        await page.send("/auth/account/link/github"),
        await page.send("/auth/login/dev", headers=agent, username="dora"),
    ]
    for response in answers:
        body = response.body.decode()
        assert not set(text) & set("<>\"'") or text not in body, response.effective_url
        for word in ("<script", "<img src=x", "<svg", "onerror=alert(1)>", ">49<"):
            assert word not in body
        assert not re.search(r"(?:href|src|action)=[\"']?javascript:", body)
    for response in answers[:3]:
        assert "Content-Security-Policy" in response.headers
    answer = await service.fetch("/auth/check", token=token)
    assert answer.headers["Content-Type"].startswith("application/json")


# S144
async def test_an_avatar_is_an_https_address_that_the_browser_fetches(service: Service) -> None:
    token = await service.sign_in("ann", avatar_url="https://pictures.example/a?b=1&c=%22")
    response = await service.fetch("/auth/account", cookies={"tornado_auth": token})
    (tag,) = [line for line in response.body.decode().splitlines() if 'id="avatar"' in line]
    assert 'src="https://pictures.example/a?b=1&amp;c=%22"' in tag
    assert 'referrerpolicy="no-referrer"' in tag
    assert "img-src 'self' https:;" in response.headers["Content-Security-Policy"]


class TestLines:
    """CR, LF and NUL in what callers send."""

    @pytest.fixture
    def restored_logging(self) -> Iterator[None]:
        root = logging.getLogger()
        before = root.handlers[:], root.level
        levels = {name: logging.getLogger(name).level for name in QUIET_LOGGERS}
        yield
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)

    # S145
    @pytest.mark.parametrize(
        "evil", ["%0d%0aX-Evil:%201", "%0aX-Evil:%201", "%0dX-Evil:%201", "%00", "%7f", "%1b[2J"]
    )
    async def test_a_parameter_with_a_control_character_is_refused(
        self, service: Service, evil: str
    ) -> None:
        token = await service.sign_in("ann")
        page = await open_page(service, tornado_auth=token)
        answers = [
            await service.fetch(f"/auth/login?next=/x{evil}"),
            await service.fetch(f"/auth/check?next=/x{evil}"),
            await service.fetch(f"/auth/check?jwt={evil}"),
            await service.fetch(f"/auth/oauth_callback?state=x{evil}"),
            await service.fetch(f"/auth/resolve?username=ann{evil}", token=token),
            await service.fetch(f"/auth/authorize?service=x{evil}", token=token),
            await service.fetch(
                "/auth/update", token=token, method="POST", body=f"username=x{evil}"
            ),
            await service.fetch(
                "/auth/login/local",
                cookies=page.cookies,
                method="POST",
                body=f"_xsrf={quote(page.token)}&username=x&password=y&next=/{evil}",
            ),
        ]
        for response in answers:
            assert response.code == 400, response.effective_url
            assert "X-Evil" not in response.headers
        assert (await service.fetch(f"/x{evil}")).code == 404
        assert (await service.fetch(f"/auth/verify?service=x{evil}", token=token)).code == 403

    # S145
    @pytest.mark.parametrize("header", [b"User-Agent", b"Cookie", b"auth-token", b"Origin"])
    @pytest.mark.parametrize("byte", [b"\0", b"\r", b"\x01", b"\x7f"])
    async def test_a_header_with_a_control_character_is_no_request(
        self, service: Service, header: bytes, byte: bytes
    ) -> None:
        request = b"GET /auth/check HTTP/1.1\r\nHost: x\r\n%s: a%sb\r\n\r\n" % (header, byte)
        try:
            answer = await talk(service.port, request)
        except StreamClosedError:
            return
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 200"))
        if answer.startswith(b"HTTP/1.1 200"):
            assert b'"authenticated":false' in answer

    # S145
    async def test_a_request_is_one_line_in_the_log(
        self,
        make_service: ServiceFactory,
        capsys: pytest.CaptureFixture[str],
        restored_logging: None,
    ) -> None:
        service = await make_service(dev=True)
        page = await open_page(service)
        configure_logging("DEBUG", "json")
        capsys.readouterr()
        forged = '{"event": "login", "user_id": "forged"}'
        evil = quote(f"x\n{forged}\r\n{forged}\u2028{forged}")
        paths = [f"/auth/{evil}", f"/auth/login?next={evil}", f"/auth/resolve?username={evil}"]
        for path in paths:
            await service.fetch(path, headers={"User-Agent": f"a {forged}\u00e9"})
        await page.send("/auth/login/dev", headers={"User-Agent": forged}, username="dora")
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        requests = [line for line in lines if line["event"] == "request"]
        assert len(requests) == len(paths) + 1
        assert [line for line in lines if line["event"] == "login"] == []
        audited = [line["action"] for line in lines if line["event"] == "audit"]
        assert audited == ["user_created", "login"]
        assert all(line.get("user_id") != "forged" for line in lines)
