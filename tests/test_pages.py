"""The pages as somebody walks through them: sign in, where it leads, one's account, sign out."""

import json
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.browserless import Browser
from tests.conftest import FakeClock
from tests.forms import PASSWORD, add_local_user, cookies_of, open_page
from tests.service import Service, ServiceFactory

NEW, OLD, BESIDE = "https://new.example", "https://old.example", "http://localhost:8443"

OFF_THE_LIST = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "/%2f/evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https://new.example@evil.example/",
    "https://new.example.evil.example/",
    "https://new.example:444/",
    "http://new.example/",
    "https://evil.example#https://new.example",
    "javascript:alert(1)",
    "data:text/html,x",
    " https://evil.example/",
    "https://new.example\\@evil.example/",
    "evil.example",
    "?next",
]


@pytest.fixture
async def app(make_service: ServiceFactory) -> Service:
    service = await make_service(
        TORNADO_AUTH_ALLOWED_NEXT=f"{NEW}=code; {OLD}=query; {BESIDE}=cookie"
    )
    await add_local_user(service)
    return service


@pytest.fixture
async def browser(app: Service) -> AsyncIterator[Browser]:
    browser = Browser(stop_at=(NEW, OLD, BESIDE))
    yield browser
    browser.close()


async def sign_in(browser: Browser, app: Service, next: str = "") -> str:
    """Sign in by the form and return the address at which it ends."""
    await browser.get(f"{app.url}/auth/login" + (f"?next={quote(next, safe='')}" if next else ""))
    await browser.submit("login-form", username="lena", password=PASSWORD)
    return browser.url


class TestWhereALoginLeads:
    # D5
    async def test_without_next_it_leads_to_our_own_page(
        self, app: Service, browser: Browser
    ) -> None:
        assert await sign_in(browser, app) == f"{app.url}/auth/account"
        assert "lena" in browser.text
        assert all(url.startswith(app.url) for url in browser.history)

    async def test_a_path_of_ours_is_returned_to_as_it_was(
        self, app: Service, browser: Browser
    ) -> None:
        url = await sign_in(browser, app, "/wiki/%C3%A4?b=1&b=&a=%2F#part")
        assert url == f"{app.url}/wiki/%C3%A4?b=1&b=&a=%2F#part"

    # D4 S100
    async def test_an_address_off_the_list_is_refused_on_every_way(self, app: Service) -> None:
        cookies = {"tornado_auth": await app.sign_in("ann")}
        page = await open_page(app)
        for next in OFF_THE_LIST:
            query = f"?next={quote(next, safe='')}"
            answers = [
                await app.fetch(f"/auth/login{query}"),
                await app.fetch(f"/auth/login{query}", cookies=cookies),
                await app.fetch(f"/auth/login/local{query}"),
                await app.fetch(f"/auth/logout{query}"),
                await page.send("/auth/login/local", username="lena", password=PASSWORD, next=next),
                await page.send("/auth/logout", next=next),
            ]
            for answer in answers:
                assert (answer.code, b"next_not_allowed" in answer.body) == (400, True), next
                assert "Location" not in answer.headers
                assert "tornado_auth" not in cookies_of(answer)
        # Refused before anything was done.
        assert len(await app.server.storage.sessions.find()) == 1

    # D4
    async def test_a_provider_is_not_even_asked_for_an_address_off_the_list(
        self, make_service: ServiceFactory
    ) -> None:
        service = await make_service(GITHUB_KEY="id", GITHUB_SECRET="secret")
        response = await service.fetch("/auth/login/github?next=https://evil.example/")
        assert response.code == 400
        assert cookies_of(response) == {}
        assert (await service.fetch("/auth/login/github?next=/x")).code == 303

    # D4 D6 S101
    async def test_a_site_gets_a_code_and_exchanges_it_itself(
        self, app: Service, browser: Browser
    ) -> None:
        url = await sign_in(browser, app, f"{NEW}/back?a=1&a=2&empty=#part")
        address, _, code = url.removesuffix("#part").partition("&code=")
        assert address == f"{NEW}/back?a=1&a=2&empty="
        assert "jwt" not in url
        assert "ey" not in code
        assert browser.headers["Referrer-Policy"] == "no-referrer"
        answer = await app.json("/auth/token", form={"code": code})
        checked = await app.json("/auth/check", token=answer["token"])
        assert checked["profile"]["username"] == "lena"
        response = await app.fetch("/auth/token", form={"code": code})
        assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_grant")

    # D6 D7 S101
    async def test_an_older_site_gets_the_token_in_its_address_and_nothing_else_changes(
        self, app: Service, browser: Browser
    ) -> None:
        url = await sign_in(browser, app, f"{OLD}/?b=%2F&b=&a=1+2&=x#!/route?jwt=no")
        before, _, rest = url.partition("&jwt=")
        token, _, fragment = rest.partition("#")
        assert (before, fragment) == (f"{OLD}/?b=%2F&b=&a=1+2&=x", "!/route?jwt=no")
        checked = await app.json("/auth/check", token=token)
        assert checked["profile"]["username"] == "lena"
        assert browser.headers["Referrer-Policy"] == "no-referrer"
        assert browser.headers["Cache-Control"] == "no-store"

    # D6 S101
    async def test_a_site_that_shares_our_host_gets_nothing_added(
        self, app: Service, browser: Browser
    ) -> None:
        assert await sign_in(browser, app, f"{BESIDE}/x?y=z") == f"{BESIDE}/x?y=z"

    async def test_who_is_signed_in_is_sent_on_without_a_form(
        self, app: Service, browser: Browser
    ) -> None:
        await sign_in(browser, app)
        before = browser.cookie("tornado_auth_xsrf")
        await browser.get(f"/auth/login?next={NEW}/")
        assert browser.url.startswith(f"{NEW}/?code=")
        assert before is not None
        await browser.get(f"{app.url}/auth/login?prompt=login&next={NEW}/")
        assert 'id="signed-in-as"' in browser.text
        await browser.get("/auth/login")
        assert 'id="signed-in-as"' in browser.text

    async def test_a_wrong_password_keeps_the_way(self, app: Service, browser: Browser) -> None:
        await browser.get(f"{app.url}/auth/login?next={NEW}/")
        await browser.submit("login-form", username="lena", password="not this one")
        assert browser.status == 401
        assert 'id="login-error"' in browser.text
        await browser.submit("login-form", username="lena", password=PASSWORD)
        assert browser.url.startswith(f"{NEW}/?code=")

    async def test_check_tells_where_the_form_is(self, app: Service, browser: Browser) -> None:
        answer = await app.json(f"/auth/check?next={quote(f'{NEW}/?a=1&b=2', safe='')}")
        url = answer["providers"]["local"]["url"]
        await browser.get(url)
        await browser.submit("login-form", username="lena", password=PASSWORD)
        assert browser.url.startswith(f"{NEW}/?a=1&b=2&code=")


