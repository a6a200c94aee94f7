"""Proofs that whoever sends a token holds the key that it is bound to (RFC 9449).

Owns what makes a proof good, that each counts once, and the nonces of ours that the settings may
ask for. Never knows a token: who calls compares the key with the one that a token is bound to.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import InvalidToken

from tornado_auth.digests import digest
from tornado_auth.errors import AlreadyExists
from tornado_auth.keys import VerificationKey
from tornado_auth.models import SpentState
from tornado_auth.oauth2.errors import InvalidDPoPProof, UseDPoPNonce
from tornado_auth.oauth2.values import DPoPProof
from tornado_auth.resource_server.key_sets import MODEST_RSA_BITS, jwk_key
from tornado_auth.resource_server.signed_tokens import (
    ALGORITHMS,
    PublicKey,
    TokenRejected,
    read_claims,
    read_header_members,
    read_unproven_claims,
)
from tornado_auth.seals import make_seal
from tornado_auth.storage import Collection

PROOF_TYPE = "dpop+jwt"
WINDOW = 60  # seconds that `iat` may be off, either way
NONCE_LIFETIME = 300
MAX_JTI_LENGTH = 512
NO_PROOF = "The DPoP proof is no dpop+jwt that is signed with the public key in its header."

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class _Key:
    """The public key that came with a proof."""

    jkt: str
    algorithm: str
    public_key: PublicKey


class DPoP:
    """Check proofs; with `uses_nonces` each must have a nonce of ours, sealed by these secrets."""

    algorithms = ALGORITHMS

    def __init__(
        self,
        spent_states: Collection[SpentState],
        sealing_secrets: Sequence[str],
        *,
        uses_nonces: bool,
        now: Callable[[], int],
    ) -> None:
        self._spent_states = spent_states
        self._seal = make_seal("dpop nonce", sealing_secrets)
        self._uses_nonces = uses_nonces
        self._now = now

    async def check(self, proof: DPoPProof, *, access_token: str = "") -> str:
        """Return the thumbprint of the proof's key (RFC 7638), and spend the proof.

        `access_token` is what it comes with, if it is for a resource. Raises InvalidDPoPProof, and
        UseDPoPNonce for a proof that lacks nothing else.
        """
        # Anybody may send one, with any key: what is cheap to refuse costs no signature.
        header, claims = _read(proof.proof)
        self._check_claims(claims, proof)
        if access_token and claims.get("ath") != ath_of(access_token):
            raise InvalidDPoPProof("The ath of the DPoP proof is not that of the access token.")
        key = _proven_key(proof.proof, header)
        if self._uses_nonces:
            self._check_nonce(claims.get("nonce"))
        await self._spend(key.jkt, claims)
        return key.jkt

    def nonce(self) -> str:
        """Make a nonce that is good for some minutes, in every process."""
        return self._seal.encrypt_at_time(b"", self._now()).decode()

    def _check_claims(self, claims: Mapping[str, Any], proof: DPoPProof) -> None:
        if claims.get("htm") != proof.method:
            raise InvalidDPoPProof("The htm of the DPoP proof is not the method of the request.")
        if _normalized(claims.get("htu")) != _normalized(proof.url):
            raise InvalidDPoPProof("The htu of the DPoP proof is not the address of the request.")
        iat, jti = claims.get("iat"), claims.get("jti")
        if not isinstance(iat, int | float) or abs(iat - self._now()) > WINDOW:
            raise InvalidDPoPProof("The iat of the DPoP proof is not of this time.")
        if not (isinstance(jti, str) and 0 < len(jti) <= MAX_JTI_LENGTH):
            raise InvalidDPoPProof("The DPoP proof has no jti, or one that is too long.")

    def _check_nonce(self, nonce: object) -> None:
        try:
            text = nonce if isinstance(nonce, str) else ""
            sealed = text.encode("ascii", "replace")
            self._seal.decrypt_at_time(sealed, NONCE_LIFETIME, self._now())
        except InvalidToken:
            raise UseDPoPNonce(self.nonce()) from None

    async def _spend(self, jkt: str, claims: Mapping[str, Any]) -> None:
        # Kept for longer than `iat` is good, so that no moment is left between the two limits.
        spent = SpentState(
            id=digest(json.dumps(["dpop", jkt, claims["jti"]])),
            expires_at=int(claims["iat"]) + 2 * WINDOW,
        )
        try:
            await self._spent_states.insert(spent)
        except AlreadyExists:
            raise InvalidDPoPProof("The DPoP proof was used before.") from None


def ath_of(access_token: str) -> str:
    """Return the `ath` of an access token (RFC 9449 §4.2)."""
    return digest(access_token)


def _read(proof: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a proof, before anything is proven."""
    try:
        header = read_header_members(proof)
        if header.get("typ") != PROOF_TYPE or header.get("alg") not in ALGORITHMS:
            raise TokenRejected("of another type or algorithm")
        return header, read_unproven_claims(proof)
    except TokenRejected:
        raise InvalidDPoPProof(NO_PROOF) from None


def _proven_key(proof: str, header: Mapping[str, Any]) -> _Key:
    try:
        key = _key_of(header)
        read_claims(proof, key.public_key, key.algorithm)
    except TokenRejected:
        raise InvalidDPoPProof(NO_PROOF) from None
    return key


def _key_of(header: Mapping[str, Any]) -> _Key:
    jwk = header.get("jwk")
    found = jwk_key(jwk, MODEST_RSA_BITS) if isinstance(jwk, dict) else None
    if found is None:
        raise TokenRejected("no public key")
    (_, algorithm), public_key = found
    if algorithm != header["alg"]:
        raise TokenRejected("another algorithm than the key's")
    return _Key(VerificationKey.of(public_key).kid, algorithm, public_key)


def _normalized(url: object) -> tuple[str, str, int, str] | None:
    """Return what counts of an address: without query, fragment and default port (§4.3)."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is None or not parts.hostname or "@" in parts.netloc:
            return None
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port, parts.path or "/"
