"""GitHub: the mixin, the provider, and what GitHub may say that must not be believed."""

import logging
import secrets
from collections.abc import AsyncIterator

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.browserless import Browser
from tests.providers.fakes import Answer, FakeGitHub, json_answer, query_of, s256
from tornado_auth.errors import LoginRefused, LoginStateInvalid, UpstreamError
from tornado_auth.models import AssertedIdentity
from tornado_auth.oauth_mixins import GitHubOAuth2Mixin, GitHubProvider
from tornado_auth.upstream.http import Registration, code_challenge

REDIRECT_URI = "https://auth.example/auth/oauth_callback"
TOKEN, USER, EMAILS = "/login/oauth/access_token", "/api/v3/user", "/api/v3/user/emails"


def provider_for(fake: FakeGitHub, **options) -> GitHubProvider:
    registration = Registration(
        client_id=fake.client_id,
        client_secret=fake.client_secret,
        redirect_uri=REDIRECT_URI,
        timeout=0.5,
    )
    options = {"url": fake.url, "api_url": fake.api_url, **options}
    return GitHubProvider(registration=registration, **options)


@pytest.fixture
async def github(fake_github: FakeGitHub) -> AsyncIterator[GitHubProvider]:
    provider = provider_for(fake_github)
    yield provider
    await provider.close()


async def sign_in(provider, fake, attempt) -> AssertedIdentity:
    attempt = attempt("github")
    parameters = fake.approve(await provider.authorization_url(attempt))
    return await provider.fetch_identity(attempt, parameters)


# S091
async def test_the_browser_is_sent_with_state_and_an_s256_challenge(github, fake_github, attempt):
    attempt = attempt("github")
    url = await github.authorization_url(attempt)
    assert url.startswith(f"{fake_github.url}/login/oauth/authorize?")
    assert query_of(url) == {
        "response_type": "code",
        "client_id": fake_github.client_id,
        "redirect_uri": REDIRECT_URI,
        "scope": "user:email",
        "state": attempt.state,
        "code_challenge": s256(attempt.code_verifier),
        "code_challenge_method": "S256",
    }
    assert github.callback_path == "/auth/oauth_callback"


# D3
async def test_the_identity_is_the_numeric_id_and_the_verified_primary_address(
    github, fake_github, attempt
):
    assert await sign_in(github, fake_github, attempt) == AssertedIdentity(
        provider="github",
        subject="583231",
        username="Octo-Cat",
        email="octo@example.org",
        avatar_url="https://avatars.example/u/1",
    )


# D3
@pytest.mark.parametrize(
    ("emails", "expected"),
    [
        ([{"email": "a@example.org", "primary": True, "verified": False}], ""),
        ([{"email": "a@example.org", "primary": True, "verified": "true"}], ""),
        ([{"email": "a@example.org", "primary": True}], ""),
        ([{"email": "a@example.org", "verified": True}], "a@example.org"),
        (
            [
                {"email": "a@example.org", "primary": True, "verified": False},
                {"email": "b@example.org", "primary": False, "verified": True},
            ],
            "b@example.org",
        ),
        ([], ""),
        (["a@example.org", None, 7, {"email": 7, "verified": True}], ""),
    ],
)
async def test_only_a_verified_address_counts(github, fake_github, attempt, emails, expected):
    fake_github.users["octo"].emails = emails
    fake_github.users["octo"].email = "public@example.org"
    assert (await sign_in(github, fake_github, attempt)).email == expected


# D26
async def test_a_sign_in_needs_nothing_but_the_id(github, fake_github, attempt):
    fake_github.answers[USER] = json_answer(
        {"id": 7, "login": ["x"], "name": 5, "avatar_url": {}, "email": None}
    )
    fake_github.answers[EMAILS] = json_answer({"message": "Not Found"}, 404)
    identity = await sign_in(github, fake_github, attempt)
    assert identity == AssertedIdentity(provider="github", subject="7")


