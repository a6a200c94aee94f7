"""ID tokens of a provider that lies: each lie is found, none is believed."""

import base64
import dataclasses
import json

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.providers.fake_oidc import FakeOIDC, ec_key, jwk, rsa_key
from tests.providers.sign_in import (
    refusal_reason,
    sign_in,
)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_a_lone_key_needs_no_kid(corp, fake_oidc, attempt, algorithm):
    key = rsa_key("own") if algorithm == "RS256" else ec_key("own")
    fake_oidc.keys = [jwk(key, kid="k7")]
    fake_oidc.sign = fake_oidc.signed_by(key, alg=algorithm)
    assert (await sign_in(corp, fake_oidc, attempt)).subject == "1001"


BENT_CLAIMS = {
    "another issuer": ({"iss": "https://evil.example"}, "id_token_iss"),
    "almost this issuer": ({"iss": "http://127.0.0.1/"}, "id_token_iss"),
    "no issuer": ({"iss": None}, "id_token_iss"),
    "another audience": ({"aud": "somebody-else"}, "id_token_aud"),
    "an empty audience": ({"aud": []}, "id_token_aud"),
    "no audience": ({"aud": None}, "id_token_aud"),
    "a part of us as audience": ({"aud": "rp:1"}, "id_token_aud"),
    "several audiences, issued to nobody": ({"aud": ["rp:1 %", "other"]}, "id_token_azp"),
    "issued to another": ({"azp": "other"}, "id_token_azp"),
    "issued to a number": ({"azp": 5}, "id_token_azp"),
    "expired": ({"exp": 1_799_999_900}, "id_token_exp"),
    "without expiry": ({"exp": None}, "id_token_exp"),
    "a text as expiry": ({"exp": "1900000000"}, "id_token_exp"),
    "true as expiry": ({"exp": True}, "id_token_exp"),
    "from the future": ({"iat": 1_800_000_100}, "id_token_iat"),
    "from before the attempt": ({"iat": 1_799_999_900}, "id_token_iat"),
    "without time of issue": ({"iat": None}, "id_token_iat"),
    "not valid yet": ({"nbf": 1_800_000_100}, "id_token_nbf"),
    "a swapped nonce": ({"nonce": "x" * 43}, "id_token_nonce"),
    "no nonce": ({"nonce": None}, "id_token_nonce"),
    "a number as nonce": ({"nonce": 5}, "id_token_nonce"),
    "no subject": ({"sub": None}, "id_token_sub"),
    "an empty subject": ({"sub": ""}, "id_token_sub"),
    "a number as subject": ({"sub": 1001}, "id_token_sub"),
    "a subject that is too long": ({"sub": "x" * 256}, "id_token_sub"),
    "a subject beyond ASCII": ({"sub": "ann\u00e9"}, "id_token_sub"),
    "a subject with a line break": ({"sub": "1001\n"}, "id_token_sub"),
}


# S091 S093
@pytest.mark.parametrize("lie", BENT_CLAIMS)
async def test_an_id_token_with_a_wrong_claim_is_refused(corp, fake_oidc, attempt, caplog, lie):
    fake_oidc.claims, reason = BENT_CLAIMS[lie]
    if "sub" in fake_oidc.claims:  # found by itself, not by its difference from UserInfo
        fake_oidc.metadata["userinfo_endpoint"] = None
    if fake_oidc.claims.get("sub") == 1001:
        fake_oidc.sign = _raw_signed
    assert await refusal_reason(corp, fake_oidc, attempt, caplog) == reason
    assert fake_oidc.requests_to("/me") == []


# S081
@pytest.mark.parametrize("auth_time", [1_799_999_900, None, "1800000000", 1_800_000_000])
async def test_a_sign_in_of_before_is_none_where_a_new_one_was_asked_for(
    corp, fake_oidc, attempt, caplog, auth_time
):
    def again(provider):
        return dataclasses.replace(attempt(provider), asks_again=True)

    fake_oidc.claims = {"auth_time": auth_time}
    if auth_time in (None, 1_800_000_000):
        assert (await sign_in(corp, fake_oidc, again)).subject == "1001"
    else:
        reason = await refusal_reason(corp, fake_oidc, again, caplog)
        assert reason == "id_token_auth_time"
    assert (await sign_in(corp, fake_oidc, attempt)).subject == "1001"


