"""What somebody sees whom an application sends to us, in real Chromium.

The application is `site`, on 127.0.0.1: for the browser another site than ours, on localhost.
"""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser import OpenWindow, Window
from tests.flows.journeys import Site
from tests.forms import PASSWORD, add_local_user
from tests.oauth2.world import World
from tests.pages.test_browser import OPEN_ALL, PROBLEMS
from tests.providers.fakes import Answer
from tornado_auth.models import Client

everywhere = pytest.mark.parametrize(
    ("scripts", "width"), [(True, 1280), (False, 390)], ids=["scripts-1280", "no-scripts-390"]
)
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


async def app_at(world: World, site: Site, **fields: object) -> Client:
    """Register an application that nobody trusts, with all that it can tell of itself."""
    return await world.client(
        **{
            "client_name": "The reader",
            "redirect_uris": (f"{site.url}/callback",),
            "is_trusted": False,
            **{
                field: f"https://reader.example/{field}"
                for field in ("client_uri", "logo_uri", "policy_uri", "tos_uri")
            },
            **fields,
        }
    )


async def go(window: Window, world: World, client: Client, **parameters: str) -> None:
    """Do as an application does that sends somebody to us."""
    query = world.request_of(client, **parameters)
    await window.page.goto(f"{world.issuer}/oauth2/authorize?{query}")


async def sign_in(window: Window, name: str = "alice", password: str = PASSWORD) -> None:
    await window.page.fill("#username", name)
    await window.page.fill("#password", password)
    await window.page.click("#login-submit")


def answer_at(window: Window) -> dict[str, str]:
    """Return what the application is told in its address."""
    return {name: value for name, [value] in parse_qs(urlsplit(window.page.url).query).items()}


# S015 S078
@everywhere
async def test_somebody_signs_in_consents_takes_it_back_and_refuses(
    world: World, open_window: OpenWindow, site: Site, scripts: bool, width: int
) -> None:
    await add_local_user(world.service, "alice")
    client = await app_at(world, site)
    window = await open_window(scripts=scripts, width=width)
    page = window.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    await go(window, world, client, scope="openid email", login_hint="alice")
    assert await window.text("#login-title") == "Sign in"
    assert "The reader" in await window.text("#login-client")
    assert await page.input_value("#username") == "alice"
    await sign_in(window, password="wrong horse battery staple")
    assert "wrong" in await window.text("#login-error")
    assert "The reader" in await window.text("#login-client")
    await sign_in(window)

    assert await window.text("#consent-title") == "Allow The reader?"
    assert await window.text("#consent-host") in site.url
    assert "alice" in await window.text("#consent-client")
    assert await window.text("#consent-scopes") == "Know who you are See your e-mail address"
    for name in ("website", "policy", "terms", "logo"):
        link = page.locator(f"#client-{name}")
        assert "https://reader.example/" in (await link.get_attribute("href") or "")
        assert await link.get_attribute("rel") == "noopener noreferrer"
    assert await page.evaluate(PROBLEMS) == []
    await page.click("#consent-approve")

    await page.wait_for_url(f"{site.url}/callback?*")
    answer = answer_at(window)
    assert answer.keys() == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == ("the-state", world.issuer)
    [arrival] = site.requests_to("/callback")
    assert (arrival.method, arrival.form) == ("GET", {})
    assert "Referer" not in arrival.headers
    tokens = json.loads((await world.redeem(client, answer["code"])).body)
    assert tokens["token_type"] == "Bearer"

    await go(window, world, client, scope="openid email", prompt="none")
    assert "code" in answer_at(window), "it is remembered"

    await page.goto(f"{world.issuer}/auth/account")
    assert "The reader" in await window.text("#applications")
    assert "See your e-mail address" in await window.text("#applications")
    await page.evaluate(OPEN_ALL)
    assert await page.evaluate(PROBLEMS) == []
    await page.click("#revoke-application-1")
    assert await window.count("#applications") == 0
    assert (await world.refresh(client, tokens["refresh_token"])).code == 400

    await go(window, world, client, scope="openid email")
    await page.click("#consent-deny")
    await page.wait_for_url(f"{site.url}/callback?error=*")
    answer = answer_at(window)
    assert answer["error"] == "access_denied"
    assert (answer["state"], answer["iss"]) == ("the-state", world.issuer)
    assert window.complaints == []
    hosts = {urlsplit(url).netloc for url in asked}
    assert hosts == {urlsplit(world.issuer).netloc, urlsplit(site.url).netloc}


