"""Signing in with GitHub and adding it to an account, in real Chromium without scripts."""

from urllib.parse import quote

from tests.browser import OpenWindow, Window
from tests.flows.journeys import Site, github_at
from tests.providers.fakes import FakeGitHub
from tests.service import Service, ServiceFactory

GITHUB = "#provider-github"


async def approve(window: Window, answer: str = "Authorize") -> None:
    await window.page.fill("input[name=login]", "octo")
    await window.page.click(f"text={answer}")


async def sign_in_as_ann(window: Window, service: Service) -> None:
    await window.page.goto(f"{service.url}/auth/login/dev")
    await window.page.fill("#dev-username", "ann")
    await window.page.click("#dev-login-submit")


# S123
async def test_somebody_signs_in_with_github_and_no_page_tells_where_they_were(
    make_service: ServiceFactory, open_window: OpenWindow, fake_github: FakeGitHub, site: Site
) -> None:
    allowed = {"TORNADO_AUTH_ALLOWED_NEXT": f"{site.url}=code"}
    service = await make_service(**github_at(fake_github, **allowed))
    window = await open_window(scripts=False)
    await window.page.goto(f"{service.url}/auth/login?next={quote(site.url + '/app', safe='')}")
    await window.page.click(GITHUB)
    await approve(window)
    assert window.page.url.startswith(f"{site.url}/app?code=")
    assert "Referer" not in site.requests_to("/app")[0].headers
    assert "Referer" not in fake_github.requests_to("/login/oauth/authorize")[0].headers

    await window.page.goto(f"{service.url}/auth/account")
    assert await window.text("#profile-username") == "octo-cat"
    assert await window.text("#profile-email") == "octo@example.org"
    assert "GitHub" in await window.text("#identities")
    names = {cookie["name"] for cookie in await window.context.cookies()}
    assert names == {"tornado_auth", "tornado_auth_xsrf"}


async def test_who_says_no_at_github_reads_why_and_may_try_again(
    make_service: ServiceFactory, open_window: OpenWindow, fake_github: FakeGitHub
) -> None:
    service = await make_service(**github_at(fake_github))
    window = await open_window(scripts=False)
    await window.page.goto(f"{service.url}/auth/login")
    await window.page.click(GITHUB)
    await approve(window, "Cancel")
    assert await window.text("#error-reason") == "access_denied"
    assert "tornado_auth" not in {c["name"] for c in await window.context.cookies()}

    await window.page.click("#error-retry")
    await approve(window)
    assert await window.text("h1") == "Your account"


async def test_github_is_linked_by_two_clicks_and_then_leads_to_the_same_account(
    make_service: ServiceFactory, open_window: OpenWindow, fake_github: FakeGitHub
) -> None:
    service = await make_service(dev=True, **github_at(fake_github))
    window = await open_window(scripts=False)
    await sign_in_as_ann(window, service)
    await window.page.click("#link-github")
    assert await window.text("h1") == "Link GitHub"
    await window.page.click("#link-cancel")
    assert await window.page.locator("#identities > li").count() == 1
    assert fake_github.requests == []

    await window.page.click("#link-github")
    await window.page.click("#continue")
    assert "Referer" not in fake_github.requests[0].headers
    await approve(window)
    assert window.page.url == f"{service.url}/auth/account"
    identities = await window.page.locator("#identities .name").all_inner_texts()
    assert len(identities) == 2
    assert "GitHub" in identities
    assert await window.count("#link-github") == 0

    await window.page.click("#logout")
    await window.page.click("#login-again")
    await window.page.click(GITHUB)
    await approve(window)
    assert await window.text("#profile-username") == "ann"
    assert window.complaints == []
