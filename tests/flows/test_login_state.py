"""A callback belongs to one attempt of one browser at one provider, once and not for ever."""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.conftest import FakeClock
from tests.flows.fixtures import MakePerson, no_matter_which_store
from tests.flows.journeys import (
    CALLBACK,
    Person,
    corp_at,
    github_at,
    google_at,
    nobody_came_in,
)
from tests.providers.fake_oidc import FakeOIDC
from tests.providers.fakes import FakeGitHub, query_of
from tests.providers.fixtures import OIDCProvider
from tests.service import Service, ServiceFactory

TOKEN = "/login/oauth/access_token"


@pytest.fixture
async def service(
    make_service: ServiceFactory, database_url: str, clock: FakeClock, fake_github: FakeGitHub
) -> Service:
    """A service with its own time, and GitHub."""
    return await make_service(DATABASE_URL=database_url, now=clock, **github_at(fake_github))


@pytest.fixture
def ann(service: Service, make_person: MakePerson) -> Person:
    return make_person(service)


# S090 D8
@pytest.mark.parametrize("has_own_attempt", [False, True])
async def test_a_callback_that_another_browser_began_signs_nobody_in(
    ann: Person, make_person: MakePerson, fake_github: FakeGitHub, has_own_attempt: bool
) -> None:
    """Login CSRF: Ann would act in the account of Mallory, who sent her the link."""
    mallory = make_person(ann.service)
    callback = await mallory.callback("github", "octo")
    if has_own_attempt:
        await ann.begin("github")
    await ann.browser.get(callback)
    assert ann.sees_error(400, "invalid_state")
    assert ann.token == ""
    assert await nobody_came_in(ann.service)
    assert fake_github.requests_to(TOKEN) == []
    # Mallory's own attempt is still good: a stranger's visit does not spend it.
    await mallory.browser.get(callback)
    assert mallory.sees_account()


# S090
@no_matter_which_store
async def test_the_cookie_of_an_attempt_does_not_leave_its_browser_for_a_script_or_another_site(
    ann: Person,
) -> None:
    await ann.begin("github")
    (name,) = ann.attempts
    cookie = ann.browser.cookie(name)
    assert cookie.http_only
    assert (cookie.same_site, cookie.path) == ("Lax", "/")
    assert cookie.expires_at is not None


# S090
async def test_on_https_the_cookies_are_bound_to_the_host(
    make_service: ServiceFactory, fake_github: FakeGitHub
) -> None:
    service = await make_service(EXTERNAL_ADDRESS="auth.example", **github_at(fake_github))
    response = await service.fetch("/auth/login/github")
    (line,) = response.headers.get_list("Set-Cookie")
    assert line.startswith("__Host-tornado_auth_login_")
    attributes = {part.strip().lower() for part in line.split(";")[1:]}
    assert {"secure", "httponly", "path=/", "samesite=lax"} <= attributes
    assert not [attribute for attribute in attributes if attribute.startswith("domain")]


# S090 S098 D8
async def test_a_callback_is_good_once(ann: Person, fake_github: FakeGitHub) -> None:
    callback = await ann.callback("github", "octo")
    kept = dict(ann.browser.cookies)
    await ann.browser.get(callback)
    assert ann.sees_account()
    assert ann.attempts == []
    await ann.browser.get(callback)
    assert ann.sees_error(400, "invalid_state")
    # Not even with the cookies as they were before the first time.
    ann.browser.cookies = kept
    await ann.browser.get(callback)
    assert ann.sees_error(400, "invalid_state")
    assert ann.token == ""
    assert len(await ann.service.server.storage.sessions.find()) == 1
    assert len(fake_github.requests_to(TOKEN)) == 1


