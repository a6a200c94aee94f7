"""A key of a client, and the DPoP proofs that it makes, good and bad (RFC 9449 §4.2)."""

import base64
import functools
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

from tornado_auth.keys import VerificationKey
from tornado_auth.oauth2.dpop import ath_of


@functools.cache  # they take long to make
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


_KINDS: dict[str, tuple[Callable[[], Any], Any]] = {
    "RS256": (_rsa_key, RSAAlgorithm),
    "PS256": (_rsa_key, RSAAlgorithm),
    "ES256": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "ES384": (lambda: ec.generate_private_key(ec.SECP384R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm),
    "HS256": (lambda: secrets.token_bytes(32), HMACAlgorithm),
}


class Prover:
    """Whoever holds a key; `algorithm` is that of its signatures, whether we take it or not."""

    def __init__(self, algorithm: str = "ES256", now: Callable[[], float] = time.time) -> None:
        self.algorithm = algorithm
        self._now = now
        make, self._kind = _KINDS[algorithm]
        self.key = make()

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key, or all of it if there is no such thing."""
        public = self.key if isinstance(self.key, bytes) else self.key.public_key()
        return dict(self._kind.to_jwk(public, as_dict=True))

    @property
    def private_jwk(self) -> dict[str, Any]:
        return dict(self._kind.to_jwk(self.key, as_dict=True))

    @property
    def jkt(self) -> str:
        """The thumbprint of the key (RFC 7638)."""
        return VerificationKey.of(self.key.public_key()).kid

    def proof(
        self,
        url: str,
        *,
        method: str = "POST",
        token: str = "",
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Return a good proof, as changed by `header` and `claims`; None leaves a member out."""
        values = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url,
            "iat": int(self._now()),
            "ath": ath_of(token) if token else None,
            **claims,
        }
        members = {"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk, **(header or {})}
        return self.sign(members, values)

    def sign(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """Sign as this key does, whatever the header says."""
        signed = b".".join(map(_encoded, (header, claims)))
        signature = jwt.get_algorithm_by_name(self.algorithm).sign(signed, self.key)
        return f"{signed.decode()}.{_base64url(signature).decode()}"

    def headers(
        self, url: str, token: str, *, method: str = "GET", **claims: Any
    ) -> dict[str, str]:
        """Return the headers with which a bound token is sent."""
        proof = self.proof(url, method=method, token=token, **claims)
        return {"Authorization": f"DPoP {token}", "DPoP": proof}


def _encoded(members: dict[str, Any]) -> bytes:
    given = {name: value for name, value in members.items() if value is not None}
    return _base64url(json.dumps(given).encode())


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
