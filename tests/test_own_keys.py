"""One's own API keys on the account page, over plain HTTP."""

import re

import pytest
from tornado.httpclient import HTTPResponse

from tests.conftest import FakeClock
from tests.forms import Page, account_page
from tests.service import Service, ServiceFactory
from tornado_auth.models import Session

FORM = {"key_name": "backup", "scope:files": "1", "key_days": "30"}
DAY = 86_400


@pytest.fixture
async def app(make_service: ServiceFactory, clock: FakeClock) -> Service:
    return await make_service(now=clock, ALLOWED_SERVICES="files:tests.fast_path.provider")


@pytest.fixture
async def page(app: Service) -> Page:
    return await account_page(app, await app.sign_in("ann"))


async def create(page: Page, **changes: str) -> HTTPResponse:
    fields = {**FORM, **changes}
    return await page.send(
        "/auth/account/create-key", **{name: value for name, value in fields.items() if value}
    )


def key_in(response: HTTPResponse) -> str:
    found: list[str] = re.findall(r"tak_[A-Za-z0-9_-]{43}", response.body.decode())
    assert len(found) == 1
    return found[0]


async def keys_of(service: Service, name: str = "ann") -> list[Session]:
    user = await service.server.accounts.find_by_username(name)
    return await service.server.api_keys.of_user(user.id if user else "")


async def test_a_key_is_made_shown_once_used_and_revoked(
    app: Service, page: Page, clock: FakeClock
) -> None:
    response = await create(page)
    assert (response.code, response.headers["Cache-Control"]) == (200, "no-store")
    key = key_in(response)
    (record,) = await keys_of(app)
    assert (record.name, record.scopes) == ("backup", ("files",))
    assert record.expires_at == clock() + 30 * DAY
    assert (await app.fetch("/auth/verify?service=files", token=key)).code == 200
    shown = (await app.fetch("/auth/account", cookies=page.cookies)).body.decode()
    assert key not in shown
    assert key[4:] not in shown
    assert "never used" in shown
    assert shown.count('id="end-session-') == 1

    response = await page.send("/auth/account/revoke-key", key_id=record.id)
    assert (response.code, response.headers["Location"]) == (303, "/auth/account")
    assert await keys_of(app) == []
    assert (await app.fetch("/auth/verify?service=files", token=key)).code == 401


@pytest.mark.parametrize(
    ("ticked", "days", "scopes", "lifetime"),
    [
        ({"scope:*": "1", "scope:files": ""}, "", ("*",), None),
        ({"scope:*": "1"}, "365", ("*", "files"), 365 * DAY),
        # Whoever is no administrator is not offered this, so it changes nothing.
        ({"scope:admin:write": "1", "scope:wiki": "1"}, "90", ("files",), 90 * DAY),
    ],
)
async def test_it_is_for_what_was_ticked_of_what_was_offered(
    app: Service,
    page: Page,
    clock: FakeClock,
    ticked: dict[str, str],
    days: str,
    scopes: tuple[str, ...],
    lifetime: int | None,
) -> None:
    assert (await create(page, key_days=days, **ticked)).code == 200
    (record,) = await keys_of(app)
    assert record.scopes == scopes
    assert record.expires_at == (lifetime and clock() + lifetime)


async def test_an_administrator_may_make_one_for_the_administration(app: Service) -> None:
    session = await app.session("ann")
    secret = await app.server.administrators.invite()
    await app.server.administrators.accept(secret, session.user_id)
    page = await account_page(app, await app.server.sessions.token(session))
    response = await create(page, **{"scope:admin:read": "1", "scope:files": ""})
    assert response.code == 200
    (record,) = await keys_of(app)
    assert record.scopes == ("admin:read",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key_name": ""}, "The name of a key has"),
        ({"key_name": "x" * 65}, "The name of a key has"),
        ({"scope:files": ""}, "Choose what the key may be used for."),
        ({"key_days": "31"}, "Choose for how long"),
        ({"key_days": "-1"}, "Choose for how long"),
    ],
)
async def test_what_is_wrong_is_said(
    app: Service, page: Page, changes: dict[str, str], said: str
) -> None:
    response = await create(page, **changes)
    assert response.code == 400
    assert 'id="account-error"' in response.body.decode()
    assert said in response.body.decode()
    assert '<details id="new-key-details" open>' in response.body.decode()
    assert f'value="{changes.get("key_name", "backup")}"' in response.body.decode()
    assert await keys_of(app) == []


