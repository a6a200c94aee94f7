"""A whole sign-in at OpenID providers that somebody else wrote, forms and all."""

import time

import pytest

from tests.browserless import Browser
from tests.providers.fakes import query_of
from tests.providers.fixtures import OIDCProvider
from tornado_auth.errors import LoginRefused, UpstreamError
from tornado_auth.models import AssertedIdentity
from tornado_auth.oauth_mixins import GoogleProvider, OpenIDConnectProvider
from tornado_auth.upstream.http import Registration


def now() -> int:
    return int(time.time())


def registration_at(oidc_provider: OIDCProvider, path: str) -> Registration:
    return Registration(
        client_id=oidc_provider.client_id,
        client_secret=oidc_provider.client_secret,
        redirect_uri=f"http://127.0.0.1:4711{path}",
    )


def google_at(oidc_provider: OIDCProvider, **options) -> GoogleProvider:
    registration = registration_at(oidc_provider, "/auth/oauth_callback")
    return GoogleProvider(
        registration=registration, now=now, issuer=oidc_provider.issuer, **options
    )


async def come_back(url: str, login: str) -> dict[str, str]:
    """Sign in and consent at the provider, and return what the callback would be told."""
    browser = Browser(stop_at=("http://127.0.0.1:4711/",))
    await browser.get(url)
    await browser.submit(login=login, password="anything")
    await browser.submit()
    browser.close()
    assert browser.url.startswith("http://127.0.0.1:4711/auth/oauth_callback")
    return query_of(browser.url)


# S091 S093
async def test_a_google_like_provider_signs_in(oidc_provider, attempt):
    google = google_at(oidc_provider, hosted_domains=("example.org",))
    attempt = attempt("google", now())
    parameters = await come_back(await google.authorization_url(attempt), "1001")
    assert parameters["iss"] == oidc_provider.issuer
    assert await google.fetch_identity(attempt, parameters) == AssertedIdentity(
        provider="google",
        subject="1001",
        username="ann",
        name="Ann Example",
        email="ann@example.org",
        avatar_url="https://pictures.example/ann.png",
        groups=(),
    )
    # S098: the same callback once more
    with pytest.raises(UpstreamError):
        await google.fetch_identity(attempt, parameters)
    await google.close()


# S096 D3
async def test_an_account_without_domain_and_verified_address_is_kept_out_or_nameless(
    oidc_provider, attempt
):
    strict = google_at(oidc_provider, hosted_domains=("example.org",))
    first = attempt("google", now())
    parameters = await come_back(await strict.authorization_url(first), "1002")
    with pytest.raises(LoginRefused):
        await strict.fetch_identity(first, parameters)
    google, second = google_at(oidc_provider), attempt("google", now())
    parameters = await come_back(await google.authorization_url(second), "1002")
    identity = await google.fetch_identity(second, parameters)
    assert (identity.email, identity.username) == ("", "bobby")
    await strict.close()
    await google.close()


async def test_a_provider_that_takes_client_secret_post_signs_in(oidc_provider, attempt):
    corp = OpenIDConnectProvider(
        "corp",
        "Corp",
        issuer=oidc_provider.post_issuer,
        registration=registration_at(oidc_provider, "/auth/oauth_callback/corp"),
        now=now,
    )
    attempt = attempt("corp", now())
    parameters = await come_back(await corp.authorization_url(attempt), "1001")
    assert (await corp.fetch_identity(attempt, parameters)).id == "corp:1001"
    await corp.close()


# S091
async def test_the_provider_refuses_a_code_with_another_verifier(oidc_provider, attempt):
    google = google_at(oidc_provider)
    mine, other = attempt("google", now()), attempt("google", now())
    stolen = await come_back(await google.authorization_url(other), "1001")
    with pytest.raises(UpstreamError):
        await google.fetch_identity(mine, {**stolen, "state": mine.state})
    await google.close()


# S098
async def test_who_cancels_at_the_provider_is_not_signed_in(oidc_provider, attempt):
    google = google_at(oidc_provider)
    attempt = attempt("google", now())
    browser = Browser(stop_at=("http://127.0.0.1:4711/",))
    await browser.get(await google.authorization_url(attempt))
    await browser.get(f"{browser.url}/abort")
    browser.close()
    with pytest.raises(LoginRefused) as refused:
        await google.fetch_identity(attempt, query_of(browser.url))
    assert str(refused.value) == "The sign-in was cancelled at Google."
    await google.close()
