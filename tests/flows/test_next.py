"""Where a browser goes after a sign-in, what it brings there, and where it never goes."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.flows.fixtures import MakePerson, Said, no_matter_which_store
from tests.flows.journeys import (
    CALLBACK,
    Site,
    github_at,
    google_at,
)
from tests.providers.fakes import FakeGitHub, query_of
from tests.providers.fixtures import OIDCProvider
from tests.service import Service, ServiceFactory

Start = Callable[..., Any]

WANTED = "/p?a=1&a=2&b=&c=%2f+d"  # repeated, empty and encoded: to be kept as it is


@pytest.fixture
def start(make_service: ServiceFactory, database_url: str, fake_github: FakeGitHub) -> Start:
    async def start(allowed_next: str, **environ: str) -> Service:
        return await make_service(
            DATABASE_URL=database_url,
            TORNADO_AUTH_ALLOWED_NEXT=allowed_next,
            **github_at(fake_github, **environ),
        )

    return start


async def is_token(service: Service, token: str) -> bool:
    return bool((await service.json("/auth/check", token=token))["authenticated"])


def assert_secret_kept(said: Said, site: Site, *secrets: str) -> None:
    """No secret in our log, and no request came to the site with an address of ours or another."""
    text = said()
    assert "login" in text
    for secret in secrets:
        assert secret
        assert secret not in text
    assert [request.headers.get("Referer") for request in site.requests] == [None]


# S101 D6 D7 D19
async def test_a_listed_site_gets_the_token_in_its_own_address(
    start: Start, site: Site, oidc_provider: OIDCProvider, make_person: MakePerson, said: Said
) -> None:
    service = await start(f"{site.url}=query", **google_at(oidc_provider))
    ann = make_person(service)
    await ann.sign_in("google", "1001", next=site.url + WANTED)
    (request,) = site.requests
    address, _, token = request.uri.partition("&jwt=")
    assert address == WANTED
    assert await is_token(service, token)
    callback = query_of(next(url for url in ann.browser.history if CALLBACK in url))
    assert_secret_kept(said, site, token, ann.token, callback["code"], callback["state"])
    assert "ann@example.org" not in said()


# S101 D6
async def test_a_site_can_get_a_code_and_exchange_it_once(
    start: Start, site: Site, make_person: MakePerson, said: Said
) -> None:
    service = await start(f"{site.url}=code")
    ann = make_person(service)
    await ann.sign_in("github", "octo", next=site.url + WANTED)
    (request,) = site.requests
    address, _, code = request.uri.partition("&code=")
    assert address == WANTED
    answer = await service.json("/auth/token", form={"code": code})
    assert set(answer) == {"token", "token_type", "expires_in"}
    assert await is_token(service, answer["token"])
    again = await service.fetch("/auth/token", form={"code": code})
    assert (again.code, json.loads(again.body)["error"]) == (400, "invalid_grant")
    assert_secret_kept(said, site, code, answer["token"])


# S101 D6
async def test_a_site_on_our_host_gets_the_cookie_and_nothing_else(
    start: Start, site: Site, make_person: MakePerson, said: Said
) -> None:
    at_our_host = site.url.replace("127.0.0.1", "localhost")
    service = await start(f"{at_our_host}=cookie")
    ann = make_person(service)
    await ann.sign_in("github", "octo", next=at_our_host + WANTED)
    (request,) = site.requests
    assert request.uri == WANTED
    assert f"tornado_auth={ann.token}" in request.headers["Cookie"].split("; ")
    assert await is_token(service, ann.token)
    assert_secret_kept(said, site, ann.token)


# S101
async def test_who_is_signed_in_already_is_sent_on_at_once(
    start: Start, site: Site, make_person: MakePerson
) -> None:
    service = await start(f"{site.url}=query")
    ann = make_person(service)
    await ann.sign_in("github", "octo")
    wanted = quote(f"{site.url}/x", safe="")
    await ann.browser.get(f"{service.url}/auth/login?next={wanted}")
    (request,) = site.requests
    assert await is_token(service, request.uri.removeprefix("/x?jwt="))
    assert "Referer" not in request.headers
    # One who wants to sign in as somebody else is asked all the same.
    await ann.browser.get(f"{service.url}/auth/login?prompt=login&next={wanted}")
    assert 'id="login-title"' in ann.browser.text
    assert len(site.requests) == 1


# S101 D6
async def test_a_form_of_ours_leads_to_a_listed_site_too(
    start: Start, site: Site, make_person: MakePerson
) -> None:
    service = await start(f"{site.url}=query")
    user = await service.server.accounts.create("ann")
    await service.server.local_accounts.set_password(user.id, "correct horse")
    ann = make_person(service)
    await ann.browser.get(f"{service.url}/auth/login?next={quote(site.url + WANTED, safe='')}")
    # Browsers hold the redirect after a form against the page's policy (CSP 3, form-action).
    assert f"form-action 'self' {site.url}" in ann.browser.headers["Content-Security-Policy"]
    await ann.browser.submit("login-form", username="ann", password="correct horse")
    (request,) = site.requests
    assert request.uri.startswith(f"{WANTED}&jwt=")
    assert "Referer" not in request.headers


# D5
async def test_without_next_the_browser_stays_with_us(
    start: Start, site: Site, make_person: MakePerson
) -> None:
    service = await start(f"{site.url}=query")
    ann = make_person(service)
    answer = await service.json("/auth/check")
    assert "example.com" not in json.dumps(answer)
    await ann.sign_in("github", "octo")
    assert ann.browser.url == f"{service.url}/auth/account"
    assert ann.sees_account()
    assert site.requests == []
    assert not [url for url in ann.browser.history if "jwt=" in url]


OFF_LIST = (
    "//evil.example",
    "/\\evil.example",
    "/%2f/evil.example",
    "/%5cevil.example",
    "https:evil.example",
    "https://evil.example/",
    "https://{listed}@evil.example/",
    "http://{listed}.evil.example/",
    "https://{listed}/",
    "javascript:alert(1)",
    "data:text/html,x",
    "/a\tb",
    "/a\r\nLocation: https://evil.example",
    "http://127.0.0.1:1/",
)


# S100 D4
@no_matter_which_store
async def test_off_the_list_the_sign_in_does_not_even_begin(
    start: Start, site: Site, make_person: MakePerson, fake_github: FakeGitHub
) -> None:
    service = await start(f"{site.url}=query")
    for address in OFF_LIST:
        wanted = quote(address.format(listed=site.url.partition("//")[2]), safe="")
        ann = make_person(service)
        for path in ("/auth/login/github", "/auth/login", "/auth/login/local", "/auth/logout"):
            await ann.browser.get(f"{service.url}{path}?next={wanted}")
            assert ann.browser.url.startswith(service.url), (path, address)
            assert ann.browser.status == 400, (path, address)
            assert 'id="oauth-error"' in ann.browser.text
            assert ann.attempts == []
            assert "evil" not in str(ann.browser.headers)
    assert fake_github.requests == []
    assert site.requests == []


# S100 D4
@no_matter_which_store
async def test_a_form_cannot_be_told_another_target(
    start: Start, site: Site, make_person: MakePerson
) -> None:
    service = await start(f"{site.url}=query")
    user = await service.server.accounts.create("ann")
    await service.server.local_accounts.set_password(user.id, "correct horse")
    ann = make_person(service)
    await ann.sign_in_by_form(
        "login-form", username="ann", password="correct horse", next="/auth/account"
    )
    assert ann.sees_account()
    bob = make_person(service)
    await bob.browser.get(f"{service.url}/auth/login")
    fields = {"username": "ann", "password": "correct horse", "next": "https://evil.example/"}
    await bob.browser.submit("login-form", **fields)
    assert bob.sees_error(400, "next_not_allowed")
    assert bob.token == ""


# S100 D4
@no_matter_which_store
async def test_the_answer_of_check_never_leads_off_the_list(start: Start, site: Site) -> None:
    service = await start(f"{site.url}=query")
    answer = await service.json("/auth/check?next=https://evil.example/")
    for provider in answer["providers"].values():
        assert provider["url"].startswith(f"{service.url}/auth/login/")
        response = await service.fetch(provider["url"])
        assert response.code == 400
        assert "Location" not in response.headers


# S100
@no_matter_which_store
async def test_a_page_that_a_proxy_stopped_at_is_returned_to_on_our_host_only(
    start: Start, site: Site, make_person: MakePerson
) -> None:
    service = await start(f"{site.url}=query", TORNADO_AUTH_TRUSTED_PROXIES="127.0.0.0/8,::1")
    user = await service.server.accounts.create("ann")
    await service.server.local_accounts.set_password(user.id, "correct horse")
    ann = make_person(service)
    login = f"{service.url}/auth/login"
    for evil in ("//evil.example", "https://evil.example/", "/\\evil.example"):
        await ann.browser.get(login, headers={"X-Original-URI": evil})
        (form,) = ann.browser.forms
        assert form.fields["next"] == ""
    await ann.browser.get(login, headers={"X-Original-URI": "/auth/account?from=here"})
    await ann.browser.submit("login-form", username="ann", password="correct horse")
    assert ann.browser.url == f"{service.url}/auth/account?from=here"


# S100 S129
@no_matter_which_store
async def test_a_stranger_cannot_name_the_page_that_was_stopped_at(
    start: Start, site: Site, make_person: MakePerson
) -> None:
    service = await start(f"{site.url}=query")
    ann = make_person(service)
    await ann.browser.get(
        f"{service.url}/auth/login", headers={"X-Original-URI": f"{site.url}/steal"}
    )
    (form,) = ann.browser.forms
    assert form.fields["next"] == ""


# S100
async def test_a_target_that_was_taken_off_the_list_gets_nothing(
    start: Start, site: Site, make_person: MakePerson, fake_github: FakeGitHub
) -> None:
    before = await start(f"{site.url}=query")
    ann = make_person(before)
    callback = await ann.callback("github", "octo", next=f"{site.url}/p")
    # The operator restarts the service with another list while Ann is at GitHub.
    after = await start("", EXTERNAL_ADDRESS=before.url)
    await ann.browser.get(callback.replace(before.url, after.url))
    assert ann.sees_error(400, "next_not_allowed")
    assert site.requests == []
    assert ann.token == ""
    assert await after.server.storage.sessions.find() == []
