"""Who is kept out although the provider vouches for them; and which address counts."""

import pytest

from tests.flows.fixtures import MakePerson, no_matter_which_store
from tests.flows.journeys import (
    Person,
    corp_at,
    github_at,
    google_at,
    nobody_came_in,
)
from tests.providers.fakes import FakeGitHub, GitHubUser
from tests.providers.fixtures import OIDCProvider
from tests.service import ServiceFactory

VICTIM = "victim@example.org"


def mallory(**attributes: object) -> GitHubUser:
    """Somebody who typed the victim's address into her account; GitHub never saw it confirmed."""
    emails = [
        {"email": VICTIM, "primary": True, "verified": False},
        {"email": "mallory@evil.example", "primary": False, "verified": True},
    ]
    return GitHubUser(**{"login": "mallory", "id": 666, "emails": emails, **attributes})


async def assert_kept_out(person: Person) -> None:
    assert person.sees_error(403, "access_denied")
    assert person.token == ""
    assert await nobody_came_in(person.service)
    assert await person.service.server.storage.username_claims.find() == []


# S094 S095 D2 D3
async def test_an_address_that_was_only_typed_in_makes_nobody_else_of_its_owner(
    make_service: ServiceFactory,
    database_url: str,
    fake_github: FakeGitHub,
    make_person: MakePerson,
) -> None:
    service = await make_service(DATABASE_URL=database_url, **github_at(fake_github))
    fake_github.users["victim"] = GitHubUser(
        login="victim", id=7, emails=[{"email": VICTIM, "primary": True, "verified": True}]
    )
    fake_github.users["mallory"] = mallory(email=VICTIM, name="Victim")
    victim, attacker = make_person(service), make_person(service)
    await victim.sign_in("github", "victim")
    await attacker.sign_in("github", "mallory")
    theirs, hers = await victim.profile(), await attacker.profile()
    assert theirs["email"] == VICTIM
    assert hers["email"] == "mallory@evil.example"
    assert theirs["id"] != hers["id"]
    assert hers["username"] == "mallory"
    assert VICTIM not in attacker.browser.text
    # Nor later, when her only address is the unconfirmed one.
    fake_github.users["mallory"].emails.pop()
    await attacker.sign_in("github", "mallory")
    assert await attacker.profile() == {**hers, "email": ""}
    assert await victim.profile() == theirs


# S096 D3
@pytest.mark.parametrize("allowed", [VICTIM, "@example.org"])
async def test_an_unverified_address_opens_no_list(
    make_service: ServiceFactory,
    database_url: str,
    fake_github: FakeGitHub,
    make_person: MakePerson,
    allowed: str,
) -> None:
    settings = github_at(fake_github, TORNADO_AUTH_ALLOWED_EMAILS=allowed)
    service = await make_service(DATABASE_URL=database_url, **settings)
    fake_github.users["mallory"] = mallory(email=VICTIM)
    person = make_person(service)
    await person.sign_in("github", "mallory")
    await assert_kept_out(person)
    if allowed == "@example.org":
        await person.sign_in("github", "octo")
        assert (await person.profile())["email"] == "octo@example.org"


# S096
@pytest.mark.parametrize("login", ["1001", "1002"])
async def test_the_domain_list_of_google_goes_by_the_signed_domain(
    make_service: ServiceFactory,
    database_url: str,
    oidc_provider: OIDCProvider,
    make_person: MakePerson,
    login: str,
) -> None:
    """Both have an address at example.org; only 1001's account belongs to the domain."""
    domains = {"TORNADO_AUTH_GOOGLE_HOSTED_DOMAINS": "example.org"}
    service = await make_service(DATABASE_URL=database_url, **google_at(oidc_provider, **domains))
    person = make_person(service)
    await person.sign_in("google", login)
    if login == "1001":
        assert person.sees_account()
    else:
        await assert_kept_out(person)


# S096
async def test_a_list_of_addresses_holds_for_an_issuer_too(
    make_service: ServiceFactory,
    database_url: str,
    oidc_provider: OIDCProvider,
    make_person: MakePerson,
) -> None:
    corp = corp_at(oidc_provider.post_issuer, oidc_provider.client_id, oidc_provider.client_secret)
    service = await make_service(
        DATABASE_URL=database_url, TORNADO_AUTH_ALLOWED_EMAILS="@EXAMPLE.org", **corp
    )
    bob, ann = make_person(service), make_person(service)
    await bob.sign_in("corp", "1002")  # the address of 1002 is not verified
    await assert_kept_out(bob)
    await ann.sign_in("corp", "1001")
    assert ann.sees_account()


# S096
@pytest.mark.parametrize(
    ("organizations", "may_enter"),
    [
        ("the-guild", True),
        ("nowhere, the-guild", True),
        ("waiting-room", False),
        ("nowhere", False),
    ],
)
@no_matter_which_store
async def test_only_active_members_of_a_github_organisation_come_in(
    make_service: ServiceFactory,
    database_url: str,
    fake_github: FakeGitHub,
    make_person: MakePerson,
    organizations: str,
    may_enter: bool,
) -> None:
    settings = github_at(fake_github, TORNADO_AUTH_GITHUB_ORGANIZATIONS=organizations)
    person = make_person(await make_service(DATABASE_URL=database_url, **settings))
    await person.sign_in("github", "octo")
    if may_enter:
        assert person.sees_account()
    else:
        await assert_kept_out(person)


# S083 S096
async def test_who_was_taken_off_the_list_does_not_come_in_again(
    make_service: ServiceFactory,
    database_url: str,
    fake_github: FakeGitHub,
    make_person: MakePerson,
) -> None:
    settings = github_at(fake_github, TORNADO_AUTH_ALLOWED_EMAILS="octo@example.org")
    service = await make_service(DATABASE_URL=database_url, **settings)
    person = make_person(service)
    await person.sign_in("github", "octo")
    before = await person.profile()
    fake_github.users["octo"].emails = [
        {"email": "octo@elsewhere.example", "primary": True, "verified": True}
    ]
    other_browser = make_person(service)
    await other_browser.sign_in("github", "octo")
    assert other_browser.sees_error(403, "access_denied")
    assert other_browser.token == ""
    user = await service.server.accounts.get(before["id"])
    assert user is not None
    assert user.email == "octo@example.org"
