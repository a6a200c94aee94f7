"""The keys of this service: sign, verify, publish (RFC 7515, 7517, 7518, 7638).

Owns the private key, which leaves neither this module nor, in whatever form, a log, a `repr` or a
traceback. One key signs, any number verify. Each key has exactly one algorithm, so a token cannot
choose one (RFC 8725 §3.1), and no secret is ever made of a key. Never fetches anything.
"""

import asyncio
import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tornado_auth.errors import InvalidToken, SettingsError
from tornado_auth.resource_server.key_sets import is_factorable
from tornado_auth.resource_server.signed_tokens import (
    ALGORITHMS,
    PublicKey,
    TokenRejected,
    check_claims,
    read_claims,
    read_header,
)
from tornado_auth.scheduling import threads_beside_loop

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA_BITS = 2048

_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_THUMBPRINT_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}
_NEW_KEY = "Make one with `tornado-auth keys generate` or scripts/generate_key_pair."


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key that may verify, with its one algorithm; `kid` is its RFC 7638 thumbprint."""

    kid: str
    algorithm: str
    public_key: PublicKey

    @classmethod
    def of(cls, public_key: PublicKey) -> "VerificationKey":
        """Name a public key that was found to be fit."""
        jwk = _public_jwk(public_key)
        members = _THUMBPRINT_MEMBERS.get(jwk["kty"], ("crv", "kty", "x"))
        canonical = json.dumps({name: jwk[name] for name in members}, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).digest()
        kid = urlsafe_b64encode(digest).rstrip(b"=").decode()
        return cls(kid, _algorithm_of(public_key), public_key)

    def jwk(self) -> dict[str, str]:
        """Return the key as an entry of a JWK set: public members only."""
        return {
            **_public_jwk(self.public_key),
            "kid": self.kid,
            "use": "sig",
            "alg": self.algorithm,
        }


class KeySet:
    """Sign with one private key; verify with its public key and with older ones."""

    def __init__(self, private_key: PrivateKey, verification_keys: list[PublicKey]) -> None:
        """Take keys that were found to be fit; `from_pem` finds out."""
        self._private_key = private_key
        self._signing = VerificationKey.of(private_key.public_key())
        named = [self._signing, *map(VerificationKey.of, verification_keys)]
        self._keys = {key.kid: key for key in named}
        self._jws = jwt.PyJWS(algorithms=ALGORITHMS)
        self._is_slow = isinstance(private_key, rsa.RSAPrivateKey)
        self._executor: ThreadPoolExecutor | None = None

    @classmethod
    def from_pem(
        cls,
        private_pem: str,
        *,
        public_pem: str = "",
        algorithm: str = "RS256",
        verification_pems: str = "",
    ) -> "KeySet":
        """Read the keys of the settings; raises SettingsError with every problem, and no key text.

        `public_pem` is checked against the private key; `verification_pems` are public keys, one
        after another, whose tokens stay valid though they no longer sign.
        """
        problems: list[str] = []
        if algorithm not in ALGORITHMS:
            problems.append(f"TORNADO_AUTH_SIGNING_ALGORITHM: is none of {', '.join(ALGORITHMS)}.")
        private_key = _read_private_key(private_pem, algorithm, problems)
        public_key = _read_public_key(public_pem, problems)
        older = _read_verification_keys(verification_pems, problems)
        if private_key and public_key and private_key.public_key() != public_key:
            problems.append(
                "PUBLIC_KEY: does not belong to PRIVATE_KEY. Leave it unset: it follows from there."
            )
        if problems or private_key is None:
            raise SettingsError(problems)
        return cls(private_key, older)

    @property
    def kid(self) -> str:
        """The name of the key that signs."""
        return self._signing.kid

    @property
    def algorithm(self) -> str:
        """The algorithm of the key that signs."""
        return self._signing.algorithm

    def __repr__(self) -> str:
        return f"<KeySet {self.algorithm} {self.kid}, verifies with {len(self._keys)}>"

    async def sign(self, claims: Mapping[str, object], *, typ: str) -> str:
        """Return the claims as a token of this kind.

        ES256 and EdDSA signatures take 40 µs, less than a thread's hand-over costs, so they are
        made at once. An RSA signature takes 20 times as long and would hold up every other request:
        these go to one thread, as OpenSSL lets the loop run meanwhile.
        """
        payload = json.dumps(claims, separators=(",", ":"), allow_nan=False).encode()
        if not self._is_slow:
            return self._sign(payload, typ)
        if self._executor is None:
            self._executor = threads_beside_loop(1, "tornado_auth-sign")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._sign, payload, typ)

    def _sign(self, payload: bytes, typ: str) -> str:
        return self._jws.encode(
            payload, self._private_key, self.algorithm, headers={"kid": self.kid, "typ": typ}
        )

    def verify(
        self, token: str, *, typ: str, issuer: str, audience: str, now: int
    ) -> dict[str, Any]:
        """Return the claims of a token of this kind, for this audience, at this time.

        Raises InvalidToken whatever is wrong with it.
        """
        claims = self.read(token, typ=typ)
        try:
            check_claims(claims, issuer=issuer, audience=audience, now=now)
        except TokenRejected as error:
            raise InvalidToken(str(error)) from None
        return claims

    def read(self, token: str, *, typ: str) -> dict[str, Any]:
        """Return the claims of a token of this kind, for whomever and whenever it may be.

        For who has more than one audience, or takes a token that is over as a hint: the rest is
        theirs to check. Raises InvalidToken if it is not of our making.
        """
        try:
            header = read_header(token, typ=typ)
            key = self._keys.get(header.kid)
            if key is None or key.algorithm != header.algorithm:
                raise TokenRejected("no key of ours, or not its algorithm")
            return read_claims(token, key.public_key, key.algorithm)
        except TokenRejected as error:
            raise InvalidToken(str(error)) from None

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the JWK set (RFC 7517 §5), the key that signs first."""
        return {"keys": [key.jwk() for key in self._keys.values()]}

    def public_pem(self) -> str:
        """Return the public key of the key that signs, as a SubjectPublicKeyInfo PEM."""
        return self._signing.public_key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()


