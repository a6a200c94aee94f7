"""Read a signed token strictly: its shape, header, signature and claims (RFC 7515, 7519, 8725).

Never takes a key or an algorithm from the token, never touches the network, knows no clock.
"""

import binascii
import json
import string
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

ALGORITHMS = ("RS256", "ES256", "EdDSA")
MAX_TOKEN_LENGTH = 8 * 1024
MAX_CLOCK_SKEW = 60

# base64url without padding, and with the unused bits of the last character zero: one spelling each.
_ALPHABET = (string.ascii_letters + string.digits + "-_").encode()
_LAST_CHARACTERS = {0: _ALPHABET, 2: b"AQgw", 3: b"AEIMQUYcgkosw048"}  # by length modulo 4
_TO_PLAIN_BASE64 = bytes.maketrans(b"-_", b"+/")
_TIMES = range(1, 1 << 33)  # up to the year 2242: milliseconds are no NumericDate

_SHA256, _PKCS1 = SHA256(), PKCS1v15()
_ECDSA = ECDSA(_SHA256)
_P256_BYTES = 32

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class TokenRejected(Exception):
    """Refuse a token; the message is for logs, whoever sent it learns only that it is not valid."""


class BadSignature(TokenRejected):
    """Refuse a token that another key signed, or that was changed."""


@dataclass(frozen=True, slots=True)
class Header:
    """Which key a token asks to be verified with; nothing of it is proven yet."""

    kid: str
    algorithm: str
    typ: str


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_no_constant)


def read_json_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object that every reader reads alike; raises ValueError."""
    try:
        text = data.decode("utf-8").strip(" \t\r\n")
        value, end = _DECODER.raw_decode(text)  # half of what `decode` takes is for the white space
        if end != len(text):
            raise ValueError("something after the object")
        if "\\u" in text:  # half of a surrogate pair is no character: it cannot be written
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def read_header(token: str, *, typ: str, algorithms: Collection[str] = ALGORITHMS) -> Header:
    """Take a token apart as far as its header; raises TokenRejected.

    Length and shape come first: what is oversized or encrypted costs neither base64 nor JSON.
    """
    _check_shape(token)
    header = _header_of(token.partition(".")[0])
    if header.algorithm not in algorithms:
        raise TokenRejected("the algorithm is not allowed")
    if header.typ != typ:
        raise TokenRejected(f"not of type {typ}")
    return header


def read_header_members(token: str) -> dict[str, Any]:
    """Return the header of a token that brings its own key; nothing of it is checked or proven.

    For proofs of possession alone (RFC 9449 §4.2). Raises TokenRejected.
    """
    _check_shape(token)
    return _members_of(token.partition(".")[0])


def _check_shape(token: str) -> None:
    if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH:
        raise TokenRejected("not a string of at most 8 KiB")
    if not _is_compact(token):
        raise TokenRejected("not a signed token in compact form")


def _members_of(encoded: str) -> dict[str, Any]:
    try:
        header = read_json_object(_decoded(encoded.encode()))
    except ValueError:
        raise TokenRejected("the header is not a JSON object") from None
    if "crit" in header or "b64" in header:
        raise TokenRejected("the header asks for an extension")  # RFC 7515 §4.1.11, RFC 7797 §6
    return header


@lru_cache(maxsize=64)  # nearly all tokens begin alike
def _header_of(encoded: str) -> Header:
    header = _members_of(encoded)
    kid, algorithm, typ = header.get("kid"), header.get("alg"), header.get("typ")
    if not (isinstance(kid, str) and kid):
        raise TokenRejected("the header names no key")
    if not isinstance(algorithm, str):
        raise TokenRejected("the algorithm is not allowed")
    return Header(kid, algorithm, typ if isinstance(typ, str) else "")


def read_claims(token: str, key: PublicKey, algorithm: str) -> dict[str, Any]:
    """Return the claims of a token whose header was read; raises BadSignature, TokenRejected.

    `algorithm` is the key's, as our records or the issuer's key set name it.
    """
    try:
        signed, _, signature = token.encode().rpartition(b".")
        _verify(key, algorithm, _decoded(signature), signed)
    except (InvalidSignature, ValueError, TypeError):
        raise BadSignature("the signature is not of this key") from None
    return _claims_of(signed)


def read_unproven_claims(token: str) -> dict[str, Any]:
    """Return the claims of a token whose header was read, whoever signed it.

    To refuse what is not even worth a look at the signature. Raises TokenRejected.
    """
    return _claims_of(token.encode().rpartition(b".")[0])


def _claims_of(signed: bytes) -> dict[str, Any]:
    try:
        _, payload = signed.split(b".")
        return read_json_object(_decoded(payload))
    except ValueError:
        raise TokenRejected("the claims are not a JSON object") from None


def _verify(key: PublicKey, algorithm: str, signature: bytes, signed: bytes) -> None:
    """Return if the signature is of this key by this algorithm (RFC 7518 §3.3, §3.4, RFC 8037).

    PyJWT would cost twice as much as the signature itself; the tests hold the two together.
    """
    if algorithm == "RS256" and isinstance(key, RSAPublicKey):
        key.verify(signature, signed, _PKCS1, _SHA256)
    elif algorithm == "ES256" and isinstance(key, EllipticCurvePublicKey):
        if len(signature) != 2 * _P256_BYTES or key.curve.name != "secp256r1":
            raise InvalidSignature
        r = int.from_bytes(signature[:_P256_BYTES], "big")
        s = int.from_bytes(signature[_P256_BYTES:], "big")
        key.verify(encode_dss_signature(r, s), signed, _ECDSA)
    elif algorithm == "EdDSA" and isinstance(key, Ed25519PublicKey):
        key.verify(signature, signed)
    else:
        raise InvalidSignature


def _is_compact(token: str) -> bool:
    # Deleting what is allowed is several times faster than matching it.
    return token.isascii() and token.encode().translate(None, _ALPHABET) == b".."


def _decoded(part: bytes) -> bytes:
    if part and part[-1:] not in _LAST_CHARACTERS.get(len(part) % 4, b""):
        raise ValueError("not as base64url is written")
    # The padding may be too long, never too short.
    return binascii.a2b_base64(part.translate(_TO_PLAIN_BASE64) + b"==")


def _time(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or value not in _TIMES:
        raise TokenRejected(f"{name} is not a time in seconds")
    return value


def check_times(claims: Mapping[str, Any], now: int) -> None:
    """Refuse claims that are over, not valid yet, or without `exp` or `iat`."""
    if _time(claims, "exp") <= now:
        raise TokenRejected("expired")
    for name in ("iat", "nbf") if "nbf" in claims else ("iat",):
        if _time(claims, name) > now + MAX_CLOCK_SKEW:
            raise TokenRejected(f"{name} is ahead")


def check_audience(claims: Mapping[str, Any], audience: str) -> None:
    """Refuse claims that are meant for others (RFC 7519 §4.1.3)."""
    named = claims.get("aud")
    if isinstance(named, str):
        is_meant = named == audience
    elif isinstance(named, list) and all(isinstance(one, str) for one in named):
        is_meant = audience in named
    else:
        raise TokenRejected("aud is neither a string nor a list of strings")
    if not is_meant:
        raise TokenRejected("meant for another audience")


def check_claims(claims: Mapping[str, Any], *, issuer: str, audience: str, now: int) -> None:
    """Refuse claims of another issuer, for others, or not of this time; raises TokenRejected."""
    if claims.get("iss") != issuer:
        raise TokenRejected("from another issuer")
    check_audience(claims, audience)
    check_times(claims, now)
