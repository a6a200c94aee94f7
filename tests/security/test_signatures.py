"""Signatures and keys that are nearly right: of the right key, curve or length, but not all three.

What they are to be refused for is in RFC 8725 §3.3 and §3.4; `read_claims` and `jwk_key` are what
every endpoint and every client of ours reads tokens and keys with.
"""

import functools
import json
from collections.abc import Callable
from math import prod
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.issuer import base64url
from tornado_auth.errors import SettingsError
from tornado_auth.keys import KeySet
from tornado_auth.resource_server import TokenRejected
from tornado_auth.resource_server.key_sets import jwk_key, jwks_keys
from tornado_auth.resource_server.signed_tokens import read_claims

N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the order of P-256
CLAIMS = {"sub": "ann"}
SIGNED = f"{base64url(b'{}')}.{base64url(json.dumps(CLAIMS).encode())}"


@functools.cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def der() -> bytes:
    return ec_key().sign(SIGNED.encode(), ec.ECDSA(hashes.SHA256()))


def raw(r: int, s: int, size: int = 32) -> bytes:
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def refuses(signature: bytes, key: Any, algorithm: str) -> bool:
    try:
        read_claims(f"{SIGNED}.{base64url(signature)}", key.public_key(), algorithm)
    except TokenRejected:
        return True
    return False


def test_right_signatures_are_accepted():
    assert not refuses(raw(*decode_dss_signature(der())), ec_key(), "ES256")
    signature = rsa_key().sign(SIGNED.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert not refuses(signature, rsa_key(), "RS256")
    assert not refuses(ed_key().sign(SIGNED.encode()), ed_key(), "EdDSA")


# S111
@pytest.mark.parametrize(
    "bend",
    [
        lambda r, s: raw(0, 0),
        lambda r, s: raw(0, s),
        lambda r, s: raw(r, 0),
        lambda r, s: raw(N, s),
        lambda r, s: raw(r, N),
        lambda r, s: raw(N, N),
        lambda r, s: raw(2**256 - 1, 2**256 - 1),
        lambda r, s: raw(r, s)[:-1],
        lambda r, s: raw(r, s)[:32],
        lambda r, s: raw(r, s)[1:],
        lambda r, s: b"\x00" + raw(r, s),
        lambda r, s: raw(r, s) + b"\x00",
        lambda r, s: raw(r, s, 33),
        lambda r, s: raw(s, r),
        lambda r, s: raw(r, s ^ 1),
        lambda r, s: raw(r + N, s, 33),
        lambda r, s: der(),
        lambda r, s: b"",
    ],
)
def test_an_ecdsa_signature_is_two_numbers_in_range_and_nothing_else(
    bend: Callable[[int, int], bytes],
):
    assert refuses(bend(*decode_dss_signature(der())), ec_key(), "ES256")


# S111
@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.SECP384R1(), ec.BrainpoolP256R1()])
def test_no_other_curve_will_do(curve: ec.EllipticCurve):
    key = ec.generate_private_key(curve)
    signature = key.sign(SIGNED.encode(), ec.ECDSA(hashes.SHA256()))
    assert refuses(raw(*decode_dss_signature(signature), (curve.key_size + 7) // 8), key, "ES256")
    jwk = json.loads(ECAlgorithm.to_jwk(key.public_key())) if curve.name[0] == "s" else {}
    assert jwk_key({**jwk, "kid": "k"}) is None
    assert jwk_key({**jwk, "kid": "k", "crv": "P-256"}) is None


# S111
@pytest.mark.parametrize(
    "sign",
    [
        lambda key: key.sign(SIGNED.encode(), padding.PKCS1v15(), hashes.SHA1()),
        lambda key: key.sign(SIGNED.encode(), padding.PKCS1v15(), hashes.SHA512()),
        lambda key: key.sign(
            SIGNED.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()
        ),
        lambda key: key.sign(SIGNED.encode(), padding.PKCS1v15(), hashes.SHA256())[:-1],
        lambda key: b"\x00" + key.sign(SIGNED.encode(), padding.PKCS1v15(), hashes.SHA256()),
        lambda key: bytes(256),
        lambda key: bytes(255) + b"\x01",
        lambda key: b"",
    ],
)
def test_an_rsa_signature_has_one_padding_one_hash_and_one_length(
    sign: Callable[[rsa.RSAPrivateKey], bytes],
):
    assert refuses(sign(rsa_key()), rsa_key(), "RS256")


# S111
def test_an_ed25519_signature_has_one_form():
    signature = ed_key().sign(SIGNED.encode())
    order = 2**252 + 27742317777372353535851937790883648493
    high = int.from_bytes(signature[32:], "little") + order
    assert refuses(signature[:32] + high.to_bytes(32, "little"), ed_key(), "EdDSA")
    for bad in (signature[:-1], signature + b"\x00", bytes(64), b""):
        assert refuses(bad, ed_key(), "EdDSA")


# S111
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_key_verifies_its_own_algorithm_alone(algorithm: str):
    keys = {"RS256": rsa_key(), "ES256": ec_key(), "EdDSA": ed_key()}
    for name, key in keys.items():
        if name != algorithm:
            assert refuses(ed_key().sign(SIGNED.encode()), key, algorithm)


def rsa_jwk(**changes: Any) -> dict[str, Any]:
    jwk = json.loads(RSAAlgorithm.to_jwk(rsa_key().public_key()))
    return {"kty": "RSA", "kid": "k", "n": jwk["n"], "e": jwk["e"], **changes}


def number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8 or 1, "big"))