# S098 D25 D26
@pytest.mark.parametrize("identifier", [None, "583231", True, 0, -1, 1.5, [], 1 << 70])
async def test_without_a_numeric_id_nobody_is_signed_in(github, fake_github, attempt, identifier):
    fake_github.answers[USER] = json_answer({"id": identifier, "login": "octo"})
    with pytest.raises(UpstreamError):
        await sign_in(github, fake_github, attempt)


BAD_ANSWERS = {
    "a server error": Answer(500, b'{"id": 1, "access_token": "x"}'),
    "a page": Answer(200, b"<html>secret-of-github</html>"),
    "nothing": Answer(200, b""),
    "a number": Answer(200, b"1"),
    "a text": Answer(200, b'"text"'),
    "null": Answer(200, b"null"),
    "an empty object": Answer(200, b"{}"),
    "an error": json_answer({"error": "bad_verification_code", "access_token": "x"}),
    "deep nesting": Answer(200, b"[" * 100_000),
    "no UTF-8": Answer(200, b'{"id": "\xff"}'),
    "a redirect": Answer(302, b"", {"Location": "http://127.0.0.1:1/"}),
    "no permission": Answer(401, b"{}"),
    "10 MB": Answer(200, b" " * 10_000_000),
    "10 MB without a length": Answer(200, b" " * 10_000_000, chunked=True),
    "silence": Answer(hang=True),
}


# S098 D25
@pytest.mark.parametrize("path", [TOKEN, USER, EMAILS])
@pytest.mark.parametrize("kind", BAD_ANSWERS)
async def test_a_bad_answer_signs_nobody_in_and_shows_nothing(
    github, fake_github, attempt, caplog, path, kind
):
    fake_github.answers[path] = BAD_ANSWERS[kind]
    with pytest.raises(UpstreamError) as error, caplog.at_level(logging.DEBUG):
        await sign_in(github, fake_github, attempt)
    assert "login provider" in str(error.value)
    assert len(fake_github.requests_to(TOKEN)) == 1
    [record] = [record for record in caplog.records if record.message == "upstream_error"]
    assert record.provider == "github"
    assert record.reason
    assert "secret-of-github" not in caplog.text + str(error.value)


# S098
async def test_the_code_is_sent_once_even_if_the_answer_is_lost(github, fake_github, attempt):
    fake_github.answers[TOKEN] = Answer(503)
    with pytest.raises(UpstreamError):
        await sign_in(github, fake_github, attempt)
    assert len(fake_github.requests_to(TOKEN)) == 1


# D25
async def test_a_question_to_the_api_is_asked_again_after_a_hiccup(github, fake_github, attempt):
    fake_github.answers[USER] = Answer(502, times=1)
    assert (await sign_in(github, fake_github, attempt)).subject == "583231"
    assert len(fake_github.requests_to(USER)) == 2


# S098 D25
async def test_a_provider_that_is_gone_is_an_upstream_error(github, fake_github, attempt):
    attempt = attempt("github")
    parameters = fake_github.approve(await github.authorization_url(attempt))
    await fake_github.stop()
    with pytest.raises(UpstreamError):
        await github.fetch_identity(attempt, parameters)


# S097
async def test_the_access_token_travels_in_a_header_only(github, fake_github, attempt, caplog):
    with caplog.at_level(logging.DEBUG):
        await sign_in(github, fake_github, attempt)
    [token] = fake_github.tokens
    sent = [request.headers.get("Authorization") for request in fake_github.requests]
    assert sent == [None, f"Bearer {token}", f"Bearer {token}"]
    assert all("?" not in request.uri for request in fake_github.requests)
    assert token not in caplog.text


# S098
@pytest.mark.parametrize("token", ["", 5, None, "two words", "line\r\nX-Evil: 1", "x" * 9000])
async def test_a_token_that_is_no_token_is_never_sent(github, fake_github, attempt, token):
    fake_github.answers[TOKEN] = json_answer({"access_token": token, "token_type": "bearer"})
    with pytest.raises(UpstreamError):
        await sign_in(github, fake_github, attempt)
    assert fake_github.requests_to(USER) == []


