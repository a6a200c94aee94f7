"""The configuration and the keys of an issuer: what is refused, and how often one asks."""

import asyncio
import secrets

import pytest

from tests.providers.fake_oidc import jwk, rsa_key
from tests.providers.fakes import Answer, json_answer
from tests.providers.sign_in import (
    CONFIGURATION,
    refusal_reason,
    sign_in,
)
from tornado_auth.errors import UpstreamError


# S099
@pytest.mark.parametrize(
    "lie",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"issuer": 5},
        {"authorization_endpoint": "http://login.example/auth"},
        {"authorization_endpoint": None},
        {"token_endpoint": "http://login.example/token"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"token_endpoint": ["https://login.example/token"]},
        {"userinfo_endpoint": "//login.example/me"},
        {"userinfo_endpoint": "https://user@login.example/me"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
    ],
    ids=str,
)
async def test_a_configuration_that_cannot_be_right_is_refused(corp, fake_oidc, attempt, lie):
    fake_oidc.metadata = lie
    with pytest.raises(UpstreamError):
        await corp.authorization_url(attempt("corp"))


# S099
async def test_the_configuration_is_fetched_once_for_many_and_again_after_an_hour(
    corp, fake_oidc, attempt, clock
):
    await asyncio.gather(*(corp.authorization_url(attempt("corp")) for _ in range(50)))
    assert len(fake_oidc.requests_to(CONFIGURATION)) == 1
    clock.advance(3599)
    await corp.authorization_url(attempt("corp"))
    assert len(fake_oidc.requests_to(CONFIGURATION)) == 1
    clock.advance(1)
    await corp.authorization_url(attempt("corp"))
    assert len(fake_oidc.requests_to(CONFIGURATION)) == 2


# S099
async def test_after_a_failure_the_provider_is_left_alone_for_a_while(
    corp, fake_oidc, attempt, clock
):
    fake_oidc.answers[CONFIGURATION] = Answer(404)
    for _ in range(20):
        with pytest.raises(UpstreamError):
            await corp.authorization_url(attempt("corp"))
    assert len(fake_oidc.requests_to(CONFIGURATION)) == 1
    del fake_oidc.answers[CONFIGURATION]
    clock.advance(10)
    assert await corp.authorization_url(attempt("corp"))


# S099
async def test_while_a_refresh_fails_the_last_good_configuration_serves(
    corp, fake_oidc, attempt, clock
):
    await corp.authorization_url(attempt("corp"))
    clock.advance(3600)
    fake_oidc.answers[CONFIGURATION] = Answer(404)
    for _ in range(5):
        assert await corp.authorization_url(attempt("corp"))
    assert len(fake_oidc.requests_to(CONFIGURATION)) == 2


# S099
async def test_a_browser_that_goes_away_takes_the_configuration_from_nobody(
    corp, fake_oidc, attempt
):
    first = asyncio.ensure_future(corp.authorization_url(attempt("corp")))
    second = asyncio.ensure_future(corp.authorization_url(attempt("corp")))
    await asyncio.sleep(0)
    first.cancel()
    assert "nonce=" in await second
    assert len(fake_oidc.requests_to(CONFIGURATION)) == 1


# S099
async def test_a_thousand_random_kids_cause_one_fetch_of_the_keys(
    corp, fake_oidc, attempt, caplog, clock
):
    keys = corp._relying_party._key_set(f"{fake_oidc.url}/jwks")
    for _ in range(1000):
        assert await keys.key(secrets.token_hex(8), "RS256") is None
    assert len(fake_oidc.requests_to("/jwks")) == 1
    fake_oidc.sign = fake_oidc.signed_by(rsa_key("foreign"), kid="new")
    assert await refusal_reason(corp, fake_oidc, attempt, caplog) == "id_token_key"
    assert len(fake_oidc.requests_to("/jwks")) == 1
    clock.advance(60)
    fake_oidc.keys.append(jwk(rsa_key("foreign"), kid="new"))
    assert (await sign_in(corp, fake_oidc, attempt)).subject == "1001"
    assert len(fake_oidc.requests_to("/jwks")) == 2


# S099
async def test_keys_at_a_new_address_are_fetched_from_there(corp, fake_oidc, attempt, clock):
    await sign_in(corp, fake_oidc, attempt)
    clock.advance(3600)
    fake_oidc.metadata["jwks_uri"] = f"{fake_oidc.url}/moved"
    fake_oidc.answers["/moved"] = json_answer({"keys": [jwk(rsa_key("foreign"), kid="k1")]})
    fake_oidc.sign = fake_oidc.signed_by(rsa_key("foreign"), kid="k1")
    assert (await sign_in(corp, fake_oidc, attempt)).subject == "1001"