# S095
async def test_a_key_is_made_only_minutes_after_the_sign_in(
    app: Service, page: Page, clock: FakeClock
) -> None:
    clock.advance(300)
    assert (await create(page)).code == 200
    clock.advance(1)
    response = await create(page)
    assert response.code == 403
    assert b"login_required" in response.body
    (record,) = await keys_of(app)
    assert (await page.send("/auth/account/revoke-key", key_id=record.id)).code == 303
    assert await keys_of(app) == []


async def test_whoever_comes_second_to_revoke_it_need_not_know(
    app: Service, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(page)
    listed = await keys_of(app)

    async def still_listed(user_id: str) -> list[Session]:
        return listed

    monkeypatch.setattr(app.server.api_keys, "of_user", still_listed)
    for _ in range(2):
        answer = await page.send("/auth/account/revoke-key", key_id=listed[0].id)
        assert answer.code == 303
    assert await app.server.storage.sessions.get(listed[0].id) is None


# S118
@pytest.mark.parametrize("path", ["create-key", "revoke-key"])
async def test_another_site_can_do_nothing(app: Service, page: Page, path: str) -> None:
    await create(page)
    (record,) = await keys_of(app)
    fields = {**FORM, "key_id": record.id}
    forged = Page(app, page.cookies, "2|00000000|" + "0" * 32)
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answers = [
        await forged.send(f"/auth/account/{path}", **fields),
        await page.send(f"/auth/account/{path}", headers=foreign, **fields),
    ]
    assert [answer.code for answer in answers] == [403, 403]
    assert await keys_of(app) == [record]


# S125
async def test_the_key_of_somebody_else_stays(app: Service, page: Page) -> None:
    await create(page)
    (record,) = await keys_of(app)
    bobs = await account_page(app, await app.sign_in("bob"))
    assert (await bobs.send("/auth/account/revoke-key", key_id=record.id)).code == 303
    assert await keys_of(app) == [record]
    assert (await page.send("/auth/account/revoke-key", key_id="key-nothing")).code == 303
    assert await keys_of(app) == [record]
    assert record.id not in (await app.fetch("/auth/account", cookies=bobs.cookies)).body.decode()


async def test_whoever_is_not_signed_in_makes_none(app: Service, page: Page) -> None:
    stranger = Page(app, {"_xsrf": page.cookies.get("_xsrf", "")}, page.token)
    for path in ("create-key", "revoke-key"):
        assert (await stranger.send(f"/auth/account/{path}", **FORM)).code == 403


async def test_signing_out_everywhere_else_leaves_the_keys(app: Service, page: Page) -> None:
    key = key_in(await create(page))
    assert (await page.send("/auth/account/end-other-sessions")).code == 303
    (record,) = await keys_of(app)
    answer = await page.send("/auth/account/end-session", session_id=record.id)
    assert answer.code == 303
    assert (await app.fetch("/auth/verify?service=files", token=key)).code == 200
    shown = (await app.fetch("/auth/account", cookies=page.cookies)).body.decode()
    assert 'id="revoke-key-1"' in shown


# S150
async def test_both_are_in_the_audit_log(app: Service, page: Page) -> None:
    await create(page)
    (record,) = await keys_of(app)
    await page.send("/auth/account/revoke-key", key_id=record.id)
    events = await app.server.administration.audit(subject=record.user_id)
    by_page = [event for event in events if event.via == "page"]
    assert [event.action for event in by_page] == ["api_key_revoked", "api_key_created"]
    for event in by_page:
        assert (event.actor, event.target) == (record.user_id, record.id)
        assert event.remote_ip == "127.0.0.1"
