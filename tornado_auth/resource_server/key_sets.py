"""Public keys to verify with: one that is pinned, or those that an issuer publishes (RFC 7517).

Owns the cache of remote keys. Never follows a redirect, never takes an error page for a key, and
never lets tokens, however many and with whatever `kid`, decide how often somebody is asked.
"""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import MappingProxyType
from typing import Any, Protocol

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tornado.httpclient import HTTPClient, HTTPClientError, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tornado_auth.resource_server.signed_tokens import ALGORITHMS, PublicKey, read_json_object

logger = logging.getLogger(__name__)

MAX_KEYS_SIZE = 256 * 1024
RSA_BITS = range(2048, 8192 + 1)  # shorter is weak; longer lets an issuer burn our CPU
MODEST_RSA_BITS = range(2048, 4096 + 1)  # for keys that anybody may bring
RSA_EXPONENTS = range(3, 1 << 32, 2)  # larger costs as much as signing, for each signature
RETRY_WITHOUT_KEYS = 5  # seconds until the next attempt while there is no key at all

_KEY_TYPES = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

_SMALL_PRIMES = [n for n in range(3, 168) if all(n % divisor for divisor in range(2, n))]
_POWERS = {p: {pow(65537, exponent, p) for exponent in range(p)} for p in _SMALL_PRIMES}

Keys = Mapping[tuple[str, str], PublicKey]


class KeysUnavailable(Exception):
    """Tell that no key was ever fetched, so that no token can be judged: answer 503, not 401."""


def algorithm_of(key: object, rsa_bits: range = RSA_BITS) -> str | None:
    """Name the one algorithm that a public key may verify, None for a key that is not fit."""
    if isinstance(key, RSAPublicKey):
        is_fit = key.key_size in rsa_bits and key.public_numbers().e in RSA_EXPONENTS
        return "RS256" if is_fit and not is_factorable(key) else None
    if isinstance(key, EllipticCurvePublicKey):
        return "ES256" if isinstance(key.curve, SECP256R1) else None
    return "EdDSA" if isinstance(key, Ed25519PublicKey) else None


def is_factorable(key: RSAPublicKey) -> bool:
    """Tell whether an RSA key looks like those of a faulty generator (ROCA, CVE-2017-15361).

    Their moduli are powers of 65537 modulo every small prime; of other keys, one in 2^27 is.
    """
    modulus = key.public_numbers().n
    return all(modulus % prime in powers for prime, powers in _POWERS.items())


def jwk_key(
    jwk: Mapping[str, Any], rsa_bits: range = RSA_BITS
) -> tuple[tuple[str, str], PublicKey] | None:
    """Return kid, algorithm and key of a JWK, None if it is not for verifying or not fit for it."""
    algorithm = _KEY_TYPES.get(str(jwk.get("kty")), "")
    kid, operations = jwk.get("kid", ""), jwk.get("key_ops", ["verify"])
    is_for_us = (
        jwk.get("use", "sig") == "sig"
        and jwk.get("alg", algorithm) == algorithm
        and isinstance(operations, list)
        and "verify" in operations
        and isinstance(kid, str)
        and not PRIVATE_MEMBERS & jwk.keys()
    )
    if not is_for_us:
        return None
    try:
        key = jwt.PyJWK(dict(jwk), algorithm=algorithm).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, AttributeError):
        return None
    return ((kid, algorithm), key) if algorithm_of(key, rsa_bits) == algorithm else None


def jwks_keys(data: bytes, rsa_bits: range = RSA_BITS) -> Keys:
    """Read a JWK set (RFC 7517 §5) and skip the keys that are not for us; raises ValueError.

    The only key of an algorithm is found under the kid "" too: OpenID Connect Core §10.1 lets a
    token leave `kid` out then.
    """
    listed = read_json_object(data).get("keys")
    if not isinstance(listed, list):
        raise ValueError("not a JWK set")
    found = [key for jwk in listed if isinstance(jwk, dict) and (key := jwk_key(jwk, rsa_bits))]
    keys = dict(found)
    for algorithm in ALGORITHMS:
        same = [key for (_, name), key in found if name == algorithm]
        if len(same) == 1:
            keys["", algorithm] = same[0]
        else:
            keys.pop(("", algorithm), None)
    return MappingProxyType(keys)


def pem_keys(data: bytes) -> Keys:
    """Read one public key in PEM, under the kid ""; raises ValueError."""
    try:
        key = load_pem_public_key(data.strip())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a public key in PEM") from None
    if isinstance(key, PublicKey) and (algorithm := algorithm_of(key)):
        return MappingProxyType({("", algorithm): key})
    raise ValueError("not an RSA (2048 to 8192 bits), P-256 or Ed25519 public key")


class KeySource(Protocol):
    """Where a verifier finds public keys, from asynchronous and from synchronous code."""

    async def key(self, kid: str, algorithm: str) -> PublicKey | None:
        """Return the key, None if there is no such key; may raise KeysUnavailable."""

    def key_sync(self, kid: str, algorithm: str) -> PublicKey | None:
        """Do the same and block meanwhile."""


