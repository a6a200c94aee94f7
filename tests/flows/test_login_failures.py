"""A login provider that says no, nothing, or something else: an error page, and nobody comes in."""

import asyncio
from urllib.parse import quote

import pytest

from tests.flows.fixtures import MakePerson, Said, no_matter_which_store
from tests.flows.journeys import (
    CALLBACK,
    Person,
    corp_at,
    github_at,
    google_at,
    nobody_came_in,
)
from tests.providers.fake_oidc import FakeOIDC
from tests.providers.fakes import Answer, FakeGitHub, json_answer
from tests.providers.fixtures import OIDCProvider
from tests.service import Service, ServiceFactory

TOKEN, USER, EMAILS = "/login/oauth/access_token", "/api/v3/user", "/api/v3/user/emails"
REFLECTED = "theirs-and-not-to-be-shown"

BAD_ANSWERS = {
    "a server error": Answer(500, f'{{"error": "{REFLECTED}"}}'.encode()),
    "silence": Answer(hang=True),
    "a page": Answer(200, f"<html>{REFLECTED}</html>".encode()),
    "10 MB": Answer(200, REFLECTED.encode() * 400_000),
    "an error with status 200": json_answer({"error": REFLECTED, "access_token": "x"}),
    "an empty object": json_answer({}),
}


@pytest.fixture
async def service(
    make_service: ServiceFactory, database_url: str, fake_github: FakeGitHub
) -> Service:
    settings = github_at(fake_github, TORNADO_AUTH_UPSTREAM_TIMEOUT="0.3")
    return await make_service(DATABASE_URL=database_url, **settings)


@pytest.fixture
def ann(service: Service, make_person: MakePerson) -> Person:
    return make_person(service)


async def assert_kept_out(person: Person, callback: str, said: Said) -> None:
    """Nobody is in, nothing of the provider's answer is told, and the attempt is over."""
    assert person.token == ""
    assert await nobody_came_in(person.service)
    assert REFLECTED not in person.browser.text + str(person.browser.headers) + said()
    assert person.attempts == []
    await person.browser.get(callback)
    assert person.sees_error(400, "invalid_state")


# S098 D25 D26 D27
@pytest.mark.parametrize("path", [TOKEN, USER])
async def test_a_bad_answer_of_the_provider_is_an_error_page(
    ann: Person, fake_github: FakeGitHub, said: Said, path: str
) -> None:
    for number, (kind, answer) in enumerate(BAD_ANSWERS.items(), 1):
        fake_github.answers[path] = answer
        callback = await ann.callback("github", "octo")
        async with asyncio.timeout(3):
            await ann.browser.get(callback)
        assert ann.sees_error(502, "upstream_error"), kind
        await assert_kept_out(ann, callback, said)
        assert len(fake_github.requests_to(TOKEN)) == number, kind
    # The next attempt, at a provider in its right mind, works.
    fake_github.answers.clear()
    await ann.sign_in("github", "octo")
    assert ann.sees_account()


# S098 D27
async def test_who_cancels_at_the_provider_is_told_so(
    ann: Person, fake_github: FakeGitHub, said: Said
) -> None:
    await ann.begin("github")
    await ann.browser.submit(authorize="0")
    assert ann.sees_error(403, "access_denied")
    assert "The sign-in was cancelled at GitHub." in ann.browser.text
    assert "The user has denied" not in ann.browser.text
    assert fake_github.requests_to(TOKEN) == []
    await assert_kept_out(ann, ann.browser.history[-1], said)


# S098
async def test_who_cancels_at_a_provider_of_others_is_told_so(
    make_service: ServiceFactory,
    database_url: str,
    oidc_provider: OIDCProvider,
    make_person: MakePerson,
    said: Said,
) -> None:
    ann = make_person(await make_service(DATABASE_URL=database_url, **google_at(oidc_provider)))
    await ann.begin("google")
    await ann.browser.get(f"{ann.browser.url}/abort")
    assert ann.sees_error(403, "access_denied")
    assert "The sign-in was cancelled at Google." in ann.browser.text
    await assert_kept_out(ann, ann.browser.history[-1], said)


