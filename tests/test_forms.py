"""Every form that changes something: only our own page, open in the same browser, can send it."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.forms import PASSWORD, Page, account_page, add_local_user, cookies_of, open_page
from tests.service import Service, ServiceFactory

FOREIGN = "https://evil.example"


@dataclass(frozen=True)
class FormCase:
    """A form that changes something when it is sent from our own page."""

    path: str
    fields: dict[str, str] = field(default_factory=dict)
    needs_session: bool = True
    good: tuple[int, ...] = (303,)

    def __str__(self) -> str:
        return self.path.removeprefix("/auth/")


FORMS = [
    FormCase("/auth/login/local", {"username": "lena", "password": PASSWORD}, needs_session=False),
    FormCase("/auth/login/dev", {"username": "dora"}, needs_session=False),
    FormCase("/auth/logout", good=(200,)),
    FormCase("/auth/account/username", {"username": "queen"}, good=(200,)),
    FormCase("/auth/account/end-session", {"session_id": "other"}),
    FormCase("/auth/account/end-other-sessions"),
    FormCase("/auth/account/link/github", good=(200,)),
    FormCase("/auth/update", {"username": "queen"}, good=(200,)),
]
every_form = pytest.mark.parametrize("form", FORMS, ids=str)


@dataclass
class Visit:
    """Somebody who has the page with the form open, and a second session elsewhere."""

    service: Service
    page: Page
    fields: dict[str, str]

    async def snapshot(self) -> Any:
        storage = self.service.server.storage
        users = [replace(user, version=0) for user in await storage.users.find()]
        return users, await storage.sessions.find(), await storage.identities.find()


Open = Callable[[FormCase], Awaitable[Visit]]


@pytest.fixture
async def visit(make_service: ServiceFactory) -> Open:
    service = await make_service(dev=True, GITHUB_KEY="id", GITHUB_SECRET="secret")

    visits = itertools.count()

    async def open_form(form: FormCase) -> Visit:
        fields, name = dict(form.fields), f"ann{next(visits)}"
        if "password" in fields and name == "ann0":
            await add_local_user(service)
        if fields.get("username") == "queen":
            fields["username"] = f"queen-{name}"
        if not form.needs_session:
            return Visit(service, await open_page(service), fields)
        token = await service.sign_in(name, provider="google")
        other = await service.session(name, provider="google")
        if "session_id" in fields:
            fields["session_id"] = other.id
        return Visit(service, await account_page(service, token), fields)

    return open_form


async def refused(visit: Visit, case: FormCase, **arguments: Any) -> bool:
    """Send the form; tell whether it was refused and nothing has changed, no cookie either."""
    before = await visit.snapshot()
    response = await visit.service.fetch(case.path, **arguments)
    after = await visit.snapshot()
    changed = {name for name in cookies_of(response) if not name.endswith("_xsrf")}
    if response.code == 403:
        assert after == before
        assert changed == set()
        return True
    assert response.code in case.good, response.body
    assert after != before or changed
    return False


# S119
@every_form
async def test_a_form_of_our_own_page_passes(visit: Open, form: FormCase) -> None:
    opened = await visit(form)
    body = {"_xsrf": opened.page.token, **opened.fields}
    assert not await refused(opened, form, cookies=opened.page.cookies, form=body)


# S119
@every_form
async def test_without_the_right_token_nothing_happens(visit: Open, form: FormCase) -> None:
    opened = await visit(form)
    foreign = await open_page(opened.service)
    cookies, token = opened.page.cookies, opened.page.token
    session = {name: value for name, value in cookies.items() if name == "tornado_auth"}
    version, mask, masked, started = token.split("|")
    other = f"{version}|{mask}|{masked[::-1]}|{started}"
    for wrong in ("", "0", "00" * 16, foreign.token, other, "2|00000000|00|1", "2|x|y", "\u00e9"):
        body = {"_xsrf": wrong, **opened.fields}
        assert await refused(opened, form, cookies=cookies, form=body), wrong
    assert await refused(opened, form, cookies=cookies, form=opened.fields)
    # The token without the cookie that came with it, as another browser would send it.
    for others in (session, {**session, "tornado_auth_xsrf": ""}):
        body = {"_xsrf": token, **opened.fields}
        if others or not form.needs_session:
            assert await refused(opened, form, cookies=others, form=body)


# S119
@every_form
async def test_another_site_cannot_send_it(visit: Open, form: FormCase) -> None:
    opened = await visit(form)
    body = {"_xsrf": opened.page.token, **opened.fields}
    url = opened.service.url
    for foreign in (
        {"Origin": FOREIGN},
        {"Origin": FOREIGN, "Sec-Fetch-Site": "same-origin"},
        {"Origin": url.replace("localhost", "127.0.0.1")},
        {"Origin": url + "0"},
        {"Origin": f"{url}.evil.example"},
        {"Origin": url.replace("http:", "https:")},
        {"Origin": "\u00e9"},
        {"Origin": ""},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": url, "Sec-Fetch-Site": "cross-site"},
        {"Origin": url, "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "nonsense"},
    ):
        assert await refused(
            opened, form, cookies=opened.page.cookies, form=body, headers=foreign
        ), foreign


# S119
@every_form
async def test_what_browsers_send_with_our_own_forms_passes(visit: Open, form: FormCase) -> None:
    for headers in (
        {"Origin": "ours"},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ):
        opened = await visit(form)
        body = {"_xsrf": opened.page.token, **opened.fields}
        sent = {**headers, "Origin": headers.get("Origin", "").replace("ours", opened.service.url)}
        sent = {name: value for name, value in sent.items() if value}
        assert not await refused(opened, form, cookies=opened.page.cookies, form=body, headers=sent)


# S119
@pytest.mark.parametrize("form", [form for form in FORMS if form.path != "/auth/update"], ids=str)
async def test_a_token_in_the_form_or_address_does_not_replace_the_proof(
    visit: Open, form: FormCase
) -> None:
    opened = await visit(form)
    attacker = await opened.service.sign_in("mallory", provider="google")
    for token in (attacker, "rubbish"):
        for where in ("body", "address"):
            body = {**opened.fields, **({"jwt": token} if where == "body" else {})}
            query = f"?{urlencode({'jwt': token})}" if where == "address" else ""
            response = await opened.service.fetch(
                form.path + query,
                cookies=opened.page.cookies,
                form=body,
                headers={"Origin": FOREIGN, "Sec-Fetch-Site": "cross-site"},
            )
            if form.path == "/auth/logout":
                # It ends the session of that token alone.
                assert response.code == 200
            else:
                assert response.code == 403
            assert cookies_of(response) == {}
    if form.needs_session:
        answer = await opened.service.json("/auth/check", cookies=opened.page.cookies)
        assert answer["profile"]["username"] == "ann0"


# S118 S119
async def test_a_link_with_a_token_signs_nobody_in(service: Service) -> None:
    attacker = await service.sign_in("mallory")
    for path in ("/auth/login", "/auth/account", "/auth/login/local"):
        response = await service.fetch(f"{path}?jwt={attacker}&next=/somewhere")
        assert "tornado_auth" not in cookies_of(response)
        assert b"mallory" not in response.body
        victim = await service.sign_in("ann")
        response = await service.fetch(
            f"{path}?jwt={attacker}&next=/somewhere", cookies={"tornado_auth": victim}
        )
        assert b"mallory" not in response.body
        for name, morsel in cookies_of(response).items():
            if name == "tornado_auth" and morsel.value:
                answer = await service.json("/auth/check", token=morsel.value)
                assert answer["profile"]["username"] == "ann"


# S119
async def test_a_page_from_before_the_login_is_worth_nothing_after_it(service: Service) -> None:
    await add_local_user(service)
    before = await open_page(service)
    response = await before.send("/auth/login/local", username="lena", password=PASSWORD)
    assert response.code == 303
    received = cookies_of(response)
    assert received["tornado_auth_xsrf"].value == ""
    session = {"tornado_auth": received["tornado_auth"].value}
    # The browser has dropped the cookie; the form that is still open in another tab has not.
    form = {"_xsrf": before.token}
    response = await service.fetch("/auth/account/end-other-sessions", cookies=session, form=form)
    assert response.code == 403
    after = await account_page(service, session["tornado_auth"])
    response = await service.fetch(
        "/auth/account/end-other-sessions", cookies=after.cookies, form=form
    )
    assert response.code == 403
    assert (await after.send("/auth/account/end-other-sessions")).code == 303


# S119
async def test_a_refusal_says_what_to_do(service: Service) -> None:
    page = await open_page(service)
    response = await service.fetch("/auth/login/local", form={"username": "x", "password": "y"})
    assert b"reload the page" in response.body
    assert b"form_expired" in response.body
    response = await page.send("/auth/login/local", headers={"Origin": FOREIGN})
    assert b"cross_site_request" in response.body


async def test_nobody_ends_the_session_of_somebody_else(service: Service) -> None:
    bobs = await service.session("bob")
    page = await account_page(service, await service.sign_in("ann"))
    response = await page.send("/auth/account/end-session", session_id=bobs.id)
    assert response.code == 303
    assert await service.server.storage.sessions.get(bobs.id) is not None