class PinnedKey:
    """One public key in PEM, known in advance: answers for any `kid` and asks nobody.

    Raises ValueError if the text is no public key that is fit.
    """

    def __init__(self, public_key: str) -> None:
        self._keys = pem_keys(public_key.replace("\\n", "\n").encode())

    async def key(self, kid: str, algorithm: str) -> PublicKey | None:
        """Return the key if it is of this algorithm."""
        return self.key_sync(kid, algorithm)

    def key_sync(self, kid: str, algorithm: str) -> PublicKey | None:
        """Return the key if it is of this algorithm."""
        return self._keys.get(("", algorithm))

    def refresh_sync(self) -> None:
        """Do nothing: there is no other key to be had."""


class RemoteKeySet:
    """The public keys at an address, fetched when needed and kept for `max_age` seconds.

    Safe to share between threads and loops: each fetch has a short-lived thread and loop of its
    own, so that neither a cancelled caller nor a blocked one can strand the others. At most one
    fetch is in flight, and an unknown kid causes one only if the last ended `cooldown` seconds
    ago. When a fetch fails the last good keys stay. `ca_certs` names a file of trusted roots.
    """

    def __init__(
        self,
        jwks_uri: str,
        *,
        max_age: float = 600,
        cooldown: float = 60,
        timeout: float = 5,
        ca_certs: str | None = None,
        parse: Callable[[bytes], Keys] = jwks_keys,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not re.match(r"https?://[^/?#]", jwks_uri):
            raise ValueError(f"not an http or https address: {jwks_uri!r}")
        self._uri = jwks_uri
        self._max_age = max_age
        self._cooldown = cooldown
        self._timeout = timeout
        self._ca_certs = ca_certs
        self._parse = parse
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: Keys = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._flight: Future[None] | None = None

    async def key(self, kid: str, algorithm: str) -> PublicKey | None:
        """Return the key, None if the set has no such key; raises KeysUnavailable."""
        if flight := self._flight_needed(kid, algorithm):
            await asyncio.wrap_future(flight)
        return self._known(kid, algorithm)

    def key_sync(self, kid: str, algorithm: str) -> PublicKey | None:
        """Do the same and block meanwhile: at most `timeout` seconds once in `cooldown`."""
        if flight := self._flight_needed(kid, algorithm):
            flight.result()
        return self._known(kid, algorithm)

    def refresh_sync(self) -> None:
        """Fetch again, unless the last fetch ended less than `cooldown` seconds ago."""
        with self._lock:
            flight = self._fly()
        if flight:
            flight.result()

    def _known(self, kid: str, algorithm: str) -> PublicKey | None:
        if self._fetched_at is None:
            raise KeysUnavailable(f"no keys from {self._uri}")
        return self._keys.get((kid, algorithm))

    def _flight_needed(self, kid: str, algorithm: str) -> Future[None] | None:
        with self._lock:
            is_fresh = (
                self._fetched_at is not None and self._clock() - self._fetched_at < self._max_age
            )
            return None if is_fresh and (kid, algorithm) in self._keys else self._fly()

    def _fly(self) -> Future[None] | None:
        """Join or start the fetch; None while it is too early for another. Needs the lock."""
        if self._flight is None and not self._is_too_early():
            flight: Future[None] = Future()
            flight.set_running_or_notify_cancel()  # a cancelled caller must not cancel the others
            threading.Thread(
                target=self._fetch, args=(flight,), name="tornado_auth-keys", daemon=True
            ).start()
            self._flight = flight
        return self._flight

    def _is_too_early(self) -> bool:
        if self._tried_at is None:
            return False
        pause = self._cooldown
        if self._fetched_at is None:
            pause = min(pause, RETRY_WITHOUT_KEYS)
        return self._clock() - self._tried_at < pause

    def _fetch(self, flight: Future[None]) -> None:
        keys = None
        try:
            keys = self._parse(self._download())
        except (HTTPClientError, OSError, ValueError) as error:
            logger.warning(
                "keys_fetch_failed", extra={"uri": self._uri, "error": type(error).__name__}
            )
        finally:
            with self._lock:
                self._tried_at = self._clock()
                if keys is not None:
                    self._keys, self._fetched_at = keys, self._tried_at
                self._flight = None
            flight.set_result(None)

    def _download(self) -> bytes:
        # Not compressed: the size limit is then one of what we read and of what we parse.
        request = HTTPRequest(
            self._uri,
            connect_timeout=self._timeout,
            request_timeout=self._timeout,
            follow_redirects=False,
            decompress_response=False,
            ca_certs=self._ca_certs,
        )
        client = HTTPClient(SimpleAsyncHTTPClient, force_instance=True, max_body_size=MAX_KEYS_SIZE)
        try:
            response = client.fetch(request)
        finally:
            client.close()
        if response.code != 200:
            raise ValueError(f"status {response.code}")
        return response.body
