"""OpenID Connect: what is sent, what is believed, and what happens when answers are bad."""

import logging

import pytest

from tests.providers.fakes import query_of, s256
from tests.providers.sign_in import (
    BAD_ANSWERS,
    CONFIGURATION,
    REDIRECT_URI,
    sign_in,
)
from tornado_auth.errors import UpstreamError
from tornado_auth.models import AssertedIdentity


# S091
async def test_the_browser_is_sent_with_state_challenge_and_nonce(corp, fake_oidc, attempt):
    attempt = attempt("corp")
    url = await corp.authorization_url(attempt)
    assert url.startswith(f"{fake_oidc.url}/auth?audience=us&")
    assert query_of(url) == {
        "audience": "us",
        "response_type": "code",
        "client_id": fake_oidc.client_id,
        "redirect_uri": REDIRECT_URI,
        "scope": "openid email groups",
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": s256(attempt.code_verifier),
        "code_challenge_method": "S256",
    }
    assert corp.callback_path == "/auth/oauth_callback/corp"


async def test_an_honest_answer_signs_in(corp, fake_oidc, attempt):
    fake_oidc.claims = {"name": "Ann", "picture": "https://pictures.example/1", "amr": ["pwd", 7]}
    assert await sign_in(corp, fake_oidc, attempt) == AssertedIdentity(
        provider="corp",
        subject="1001",
        username="ann",
        name="Ann",
        email="ann@example.org",
        avatar_url="https://pictures.example/1",
        amr=("pwd",),
        groups=(),
    )


@pytest.mark.parametrize("methods", [["client_secret_post"], ["client_secret_basic"], None])
async def test_the_client_proves_itself_in_the_way_that_the_provider_takes(
    corp, fake_oidc, attempt, methods
):
    fake_oidc.metadata["token_endpoint_auth_methods_supported"] = methods
    assert (await sign_in(corp, fake_oidc, attempt)).subject == "1001"
    [request] = fake_oidc.requests_to("/token")
    assert ("client_secret" in request.form) is (methods == ["client_secret_post"])
    assert ("Authorization" in request.headers) is (methods != ["client_secret_post"])


# D3
@pytest.mark.parametrize("verified", [False, None, "true", 1, "false"])
@pytest.mark.parametrize("place", ["claims", "userinfo"])
async def test_an_address_counts_only_if_verified_is_true(
    corp, fake_oidc, attempt, verified, place
):
    fake_oidc.userinfo = {}
    setattr(fake_oidc, place, {"email": "victim@example.org", "email_verified": verified})
    identity = await sign_in(corp, fake_oidc, attempt)
    assert (identity.email, identity.username) == ("", "")


# D3
@pytest.mark.parametrize("place", ["claims", "userinfo"])
async def test_verified_of_one_answer_says_nothing_of_the_address_in_the_other(
    corp, fake_oidc, attempt, place
):
    fake_oidc.claims, fake_oidc.userinfo = {"email_verified": True}, {"email_verified": True}
    setattr(fake_oidc, place, {"email": "victim@example.org"})
    assert (await sign_in(corp, fake_oidc, attempt)).email == ""


# D26
async def test_a_sign_in_needs_nothing_but_the_subject(corp, fake_oidc, attempt):
    fake_oidc.userinfo = {
        "email": ["x"],
        "email_verified": True,
        "name": {},
        "picture": 5,
        "preferred_username": None,
    }
    fake_oidc.claims = {"amr": "pwd"}
    identity = await sign_in(corp, fake_oidc, attempt)
    assert identity == AssertedIdentity(provider="corp", subject="1001", groups=())


async def test_a_provider_without_userinfo_will_do(corp, fake_oidc, attempt):
    fake_oidc.metadata["userinfo_endpoint"] = None
    fake_oidc.claims = {"preferred_username": "ann.e@corp.example"}
    assert (await sign_in(corp, fake_oidc, attempt)).username == "ann.e"


# S097
async def test_the_access_token_travels_in_a_header_only(corp, fake_oidc, attempt, caplog):
    with caplog.at_level(logging.DEBUG):
        await sign_in(corp, fake_oidc, attempt)
    [token] = fake_oidc.tokens
    [request] = fake_oidc.requests_to("/me")
    assert request.headers["Authorization"] == f"Bearer {token}"
    assert all("?" not in request.uri for request in fake_oidc.requests)
    assert token not in caplog.text


# S092
@pytest.mark.parametrize("iss", [None, "https://evil.example", "http://127.0.0.1/"])
async def test_a_wrong_or_missing_iss_sends_no_code(corp, fake_oidc, attempt, iss):
    attempt = attempt("corp")
    parameters = fake_oidc.approve(await corp.authorization_url(attempt)) | {"iss": iss}
    answer = {name: value for name, value in parameters.items() if value is not None}
    with pytest.raises(UpstreamError):
        await corp.fetch_identity(attempt, answer)
    assert fake_oidc.requests_to("/token") == []


# S092
async def test_who_announces_no_iss_may_leave_it_out_but_not_lie(corp, fake_oidc, attempt):
    fake_oidc.metadata["authorization_response_iss_parameter_supported"] = None
    attempt = attempt("corp")
    parameters = fake_oidc.approve(await corp.authorization_url(attempt))
    with pytest.raises(UpstreamError):
        await corp.fetch_identity(attempt, {**parameters, "iss": "https://evil.example"})
    assert fake_oidc.requests_to("/token") == []
    del parameters["iss"]
    assert (await corp.fetch_identity(attempt, parameters)).subject == "1001"


# S098 D25
@pytest.mark.parametrize("path", ["/token", "/me", "/jwks", CONFIGURATION])
@pytest.mark.parametrize("kind", BAD_ANSWERS)
async def test_a_bad_answer_signs_nobody_in_and_shows_nothing(
    corp, fake_oidc, attempt, caplog, path, kind
):
    fake_oidc.answers[path] = BAD_ANSWERS[kind]
    with pytest.raises(UpstreamError) as error, caplog.at_level(logging.INFO):
        await sign_in(corp, fake_oidc, attempt)
    assert len(fake_oidc.requests_to("/token")) == (path != CONFIGURATION)
    assert "upstream_error" in caplog.text
    assert "secret-of-theirs" not in caplog.text + str(error.value)