@pytest.mark.parametrize("kind", ["mac", 7, None])
async def test_a_token_of_another_type_is_refused(github, fake_github, attempt, kind):
    fake_github.answers[TOKEN] = json_answer({"access_token": "x", "token_type": kind})
    with pytest.raises(UpstreamError):
        await sign_in(github, fake_github, attempt)
    assert fake_github.requests_to(USER) == []


# S091
async def test_a_code_of_another_attempt_is_refused(github, fake_github, attempt):
    mine, other = attempt("github"), attempt("github")
    stolen = fake_github.approve(await github.authorization_url(other))
    with pytest.raises(UpstreamError):
        await github.fetch_identity(mine, {"code": stolen["code"], "state": mine.state})


# S092
async def test_an_answer_with_another_state_or_for_another_provider_sends_no_code(
    github, fake_github, attempt
):
    mine, other = attempt("github"), attempt("google")
    parameters = fake_github.approve(await github.authorization_url(mine))
    for wrong in (
        (mine, {**parameters, "state": "x"}),
        (mine, {"code": parameters["code"]}),
        (other, {**parameters, "state": other.state}),
    ):
        with pytest.raises(LoginStateInvalid):
            await github.fetch_identity(*wrong)
    assert fake_github.requests == []


# S092
@pytest.mark.parametrize("iss", ["https://evil.example", "", "https://github.com/login/oauth/"])
async def test_the_name_of_another_issuer_stops_the_sign_in(github, fake_github, attempt, iss):
    attempt = attempt("github")
    parameters = fake_github.approve(await github.authorization_url(attempt))
    for answer in (
        {**parameters, "iss": iss},
        {"error": "access_denied", **parameters, "iss": iss},
    ):
        with pytest.raises(UpstreamError):
            await github.fetch_identity(attempt, answer)
    assert fake_github.requests == []


# S092
async def test_its_own_issuer_name_is_accepted(github, fake_github, attempt):
    attempt = attempt("github")
    parameters = fake_github.approve(await github.authorization_url(attempt))
    parameters["iss"] = f"{fake_github.url}/login/oauth"
    assert (await github.fetch_identity(attempt, parameters)).subject == "583231"


# S098
@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        ("access_denied", LoginRefused, None),
        ("server_error", UpstreamError, "server_error"),
        ("<script>alert(1)</script>", UpstreamError, "unknown_error"),
        ("", UpstreamError, "unknown_error"),
    ],
)
async def test_an_error_at_the_provider_is_told_in_our_words(
    github, fake_github, attempt, caplog, error, kind, reason
):
    attempt = attempt("github")
    answer = {"error": error, "error_description": "<b>text of theirs</b>", "state": attempt.state}
    with pytest.raises(kind) as raised:
        await github.fetch_identity(attempt, answer)
    assert "theirs" not in str(raised.value) + caplog.text
    assert "script" not in str(raised.value) + caplog.text
    assert [getattr(record, "reason", None) for record in caplog.records] == [reason] * bool(reason)
    assert fake_github.requests == []


@pytest.mark.parametrize("code", [None, "", "x" * 3000, "a b", "ünicode", "a\nb"])
async def test_what_cannot_be_a_code_is_not_sent(github, fake_github, attempt, code):
    attempt = attempt("github")
    answer = {"state": attempt.state} | ({} if code is None else {"code": code})
    with pytest.raises(UpstreamError):
        await github.fetch_identity(attempt, answer)
    assert fake_github.requests == []


