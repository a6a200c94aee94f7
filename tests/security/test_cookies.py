"""Our cookies: who gets them, what they open, and that nothing of them is stored."""

from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPResponse

from tests.forms import PASSWORD, Page, add_local_user, cookies_of, open_page
from tests.service import Service, ServiceFactory
from tornado_auth.digests import digest

HTTPS = "https://auth.example"


@pytest.fixture
async def app(make_service: ServiceFactory) -> Service:
    """A service behind a proxy that speaks https for it."""
    service = await make_service(
        EXTERNAL_ADDRESS=HTTPS, GITHUB_KEY="id", GITHUB_SECRET="the-secret-of-the-client"
    )
    await add_local_user(service)
    return service


async def sign_in(page: Page) -> HTTPResponse:
    return await page.send("/auth/login/local", username="lena", password=PASSWORD)


async def authenticated(service: Service, **cookies: str) -> bool:
    answer = await service.json("/auth/check", cookies=cookies)
    return bool(answer["authenticated"])


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


# S118
async def test_every_cookie_is_kept_from_scripts_other_hosts_and_plain_http(app: Service) -> None:
    page = await open_page(app)
    answers = [
        await app.fetch("/auth/login"),
        await app.fetch("/auth/login/github"),
        await sign_in(page),
        await page.send("/auth/logout"),
    ]
    lines = [line for answer in answers for line in answer.headers.get_list("Set-Cookie")]
    names = {line.partition("=")[0] for line in lines}
    assert {"__Host-tornado_auth", "__Host-tornado_auth_xsrf"} < names
    assert all(name.startswith("__Host-tornado_auth") for name in names)
    for line in lines:
        attributes = {part.strip().lower() for part in line.split(";")[1:]}
        assert {"secure", "path=/"} <= attributes, line
        assert not any(each.startswith("domain") for each in attributes), line
        if not line.partition("=")[2].startswith(('""', ";")):
            assert {"httponly", "samesite=lax"} <= attributes, line


# S118
async def test_without_https_the_cookie_is_as_safe_as_it_can_be(
    make_service: ServiceFactory,
) -> None:
    service = await make_service()
    await add_local_user(service)
    cookie = cookies_of(await sign_in(await open_page(service)))["tornado_auth"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert (cookie["secure"], cookie["domain"]) == ("", "")


# S118
async def test_a_login_gives_a_new_session_whatever_cookie_was_there(app: Service) -> None:
    attacker = await app.sign_in("mallory")
    for planted in ("A" * 43, "planted.by.attacker", attacker):
        page = await open_page(app, **{"__Host-tornado_auth": planted})
        token = cookies_of(await sign_in(page))["__Host-tornado_auth"].value
        assert token != planted
        answer = await app.json("/auth/check", cookies={"__Host-tornado_auth": token})
        assert answer["profile"]["username"] == "lena"
        # What was planted opens nothing, least of all of the one who signed in.
        answer = await app.json("/auth/check", cookies={"__Host-tornado_auth": planted})
        assert not answer["authenticated"]


# S118
async def test_two_logins_are_two_sessions(app: Service) -> None:
    first, second = [
        cookies_of(await sign_in(await open_page(app)))["__Host-tornado_auth"].value
        for _ in range(2)
    ]
    assert (await app.json("/auth/logout", token=first, form={}))["success"] is True
    assert not await authenticated(app, **{"__Host-tornado_auth": first})
    assert await authenticated(app, **{"__Host-tornado_auth": second})


# S118
async def test_a_cookie_that_another_host_could_plant_is_not_looked_at(app: Service) -> None:
    token = await app.sign_in("ann")
    assert await authenticated(app, **{"__Host-tornado_auth": token})
    for name in ("tornado_auth", "__Secure-tornado_auth", "__host-tornado_auth", "jwt"):
        assert not await authenticated(app, **{name: token}), name
        assert (await app.fetch("/auth/verify", cookies={name: token})).code == 401


# S118 S119
async def test_a_planted_form_cookie_proves_nothing(app: Service) -> None:
    page = await open_page(app)
    planted = Page(app, {"tornado_auth_xsrf": "00" * 16, "_xsrf": "00" * 16}, "00" * 16)
    assert (await sign_in(planted)).code == 403
    assert (await sign_in(page)).code == 303


# S118
async def test_a_cookie_does_not_outlive_its_session(app: Service) -> None:
    response = await sign_in(await open_page(app))
    cookie = cookies_of(response)["__Host-tornado_auth"]
    (session,) = await app.server.storage.sessions.find()
    assert int(parsedate_to_datetime(cookie["expires"]).timestamp()) == session.expires_at


# S118
async def test_signing_out_clears_the_cookie_and_ends_the_session(app: Service) -> None:
    page = await open_page(app)
    token = cookies_of(await sign_in(page))["__Host-tornado_auth"].value
    page = await open_page(app, "/auth/account", **{"__Host-tornado_auth": token})
    response = await page.send("/auth/logout")
    assert cookies_of(response)["__Host-tornado_auth"].value == ""
    assert not await authenticated(app, **{"__Host-tornado_auth": token})


# S118 S120
async def test_a_login_attempt_is_in_a_cookie_of_its_own_that_says_nothing(app: Service) -> None:
    response = await app.fetch("/auth/login/github?next=/back")
    ((name, cookie),) = [
        (name, morsel)
        for name, morsel in cookies_of(response).items()
        if name.startswith("__Host-tornado_auth_login_")
    ]
    state = response.headers["Location"].partition("state=")[2].partition("&")[0]
    assert name.endswith(digest(state)[:16])
    assert cookie["samesite"] == "Lax"
    for word in (state, "back", "github"):
        assert word not in cookie.value


# S118
async def test_not_too_many_attempts_are_left_in_a_browser(app: Service) -> None:
    cookies: dict[str, str] = {}
    for _ in range(12):
        response = await app.fetch("/auth/login/github", cookies=cookies)
        for name, morsel in cookies_of(response).items():
            cookies.pop(name, None)
            if morsel.value:
                cookies[name] = morsel.value
    assert len(cookies) == 5


# S118 S148
async def test_what_a_cookie_carries_is_not_in_the_store(
    make_service: ServiceFactory, tmp_path: Path
) -> None:
    service = await make_service(
        DATABASE_URL=f"sqlite:///{tmp_path}/auth.db",
        GITHUB_KEY="id",
        GITHUB_SECRET="the-secret-of-the-client",
        TORNADO_AUTH_ALLOWED_NEXT="https://app.example=code",
    )
    await add_local_user(service)
    page = await open_page(service)
    response = await page.send(
        "/auth/login/local", username="lena", password=PASSWORD, next="https://app.example/"
    )
    code = response.headers["Location"].partition("code=")[2]
    token = cookies_of(response)["tornado_auth"].value
    attempt, sealed = service.server.login_attempts.begin("github")
    name = f"tornado_auth_login_{digest(attempt.state)[:16]}"
    query = urlencode({"state": attempt.state, "error": "access_denied"})
    response = await service.fetch(f"/auth/oauth_callback?{query}", cookies={name: sealed})
    assert response.code == 403
    stored = everything_in(tmp_path)
    assert digest(code).encode() in stored
    assert digest(attempt.state).encode() in stored
    secrets = [code, token, token.rpartition(".")[2], page.token, sealed, PASSWORD, attempt.state]
    for secret in [*secrets, attempt.nonce, attempt.code_verifier]:
        assert secret.encode() not in stored