def _raw_signed(claims: dict) -> str:
    """Sign what PyJWT would not encode."""
    header = {"alg": "RS256", "kid": "k1"}
    return jwt.PyJWS().encode(
        json.dumps(claims).encode(), rsa_key("own"), algorithm="RS256", headers=header
    )


# S093
async def test_several_audiences_are_fine_if_it_was_issued_to_us(corp, fake_oidc, attempt):
    fake_oidc.claims = {"aud": [fake_oidc.client_id, "other"], "azp": fake_oidc.client_id}
    assert (await sign_in(corp, fake_oidc, attempt)).subject == "1001"


def _unsigned(alg: str):
    def sign(claims: dict) -> str:
        parts = (json.dumps({"alg": alg, "kid": "k1"}), json.dumps(claims))
        return (
            ".".join(base64.urlsafe_b64encode(p.encode()).rstrip(b"=").decode() for p in parts)
            + "."
        )

    return sign


def _hmac_signed(secret: bytes, alg: str = "HS256"):
    def sign(claims: dict) -> str:
        key = jwt.get_algorithm_by_name(alg)
        parts = (json.dumps({"alg": alg, "kid": "k1"}), json.dumps(claims))
        text = ".".join(base64.urlsafe_b64encode(p.encode()).rstrip(b"=").decode() for p in parts)
        signature = base64.urlsafe_b64encode(key.sign(text.encode(), secret)).rstrip(b"=")
        return f"{text}.{signature.decode()}"

    return sign


def _public_pem() -> bytes:
    key = rsa_key("own").public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _tampered(claims: dict) -> str:
    head, _, signature = FakeOIDC.signed_by(rsa_key("own"), kid="k1")(claims).split(".")
    payload = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "1"}).encode()).rstrip(b"=")
    return f"{head}.{payload.decode()}.{signature}"


FORGERIES = {
    "unsigned": (_unsigned("none"), "id_token_alg"),
    "unsigned in capitals": (_unsigned("nOnE"), "id_token_alg"),
    "by our client secret": (_hmac_signed(b"s:e+c%r e&t-that-is-long-enough"), "id_token_alg"),
    "by the public key as a secret": (_hmac_signed(_public_pem()), "id_token_alg"),
    "by a longer HMAC": (_hmac_signed(_public_pem(), "HS512"), "id_token_alg"),
    "by a foreign key": (FakeOIDC.signed_by(rsa_key("foreign"), kid="k1"), "id_token_signature"),
    "by an unknown key": (FakeOIDC.signed_by(rsa_key("foreign"), kid="k2"), "id_token_key"),
    "by a key of another kind": (
        FakeOIDC.signed_by(ec_key("x"), alg="ES256", kid="k1"),
        "id_token_key",
    ),
    "by a key that it brings itself": (
        FakeOIDC.signed_by(rsa_key("foreign"), kid="k2", jwk=jwk(rsa_key("foreign"), kid="k2")),
        "id_token_key",
    ),
    "with an unknown extension": (
        FakeOIDC.signed_by(rsa_key("own"), kid="k1", crit=["exp"], exp=1),
        "id_token_malformed",
    ),
    "with an extension": (
        FakeOIDC.signed_by(rsa_key("own"), kid="k1", crit=["b64"], b64=True),
        "id_token_malformed",
    ),
    "tampered with": (_tampered, "id_token_signature"),
    "cut": (lambda claims: "e30.e30", "id_token_malformed"),
    "no token": (lambda claims: "not a token", "id_token_malformed"),
    "a number": (lambda claims: 5, "id_token_missing"),
    "missing": (lambda claims: None, "id_token_missing"),
    "endless": (lambda claims: "x" * 20_000, "id_token_missing"),
    "no claims": (
        lambda claims: jwt.PyJWS().encode(
            b"[]", rsa_key("own"), algorithm="RS256", headers={"kid": "k1"}
        ),
        "id_token_signature",
    ),
}


# S093
@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_id_token_is_refused(corp, fake_oidc, attempt, caplog, forgery):
    fake_oidc.sign, reason = FORGERIES[forgery]
    assert await refusal_reason(corp, fake_oidc, attempt, caplog) == reason


# S093
@pytest.mark.parametrize("subject", ["1002", "", None, 1001, ["1001"]])
async def test_userinfo_of_somebody_else_is_refused(corp, fake_oidc, attempt, caplog, subject):
    fake_oidc.userinfo["sub"] = subject
    assert await refusal_reason(corp, fake_oidc, attempt, caplog) == "userinfo_sub"
