"""Two ways to sign in to one account: only from inside, freshly signed in, and on purpose."""

import pytest

from tests.conftest import FakeClock
from tests.flows.fixtures import MakePerson, no_matter_which_store
from tests.flows.journeys import CALLBACK, Person, corp_at, github_at, google_at
from tests.providers.fake_oidc import FakeOIDC
from tests.providers.fakes import FakeGitHub, GitHubUser
from tests.providers.fixtures import OIDCProvider
from tests.service import Service, ServiceFactory

LINK = "/auth/account/link/github"


@pytest.fixture
async def service(
    make_service: ServiceFactory,
    database_url: str,
    clock: FakeClock,
    fake_github: FakeGitHub,
    fake_oidc: FakeOIDC,
) -> Service:
    """A service with its own time, an issuer called `corp`, and GitHub."""
    fake_github.users["bob"] = GitHubUser(login="bob", id=2)
    return await make_service(
        DATABASE_URL=database_url,
        now=clock,
        **corp_at(fake_oidc.url, fake_oidc.client_id, fake_oidc.client_secret),
        **github_at(fake_github),
    )


async def sign_in_at_corp(person: Person, fake_oidc: FakeOIDC, subject: str = "1001") -> None:
    fake_oidc.subject = subject
    person.browser.stop_at = (fake_oidc.url,)
    await person.begin("corp")
    person.browser.stop_at = ()
    parameters = fake_oidc.approve(person.browser.url)
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    await person.browser.get(f"{person.service.url}{CALLBACK}/corp?{query}")
    assert person.sees_account()


@pytest.fixture
async def ann(service: Service, make_person: MakePerson, fake_oidc: FakeOIDC) -> Person:
    """Somebody who just signed in at `corp`."""
    ann = make_person(service)
    await sign_in_at_corp(ann, fake_oidc)
    return ann


async def ask_to_link(person: Person, name: str = "github") -> None:
    """Press the button of the account page."""
    await person.browser.get(f"{person.service.url}/auth/account")
    path = f"/auth/account/link/{name}"
    (form,) = (form for form in person.browser.forms if form.action == path)
    await person.browser.post(form.action, form.fields)


async def go_and_link(person: Person, login: str, *, name: str = "github") -> None:
    await ask_to_link(person, name)
    await person.follow("continue")
    await person.approve(login)


async def linked(person: Person) -> list[str]:
    accounts = person.service.server.accounts
    identities = await accounts.identities_of((await person.profile())["id"])
    return sorted(identity.id for identity in identities)


# S095
async def test_a_linked_provider_enters_the_same_account(
    make_service: ServiceFactory,
    database_url: str,
    oidc_provider: OIDCProvider,
    fake_github: FakeGitHub,
    make_person: MakePerson,
) -> None:
    settings = google_at(oidc_provider) | github_at(fake_github)
    service = await make_service(DATABASE_URL=database_url, **settings)
    ann = make_person(service)
    await ann.sign_in("google", "1001")
    before = await ann.profile()
    await go_and_link(ann, "octo")
    assert ann.sees_account()
    assert "Octo-Cat" in ann.browser.text
    # Linking is no sign-in: session, address and name are as they were.
    assert await ann.profile() == before
    assert await linked(ann) == ["github:583231", "google:1001"]
    assert LINK not in ann.browser.text
    elsewhere = make_person(service)
    await elsewhere.sign_in("github", "octo")
    assert await elsewhere.profile() == {**before, "provider_id": "github:583231"}
    await elsewhere.sign_in("google", "1001")
    assert await elsewhere.profile() == before
    assert len(await service.server.storage.users.find()) == 1


# S095
@no_matter_which_store
async def test_the_page_in_between_says_what_will_happen(ann: Person) -> None:
    await ask_to_link(ann)
    assert ann.browser.status == 200
    assert 'id="link-title">Link <bdi>GitHub</bdi>' in ann.browser.text
    assert len(ann.attempts) == 1
    assert await linked(ann) == ["corp:1001"]


# S095
@pytest.mark.parametrize("way", ["no XSRF token", "a wrong one", "another site", "a link"])
@no_matter_which_store
async def test_another_site_cannot_link_in_the_name_of_its_visitor(
    ann: Person, fake_github: FakeGitHub, way: str
) -> None:
    (form,) = (form for form in ann.browser.forms if form.action == LINK)
    if way == "no XSRF token":
        await ann.browser.post(LINK, {})
    elif way == "a wrong one":
        await ann.browser.post(LINK, {"_xsrf": "2|00000000|00000000|1"})
    elif way == "another site":
        await ann.browser.post(LINK, form.fields, headers={"Origin": "https://evil.example"})
    else:
        await ann.browser.get(LINK)
    assert ann.sees_account() if way == "a link" else ann.browser.status == 403
    assert ann.attempts == []
    assert fake_github.requests == []
    assert await linked(ann) == ["corp:1001"]


