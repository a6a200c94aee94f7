"""What other sites and hostile texts achieve in real Chromium: nothing.

The service is on localhost. `site.url` is on 127.0.0.1, which is another site; the same server is
reached as localhost on its own port, which browsers call another origin of the same site.
"""

from dataclasses import replace
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.browser import OpenWindow, Window
from tests.flows.journeys import Site, github_at
from tests.providers.fakes import Answer, FakeGitHub
from tests.service import Service, ServiceFactory

COOKIE = "tornado_auth"
HOSTILE = (
    '"><img src=x onerror=alert(1)></bdi></title></textarea><script>alert(2)</script>'
    "' autofocus onfocus=alert(3) x='\" autofocus onfocus=alert(4) x=\""
    "{{ alert(5) }}<svg/onload=alert(6)>",
    "javascript:alert(1)//",
)


def same_site(site: Site) -> str:
    return site.url.replace("127.0.0.1", "localhost")


def page_of(site: Site, path: str, html: str) -> None:
    site.answers[path] = Answer(200, html.encode(), {"Content-Type": "text/html"})


async def sign_in(window: Window, service: Service, *, next: str = "") -> None:
    query = f"?next={quote(next, safe='')}" if next else ""
    await window.page.goto(f"{service.url}/auth/login/dev{query}")
    await window.page.fill("#dev-username", "ann")
    await window.page.click("#dev-login-submit")


# S122 S123
@pytest.mark.parametrize(("handover", "parameter"), [("query", "jwt"), ("code", "code")])
async def test_a_form_leads_to_an_allowed_site_with_what_it_takes(
    make_service: ServiceFactory,
    open_window: OpenWindow,
    site: Site,
    handover: str,
    parameter: str,
) -> None:
    service = await make_service(dev=True, TORNADO_AUTH_ALLOWED_NEXT=f"{site.url}={handover}")
    user = await service.server.accounts.create("ann")
    await service.server.local_accounts.set_password(user.id, "correct horse battery")
    window = await open_window()
    await window.page.goto(f"{service.url}/auth/login?next={quote(site.url + '/app', safe='')}")
    for password in ("wrong horse battery", "correct horse battery"):
        await window.page.fill("#username", "ann")
        await window.page.fill("#password", password)
        await window.page.click("#login-submit")
    await window.page.wait_for_url(f"{site.url}/app?*")

    assert window.complaints == []
    [arrival] = site.requests_to("/app")
    [value] = parse_qs(urlsplit(arrival.uri).query)[parameter]
    assert "Referer" not in arrival.headers
    token = value
    if handover == "code":
        token = (await service.json("/auth/token", form={"code": value}))["token"]
    assert (await service.json("/auth/check", token=token))["profile"]["username"] == "ann"


# S122
async def test_the_policy_would_stop_the_form_at_a_site_that_is_not_allowed(
    make_service: ServiceFactory, open_window: OpenWindow, site: Site
) -> None:
    service = await make_service(dev=True, TORNADO_AUTH_ALLOWED_NEXT=f"{site.url}=query")
    window = await open_window()
    await window.page.goto(f"{service.url}/auth/login/dev")
    await window.page.evaluate(
        "to => document.querySelector('#dev-login-form input[name=next]').value = to",
        f"{site.url}/app",
    )
    await window.page.fill("#dev-username", "ann")
    async with window.page.expect_console_message(lambda said: "form-action" in said.text):
        await window.page.click("#dev-login-submit")
    assert site.requests == []


# S122
async def test_signing_out_leads_to_an_allowed_site(
    make_service: ServiceFactory, open_window: OpenWindow, site: Site
) -> None:
    service = await make_service(dev=True, TORNADO_AUTH_ALLOWED_NEXT=f"{site.url}=query")
    window = await open_window()
    await sign_in(window, service)
    bye = quote(f"{site.url}/bye", safe="")
    await window.page.goto(f"{service.url}/auth/logout?next={bye}")
    await window.page.click("#logout-confirm")
    await window.page.wait_for_url(f"{site.url}/bye")
    assert "Referer" not in site.requests_to("/bye")[0].headers
    assert await window.cookie(COOKIE) == {}
    assert window.complaints == []


