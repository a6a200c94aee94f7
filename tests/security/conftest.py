"""Everything in the package that verifies a token, for tests of tokens that nobody should sign.

verify   returns the claims of a token, None if it is refused; once per verifier
claims   claims that every one of them accepts
issuer   the server that publishes the key; it records who asks
"""

import asyncio

import pytest

from tests.issuer import Issuer, forge, private_pem
from tornado_auth.errors import InvalidToken
from tornado_auth.keys import KeySet
from tornado_auth.resource_server import RemoteKeySet, TokenRejected, TokenVerifier, Verifyer

NOW = 1_800_000_000
TYP = "permission+jwt"
AUDIENCE = "reports"

KEYS = KeySet.from_pem(private_pem())
HEADER = {"alg": "RS256", "kid": KEYS.kid, "typ": TYP}


@pytest.fixture(scope="module")
def issuer():
    issuer = Issuer()
    issuer.publish(KEYS)
    yield issuer
    issuer.close()


@pytest.fixture(scope="module")
def claims(issuer):
    return {
        "iss": issuer.url,
        "aud": AUDIENCE,
        "service": AUDIENCE,
        "userid": "u1",
        "iat": NOW,
        "exp": NOW + 300,
    }


@pytest.fixture(scope="module", params=["KeySet", "verify", "verify_sync", "Verifyer"])
def verify(request, issuer, claims):
    remote = RemoteKeySet(f"{issuer.url}/.well-known/jwks.json", max_age=1e9, cooldown=1e9)
    verifier = TokenVerifier(issuer.url, audience=AUDIENCE, keys=remote, now=lambda: NOW)
    verifyer = Verifyer(auth_endpoint=f"{issuer.url}/auth/", now=lambda: NOW, clock=lambda: 0)
    runner = asyncio.Runner()
    verify_by = {
        "KeySet": lambda token: KEYS.verify(
            token, typ=TYP, issuer=issuer.url, audience=AUDIENCE, now=NOW
        ),
        "verify": lambda token: runner.run(verifier.verify(token)),
        "verify_sync": verifier.verify_sync,
        "Verifyer": lambda token: verifyer.extract_permissions(token, service=AUDIENCE) or None,
    }[request.param]

    def verify(token):
        try:
            return verify_by(token)
        except (InvalidToken, TokenRejected):
            return None

    verify.name = request.param
    assert verify(forge(HEADER, claims, private_pem())) == claims  # and the keys are fetched by now
    yield verify
    runner.close()