# S098
@no_matter_which_store
async def test_what_a_callback_reports_is_not_shown(
    ann: Person, fake_github: FakeGitHub, said: Said
) -> None:
    for error in ("server_error", "<script>alert(1)</script>", REFLECTED, ""):
        callback = (await ann.callback("github", "octo")).replace("code=", "error_uri=")
        callback += f"&error={quote(error)}&error_description={REFLECTED}"
        await ann.browser.get(callback)
        assert ann.sees_error(502, "upstream_error"), error
        assert "alert(1)" not in ann.browser.text
        assert fake_github.requests_to(TOKEN) == []
        await assert_kept_out(ann, callback, said)


# S098
@no_matter_which_store
async def test_a_code_that_is_no_code_is_not_sent(
    ann: Person, fake_github: FakeGitHub, said: Said
) -> None:
    for code in ("", "x" * 3000, "two words", "\u00fc"):
        await ann.callback("github", "octo")
        state = ann.browser.url.partition("state=")[2]
        callback = f"{ann.service.url}{CALLBACK}?code={quote(code)}&state={state}"
        await ann.browser.get(callback)
        assert ann.sees_error(502, "upstream_error"), code
        assert fake_github.requests_to(TOKEN) == []
        await assert_kept_out(ann, callback, said)


# S098 D25
@no_matter_which_store
async def test_an_issuer_that_is_down_is_an_error_page_before_anybody_leaves(
    make_service: ServiceFactory,
    database_url: str,
    fake_oidc: FakeOIDC,
    make_person: MakePerson,
    said: Said,
) -> None:
    corp = corp_at(fake_oidc.url, fake_oidc.client_id, fake_oidc.client_secret)
    service = await make_service(
        DATABASE_URL=database_url, TORNADO_AUTH_UPSTREAM_TIMEOUT="0.3", **corp
    )
    configuration = "/.well-known/openid-configuration"
    fake_oidc.answers[configuration] = Answer(200, f"<b>{REFLECTED}</b>".encode())
    ann = make_person(service)
    await ann.begin("corp")
    assert ann.sees_error(502, "upstream_error")
    assert REFLECTED not in ann.browser.text + said()
    # No cookie stays behind for an attempt that never began.
    assert ann.attempts == []
    assert await nobody_came_in(service)


# S098
@no_matter_which_store
async def test_a_slow_provider_holds_nobody_else_up(
    ann: Person, make_person: MakePerson, fake_github: FakeGitHub
) -> None:
    fake_github.answers[USER] = Answer(hang=True)
    callback = await ann.callback("github", "octo")
    waiting = asyncio.ensure_future(ann.browser.get(callback))
    await fake_github.arrived(4)  # authorize twice, token, user
    async with asyncio.timeout(0.25):
        assert (await ann.service.json("/auth/check"))["authenticated"] is False
    assert not waiting.done()
    await waiting
    assert ann.sees_error(502, "upstream_error")


# S097 D19
async def test_nothing_that_the_provider_gave_is_kept_or_logged(
    ann: Person, fake_github: FakeGitHub, said: Said
) -> None:
    await ann.sign_in("github", "octo")
    assert ann.sees_account()
    (upstream_token,) = fake_github.tokens
    storage = ann.service.server.storage
    collections = (storage.users, storage.identities, storage.sessions, storage.spent_states)
    stored = repr([await collection.find() for collection in collections])
    assert "octo@example.org" in stored
    text = said()
    for secret in (upstream_token, fake_github.client_secret, ann.token, "octo@example.org"):
        assert secret not in text
    for secret in (upstream_token, fake_github.client_secret, ann.token):
        assert secret not in stored
    callback = next(url for url in ann.browser.history if CALLBACK in url)
    for parameter in callback.partition("?")[2].split("&"):
        assert parameter.partition("=")[2] not in text + stored
    assert "\naudit {" in text
