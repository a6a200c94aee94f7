"""The sign-in page for somebody whom an application sent, over plain HTTP."""

import html
import re
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from tests.flows.journeys import corp_at
from tests.forms import add_local_user, open_page
from tests.oauth2.asking import SELF_REGISTERED
from tests.oauth2.world import World, WorldFactory
from tests.pages.test_consent_page import text_of
from tests.providers.fake_oidc import FakeOIDC
from tornado_auth.models import Client


async def page_of(world: World, path: str, token: str = "") -> tuple[str, str]:
    """Return the sign-in page and its policy."""
    response = await world.service.fetch(path, cookies={"tornado_auth": token} if token else None)
    assert response.code == 200, response.body
    return response.body.decode(), response.headers["Content-Security-Policy"]


def at(path: str, **changes: str) -> str:
    """Return the address of the sign-in page that leads to `path`."""
    query = "".join(f"&{name}={quote(value, safe='')}" for name, value in changes.items())
    return f"/auth/login?next={quote(path, safe='')}{query}"


@pytest.mark.parametrize(
    ("redirect_uri", "kind", "scheme"),
    [
        ("https://app.example/callback", "web", "https:"),
        ("http://127.0.0.1:8000/callback", "native", "http:"),
        ("com.example.app:/callback", "native", "com.example.app:"),
    ],
)
async def test_it_names_the_application_and_lets_its_form_end_there(
    world: World, redirect_uri: str, kind: str, scheme: str
) -> None:
    client = await world.client(redirect_uris=(redirect_uri,), application_type=kind)
    path = f"/oauth2/authorize?{world.request_of(client)}"
    for next_url in (path, world.issuer + path):
        page, policy = await page_of(world, at(next_url))
        assert text_of(page, "login-client") == "From here you go on to The app."
        assert policy.endswith(f"form-action 'self' {scheme}")


async def test_it_reads_the_request_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await world.client()
    reads: list[str] = []
    get = world.server.oauth2.clients.get

    async def counted(client_id: str) -> Client | None:
        reads.append(client_id)
        return await get(client_id)

    monkeypatch.setattr(world.server.oauth2.clients, "get", counted)
    page, _ = await page_of(world, at(f"/oauth2/authorize?{world.request_of(client)}"))
    assert "login-client" in page
    assert reads == [client.id]


async def test_it_does_so_again_after_a_wrong_password(world: World) -> None:
    await add_local_user(world.service, "alice")
    client = await world.client(**SELF_REGISTERED, tos_uri="https://app.example/terms")
    path = f"/oauth2/authorize?{world.request_of(client)}"
    form = await open_page(world.service, at(path))
    response = await form.send("/auth/login/local", next=path, username="alice", password="wrong")
    assert response.code == 401
    page = response.body.decode()
    assert "nobody here has checked" in text_of(page, "login-client")
    assert 'href="https://app.example/terms"' in page
    assert response.headers["Content-Security-Policy"].endswith("form-action 'self' https:")


@pytest.mark.parametrize(
    "changes", [{"client_id": "c-nobody"}, {"redirect_uri": "https://evil.example/"}]
)
async def test_a_request_that_is_no_good_opens_nothing(
    world: World, changes: dict[str, str]
) -> None:
    client = await world.client()
    path = f"/oauth2/authorize?{world.request_of(client, **changes)}"
    for next_url in (path, "/oauth2/authorize", f"/elsewhere?{world.request_of(client)}"):
        page, policy = await page_of(world, at(next_url))
        assert "login-client" not in page
        assert policy.endswith(f"form-action 'self' {world.issuer}")


async def test_a_hint_is_filled_in_and_can_be_changed(world: World) -> None:
    page, _ = await page_of(world, at("/auth/account", login_hint='"><script>alert(1)</script>'))
    assert 'value="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in page
    assert "readonly" not in page


async def test_who_is_signed_in_goes_on_unless_a_new_proof_is_wanted(world: World) -> None:
    token = await world.service.sign_in("ann")
    client = await world.client()
    path = f"/oauth2/authorize?{world.request_of(client)}"
    cookies = {"tornado_auth": token}
    response = await world.service.fetch(at(path), cookies=cookies)
    assert (response.code, response.headers["Location"]) == (303, world.issuer + path)

    page, _ = await page_of(world, at(path, prompt="login"), token)
    assert text_of(page, "signed-in-as").startswith("You are signed in as ann.")
    assert "once more" in text_of(page, "signed-in-as")
    assert 'name="username" type="text" value="ann"' in page
    page, _ = await page_of(world, at(path, prompt="login", login_hint="bob"), token)
    assert 'name="username" type="text" value="bob"' in page


async def test_the_authorization_endpoint_sends_its_hint_along(world: World) -> None:
    client = await world.client()
    response = await world.authorize(client, login_hint="alice", prompt="login")
    location = response.headers["Location"]
    assert dict(parse_qsl(urlsplit(location).query))["login_hint"] == "alice"
    page, _ = await page_of(world, location)
    assert 'value="alice"' in page
    assert "login-client" in page


# S081
@pytest.mark.parametrize(("provider", "asked"), [("corp", "login"), ("github", "select_account")])
async def test_a_login_provider_is_told_not_to_go_by_its_own_session(
    make_world: WorldFactory, fake_oidc: FakeOIDC, provider: str, asked: str
) -> None:
    corp = corp_at(fake_oidc.url, fake_oidc.client_id, fake_oidc.client_secret)
    world = await make_world(GITHUB_KEY="id", GITHUB_SECRET="secret", **corp)
    client = await world.client()
    requests = [
        world.request_of(client, **more)
        for more in ({}, {"prompt": "login"}, {"max_age": "9"}, {"max_age": "86400"})
    ]
    paths = [f"/oauth2/authorize?{request}" for request in requests]
    for path, sent, expected in (
        ("/auth/account", "login", asked),
        ("/auth/account", "", None),
        (paths[0], "", None),
        (paths[1], "", asked),
        (paths[2], "", asked),
        (paths[3], "", None),
    ):
        page, _ = await page_of(world, at(path, prompt=sent))
        link = re.search(f'id="provider-{provider}" href="([^"]*)"', page)
        assert link
        response = await world.service.fetch(html.unescape(link[1]))
        query = dict(parse_qsl(urlsplit(response.headers["Location"]).query))
        assert query.get("prompt") == expected


# S081
async def test_a_new_proof_is_still_wanted_after_a_wrong_password(world: World) -> None:
    await add_local_user(world.service, "alice")
    form = await open_page(world.service, at("/auth/account", prompt="login"))
    assert 'name="prompt" value="login"' in (await page_of(world, at("/", prompt="login")))[0]
    assert 'name="prompt"' not in (await page_of(world, at("/")))[0]
    response = await form.send(
        "/auth/login/local", next="/auth/account", prompt="login", username="alice", password="no"
    )
    assert (response.code, b'name="prompt" value="login"' in response.body) == (401, True)
