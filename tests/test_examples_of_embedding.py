"""The examples for who builds on the service, each started as its text says and walked through."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from tests.browserless import Browser
from tests.issuer import Issuer, key_set
from tests.oauth2.proofs import Prover
from tests.oauth2.world import VERIFIER, basic, challenge_of
from tests.ports import free_port
from tests.running_examples import PASSWORD, Examples, examples
from tests.service import ServiceFactory

__all__ = ["examples"]

CALLBACK = "https://wiki.example.com/callback"
WIKI = {"client_name": "The wiki", "redirect_uris": [CALLBACK]}
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture
def browser() -> Iterator[Browser]:
    browser = Browser(stop_at=(CALLBACK,))
    yield browser
    browser.close()


class Http:
    async def fetch(
        self, url: str, form: dict[str, str] | None = None, **headers: str
    ) -> HTTPResponse:
        options: dict[str, Any] = {}
        if form is not None:
            options = {"method": "POST", "body": urlencode(form)}
        return await self.client.fetch(
            url, headers=headers, raise_error=False, follow_redirects=False, **options
        )

    async def json(self, url: str, form: dict[str, str] | None = None, **headers: str) -> Any:
        return json.loads((await self.fetch(url, form, **headers)).body)

    def __init__(self) -> None:
        self.client = AsyncHTTPClient(force_instance=True)


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    http = Http()
    yield http
    http.client.close()


def authorization_url(address: str, client_id: str, scope: str = "openid profile") -> str:
    query = {
        "response_type": "code",
        "client_id": client_id,
        "scope": scope,
        "state": "the-state",
        "redirect_uri": CALLBACK,
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    return f"{address}/oauth2/authorize?{urlencode(query)}"


def answer_of(browser: Browser) -> dict[str, str]:
    assert browser.url.startswith(CALLBACK), browser.text
    return dict(parse_qsl(urlsplit(browser.url).query))


async def redeem(
    http: Http, address: str, client: tuple[str, str], browser: Browser
) -> dict[str, Any]:
    form = {
        "grant_type": "authorization_code",
        "code": answer_of(browser)["code"],
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    return dict(await http.json(f"{address}/oauth2/token", form, **basic(*client)))


async def test_an_application_has_the_service_inside(
    examples: Examples, browser: Browser, http: Http
) -> None:
    scopes = '[{"name": "notes:read"}]'
    (client,) = await examples.prepare(WIKI, TORNADO_AUTH_SCOPES=scopes)
    address = examples.start("embedded")
    assert (await http.fetch(f"{address}/about")).body == b"A board, for whoever signs in."
    assert (await http.fetch(f"{address}/", {"note": "from elsewhere"})).code == 403
    await browser.get(f"{address}/")
    await browser.submit("login-form", username="ann", password=PASSWORD)
    assert urlsplit(browser.url).path == "/"
    await browser.press("pin", note="Water <the> plants")
    assert "ann" in browser.text
    assert "Water &lt;the&gt; plants" in browser.text
    assert browser.headers["X-Frame-Options"] == "DENY"
    # What the service has is there, too.
    for scope, status in (("openid", 403), ("openid notes:read", 200)):
        await browser.get(authorization_url(address, client[0], scope))
        await browser.press("consent-approve")
        tokens = await redeem(http, address, client, browser)
        authorization = {"Authorization": f"Bearer {tokens['access_token']}"}
        notes = await http.fetch(f"{address}/api/notes", **authorization)
        assert notes.code == status
    assert json.loads(notes.body) == {"notes": ["Water <the> plants"]}
    await http.fetch(
        f"{address}/oauth2/revoke", {"token": tokens["access_token"]}, **basic(*client)
    )
    for headers in (authorization, {}):
        refused = await http.fetch(f"{address}/api/notes", **headers)
        assert (refused.code, refused.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
    assert (await http.fetch(f"{address}/nowhere")).code == 404
    assert examples.stop() == [0]


async def test_a_sign_in_page_of_ones_own_asks_ones_own_people(
    examples: Examples, browser: Browser, http: Http
) -> None:
    (client,) = await examples.prepare(WIKI)
    staff = examples.run("own_login_page", "bob", input="open sesame\n")
    (examples.folder / "staff.json").write_text(staff)
    assert "open sesame" not in staff
    address = examples.start("own_login_page", STAFF_FILE="staff.json")
    await browser.get(authorization_url(address, client[0]))
    assert "You are on your way to <bdi>The wiki</bdi>" in browser.text
    for username, password in (("bob", "wrong"), ("ann", PASSWORD), ("nobody", "")):
        await browser.submit("staff", username=username, password=password)
        assert browser.status == 401
        assert "nobody of this name with this password" in browser.text
    local = {"username": "ann", "password": PASSWORD}
    assert (await http.fetch(f"{address}/auth/login/local", local)).code in (403, 404)
    await browser.submit("staff", username="bob", password="open sesame")
    await browser.press("consent-approve")
    tokens = await redeem(http, address, client, browser)
    authorization = {"Authorization": f"Bearer {tokens['access_token']}"}
    told = await http.json(f"{address}/oauth2/userinfo", **authorization)
    assert (told["name"], told["preferred_username"]) == ("Bob", "bob")
    await browser.get(f"{address}/auth/login?prompt=login")
    for _ in range(10):
        await browser.submit("staff", username="bob", password="wrong")
    await browser.submit("staff", username="bob", password="open sesame")
    assert browser.status == 429
    assert examples.stop() == [0]


async def test_a_consent_page_of_ones_own_has_terms_to_accept(
    examples: Examples, browser: Browser, http: Http
) -> None:
    (client,) = await examples.prepare(WIKI)
    address = examples.start("own_consent_page")
    await browser.get(authorization_url(address, client[0]))
    await browser.submit("login-form", username="ann", password=PASSWORD)
    assert "may <bdi>The wiki</bdi> do this?" in browser.text
    assert "See your profile" in browser.text
    await browser.press("yes", terms="")
    assert "may <bdi>The wiki</bdi> do this?" in browser.text
    await browser.press("no", terms="")
    assert answer_of(browser)["error"] == "access_denied"
    await browser.get(authorization_url(address, client[0]))
    await browser.press("yes", terms="yes")
    assert "id_token" in await redeem(http, address, client, browser)
    assert examples.stop() == [0]


async def test_an_api_looks_for_scopes_of_ones_own(
    examples: Examples, make_service: ServiceFactory, http: Http
) -> None:
    scopes = [{"name": "reports:read", "description": "Read"}, {"name": "reports:write"}]
    service = await make_service(TORNADO_AUTH_SCOPES=json.dumps(scopes))
    port = free_port()
    resource, other = f"http://localhost:{port}/", "https://other.example/"
    registered = await service.server.oauth2.clients.register(
        {"grant_types": ["client_credentials"], "redirect_uris": []},
        by_operator=True,
        resources=[resource, other],
    )
    client = basic(registered.client.id, registered.secret)

    async def token(headers: dict[str, str], **form: str) -> str:
        asked = {"grant_type": "client_credentials", "resource": resource, **form}
        answer = await http.json(f"{service.url}/oauth2/token", asked, **client, **headers)
        return str(answer["access_token"])

    api = examples.start("own_scopes", PORT=str(port), ISSUER=service.url) + "/reports"
    reads, writes = await token({}, scope="reports:read"), await token({}, scope="reports:write")
    written = await http.fetch(api, {"title": "May"}, Authorization=f"Bearer {writes}")
    assert written.code == 201
    assert await http.json(api, Authorization=f"Bearer {reads}") == {"reports": ["May"]}
    refused = await http.fetch(api, {"title": "June"}, Authorization=f"Bearer {reads}")
    assert refused.code == 403
    challenge = 'Bearer error="insufficient_scope", scope="reports:write"'
    assert refused.headers["WWW-Authenticate"] == challenge
    proof = Prover().proof(f"{service.url}/oauth2/token", method="POST")
    bound = await token({"DPoP": proof}, scope="reports:read")
    elsewhere = await token({}, scope="reports:read", resource=other)
    session = await service.sign_in("ann")
    for bad in (bound, elsewhere, session, "rubbish"):
        assert (await http.fetch(api, Authorization=f"Bearer {bad}")).code == 401
    nothing = await http.fetch(api)
    assert (nothing.code, nothing.headers["WWW-Authenticate"]) == (401, "Bearer")
    examples.kill()


async def test_a_build_job_gets_a_token_by_a_grant_type_of_ones_own(
    examples: Examples, http: Http
) -> None:
    build, keys = Issuer(), key_set("ES256", 1)
    try:
        build.publish(keys)
        subject = "project:website:main"
        environ = {
            "BUILD_ISSUER": build.url,
            "BUILD_SUBJECT": subject,
            "TORNADO_AUTH_SCOPES": '[{"name": "deploy"}]',
        }
        client_id = examples.run("own_grant_type", "register", **environ).strip()
        address = examples.start("own_grant_type", **environ)

        async def ask(**changes: object) -> dict[str, Any]:
            now = int(time.time())
            claims = {"iss": build.url, "sub": subject, "aud": address, "iat": now}
            assertion = await keys.sign({**claims, "exp": now + 60, **changes}, typ="JWT")
            form = {"grant_type": JWT_BEARER, "assertion": assertion, "client_id": client_id}
            return dict(await http.json(f"{address}/oauth2/token", {**form, "scope": "deploy"}))

        granted = await ask()
        assert granted["scope"] == "deploy"
        assert granted["expires_in"] <= 60
        assert (await ask(sub="project:website:somebodys-branch"))["error"] == "invalid_grant"
        assert (await ask(aud="https://other.example"))["error"] == "invalid_grant"
        metadata = await http.json(f"{address}/.well-known/openid-configuration")
        assert JWT_BEARER in metadata["grant_types_supported"]
        assert examples.stop() == [0]
    finally:
        build.close()


async def test_a_store_of_ones_own_keeps_everything(examples: Examples, browser: Browser) -> None:
    environ = {"JOURNAL": "journal.jsonl", "DATABASE_URL": "memory://"}
    examples.run("own_storage", "add", "ann", input=f"{PASSWORD}\n", **environ)
    address = examples.start("own_storage", **environ)
    await browser.get(f"{address}/auth/login")
    await browser.submit("login-form", username="ann", password=PASSWORD)
    assert urlsplit(browser.url).path == "/auth/account"
    assert PASSWORD not in (examples.folder / "journal.jsonl").read_text()
    assert examples.stop() == [0]
