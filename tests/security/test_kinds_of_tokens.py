"""Each thing that we issue opens the one door that it is made for, and no other."""

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.forms import Page, account_page
from tests.modules import writing_modules
from tests.service import Service, ServiceFactory
from tornado_auth.administrators import ADMINISTRATOR, READ, WRITE
from tornado_auth.digests import digest
from tornado_auth.errors import InvalidToken


@dataclass(frozen=True)
class Issued:
    """One of each kind, all of one user and fresh, and what belongs to them."""

    service: Service
    values: dict[str, str]
    page: Page

    def session_cookie(self, value: str) -> dict[str, str]:
        return {"tornado_auth": value}


async def issue(service: Service) -> Issued:
    session = await service.session("ann")
    token = await service.server.sessions.token(session)
    permission = await service.json("/auth/authorize?service=wiki", token=token)
    attempt, sealed = service.server.login_attempts.begin("github")
    page = await account_page(service, token)
    await service.server.roles.assign(f"user:{session.user_id}", ADMINISTRATOR)
    _, key = await service.server.api_keys.create(session.user_id, name="k", scopes=["other"])
    values = {
        "session token": token,
        "admin token": (await service.server.administrators.sign(session, [READ, WRITE]))[0],
        "API key": key,
        "invitation": await service.server.administrators.invite(),
        "permission token": permission["token"],
        "sealed attempt": sealed,
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code verifier": attempt.code_verifier,
        "hand-over code": await service.server.sessions.hand_over(session.id),
        "XSRF token": page.token,
        "session id": session.id,
        "user id": session.user_id,
    }
    return Issued(service, values, page)


Door = Callable[[Issued, str], Awaitable[bool]]


async def check_by_bearer(issued: Issued, value: str) -> bool:
    headers = {"Authorization": f"Bearer {value}"}
    return bool((await issued.service.json("/auth/check", headers=headers))["authenticated"])


async def check_by_header(issued: Issued, value: str) -> bool:
    return bool((await issued.service.json("/auth/check", token=value))["authenticated"])


async def check_by_parameter(issued: Issued, value: str) -> bool:
    answer = await issued.service.json(f"/auth/check?jwt={quote(value)}")
    return bool(answer["authenticated"])


async def check_by_cookie(issued: Issued, value: str) -> bool:
    cookies = issued.session_cookie(value)
    return bool((await issued.service.json("/auth/check", cookies=cookies))["authenticated"])


async def verify(issued: Issued, value: str) -> bool:
    by_header = await issued.service.fetch("/auth/verify", token=value)
    by_cookie = await issued.service.fetch("/auth/verify", cookies=issued.session_cookie(value))
    codes = {by_header.code, by_cookie.code}
    assert codes in ({200}, {401}, {403})
    return codes == {200}


async def authorize(issued: Issued, value: str) -> bool:
    return "token" in await issued.service.json("/auth/authorize?service=wiki", token=value)


async def update(issued: Issued, value: str) -> bool:
    return bool((await issued.service.json("/auth/update", token=value, form={}))["success"])


async def resolve(issued: Issued, value: str) -> bool:
    answer = await issued.service.json("/auth/resolve?username=ann", token=value)
    return answer.get("userid") is not None


async def get_profile(issued: Issued, value: str) -> bool:
    answer = await issued.service.json("/auth/get_profile?username=ann", token=value)
    return bool(answer.get("found"))


async def account(issued: Issued, value: str) -> bool:
    cookies = issued.session_cookie(value)
    response = await issued.service.fetch("/auth/account", cookies=cookies)
    assert response.code in (200, 303)
    return response.code == 200


async def logout(issued: Issued, value: str) -> bool:
    return bool((await issued.service.json("/auth/logout", token=value, form={}))["success"])


async def exchange(issued: Issued, value: str) -> bool:
    response = await issued.service.fetch("/auth/token", form={"code": value})
    assert response.code in (200, 400)
    return response.code == 200


async def call_back(issued: Issued, *, sealed: str, state: str) -> bool:
    """Tell whether the attempt was believed: then it is the provider that refuses."""
    response = await issued.service.fetch(
        f"/auth/oauth_callback?error=access_denied&state={quote(state)}",
        cookies={f"tornado_auth_login_{digest(state)[:16]}": sealed},
    )
    assert (b"access_denied" in response.body) is not (b"invalid_state" in response.body)
    return b"access_denied" in response.body


async def attempt_in_the_cookie(issued: Issued, value: str) -> bool:
    return await call_back(issued, sealed=value, state=issued.values["state"])


