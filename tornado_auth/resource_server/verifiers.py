"""The two verifiers for other services: `TokenVerifier`, and `Verifyer`, with an older interface.

Owns the order of the checks. Never answers "not valid" where no key could be fetched at all,
except where the interface of DataHQ auth and dgp-oauth2 knows no third answer.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from tornado_auth.resource_server.key_sets import (
    KeySource,
    KeysUnavailable,
    PinnedKey,
    RemoteKeySet,
    pem_keys,
)
from tornado_auth.resource_server.signed_tokens import (
    ALGORITHMS,
    BadSignature,
    Header,
    PublicKey,
    TokenRejected,
    check_audience,
    check_claims,
    check_times,
    read_claims,
    read_header,
)

logger = logging.getLogger(__name__)


class TokenVerifier:
    """Tell whether a token is `issuer`'s, for `audience`, and of kind `typ`.

    The keys are those at `<issuer>/.well-known/jwks.json` unless `jwks_uri`, `public_key` (PEM)
    or `keys` names others. `now` returns the time in seconds. One verifier may serve any number
    of threads and loops.
    """

    def __init__(
        self,
        issuer: str,
        *,
        audience: str,
        typ: str = "permission+jwt",
        algorithms: Collection[str] = ALGORITHMS,
        jwks_uri: str = "",
        public_key: str = "",
        keys: KeySource | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not algorithms or not set(algorithms) <= set(ALGORITHMS):
            raise ValueError(f"algorithms are of {', '.join(ALGORITHMS)}")
        self._issuer = issuer
        self._audience = audience
        self._typ = typ
        self._algorithms = tuple(algorithms)
        self._now = now
        self._keys = keys or (
            PinnedKey(public_key)
            if public_key
            else RemoteKeySet(jwks_uri or issuer.rstrip("/") + "/.well-known/jwks.json")
        )

    async def verify(self, token: str) -> Mapping[str, Any]:
        """Return the claims; raises TokenRejected, or KeysUnavailable if nobody can tell."""
        header = read_header(token, typ=self._typ, algorithms=self._algorithms)
        return self._claims(token, header, await self._keys.key(header.kid, header.algorithm))

    def verify_sync(self, token: str) -> Mapping[str, Any]:
        """Do the same from synchronous code, in a thread with or without a running loop."""
        header = read_header(token, typ=self._typ, algorithms=self._algorithms)
        return self._claims(token, header, self._keys.key_sync(header.kid, header.algorithm))

    def _claims(self, token: str, header: Header, key: PublicKey | None) -> Mapping[str, Any]:
        if key is None:
            raise TokenRejected("signed by an unknown key")
        claims = read_claims(token, key, header.algorithm)
        now = int(self._now())
        check_claims(claims, issuer=self._issuer, audience=self._audience, now=now)
        return claims


class Verifyer:
    """Read permission tokens as DataHQ auth and dgp-oauth2 had it, with a key that can change.

    `auth_endpoint` is the address of `/auth/public-key` or of `/auth`; `public_key`, a PEM text,
    needs no endpoint. Blocks while it fetches the key: asynchronous code has `TokenVerifier`.
    """

    def __init__(
        self,
        *,
        auth_endpoint: str | None = None,
        public_key: str | None = None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (public_key or auth_endpoint):
            raise ValueError("Verifyer needs auth_endpoint or public_key")
        self._keys: PinnedKey | RemoteKeySet
        if public_key:
            self._keys = PinnedKey(public_key)
        else:
            base = str(auth_endpoint).rstrip("/").removesuffix("/public-key")
            self._keys = RemoteKeySet(f"{base}/public-key", parse=pem_keys, clock=clock)
        self._now = now

    def extract_permissions(
        self, auth_token: str | None, *, service: str | None = None
    ) -> dict[str, Any] | Literal[False]:
        """Return the claims (`userid`, `permissions`, `service`, ...), or False if not valid.

        Name your `service`, or a token that was issued for another one passes.
        """
        if not auth_token:
            return False
        try:
            claims = self._signed_claims(auth_token)
            check_times(claims, int(self._now()))
            if service is not None:
                check_audience(claims, service)
                if claims.get("service") != service:
                    raise TokenRejected("for another service")
        except (TokenRejected, KeysUnavailable) as error:
            logger.info("permission_token_rejected", extra={"error": str(error)})
            return False
        return claims

    def _signed_claims(self, token: str) -> dict[str, Any]:
        algorithm = read_header(token, typ="permission+jwt").algorithm
        key = self._key(algorithm)
        try:
            return read_claims(token, key, algorithm)
        except BadSignature:
            self._keys.refresh_sync()
            return read_claims(token, self._key(algorithm), algorithm)

    def _key(self, algorithm: str) -> PublicKey:
        key = self._keys.key_sync("", algorithm)
        if key is None:
            raise TokenRejected("signed by a key of another type")
        return key