class TestOrganizations:
    @pytest.fixture
    async def github(self, fake_github: FakeGitHub) -> AsyncIterator[GitHubProvider]:
        provider = provider_for(fake_github, organizations=("other/../org", "the-guild"))
        yield provider
        await provider.close()

    # S096
    async def test_an_active_member_of_one_of_them_passes(self, github, fake_github, attempt):
        assert (await sign_in(github, fake_github, attempt)).subject == "583231"
        assert fake_github.requests[-1].path == "/api/v3/user/memberships/orgs/the-guild"

    # S096
    async def test_the_scope_to_ask_is_requested(self, github, attempt):
        url = await github.authorization_url(attempt("github"))
        assert query_of(url)["scope"] == "user:email read:org"

    # S096
    @pytest.mark.parametrize("state", ["pending", "", None, True])
    async def test_who_is_no_active_member_is_refused(self, github, fake_github, attempt, state):
        fake_github.users["octo"].organizations = {"the-guild": state}
        with pytest.raises(LoginRefused):
            await sign_in(github, fake_github, attempt)

    # S096
    async def test_a_stranger_is_refused(self, github, fake_github, attempt):
        fake_github.users["octo"].organizations = {}
        with pytest.raises(LoginRefused):
            await sign_in(github, fake_github, attempt)

    # S096
    async def test_an_organization_that_blocks_the_question_refuses(
        self, github, fake_github, attempt
    ):
        path = "/api/v3/user/memberships/orgs/the-guild"
        fake_github.answers[path] = json_answer({"message": "SAML", "state": "active"}, 403)
        with pytest.raises(LoginRefused):
            await sign_in(github, fake_github, attempt)

    # S096
    @pytest.mark.parametrize("kind", ["a server error", "a page", "null", "a redirect", "silence"])
    async def test_no_answer_is_no_membership(self, github, fake_github, attempt, kind):
        fake_github.answers["/api/v3/user/memberships/orgs/the-guild"] = BAD_ANSWERS[kind]
        with pytest.raises(UpstreamError):
            await sign_in(github, fake_github, attempt)


class _MixinHandler(RequestHandler, GitHubOAuth2Mixin):
    """A handler as somebody would write it who knows Tornado's own mixins."""

    def initialize(self, fake: FakeGitHub, attempts: dict[str, str]) -> None:
        self.fake, self.attempts = fake, attempts
        self._OAUTH_AUTHORIZE_URL = f"{fake.url}/login/oauth/authorize"
        self._OAUTH_ACCESS_TOKEN_URL = f"{fake.url}/login/oauth/access_token"
        self._OAUTH_USER_URL = f"{fake.api_url}/user"

    async def get(self) -> None:
        own = f"http://{self.request.host}/login"
        code = self.get_query_argument("code", "")
        if not code:
            state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
            self.attempts[state] = verifier
            self.authorize_redirect(
                redirect_uri=own,
                client_id=self.fake.client_id,
                scope=["user:email"],
                extra_params={
                    "state": state,
                    "code_challenge": code_challenge(verifier),
                    "code_challenge_method": "S256",
                },
            )
            return
        user = await self.get_authenticated_user(
            own,
            code,
            client_id=self.fake.client_id,
            client_secret=self.fake.client_secret,
            code_verifier=self.attempts.pop(self.get_query_argument("state")),
        )
        again = await self.oauth2_request(self._OAUTH_USER_URL, user["access_token"], page=1)
        self.finish({"login": again["login"], "emails": user["verified_emails"]})


# S097
async def test_the_mixin_signs_in_from_an_ordinary_tornado_handler(fake_github):
    application = Application([("/login", _MixinHandler, {"fake": fake_github, "attempts": {}})])
    server, (socket, port) = HTTPServer(application), bind_unused_port()
    server.add_socket(socket)
    browser = Browser()
    await browser.get(f"http://127.0.0.1:{port}/login")
    await browser.submit(login="octo")
    assert browser.status == 200
    assert '"login": "Octo-Cat"' in browser.text
    assert '["octo@example.org", "second@example.org"]' in browser.text
    assert all("access_token=" not in request.uri for request in fake_github.requests)
    assert fake_github.requests[-1].uri == f"{USER}?page=1"
    browser.close()
    server.stop()
