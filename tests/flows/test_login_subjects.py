"""A user's id: random, the same whatever changes elsewhere, and never given out again."""

import hashlib
from urllib.parse import urlsplit

import pytest

from tests.flows.fixtures import MakePerson
from tests.flows.journeys import (
    Person,
    corp_at,
    github_at,
    google_at,
)
from tests.providers.fakes import FakeGitHub, json_answer
from tests.providers.fixtures import OIDCProvider
from tests.service import Service, ServiceFactory


@pytest.fixture
async def service(
    make_service: ServiceFactory, database_url: str, fake_github: FakeGitHub
) -> Service:
    return await make_service(DATABASE_URL=database_url, **github_at(fake_github))


@pytest.fixture
def ann(service: Service, make_person: MakePerson) -> Person:
    return make_person(service)


# S083 D1 D14
async def test_the_id_stays_when_address_and_names_change(
    ann: Person, fake_github: FakeGitHub
) -> None:
    await ann.sign_in("github", "octo")
    before = await ann.profile()
    octo = fake_github.users["octo"]
    octo.login, octo.name = "Octo-Renamed", "Octavia"
    octo.emails = [{"email": "new@example.org", "primary": True, "verified": True}]
    await ann.sign_in("github", "octo")
    changed = {"name": "Octavia", "email": "new@example.org"}
    # The user name is ours: it does not follow.
    assert await ann.profile() == {**before, **changed}
    await ann.browser.get("/auth/account")
    await ann.browser.submit("username-form", username="Queen")
    assert ann.sees_account()
    for _ in range(2):
        await ann.sign_in("github", "octo")
        assert await ann.profile() == {**before, **changed, "username": "queen"}


# S083 D1
async def test_the_id_tells_nothing_of_the_person(ann: Person) -> None:
    await ann.sign_in("github", "octo")
    profile = await ann.profile()
    known = [profile["email"], profile["provider_id"], profile["username"], "583231", "Octo-Cat"]
    for text in known:
        assert text not in profile["id"]
        for name in ("md5", "sha1", "sha256", "sha512"):
            digest = hashlib.new(name, text.encode()).hexdigest()
            assert profile["id"] not in digest
    assert len(profile["id"]) >= 32


# S083
async def test_who_was_deleted_comes_back_as_somebody_new(ann: Person, service: Service) -> None:
    await ann.sign_in("github", "octo")
    before, old_token = await ann.profile(), ann.token
    storage = service.server.storage
    assert await service.server.deletions.delete_user(before["id"])
    assert await storage.users.get(before["id"]) is None
    await ann.sign_in("github", "octo")
    after = await ann.profile()
    assert after["id"] != before["id"]
    assert after["provider_id"] == before["provider_id"]
    # The old name stays the old user's, whom links and logs may still mean.
    assert after["username"] != before["username"]
    answer = await service.json("/auth/resolve?username=octo-cat", token=ann.token)
    assert answer == {"userid": None}
    assert (await service.fetch("/auth/verify", token=ann.token)).code == 200
    assert (await service.fetch("/auth/verify", token=old_token)).code == 401


# S094 D2
async def test_two_providers_with_one_address_are_two_accounts(
    make_service: ServiceFactory,
    database_url: str,
    oidc_provider: OIDCProvider,
    fake_github: FakeGitHub,
    make_person: MakePerson,
) -> None:
    corp = corp_at(oidc_provider.post_issuer, oidc_provider.client_id, oidc_provider.client_secret)
    settings = {**google_at(oidc_provider), **corp, **github_at(fake_github)}
    service = await make_service(DATABASE_URL=database_url, **settings)
    fake_github.users["octo"].emails = [
        {"email": "ann@example.org", "primary": True, "verified": True}
    ]
    profiles = []
    for name, login in (("google", "1001"), ("corp", "1001"), ("github", "octo")):
        person = make_person(service)
        await person.sign_in(name, login)
        profiles.append(await person.profile())
    assert [profile["email"] for profile in profiles] == ["ann@example.org"] * 3
    assert len({profile["id"] for profile in profiles}) == 3
    assert len({profile["username"] for profile in profiles}) == 3
    assert len(await service.server.storage.users.find()) == 3


# D26
async def test_a_sign_in_needs_nothing_but_the_subject(
    ann: Person, fake_github: FakeGitHub
) -> None:
    fake_github.answers["/api/v3/user"] = json_answer({"id": 7})
    fake_github.answers["/api/v3/user/emails"] = json_answer([])
    await ann.sign_in("github", "octo")
    assert ann.sees_account()
    profile = await ann.profile()
    assert profile["username"]
    assert (profile["name"], profile["email"], profile["avatar_url"]) == ("", "", "")
    assert urlsplit(ann.browser.url).path == "/auth/account"
