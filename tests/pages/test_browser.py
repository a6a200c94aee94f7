"""What people do on the pages, in real Chromium that runs no scripts."""

from tests.browser import OpenWindow, Window
from tests.service import Service, ServiceFactory

PASSWORD = "correct horse battery"
COOKIE = "tornado_auth"


async def add_account(service: Service, username: str = "ann") -> None:
    user = await service.server.accounts.create(username, name="Ann Example")
    await service.server.local_accounts.set_password(user.id, PASSWORD)


async def sign_in(window: Window, service: Service, username: str = "ann") -> str:
    """Sign in by the development login and return the token, which no script could read."""
    await window.page.goto(f"{service.url}/auth/login/dev")
    await window.page.fill("#dev-username", username)
    await window.page.click("#dev-login-submit")
    cookie = await window.cookie(COOKIE)
    assert cookie["httpOnly"] is True
    return str(cookie["value"])


async def sign_in_with_password(window: Window, username: str, password: str) -> None:
    await window.page.fill("#username", username)
    await window.page.fill("#password", password)
    await window.page.click("#login-submit")


async def is_alive(service: Service, token: str) -> bool:
    checked = await service.json("/auth/check", token=token)
    verified = await service.fetch("/auth/verify", token=token)
    assert verified.code == (200 if checked["authenticated"] else 401)
    return bool(checked["authenticated"])


async def test_somebody_signs_in_sees_the_account_and_signs_out(
    make_service: ServiceFactory, open_window: OpenWindow
) -> None:
    service = await make_service(dev=True)
    window = await open_window(scripts=False)
    token = await sign_in(window, service)
    assert window.page.url == f"{service.url}/auth/account"
    assert await window.text("#profile-username") == "ann"
    assert await window.text("#header-account") == "Account: ann"
    assert await is_alive(service, token)

    await window.page.click("#logout")
    assert await window.text("#logged-out") == "You are signed out"
    assert await window.cookie(COOKIE) == {}
    assert not await is_alive(service, token)

    await window.page.goto(f"{service.url}/auth/account")
    assert window.page.url == f"{service.url}/auth/login?next=/auth/account"
    assert window.complaints == []


async def test_signing_out_by_its_own_page_asks_first(
    make_service: ServiceFactory, open_window: OpenWindow
) -> None:
    service = await make_service(dev=True)
    window = await open_window(scripts=False)
    token = await sign_in(window, service)
    await window.page.goto(f"{service.url}/auth/logout")
    await window.page.click("#logout-cancel")
    assert window.page.url == f"{service.url}/auth/account"
    assert await is_alive(service, token)

    await window.page.goto(f"{service.url}/auth/logout")
    assert "ann" in await window.text("main")
    await window.page.click("#logout-confirm")
    assert await window.text("#logged-out") == "You are signed out"
    assert await window.count("#header-account") == 0
    assert not await is_alive(service, token)

    await window.page.click("#login-again")
    assert await window.text("h1") == "Sign in"
    assert window.complaints == []


async def test_a_wrong_password_is_explained_and_the_right_one_works(
    service: Service, open_window: OpenWindow
) -> None:
    await add_account(service)
    window = await open_window(scripts=False)
    await window.page.goto(f"{service.url}/auth/login?next=/auth/account")
    await sign_in_with_password(window, "ann", "correct house battery")
    assert await window.text("#login-error") == "The user name or the password is wrong."
    assert await window.page.input_value("#username") == "ann"
    assert await window.page.input_value("#password") == ""
    assert await window.cookie(COOKIE) == {}

    await sign_in_with_password(window, "ann", PASSWORD)
    assert window.page.url == f"{service.url}/auth/account"
    assert await window.text("#profile-name") == "Ann Example"
    assert "last used" in await window.text("#identities")


async def test_a_user_name_is_chosen_once(
    make_service: ServiceFactory, open_window: OpenWindow
) -> None:
    service = await make_service(dev=True)
    await service.sign_in("bob")
    window = await open_window(scripts=False)
    token = await sign_in(window, service)
    await window.page.fill("#new-username", "Bob")
    await window.page.click("#username-submit")
    assert await window.text("#account-error") == (
        "This user name is taken, or too much like one that is."
    )
    assert await window.text("#profile-username") == "ann"

    await window.page.fill("#new-username", "annabel")
    await window.page.click("#username-submit")
    assert await window.text("#account-message") == "Your user name is annabel now."
    assert await window.text("#profile-username") == "annabel"
    assert await window.text("#header-account") == "Account: annabel"
    assert await window.count("#username-form") == 0
    assert (await service.json("/auth/check", token=token))["profile"]["username"] == "annabel"


