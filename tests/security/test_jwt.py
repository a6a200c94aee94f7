"""Tokens whose header or signature nobody should accept, against everything that verifies one."""

import hashlib
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives import serialization

from tests.issuer import base64url, forge, private_pem
from tests.security.conftest import AUDIENCE, HEADER, KEYS, NOW, TYP
from tornado_auth.errors import InvalidToken
from tornado_auth.keys import KeySet


def hmac_signed(algorithm, claims, secret):
    header = json.dumps(HEADER | {"alg": algorithm}).encode()
    signing_input = f"{base64url(header)}.{base64url(json.dumps(claims).encode())}"
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
    return f"{signing_input}.{base64url(hmac.new(secret, signing_input.encode(), digest).digest())}"


def public_key_spellings():
    pem = KEYS.public_pem()
    key = serialization.load_pem_public_key(pem.encode())
    jwk = KEYS.jwks()["keys"][0]
    return {
        "pem": pem.encode(),
        "pem without newline": pem.strip().encode(),
        "one-line pem": pem.replace("\n", "\\n").encode(),
        "der": key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        "pkcs1": key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
        "jwk": json.dumps(jwk).encode(),
        "compact jwk": json.dumps(jwk, separators=(",", ":")).encode(),
        "modulus": key.public_numbers().n.to_bytes(256, "big"),
        "modulus text": jwk["n"].encode(),
        "kid": KEYS.kid.encode(),
        "nothing": b"",
    }


def test_a_right_token_is_accepted(verify, claims):
    assert verify(forge(HEADER, claims, private_pem())) == claims
    everything_else = {"nbf": NOW, "aud": ["other", AUDIENCE], "more": {"deep": [1.5, None, "ü"]}}
    assert verify(forge(HEADER, claims | everything_else, private_pem())) is not None


# S108
@pytest.mark.parametrize(
    "algorithm",
    ["none", "None", "nOnE", "NONE", "", None, ["RS256"], {"RS256": 1}, 256, True, "rs256"],
)
@pytest.mark.parametrize("is_signed", [True, False])
def test_an_algorithm_of_no_key_is_refused(verify, claims, algorithm, is_signed):
    token = forge(HEADER | {"alg": algorithm}, claims, private_pem())
    if not is_signed:
        token = token.rpartition(".")[0] + "."
    assert verify(token) is None


# S108
def test_a_header_without_algorithm_is_refused(verify, claims):
    header = {"kid": KEYS.kid, "typ": TYP}
    assert verify(forge(header, claims, private_pem())) is None


# S108
@pytest.mark.parametrize(
    "algorithm", ["RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA", "A128KW"]
)
def test_another_algorithm_than_the_keys_is_refused(verify, claims, algorithm):
    assert verify(forge(HEADER | {"alg": algorithm}, claims, private_pem())) is None


# S109 D10
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("spelling", public_key_spellings())
def test_the_public_key_is_no_shared_secret(verify, claims, algorithm, spelling):
    secret = public_key_spellings()[spelling]
    assert verify(hmac_signed(algorithm, claims, secret)) is None


# S110
def test_a_key_that_the_token_brings_along_is_not_used(verify, claims, issuer):
    forger = private_pem("RS256", 1)
    jwk = KeySet.from_pem(forger).jwks()["keys"][0]
    asked = list(issuer.requests)
    for brought in (
        {"jwk": jwk},
        {"jku": f"{issuer.url}/forged.json"},
        {"x5u": f"{issuer.url}/forged.pem"},
        {"x5c": ["MIIB"]},
        {"jwk": jwk, "kid": jwk["kid"]},
        {"jku": f"{issuer.url}/forged.json", "kid": jwk["kid"]},
    ):
        assert verify(forge(HEADER | brought, claims, forger)) is None
    assert issuer.requests == asked


# S110
def test_an_address_in_a_rightly_signed_header_is_not_asked(verify, claims, issuer):
    asked = list(issuer.requests)
    header = HEADER | {"jku": f"{issuer.url}/forged.json", "x5u": f"{issuer.url}/forged.pem"}
    assert verify(forge(header, claims, private_pem())) == claims
    assert issuer.requests == asked


# S110
@pytest.mark.parametrize(
    "kid",
    [
        "../../../../etc/passwd",
        "/dev/null",
        "' UNION SELECT 'secret' -- ",
        {"$ne": 1},
        ["a"],
        "|sleep 10",
        "a" * 10_000,
        "",
        None,
        0,
        True,
        KEYS.kid + " ",
        KEYS.kid + "\x00",
    ],
    ids=range(13),
)
def test_a_kid_is_only_ever_compared(verify, claims, kid, issuer):
    asked = list(issuer.requests)
    started = time.perf_counter()
    token = forge(HEADER | {"kid": kid}, claims, private_pem("RS256", 1))
    assert verify(token) is None
    assert time.perf_counter() - started < 1
    assert issuer.requests == asked


# S110
def test_a_token_without_kid_is_refused(verify, claims):
    header = {"alg": "RS256", "typ": TYP}
    assert verify(forge(header, claims, private_pem())) is None


# S115
@pytest.mark.parametrize(
    "extension",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": None},
        {"b64": False, "crit": ["b64"]},
        {"b64": True},
    ],
)
def test_a_header_that_asks_for_an_extension_is_refused(verify, claims, extension):
    assert verify(forge(HEADER | extension, claims, private_pem())) is None


@pytest.mark.parametrize("typ", ["session+jwt", "JWT", "", None, "PERMISSION+JWT", [TYP]])
def test_a_token_of_another_kind_is_refused(verify, claims, typ):
    assert verify(forge(HEADER | {"typ": typ}, claims, private_pem())) is None


# S117
def test_two_deployments_have_nothing_in_common(claims, issuer):
    other = KeySet.from_pem(private_pem("RS256", 1))
    assert other.kid != KEYS.kid
    token = forge(HEADER | {"kid": other.kid}, claims, private_pem("RS256", 1))
    expected = {"typ": TYP, "issuer": issuer.url, "audience": AUDIENCE, "now": NOW}
    assert other.verify(token, **expected) == claims
    with pytest.raises(InvalidToken):
        KEYS.verify(token, **expected)


# S117 D10
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_no_shared_secret_is_made_of_the_private_key(verify, claims, algorithm):
    pem = private_pem()
    for secret in (
        pem.encode(),
        pem.strip().encode(),
        hashlib.sha256(pem.encode()).digest(),
        hashlib.sha256(pem.encode()).hexdigest().encode(),
        hashlib.sha256(pem.strip().encode()).digest(),
    ):
        assert verify(hmac_signed(algorithm, claims, secret)) is None