async def state_of_the_callback(issued: Issued, value: str) -> bool:
    return await call_back(issued, sealed=issued.values["sealed attempt"], state=value)


async def token_of_a_form(issued: Issued, value: str) -> bool:
    response = await issued.service.fetch(
        "/auth/account/end-other-sessions", cookies=issued.page.cookies, form={"_xsrf": value}
    )
    assert response.code in (303, 403)
    return response.code == 303


async def resource_server(issued: Issued, value: str) -> bool:
    server, typ = issued.service.server, "permission+jwt"
    issuer, now = issued.service.url, server.now()
    try:
        server.keys.verify(value, typ=typ, issuer=issuer, audience="wiki", now=now)
    except InvalidToken:
        return False
    return True


async def admin_api(issued: Issued, value: str) -> bool:
    headers = {"Authorization": f"Bearer {value}"}
    response = await issued.service.fetch("/admin/api/users", headers=headers)
    assert response.code in (200, 401, 403)
    return response.code == 200


async def admin_token(issued: Issued, value: str) -> bool:
    headers = {"Authorization": f"Bearer {value}"}
    response = await issued.service.fetch(
        "/admin/api/token", method="POST", body="", headers=headers
    )
    assert response.code in (200, 401)
    return response.code == 200


async def first_administrator(issued: Issued, value: str) -> bool:
    token = issued.values["session token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    response = await issued.service.fetch(
        "/admin/api/first-administrator",
        method="POST",
        body=json.dumps({"secret": value}),
        headers=headers,
    )
    assert response.code in (204, 400, 403)
    return response.code == 204


DOORS: list[tuple[Door, str]] = [
    (check_by_bearer, "session token"),
    (check_by_header, "session token"),
    (check_by_parameter, "session token"),
    (check_by_cookie, "session token"),
    (verify, "session token"),
    (authorize, "session token"),
    (update, "session token"),
    (resolve, "session token"),
    (get_profile, "session token"),
    (account, "session token"),
    (logout, "session token"),
    (exchange, "hand-over code"),
    (attempt_in_the_cookie, "sealed attempt"),
    (state_of_the_callback, "state"),
    (token_of_a_form, "XSRF token"),
    (resource_server, "permission token"),
    (admin_api, "admin token"),
    (admin_token, "session token"),
    (first_administrator, "invitation"),
]


@pytest.fixture
async def app(
    make_service: ServiceFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Service:
    return await make_service(
        ALLOWED_SERVICES="wiki:permissions_of_kinds", GITHUB_KEY="id", GITHUB_SECRET="secret"
    )


@pytest.fixture(autouse=True)
def everything_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    modules = writing_modules(tmp_path, monkeypatch)
    source = "def get_permissions(service, userid):\n    return {'read': True}\n"
    next(modules)("permissions_of_kinds", source)
    yield
    next(modules, None)


# S116 S105 D9
@pytest.mark.parametrize(("door", "intended"), DOORS, ids=[door.__name__ for door, _ in DOORS])
async def test_a_door_opens_to_one_kind_alone(app: Service, door: Door, intended: str) -> None:
    issued = await issue(app)
    # The right one comes last: some can be used but once.
    for kind, value in issued.values.items():
        if kind != intended:
            assert not await door(issued, value), kind
    assert await door(issued, issued.values[intended])


# S112 S113 D9
@pytest.mark.parametrize(
    "garbage",
    [
        ".",
        "..",
        "a.b.c",
        "e30.e30.",
        "e30.e30.e30",
        "{}",
        "null",
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJub25lIn0.e30.AAAA.AAAA.AAAA",
        "\u00e9\u00ff",
        "=" * 100,
        "eyJ" + "A" * 9000,
        "[" * 5000,
        "' OR '1'='1",
        "%00",
    ],
)
async def test_rubbish_is_nobody_and_no_error(service: Service, garbage: str) -> None:
    for headers in (
        {"auth-token": garbage},
        {"Authorization": f"Bearer {garbage}"},
        {"Cookie": f"tornado_auth={garbage}"},
    ):
        response = await service.fetch("/auth/check", headers=headers)
        assert (response.code, json.loads(response.body)["authenticated"]) == (200, False)
        response = await service.fetch("/auth/verify", headers=headers)
        assert (response.code, response.body) == (401, b"")
        assert (await service.fetch("/auth/account", headers=headers)).code == 303
    response = await service.fetch(f"/auth/check?jwt={quote(garbage)}")
    assert response.code == 200
    assert json.loads(response.body)["authenticated"] is False
