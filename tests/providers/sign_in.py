"""Sign in at the fake OpenID provider in one step, for several test modules."""

import logging

import pytest

from tests.providers.fake_oidc import FakeOIDC
from tests.providers.fakes import Answer
from tornado_auth.errors import UpstreamError
from tornado_auth.models import AssertedIdentity
from tornado_auth.upstream.http import Registration

REDIRECT_URI = "https://auth.example/auth/oauth_callback/corp"
CONFIGURATION = "/.well-known/openid-configuration"

BAD_ANSWERS = {
    "a server error": Answer(500, b"{}"),
    "a page": Answer(200, b"<html>secret-of-theirs</html>"),
    "a list": Answer(200, b"[]"),
    "an empty object": Answer(200, b"{}"),
    "a redirect": Answer(307, b"", {"Location": "http://127.0.0.1:1/"}),
    "10 MB": Answer(200, b" " * 10_000_000),
    "silence": Answer(hang=True),
}


def registration_for(fake: FakeOIDC) -> Registration:
    return Registration(
        client_id=fake.client_id,
        client_secret=fake.client_secret,
        redirect_uri=REDIRECT_URI,
        timeout=0.5,
    )


async def sign_in(provider, fake, attempt) -> AssertedIdentity:
    attempt = attempt(provider.name)
    parameters = fake.approve(await provider.authorization_url(attempt))
    return await provider.fetch_identity(attempt, parameters)


async def refusal_reason(provider, fake, attempt, caplog) -> str:
    caplog.clear()
    with pytest.raises(UpstreamError), caplog.at_level(logging.INFO):
        await sign_in(provider, fake, attempt)
    [record] = [record for record in caplog.records if record.message == "upstream_error"]
    return record.reason