def roca_modulus() -> int:
    """Make a number of 2048 bits that looks as if the faulty generator had made its factors."""
    small = prod(n for n in range(2, 168) if all(n % divisor for divisor in range(2, n)))
    return pow(65537, 1234, small) + small * (2**2047 // small + 1)


def ec_jwk(**changes: Any) -> dict[str, Any]:
    return {**json.loads(ECAlgorithm.to_jwk(ec_key().public_key())), "kid": "k", **changes}


def test_right_keys_are_taken():
    assert jwk_key(rsa_jwk()) is not None
    assert jwk_key(rsa_jwk(use="sig", alg="RS256", key_ops=["verify"])) is not None
    assert jwk_key(ec_jwk()) is not None


# S111
@pytest.mark.parametrize(
    "jwk",
    [
        rsa_jwk(e=number(1)),
        rsa_jwk(e=number(0)),
        rsa_jwk(e=number(2)),
        rsa_jwk(e=number(65536)),
        rsa_jwk(e=number(2**32 + 1)),
        rsa_jwk(e=number(2**2046 + 1)),
        rsa_jwk(n=number(rsa_key().public_key().public_numbers().n >> 1024 | 1)),
        rsa_jwk(n=number(2**2046 + 1)),
        rsa_jwk(n=number(roca_modulus())),
        rsa_jwk(n=number(2**8200 + 1)),
        rsa_jwk(n=""),
        rsa_jwk(n=1),
        rsa_jwk(use="enc"),
        rsa_jwk(use=""),
        rsa_jwk(key_ops=["sign"]),
        rsa_jwk(key_ops=["encrypt", "wrapKey"]),
        rsa_jwk(key_ops="verify"),
        rsa_jwk(alg="RS512"),
        rsa_jwk(alg="RSA-OAEP"),
        rsa_jwk(alg="none"),
        rsa_jwk(alg="HS256"),
        rsa_jwk(d="AQAB"),
        rsa_jwk(kty="oct", k="AQAB"),
        ec_jwk(x=number(1)),
        ec_jwk(y=number(1)),
        ec_jwk(x=number(0), y=number(0)),
        ec_jwk(crv="P-384"),
        ec_jwk(crv="secp256k1"),
        ec_jwk(alg="ES384"),
        ec_jwk(use="enc"),
        {"kty": "OKP", "kid": "k", "crv": "X25519", "x": base64url(bytes(range(32)))},
        {"kty": "OKP", "kid": "k", "crv": "Ed25519", "x": base64url(bytes(31))},
        {"kty": "OKP", "kid": "k", "crv": "Ed448", "x": base64url(bytes(57))},
    ],
    ids=range(33),
)
def test_a_key_that_is_weak_or_for_something_else_is_none(jwk: dict[str, Any]):
    assert jwk_key(jwk) is None
    assert jwks_keys(json.dumps({"keys": [jwk]}).encode()) == {}


# S111
def test_operators_cannot_give_us_one_that_can_be_factored():
    public = rsa.RSAPublicNumbers(65537, roca_modulus()).public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    private = (
        ec_key()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )
    with pytest.raises(SettingsError, match="ROCA"):
        KeySet.from_pem(private, algorithm="ES256", verification_pems=pem)
