"""Our signature checks against PyJWT's: whatever one refuses, so does the other."""

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tornado_auth.keys import generate_private_pem
from tornado_auth.resource_server.signed_tokens import ALGORITHMS, BadSignature, read_claims

CLAIMS = {"sub": "ann", "exp": 4_000_000_000}
REFERENCE = jwt.PyJWS(algorithms=list(ALGORITHMS))


@pytest.fixture(scope="module", params=ALGORITHMS)
def signer(request: pytest.FixtureRequest) -> tuple[str, object, object]:
    key = load_pem_private_key(generate_private_pem(request.param).encode(), password=None)
    return request.param, key, key.public_key()


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def variants(token: str) -> dict[str, str]:
    """Return the token and what an attacker would make of it."""
    signed, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    half = len(raw) // 2
    made = {
        "empty": b"",
        "zeros": bytes(len(raw)),
        "ones": b"\xff" * len(raw),
        "shorter": raw[:-1],
        "longer": raw + b"\0",
        "padded": b"\0" + raw,
        "swapped": raw[half:] + raw[:half],
        "no r": bytes(half) + raw[half:],
        "no s": raw[:half] + bytes(half),
        "der": encode_dss_signature(
            int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
        ),
    }
    made |= {f"bit {bit}": _flipped(raw, bit) for bit in range(0, 8 * len(raw), 37)}
    header, _, payload = signed.partition(".")
    other = encoded(json.dumps(CLAIMS | {"sub": "bob"}).encode())
    return {
        "as it is": token,
        "other claims": f"{header}.{other}.{signature}",
        "other header": f"{encoded(b'{}')}.{payload}.{signature}",
        **{name: f"{signed}.{encoded(data)}" for name, data in made.items()},
    }


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


# S112
def test_a_signature_counts_exactly_where_it_does_for_pyjwt(
    signer: tuple[str, object, object],
) -> None:
    algorithm, private_key, public_key = signer
    token = REFERENCE.encode(json.dumps(CLAIMS).encode(), private_key, algorithm)  # type: ignore[arg-type]
    accepted = []
    for name, variant in variants(token).items():
        try:
            claims = read_claims(variant, public_key, algorithm)  # type: ignore[arg-type]
        except BadSignature:
            claims = None
        try:
            payload = REFERENCE.decode(variant, public_key, algorithms=[algorithm])  # type: ignore[arg-type]
            expected = json.loads(payload)
        except jwt.PyJWTError:
            expected = None
        assert claims == expected, name
        accepted += [name] if claims else []
    assert accepted == ["as it is"]


def test_a_key_counts_for_its_own_algorithm_alone(signer: tuple[str, object, object]) -> None:
    algorithm, private_key, public_key = signer
    token = REFERENCE.encode(json.dumps(CLAIMS).encode(), private_key, algorithm)  # type: ignore[arg-type]
    for other in {*ALGORITHMS, "HS256", "none"} - {algorithm}:
        with pytest.raises(BadSignature):
            read_claims(token, public_key, other)  # type: ignore[arg-type]
