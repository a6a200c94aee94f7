"""Reading a signed token, where whoever calls has not looked at its shape before."""

from base64 import urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tornado_auth.resource_server.signed_tokens import (
    BadSignature,
    TokenRejected,
    check_audience,
    read_claims,
    read_unproven_claims,
)

KEY = Ed25519PrivateKey.generate()
PAYLOAD = urlsafe_b64encode(b'{"a":"bc"}').decode()  # ends with "=="


def signed(payload: str) -> str:
    """Return a token with a good signature, whatever its payload is."""
    begin = f"e30.{payload}"
    return f"{begin}.{urlsafe_b64encode(KEY.sign(begin.encode())).rstrip(b'=').decode()}"


def test_a_payload_has_one_spelling() -> None:
    plain = PAYLOAD.rstrip("=")
    assert read_claims(signed(plain), KEY.public_key(), "EdDSA") == {"a": "bc"}
    for other in (PAYLOAD, plain + "=", plain[:-1] + "R", f"{plain[:4]}.{plain[4:]}", "", "."):
        with pytest.raises(TokenRejected, match="the claims are not a JSON object"):
            read_claims(signed(other), KEY.public_key(), "EdDSA")
        with pytest.raises(TokenRejected, match="the claims are not a JSON object"):
            read_unproven_claims(signed(other))


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.b.", "a.b.=", "\ud800.b.c", "a.b.\ud800"])
def test_what_is_no_signature_is_a_bad_one(token: str) -> None:
    with pytest.raises(BadSignature):
        read_claims(token, KEY.public_key(), "EdDSA")


@pytest.mark.parametrize("claims", [{}, {"aud": None}, {"aud": []}, {"aud": 1}, {"aud": [None]}])
@pytest.mark.parametrize("audience", ["app", None, ""])
def test_who_names_no_audience_means_none(claims: dict[str, object], audience: str) -> None:
    with pytest.raises(TokenRejected):
        check_audience(claims, audience)