class TestAccount:
    async def test_a_stranger_is_asked_to_sign_in_and_comes_back(
        self, app: Service, browser: Browser
    ) -> None:
        await browser.get(f"{app.url}/")
        assert urlsplit(browser.url).path == "/auth/login"
        assert parse_qs(urlsplit(browser.url).query) == {"next": ["/auth/account"]}
        await browser.submit("login-form", username="lena", password=PASSWORD)
        assert browser.url == f"{app.url}/auth/account"

    # S125
    async def test_one_sees_and_ends_ones_sessions(self, app: Service, browser: Browser) -> None:
        other = Browser()
        await sign_in(other, app)
        await sign_in(browser, app)
        await browser.get("/auth/account")
        assert browser.text.count('id="end-session-') == 2
        assert "browserless (127.0.0.1)" in browser.text
        (form,) = [f for f in browser.forms if f.action.endswith("end-other-sessions")]
        await browser.post(form.action, form.fields)
        assert browser.text.count('id="end-session-') == 1
        await other.get("/auth/account")
        assert urlsplit(other.url).path == "/auth/login"
        other.close()

    async def test_ending_the_present_session_signs_out(
        self, app: Service, browser: Browser
    ) -> None:
        await sign_in(browser, app)
        (session,) = await app.server.storage.sessions.find()
        form = next(form for form in browser.forms if form.fields.get("session_id"))
        assert form.fields["session_id"] == session.id
        await browser.post(form.action, form.fields)
        assert urlsplit(browser.url).path == "/auth/login"

    async def test_a_user_name_is_chosen_once(self, app: Service) -> None:
        token = await app.sign_in("ann")
        page = await open_page(app, "/auth/account", tornado_auth=token)
        response = await page.send("/auth/account/username", username="lena")
        assert response.code == 409
        assert b'id="account-error"' in response.body
        response = await page.send("/auth/account/username", username="Queen")
        assert response.code == 200
        assert b"Your user name is queen now." in response.body
        response = await page.send("/auth/account/username", username="other")
        assert response.code == 409
        response = await page.send("/auth/account/username", username="a b")
        assert response.code == 400

    # S095
    async def test_linking_needs_a_sign_in_of_the_last_minutes(
        self, make_service: ServiceFactory, clock: FakeClock
    ) -> None:
        service = await make_service(now=clock, GITHUB_KEY="id", GITHUB_SECRET="secret")
        token = await service.sign_in("ann", provider="google")
        page = await open_page(service, "/auth/account", tornado_auth=token)
        clock.advance(300)
        response = await page.send("/auth/account/link/github")
        assert (response.code, b'id="continue"' in response.body) == (200, True)
        clock.advance(1)
        response = await page.send("/auth/account/link/github")
        assert response.code == 403
        assert b"login_required" in response.body

    async def test_the_addresses_of_the_forms_show_the_page(
        self, app: Service, browser: Browser
    ) -> None:
        await sign_in(browser, app)
        for path in ("username", "end-session", "end-other-sessions", "link/github"):
            await browser.get(f"/auth/account/{path}")
            assert (browser.status, 'id="account-title"' in browser.text) == (200, True)


class TestLogout:
    # D13
    async def test_one_signs_out_by_the_form_and_is_sent_on(
        self, app: Service, browser: Browser
    ) -> None:
        await sign_in(browser, app)
        cookie = browser.cookie("tornado_auth")
        assert cookie is not None
        await browser.get(f"{app.url}/auth/logout?next={NEW}/bye")
        await browser.submit("logout-form")
        assert browser.url == f"{NEW}/bye"
        assert browser.cookie("tornado_auth") is None
        assert (await app.json("/auth/check", token=cookie.value))["authenticated"] is False

    async def test_without_next_a_page_says_so(self, app: Service, browser: Browser) -> None:
        await sign_in(browser, app)
        await browser.get("/auth/logout")
        await browser.submit("logout-form")
        assert 'id="logged-out"' in browser.text

    async def test_who_was_not_signed_in_may_sign_out(self, app: Service, browser: Browser) -> None:
        await browser.get(f"{app.url}/auth/logout")
        await browser.submit("logout-form")
        assert 'id="logged-out"' in browser.text