# S119
async def test_forms_of_a_foreign_page_change_nothing(
    make_service: ServiceFactory, open_window: OpenWindow, site: Site
) -> None:
    service = await make_service(dev=True)
    window = await open_window()
    await sign_in(window, service)
    before = await window.cookie(COOKIE)
    for path, fields in (
        ("/auth/logout", ""),
        ("/auth/account/username", "<input name=username value=mallory>"),
        ("/auth/login/dev", "<input name=username value=mallory><input name=_xsrf value=1>"),
    ):
        form = f'<form method=post action="{service.url}{path}">{fields}</form>'
        page_of(site, "/trap", f"{form}<script>document.forms[0].submit()</script>")
        for origin in (site.url, same_site(site)):
            await window.page.goto(f"{origin}/trap")
            await window.page.wait_for_selector("#error-reason")
            assert await window.text("#error-reason") == "cross_site_request"
            assert window.page.url == service.url + path

    assert (await window.cookie(COOKIE))["value"] == before["value"]
    answer = await service.json("/auth/check", token=before["value"])
    assert answer["profile"]["username"] == "ann"
    assert await service.server.accounts.find_by_username("mallory") is None


# S121
async def test_no_page_is_shown_in_a_frame(
    make_service: ServiceFactory, open_window: OpenWindow, site: Site
) -> None:
    service = await make_service(dev=True)
    window = await open_window()
    await sign_in(window, service)
    paths = ("/auth/login", "/auth/account", "/auth/logout", "/nowhere")
    frames = [f'<iframe src="{service.url}{path}"></iframe>' for path in paths]
    page_of(site, "/frames", "".join(frames))
    for origin in (site.url, same_site(site)):
        await window.page.goto(f"{origin}/frames")
        framed = window.page.frames[1:]
        assert len(framed) == len(paths)
        for frame in framed:
            await frame.wait_for_url("chrome-error://chromewebdata/")
        assert [await frame.locator(".brand").count() for frame in framed] == [0] * len(paths)
        refusals = [said for said in window.complaints if "frame-ancestors 'none'" in said]
        assert len(refusals) == len(paths)
        window.complaints.clear()


# S124
async def test_hostile_texts_run_nothing_even_where_our_policy_is_not_obeyed(
    make_service: ServiceFactory, open_window: OpenWindow, fake_github: FakeGitHub
) -> None:
    service = await make_service(**github_at(fake_github))
    window = await open_window(user_agent=HOSTILE[0], bypass_csp=True)
    for text in HOSTILE:
        octo = fake_github.users["octo"]
        octo.name = octo.avatar_url = text
        await show_everything(window, service, text)
        assert window.dialogs == []
        assert window.complaints == []


async def show_everything(window: Window, service: Service, text: str) -> None:
    """Bring a text to every place where a page shows what somebody else wrote."""
    page, quoted = window.page, quote(text, safe="")
    for query in (f"next={quoted}", f"username={quoted}&error={quoted}&message={quoted}"):
        await page.goto(f"{service.url}/auth/login?{query}")
        await page.goto(f"{service.url}/auth/logout?{query}")
    await page.goto(f"{service.url}/auth/{quoted}")
    answer = f"error={quoted}&error_description={quoted}&state={quoted}"
    await page.goto(f"{service.url}/auth/oauth_callback?{answer}")

    await page.goto(f"{service.url}/auth/login")
    await page.fill("#username", text)
    await page.fill("#password", "wrong horse battery")
    await page.click("#login-submit")
    assert await page.input_value("#username") == text

    await page.click("#provider-github")
    await page.fill("input[name=login]", "octo")
    await page.click("text=Authorize")
    assert await window.text("#profile-name") == " ".join(text.split())
    assert HOSTILE[0][:30] in await window.text("#sessions")
    await page.fill("#new-username", text)
    await page.click("#username-submit")
    assert await window.count("#account-error") == 1
    await page.goto(f"{service.url}/auth/logout")


# S123 S144
async def test_an_avatar_is_asked_for_by_https_alone_and_without_saying_by_which_page(
    make_service: ServiceFactory, open_window: OpenWindow, site: Site
) -> None:
    service = await make_service(dev=True)
    window = await open_window()
    await sign_in(window, service)
    for url in (f"{site.url}/avatar.png", "javascript:alert(1)"):
        window.complaints.clear()
        await give_avatar(service, url)
        await window.page.reload()
        assert await window.page.get_attribute("#avatar", "src") == url
        assert "img-src" in window.complaints[0]
    assert site.requests == []
    assert window.dialogs == []

    await give_avatar(service, "https://pictures.example/ann.png")
    async with window.page.expect_request("https://pictures.example/**") as asked:
        await window.page.reload()
    headers = await (await asked.value).all_headers()
    assert headers.get("referer", "") == ""


async def give_avatar(service: Service, url: str) -> None:
    """Write an address into the store that no login provider of ours would let through."""
    [user] = await service.server.storage.users.find()
    await service.server.storage.users.replace(replace(user, avatar_url=url))
    await service.server.revocations.user_changed(user.id)
