"""What the tests of login providers share, beside the catalogue in tests/conftest.py.

attempt         makes a LoginAttempt that starts now
corp            an OpenIDConnectProvider whose issuer is `fake_oidc`
"""

import secrets
from collections.abc import AsyncIterator, Callable

import pytest

from tests.providers.fake_oidc import FakeOIDC
from tests.providers.sign_in import registration_for
from tornado_auth.models import LoginAttempt
from tornado_auth.oauth_mixins import OpenIDConnectProvider


@pytest.fixture
def attempt(clock: Callable[[], int]) -> Callable[[str], LoginAttempt]:
    def start(provider: str, started_at: int | None = None) -> LoginAttempt:
        return LoginAttempt(
            provider=provider,
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            code_verifier=secrets.token_urlsafe(48),
            started_at=clock() if started_at is None else started_at,
        )

    return start


@pytest.fixture
async def corp(fake_oidc: FakeOIDC, clock) -> AsyncIterator[OpenIDConnectProvider]:
    provider = OpenIDConnectProvider(
        "corp",
        "The Corporation",
        issuer=fake_oidc.url,
        registration=registration_for(fake_oidc),
        now=clock,
        scopes=("email", "groups"),
    )
    yield provider
    await provider.close()