def generate_private_pem(algorithm: str = "RS256") -> str:
    """Make a private key and return it as an unencrypted PKCS #8 PEM.

    Takes up to a second for RSA: not for the loop's thread. Raises ValueError for an unknown
    algorithm.
    """
    key: PrivateKey
    if algorithm == "RS256":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    elif algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
    elif algorithm == "EdDSA":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        raise ValueError(f"{algorithm} is none of {', '.join(ALGORITHMS)}")
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _public_jwk(key: PublicKey) -> dict[str, str]:
    if isinstance(key, rsa.RSAPublicKey):
        jwk = RSAAlgorithm.to_jwk(key, as_dict=True)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        jwk = ECAlgorithm.to_jwk(key, as_dict=True)
    else:
        jwk = OKPAlgorithm.to_jwk(key, as_dict=True)
    return {name: jwk[name] for name in ("kty", "crv", "n", "e", "x", "y") if name in jwk}


def _algorithm_of(key: PublicKey) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return "RS256"
    return "ES256" if isinstance(key, ec.EllipticCurvePublicKey) else "EdDSA"


def _pem_bytes(text: str) -> bytes:
    """Undo what env files do to PEM: line breaks written out as the two characters `\\n`."""
    lines = text.replace("\\r", "").replace("\\n", "\n")
    return lines.strip().strip("\"'").encode("ascii", "replace")


def _is_fit(key: object, variable: str, problems: list[str]) -> bool:
    """Tell whether a public key may be used, or say why not."""
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < RSA_BITS:
            problems.append(
                f"{variable}: is an RSA key of {key.key_size} bits, {RSA_BITS} are the least. "
                + _NEW_KEY
            )
            return False
        if is_factorable(key):
            problems.append(f"{variable}: is an RSA key that can be factored (ROCA). {_NEW_KEY}")
            return False
        return True
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return True
    if isinstance(key, ed25519.Ed25519PublicKey):
        return True
    problems.append(f"{variable}: is neither an RSA nor a P-256 nor an Ed25519 key. {_NEW_KEY}")
    return False


def _read_private_key(text: str, algorithm: str, problems: list[str]) -> PrivateKey | None:
    if not text.strip():
        problems.append(f"PRIVATE_KEY: is not set. {_NEW_KEY}")
        return None
    try:
        key = serialization.load_pem_private_key(_pem_bytes(text), password=None)
    except TypeError:
        problems.append("PRIVATE_KEY: is encrypted. Decrypt it: `openssl pkey -in <file>`.")
        return None
    except (ValueError, UnsupportedAlgorithm):
        problems.append(f"PRIVATE_KEY: is not a private key in PEM. {_NEW_KEY}")
        return None
    if not _is_fit(key.public_key(), "PRIVATE_KEY", problems) or not isinstance(key, PrivateKey):
        return None
    its_algorithm = _algorithm_of(key.public_key())
    if algorithm in ALGORITHMS and its_algorithm != algorithm:
        problems.append(
            f"PRIVATE_KEY: signs by {its_algorithm}, not by {algorithm}. Set "
            f"TORNADO_AUTH_SIGNING_ALGORITHM={its_algorithm}, or give a key for {algorithm}."
        )
    return key


def _read_public_key(text: str, problems: list[str]) -> object | None:
    if not text.strip():
        return None
    try:
        return serialization.load_pem_public_key(_pem_bytes(text))
    except (ValueError, UnsupportedAlgorithm):
        problems.append(
            "PUBLIC_KEY: is not a public key in PEM. Leave it unset: it follows from PRIVATE_KEY."
        )
        return None


def _read_verification_keys(text: str, problems: list[str]) -> list[PublicKey]:
    variable = "TORNADO_AUTH_VERIFICATION_KEYS"
    pems = _pem_bytes(text).decode()
    if _PEM_BLOCK.sub("", pems).strip():
        problems.append(f"{variable}: holds something else than PEM. List public keys only.")
        return []
    keys: list[PublicKey] = []
    for number, block in enumerate(_PEM_BLOCK.finditer(pems), start=1):
        where = f"{variable}: key {number}"
        try:
            key = serialization.load_pem_public_key(block[0].encode())
        except (ValueError, UnsupportedAlgorithm):
            remedy = "List public keys only: `openssl pkey -in <file> -pubout`."
            problems.append(f"{where}: is not a public key in PEM. {remedy}")
            continue
        if _is_fit(key, where, problems) and isinstance(key, PublicKey):
            keys.append(key)
    return keys