# S122
async def test_an_application_may_send_the_browser_on_to_another_origin(
    world: World, open_window: OpenWindow, site: Site
) -> None:
    await add_local_user(world.service, "alice")
    elsewhere = Site()
    site.answers["/callback"] = Answer(302, b"", {"Location": f"{elsewhere.url}/inside"}, times=2)
    window = await open_window(scripts=False)
    for is_trusted in (True, False):  # from the form of the sign-in page, and of this one
        await go(window, world, await app_at(world, site, is_trusted=is_trusted))
        if is_trusted:
            await sign_in(window)
        else:
            await window.page.click("#consent-approve")
        await window.page.wait_for_url(f"{elsewhere.url}/inside")
    assert len(site.requests_to("/callback")) == 2
    assert window.complaints == []
    await elsewhere.stop()


# S122
async def test_a_form_may_end_at_whatever_kind_of_application(
    world: World, open_window: OpenWindow, site: Site
) -> None:
    await add_local_user(world.service, "alice")
    window = await open_window()
    native = {"redirect_uris": ("com.example.app:/callback",), "application_type": "native"}
    await go(window, world, await app_at(world, site, **native))
    await sign_in(window)
    async with window.page.expect_response(lambda answer: answer.status == 302) as answered:
        await window.page.click("#consent-approve")
    location = await (await answered.value).header_value("location")
    assert (location or "").startswith("com.example.app:/callback?code=tac_")
    assert await window.text("#consent-title") == "Allow The reader?", "nobody here has that app"

    web = {"redirect_uris": ("https://app.example/callback",)}
    await go(window, world, await app_at(world, site, **web))
    async with window.page.expect_request("https://app.example/**") as asked:
        await window.page.click("#consent-approve")
    assert (await asked.value).url.startswith("https://app.example/callback?code=tac_")
    assert window.complaints == []


# S014
@pytest.mark.parametrize("scripts", [True, False])
async def test_a_form_brings_the_answer_by_itself_or_by_its_button(
    world: World, open_window: OpenWindow, site: Site, scripts: bool
) -> None:
    await add_local_user(world.service, "alice")
    client = await app_at(world, site)
    elsewhere = Site()
    site.answers["/callback"] = Answer(303, b"", {"Location": f"{elsewhere.url}/inside"})
    window = await open_window(scripts=scripts)
    await go(window, world, client, response_mode="form_post", state=HOSTILE)
    await sign_in(window)
    await window.page.click("#consent-approve")
    if not scripts:
        await window.page.click("#continue")
    await window.page.wait_for_url(f"{elsewhere.url}/inside")

    [request] = site.requests_to("/callback")
    assert (request.method, urlsplit(request.uri).query) == ("POST", "")
    assert request.form.keys() == {"code", "state", "iss"}
    assert (request.form["state"], request.form["iss"]) == (HOSTILE, world.issuer)
    assert window.dialogs == []
    assert window.complaints == []
    await elsewhere.stop()


async def test_somebody_signs_in_once_more_or_as_somebody_else(
    world: World, open_window: OpenWindow, site: Site
) -> None:
    for name in ("alice", "bert"):
        await add_local_user(world.service, name)
    client = await app_at(world, site)
    window = await open_window(scripts=False)
    await go(window, world, client)
    await sign_in(window)
    await window.page.click("#consent-approve")

    await go(window, world, client, prompt="login")
    assert "once more" in await window.text("#signed-in-as")
    assert await window.page.input_value("#username") == "alice"
    await sign_in(window)
    assert "code" in answer_at(window)

    await go(window, world, client, prompt="consent")
    await window.page.click("#consent-switch")
    await window.page.fill("#username", "")
    await sign_in(window, "bert")
    assert "bert" in await window.text("#consent-client")
    await window.page.click("#consent-approve")
    assert "code" in answer_at(window)
    assert window.complaints == []