async def test_other_sessions_are_listed_and_ended_one_by_one_or_all(
    make_service: ServiceFactory, open_window: OpenWindow
) -> None:
    service = await make_service(dev=True)
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
    here = await open_window(scripts=False)
    there = await open_window(scripts=False, user_agent=agent)
    mine = await sign_in(here, service)
    theirs = await sign_in(there, service)

    await here.page.reload()
    rows = here.page.locator("#sessions > li")
    assert await rows.count() == 2
    assert await rows.filter(has_text="This session").count() == 1
    other = rows.filter(has_text="Firefox on Linux (127.0.0.1)")
    assert "This session" not in await other.inner_text()

    await other.get_by_role("button", name="End session").click()
    assert await rows.count() == 1
    assert await here.count("#end-other-sessions") == 0
    assert [await is_alive(service, token) for token in (mine, theirs)] == [True, False]
    await there.page.reload()
    assert await there.text("h1") == "Sign in"

    tokens = [await sign_in(there, service), await sign_in(there, service)]
    await here.page.reload()
    await here.page.click("#end-other-sessions")
    assert await rows.count() == 1
    assert [await is_alive(service, token) for token in (mine, *tokens)] == [True, False, False]


async def test_the_keyboard_is_enough_to_sign_in(service: Service, open_window: OpenWindow) -> None:
    await add_account(service)
    window = await open_window(scripts=False)
    await window.page.goto(f"{service.url}/auth/login")
    order = []
    for text in ("", "ann", PASSWORD, ""):
        await window.page.keyboard.press("Tab")
        order.append(await window.focused())
        outline = "getComputedStyle(document.activeElement).outline"
        assert "solid 3px" in await window.page.evaluate(outline), order
        await window.page.keyboard.type(text)
    assert order == ["", "username", "password", "login-submit"]
    await window.page.keyboard.press("Enter")
    await window.page.wait_for_url("**/auth/account")
    assert await window.text("#profile-username") == "ann"


PAGES = {
    "/auth/login": "Sign in",
    "/auth/account": "Your account",
    "/auth/logout": "Sign out",
    "/auth/login?next=https://elsewhere.example": "That did not work",
    "/nowhere": "There is nothing here",
}
OPEN_ALL = "document.querySelectorAll('details').forEach(one => { one.open = true })"
PROBLEMS = """() => [
  ...[...document.querySelectorAll("input:not([type=hidden])")]
    .filter(field => ![...field.labels].some(label => label.innerText.trim()))
    .map(field => `no label: ${field.id}`),
  ...[...document.querySelectorAll("a, button, input:not([type=hidden]), select, summary")]
    .filter(one => one.matches(".button, input, select, summary, header a"))
    .map(one => one.type === "checkbox" ? one.closest("label") : one)
    .filter(one => one.getBoundingClientRect().height < 44)
    .map(one => `too small to hit: ${one.outerHTML}`),
  ...[...document.querySelectorAll("[aria-describedby], [aria-labelledby]")]
    .flatMap(one => [one.getAttribute("aria-describedby"), one.getAttribute("aria-labelledby")])
    .filter(id => id && !document.getElementById(id))
    .map(id => `no such id: ${id}`),
  ...[...document.querySelectorAll("[id]")].map(one => one.id)
    .filter((id, at, all) => all.indexOf(id) !== at).map(id => `id twice: ${id}`),
  ...(document.documentElement.scrollWidth > innerWidth ? ["wider than the window"] : []),
  ...(document.documentElement.lang ? [] : ["no language"]),
]"""


async def test_every_page_can_be_read_and_used_on_wide_and_narrow_screens(
    make_service: ServiceFactory, open_window: OpenWindow
) -> None:
    service = await make_service(dev=True, GITHUB_KEY="key", GITHUB_SECRET="secret")
    window = await open_window()
    await sign_in(window, service, "a-user-name-that-is-32-chars-long")
    for path, title in PAGES.items():
        await window.page.goto(service.url + path)
        headings = window.page.get_by_role("heading", level=1)
        assert await headings.all_inner_texts() == [title]
        assert await window.page.title() != " · tornado_auth"
        for width in (1200, 360):
            await window.page.set_viewport_size({"width": width, "height": 740})
            await window.page.evaluate(OPEN_ALL)
            assert await window.page.evaluate(PROBLEMS) == [], (path, width)
    assert window.complaints == []


async def test_the_stylesheet_is_loaded_and_follows_the_colour_scheme(
    service: Service, open_window: OpenWindow
) -> None:
    window = await open_window(scripts=False)
    await window.page.goto(f"{service.url}/auth/login")
    style = "getComputedStyle(document.querySelector('main'))"
    assert await window.page.evaluate(f"{style}.maxWidth") == "416px"
    for scheme, colour in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(25, 33, 42)")):
        await window.page.emulate_media(color_scheme=scheme)
        assert await window.page.evaluate(f"{style}.backgroundColor") == colour
    icon = "document.querySelector('header img').naturalWidth"
    assert await window.page.evaluate(icon) > 0
    assert window.complaints == []
