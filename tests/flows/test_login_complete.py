"""Whole sign-ins at Google's like, any OpenID Connect issuer and GitHub's like, and what follows.

The OpenID providers are npm's oidc-provider, which somebody else wrote.
"""

import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.flows.fixtures import MakePerson
from tests.flows.journeys import CALLBACK, Person, corp_at, github_at, google_at
from tests.modules import MakeModule
from tests.providers.fakes import FakeGitHub
from tests.providers.fixtures import OIDCProvider
from tests.service import Service, ServiceFactory

PROFILE = {"id", "idhash", "provider_id", "username", "name", "email", "avatar_url", "join_date"}
LOGINS = {"google": "1001", "corp": "1001", "github": "octo"}
EXPECTED = {
    "google": ("google:1001", "ann", "Ann Example", "ann@example.org"),
    "corp": ("corp:1001", "ann", "Ann Example", "ann@example.org"),
    "github": ("github:583231", "octo-cat", "", "octo@example.org"),
}


@pytest.fixture
def modules(make_module: MakeModule) -> str:
    """What an operator writes: one provider of permissions is a coroutine, the other is not."""
    make_module(
        "journey_files",
        """
        import asyncio
        async def get_permissions(service, userid):
            await asyncio.sleep(0)
            return {"read": True, "write": False, "for": userid}
        """,
    )
    make_module("journey_wiki", "def get_permissions(service, userid): return {service: True}")
    return "files:journey_files;journey_wiki"


@pytest.fixture
async def service(
    make_service: ServiceFactory,
    database_url: str,
    modules: str,
    oidc_provider: OIDCProvider,
    fake_github: FakeGitHub,
) -> Service:
    corp = corp_at(
        oidc_provider.post_issuer,
        oidc_provider.client_id,
        oidc_provider.client_secret,
        label="The Corporation",
    )
    return await make_service(
        DATABASE_URL=database_url,
        ALLOWED_SERVICES=modules,
        **google_at(oidc_provider),
        **corp,
        **github_at(fake_github),
    )


@pytest.fixture
def ann(service: Service, make_person: MakePerson) -> Person:
    return make_person(service)


# S091 S093
@pytest.mark.parametrize("name", LOGINS)
async def test_a_sign_in_ends_at_the_account_page(ann: Person, name: str) -> None:
    await ann.sign_in(name, LOGINS[name])
    assert ann.sees_account()
    assert ann.browser.url == ann.service.url + "/auth/account"
    profile = await ann.profile()
    identity, username, full_name, email = EXPECTED[name]
    assert profile["provider_id"] == identity
    assert (profile["username"], profile["name"]) == (username, full_name)
    assert profile["email"] == email
    [callback] = [url for url in ann.browser.history if CALLBACK in url]
    assert urlsplit(callback).path == CALLBACK + ("/corp" if name == "corp" else "")
    # A second sign-in finds the same user.
    await ann.service.fetch("/auth/logout", token=ann.token, form={})
    assert await ann.is_signed_in() is False
    await ann.sign_in(name, LOGINS[name])
    assert await ann.profile() == profile


# D5
async def test_the_way_in_is_told_and_leads_back_to_the_page_that_was_wanted(ann: Person) -> None:
    answer = await ann.service.json("/auth/check?next=/auth/account%3Fa=1")
    assert set(answer["providers"]) == {"google", "corp", "github", "local"}
    url = urlsplit(answer["providers"]["google"]["url"])
    assert f"{url.scheme}://{url.netloc}" == ann.service.url
    assert parse_qs(url.query) == {"next": ["/auth/account?a=1"]}
    await ann.sign_in("google", "1001", next="/auth/account?a=1")
    assert ann.browser.url == ann.service.url + "/auth/account?a=1"
    assert ann.sees_account()


async def test_the_sign_in_page_leads_through_a_provider(ann: Person) -> None:
    await ann.browser.get(f"{ann.service.url}/auth/login?next=/auth/account%3Fb")
    assert "Continue with <bdi>The Corporation</bdi>" in ann.browser.text
    await ann.follow("provider-corp")
    await ann.approve("1001")
    assert ann.browser.url.endswith("/auth/account?b")
    assert ann.sees_account()


async def test_afterwards_the_api_answers_as_the_older_services_document(ann: Person) -> None:
    await ann.sign_in("google", "1001")
    get, token = ann.service.json, ann.token
    profile = (await get("/auth/check", token=token))["profile"]
    assert set(profile) == PROFILE
    assert profile["idhash"] == profile["id"]
    assert await get("/auth/update", token=token, form={"username": "Queen.Ann"}) == {
        "success": True
    }
    assert await get("/auth/update", token=token, form={"username": "other"}) == {
        "success": False,
        "error": "Cannot modify username, already set",
    }
    assert await get("/auth/resolve?username=queen.ann", token=token) == {"userid": profile["id"]}
    assert await get("/auth/resolve?username=ann", token=token) == {"userid": None}
    found = await get("/auth/get_profile?username=QUEEN.ANN", token=token)
    shown = {name: profile[name] for name in ("id", "name", "join_date", "avatar_url")}
    assert found == {"found": True, "profile": {**shown, "gravatar": None}}
    assert shown["avatar_url"] == "https://pictures.example/ann.png"
    pem = await ann.service.fetch("/auth/public-key")
    assert pem.body.decode() == ann.service.server.keys.public_pem()


async def test_afterwards_each_service_gets_the_permissions_of_its_module(ann: Person) -> None:
    await ann.sign_in("github", "octo")
    user_id = (await ann.profile())["id"]

    async def permissions(service: str) -> Any:
        response = await ann.service.fetch(f"/auth/authorize?service={service}", token=ann.token)
        assert response.code == 200
        return json.loads(response.body)

    files, wiki = await permissions("files"), await permissions("journey_wiki")
    assert set(files) == set(wiki) == {"userid", "permissions", "service", "token"}
    assert files["userid"] == wiki["userid"] == user_id
    assert files["permissions"] == {"read": True, "write": False, "for": user_id}
    assert wiki["permissions"] == {"journey_wiki": True}
    assert await permissions("elsewhere") == {"permissions": {}, "error": "access_denied"}
    allowed = await ann.service.fetch("/auth/verify?service=files", token=ann.token)
    assert (allowed.code, allowed.headers["X-Auth-Permissions"]) == (200, "read")


# D13
async def test_a_session_ends_for_every_caller_when_the_person_signs_out(ann: Person) -> None:
    await ann.sign_in("corp", "1001")
    token = ann.token
    await ann.browser.get("/auth/logout")
    await ann.browser.submit("logout-form")
    assert ann.token == ""
    assert ann.browser.status == 200
    for path in ("/auth/check", f"/auth/check?jwt={quote(token)}"):
        answer = await ann.service.json(path, token="" if "jwt" in path else token)
        assert answer["authenticated"] is False
    assert (await ann.service.fetch("/auth/verify", token=token)).code == 401
    permissions = await ann.service.json("/auth/authorize?service=files", token=token)
    assert permissions == {"permissions": {}, "error": "invalid_token"}
    cookie = {"tornado_auth": token}
    page = await ann.service.fetch("/auth/account", cookies=cookie)
    assert page.code == 303
    assert page.headers["Location"].startswith("/auth/login")