# S090 S098
async def test_a_callback_that_arrives_twice_at_the_same_time_signs_in_once(
    ann: Person, fake_github: FakeGitHub
) -> None:
    callback = urlsplit(await ann.callback("github", "octo"))
    cookies = {key[2]: cookie.value for key, cookie in ann.browser.cookies.items()}
    path = f"{callback.path}?{callback.query}"
    responses = await asyncio.gather(*(ann.service.fetch(path, cookies=cookies) for _ in range(10)))
    assert sorted(response.code for response in responses) == [303] + [400] * 9
    assert len(fake_github.requests_to(TOKEN)) == 1
    assert len(await ann.service.server.storage.sessions.find()) == 1


# S090
async def test_an_attempt_that_took_too_long_is_over(
    ann: Person, clock: FakeClock, fake_github: FakeGitHub
) -> None:
    callback = await ann.callback("github", "octo")
    clock.advance(601)
    await ann.browser.get(callback)
    assert ann.sees_error(400, "invalid_state")
    assert fake_github.requests_to(TOKEN) == []
    in_time = await ann.callback("github", "octo")
    clock.advance(599)
    await ann.browser.get(in_time)
    assert ann.sees_account()


# S090
@no_matter_which_store
async def test_a_callback_out_of_the_blue_is_an_error_page(ann: Person) -> None:
    await ann.begin("github")
    repeated = "?state=x&state=y&code=x"
    for query in ("", "?code=x", "?state=", "?state=x", repeated, "?error=access_denied"):
        await ann.browser.get(ann.service.url + CALLBACK + query)
        assert ann.browser.status == 400, query
        assert 'id="oauth-error"' in ann.browser.text
    assert await nobody_came_in(ann.service)
    assert len(ann.attempts) == 1


# S090
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
async def test_several_tabs_can_sign_in_at_the_same_time(
    make_service: ServiceFactory,
    database_url: str,
    oidc_provider: OIDCProvider,
    fake_github: FakeGitHub,
    make_person: MakePerson,
    order: tuple[int, ...],
) -> None:
    corp = corp_at(oidc_provider.post_issuer, oidc_provider.client_id, oidc_provider.client_secret)
    settings = {**google_at(oidc_provider), **corp, **github_at(fake_github)}
    ann = make_person(await make_service(DATABASE_URL=database_url, **settings))
    tabs = [("google", "1001"), ("corp", "1001"), ("github", "octo")]
    callbacks = [
        await ann.callback(name, login, next=f"/auth/account?tab={number}")
        for number, (name, login) in enumerate(tabs)
    ]
    assert len(ann.attempts) == 3
    for number in order:
        await ann.browser.get(callbacks[number])
        assert ann.sees_account()
        assert ann.browser.url == f"{ann.service.url}/auth/account?tab={number}"
        assert (await ann.profile())["provider_id"].startswith(tabs[number][0])
    assert ann.attempts == []


# S090
async def test_a_browser_keeps_the_five_newest_attempts(ann: Person) -> None:
    callbacks = [await ann.callback("github", "octo") for _ in range(7)]
    assert len(ann.attempts) == 5
    for callback in callbacks[:2]:
        await ann.browser.get(callback)
        assert ann.sees_error(400, "invalid_state")
    for callback in callbacks[2:]:
        await ann.browser.get(callback)
        assert ann.sees_account()


async def test_attempts_never_fill_the_header(ann: Person) -> None:
    """A page that opens many sign-ins must not lock the browser out of everything on this host."""
    for _ in range(4):
        await ann.begin("github", next="/" + "a" * 2000)
        cookies = [ann.browser.cookie(name) for name in ann.attempts]
        sizes = [len(cookie.value) for cookie in cookies if cookie]
        assert 3000 < sum(sizes) < 4500


