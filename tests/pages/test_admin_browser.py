"""The pages for administrators in real Chromium: by keyboard, on a phone, without scripts."""

import pytest

from tests.browser import OpenWindow, Window
from tests.pages.admins import sign_in_with_role
from tests.pages.test_browser import PROBLEMS
from tests.service import Service
from tornado_auth.administration import Administration
from tornado_auth.errors import NotFound
from tornado_auth.models import User

PAGES = {
    "/auth/admin": "Users",
    "/auth/admin/users/anna": "anna",
    "/auth/admin/users/backup": "backup",
    "/auth/admin/users/anna/delete": "Delete this user?",
    "/auth/admin/users/anna/why?service=reports&permission=x": "What may anna do?",
    "/auth/admin/groups": "Groups",
    "/auth/admin/groups/finance": "Group finance",
    "/auth/admin/roles": "Roles",
    "/auth/admin/roles/reports:editor": "Role reports:editor",
    "/auth/admin/audit": "Audit log",
    "/auth/admin/invitation": "Become an administrator",
    "/auth/admin/groups/nobody": "There is nothing here",
}


async def open_admin(open_window: OpenWindow, house: Service, **options: object) -> Window:
    window = await open_window(**options)
    token = await sign_in_with_role(house, "a-user-name-that-is-32-chars-long", "administrator")
    await window.context.add_cookies([{"name": "tornado_auth", "value": token, "url": house.url}])
    return window


async def tab_to(window: Window, identifier: str) -> None:
    """Press Tab until this element has the keyboard, and see that it shows."""
    for _ in range(80):
        await window.page.keyboard.press("Tab")
        if await window.focused() == identifier:
            outline = "getComputedStyle(document.activeElement).outline"
            assert "solid 3px" in await window.page.evaluate(outline)
            return
    raise AssertionError(f"the keyboard does not reach {identifier}")


async def test_every_page_can_be_read_and_used_on_wide_and_narrow_screens(
    house: Service, anna: User, open_window: OpenWindow
) -> None:
    window = await open_admin(open_window, house)
    for path, title in PAGES.items():
        await window.page.goto(house.url + path)
        assert await window.text("h1") == title
        for width in (1280, 390):
            await window.page.set_viewport_size({"width": width, "height": 844})
            assert await window.page.evaluate(PROBLEMS) == [], (path, width)
    assert window.complaints == []


async def test_the_keyboard_is_enough_to_give_a_group_a_role(
    house: Service, anna: User, admin: Administration, open_window: OpenWindow
) -> None:
    window = await open_admin(open_window, house, scripts=False)
    keyboard = window.page.keyboard
    await window.page.goto(f"{house.url}/auth/account")
    await tab_to(window, "header-admin")
    await keyboard.press("Enter")
    await window.page.wait_for_url("**/auth/admin")
    await tab_to(window, "nav-groups")
    await keyboard.press("Enter")
    await window.page.wait_for_url("**/auth/admin/groups")
    assert await window.page.get_attribute("#nav-groups", "aria-current") == "page"
    await tab_to(window, "create-name")
    await keyboard.type("board")
    await tab_to(window, "create-description")
    await keyboard.type("Those who decide")
    await keyboard.press("Enter")
    await window.page.wait_for_url("**/auth/admin/groups/board?done=saved")
    assert await window.text("#admin-message") == "Saved."
    await tab_to(window, "add-member")
    await keyboard.type("emil")
    await keyboard.press("Enter")
    assert await window.text("#members-1") == "emil"
    await tab_to(window, "assign-role")
    await keyboard.type("reports:reader")
    await tab_to(window, "assign-submit")
    await keyboard.press("Space")
    assert await window.text("#roles-1") == "reports:reader"
    await tab_to(window, "members-1-do")
    await keyboard.press("Enter")
    assert await window.text("#members-empty") == "Nobody."
    assert await admin.members("board") == []
    assert window.complaints == []


async def test_deleting_asks_on_a_page_of_its_own(
    house: Service, anna: User, admin: Administration, open_window: OpenWindow
) -> None:
    window = await open_admin(open_window, house, scripts=False, width=390, height=844)
    await window.page.goto(f"{house.url}/auth/admin?search=an")
    await window.page.click("#users a")
    await tab_to(window, "delete")
    await window.page.keyboard.press("Enter")
    assert await window.text("#confirm-about") == "anna"
    await window.page.click("#confirm-cancel")
    assert await window.text("h1") == "anna"
    assert (await admin.user(anna.id)).id == anna.id

    await window.page.click("#delete")
    await tab_to(window, "confirm")
    await window.page.keyboard.press("Enter")
    assert await window.text("#admin-message") == "It is deleted."
    with pytest.raises(NotFound):
        await admin.user(anna.id)
    assert window.complaints == []


async def test_a_mistake_is_explained_beside_what_was_typed(
    house: Service, anna: User, open_window: OpenWindow
) -> None:
    window = await open_admin(open_window, house, scripts=False)
    await window.page.goto(f"{house.url}/auth/admin/roles")
    typed = {"service": "reports", "name": "a b", "description": 'Reads "all"'}
    for field, text in typed.items():
        await window.page.fill(f"#create-form [name={field}]", text)
    await window.page.fill("#permissions", "one\ntwo")
    await window.page.click("#create-submit")
    assert "is not usable" in await window.text("#admin-error")
    for field, text in typed.items():
        assert await window.page.input_value(f"#create-form [name={field}]") == text
    assert await window.page.input_value("#permissions") == "one\ntwo"

    await window.page.fill("#create-name", "all")
    await window.page.click("#create-submit")
    assert await window.text("h1") == "Role reports:all"
    assert await window.page.input_value("#permissions") == "one\ntwo"


# S124
async def test_hostile_texts_run_nothing_even_where_our_policy_is_not_obeyed(
    house: Service, anna: User, open_window: OpenWindow
) -> None:
    evil = "\"'><img src=x onerror=alert(1)></textarea></bdi><script>alert(2)</script>"
    window = await open_admin(open_window, house, bypass_csp=True)
    page = window.page
    await page.goto(f"{house.url}/auth/admin/groups/finance")
    await page.fill("#description", evil)
    await page.click("#describe-submit")
    assert await page.input_value("#description") == evil
    await page.fill("#map-provider", "github")
    await page.fill("#map-upstream", evil)
    await page.click("#map-submit")
    await page.goto(f"{house.url}/auth/admin/roles/reports:editor")
    await page.fill("#description", evil)
    await page.fill("#permissions", evil)
    await page.click("#role-submit")
    assert await window.count("#admin-error") == 1
    await page.goto(f"{house.url}/auth/admin")
    await page.fill("#create-username", evil)
    await page.fill("#create-name", evil)
    await page.click("#create-submit")
    assert await page.input_value("#create-username") == evil
    for path in ("/groups", "/groups/finance", "/roles", "/audit", "?search=%3Cscript%3E"):
        await page.goto(f"{house.url}/auth/admin{path}")
    assert window.dialogs == []
    assert window.complaints == []