# S095
async def test_a_sign_in_older_than_five_minutes_has_to_be_repeated(
    ann: Person, clock: FakeClock, fake_oidc: FakeOIDC
) -> None:
    clock.advance(301)
    await ask_to_link(ann)
    assert ann.sees_error(403, "login_required")
    assert ann.attempts == []
    await sign_in_at_corp(ann, fake_oidc)
    clock.advance(300)
    await go_and_link(ann, "octo")
    assert await linked(ann) == ["corp:1001", "github:583231"]


# S095
async def test_the_identity_of_somebody_else_is_not_taken_over(
    ann: Person, make_person: MakePerson
) -> None:
    bob = make_person(ann.service)
    await bob.sign_in("github", "bob")
    theirs = await bob.profile()
    await go_and_link(ann, "bob")
    assert ann.sees_error(409, "identity_taken")
    # To try again leads back to the account, never to a sign-in as the other one.
    assert 'id="error-retry" href="/auth/account"' in ann.browser.text
    assert await linked(ann) == ["corp:1001"]
    assert await linked(bob) == ["github:2"]
    await bob.sign_in("github", "bob")
    assert await bob.profile() == theirs


# S095
@pytest.mark.parametrize("then", ["nobody", "somebody else"])
async def test_an_attempt_to_link_ends_with_the_session_that_began_it(
    ann: Person, fake_oidc: FakeOIDC, then: str
) -> None:
    """A shared computer: Ann asks to link and goes; who comes next confirms at the provider."""
    before = await linked(ann)
    user_id = (await ann.profile())["id"]
    await ask_to_link(ann)
    ann.browser.stop_at = (f"{ann.service.url}{CALLBACK}",)
    await ann.follow("continue")
    await ann.approve("octo")
    callback, ann.browser.stop_at = ann.browser.url, ()
    await ann.browser.get(f"{ann.service.url}/auth/logout")
    await ann.browser.submit("logout-form")
    if then == "somebody else":
        await sign_in_at_corp(ann, fake_oidc, "1002")
        assert (await ann.profile())["id"] != user_id
    await ann.browser.get(callback)
    assert ann.sees_error(403, "login_required")
    identities = await ann.service.server.storage.identities.find()
    assert "github:583231" not in [identity.id for identity in identities]
    remaining = await ann.service.server.accounts.identities_of(user_id)
    assert [identity.id for identity in remaining] == before


# S090 S095
async def test_nobody_is_tricked_into_linking_by_an_address_sent_to_them(
    ann: Person, make_person: MakePerson, fake_oidc: FakeOIDC
) -> None:
    mallory = make_person(ann.service)
    await sign_in_at_corp(mallory, fake_oidc, "666")
    await ask_to_link(mallory)
    mallory.browser.stop_at = (f"{ann.service.url}{CALLBACK}",)
    await mallory.follow("continue")
    await mallory.approve("octo")
    await ann.browser.get(mallory.browser.url)
    assert ann.sees_error(400, "invalid_state")
    assert await linked(ann) == ["corp:1001"]


# S095
async def test_an_unverified_address_links_nothing_and_replaces_nothing(
    ann: Person, fake_github: FakeGitHub, make_person: MakePerson, fake_oidc: FakeOIDC
) -> None:
    before = await ann.profile()
    unverified = [{"email": before["email"] or "ann@x.example", "primary": True, "verified": False}]
    fake_github.users["octo"].emails = unverified
    other = make_person(ann.service)
    await other.sign_in("github", "octo")
    assert (await other.profile())["id"] != before["id"]
    assert (await other.profile())["email"] == ""
    fake_github.users["bob"].emails = unverified
    await go_and_link(ann, "bob")
    assert await linked(ann) == ["corp:1001", "github:2"]
    assert await ann.profile() == before


# S095 S096
async def test_whom_the_list_keeps_out_is_not_linked_either(
    make_service: ServiceFactory,
    database_url: str,
    oidc_provider: OIDCProvider,
    fake_github: FakeGitHub,
    make_person: MakePerson,
) -> None:
    settings = google_at(oidc_provider) | github_at(fake_github)
    service = await make_service(
        DATABASE_URL=database_url, TORNADO_AUTH_ALLOWED_EMAILS="ann@example.org", **settings
    )
    ann = make_person(service)
    await ann.sign_in("google", "1001")
    await go_and_link(ann, "octo")
    assert ann.sees_error(403, "access_denied")
    assert await linked(ann) == ["google:1001"]


# S095
async def test_who_is_not_signed_in_links_nothing(
    service: Service, make_person: MakePerson
) -> None:
    person = make_person(service)
    await person.browser.get(f"{service.url}/auth/login")
    xsrf = person.browser.forms[0].fields["_xsrf"]
    await person.browser.post(LINK, {"_xsrf": xsrf})
    assert person.sees_error(403, "login_required")
    assert person.attempts == []