@pytest.fixture
async def two_issuers(
    make_service: ServiceFactory, database_url: str, clock: FakeClock, fake_oidc: FakeOIDC
) -> Service:
    """A service with `corp`, `google` at the same fake issuer, and GitHub at nobody's."""
    corp = corp_at(fake_oidc.url, fake_oidc.client_id, fake_oidc.client_secret)
    return await make_service(
        DATABASE_URL=database_url,
        now=clock,
        GOOGLE_KEY=fake_oidc.client_id,
        GOOGLE_SECRET=fake_oidc.client_secret,
        TORNADO_AUTH_GOOGLE_ISSUER=fake_oidc.url,
        **corp,
    )


def callback_at(service: Service, path: str, parameters: dict[str, str]) -> str:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"{service.url}{path}?{query}"


async def begin(person: Person, fake_oidc: FakeOIDC, name: str) -> dict[str, str]:
    """Start at a provider, and return with what it would send to the callback."""
    person.browser.stop_at = (fake_oidc.url,)
    await person.begin(name)
    return fake_oidc.approve(person.browser.url)


# S092
@pytest.mark.parametrize(
    ("name", "path"),
    [("google", f"{CALLBACK}/corp"), ("corp", CALLBACK), ("corp", f"{CALLBACK}/x")],
)
@no_matter_which_store
async def test_an_answer_at_another_providers_callback_sends_no_code_anywhere(
    two_issuers: Service,
    fake_oidc: FakeOIDC,
    make_person: MakePerson,
    name: str,
    path: str,
) -> None:
    ann = make_person(two_issuers)
    parameters = await begin(ann, fake_oidc, name)
    await ann.browser.get(callback_at(two_issuers, path, parameters))
    assert ann.sees_error(400, "invalid_state")
    assert fake_oidc.requests_to("/token") == []
    assert await nobody_came_in(two_issuers)


# S092
@pytest.mark.parametrize(
    "bend",
    [
        lambda url: {"iss": "https://evil.example"},
        lambda url: {"iss": url + "/"},
        lambda url: {"iss": ""},
        lambda url: {"iss": None},
    ],
    ids=["foreign", "almost", "empty", "missing"],
)
@no_matter_which_store
async def test_an_answer_without_the_right_iss_sends_no_code_anywhere(
    two_issuers: Service,
    fake_oidc: FakeOIDC,
    make_person: MakePerson,
    bend: Callable[[str], dict[str, str | None]],
) -> None:
    ann = make_person(two_issuers)
    parameters = {**await begin(ann, fake_oidc, "corp"), **bend(fake_oidc.url)}
    sent = {name: value for name, value in parameters.items() if value is not None}
    callback = callback_at(two_issuers, f"{CALLBACK}/corp", sent)
    await ann.browser.get(callback)
    assert ann.sees_error(502, "upstream_error")
    assert fake_oidc.requests_to("/token") == []
    assert await nobody_came_in(two_issuers)
    # The state is spent: what the attacker did not get now, nobody gets later.
    right = {**sent, "iss": fake_oidc.url}
    await ann.browser.get(callback_at(two_issuers, f"{CALLBACK}/corp", right))
    assert ann.sees_error(400, "invalid_state")


# S091
@no_matter_which_store
async def test_each_provider_is_asked_with_state_challenge_and_nonce(
    two_issuers: Service, fake_oidc: FakeOIDC, make_person: MakePerson
) -> None:
    ann = make_person(two_issuers)
    seen = []
    for name in ("google", "corp", "corp"):
        await begin(ann, fake_oidc, name)
        request = query_of(ann.browser.url)
        assert request["code_challenge_method"] == "S256"
        seen += [request["state"], request["code_challenge"], request["nonce"]]
    assert len(set(seen)) == 9
    assert min(map(len, seen)) >= 43


# D8
async def test_a_visitor_who_only_looks_leaves_nothing_in_the_store(ann: Person) -> None:
    spent_states = ann.service.server.storage.spent_states
    before = await spent_states.find()  # the start leaves one, for the signing key
    for _ in range(3):
        await ann.begin("github")
    assert await spent_states.find() == before
    assert await nobody_came_in(ann.service)
