"""Client assertions: tokens that clients sign with a key of their own (RFC 7523, private_key_jwt).

Owns what an assertion must say, and that each is good once. Never takes a key from the assertion,
nor an algorithm that is not ours: there is nothing symmetric among them (RFC 8725 §3.1).
"""

from collections.abc import Callable, Mapping
from typing import Any

from tornado_auth.digests import digest
from tornado_auth.errors import AlreadyExists
from tornado_auth.models import Client, SpentState
from tornado_auth.oauth2.client_keys import ClientKeys
from tornado_auth.oauth2.errors import InvalidClient
from tornado_auth.resource_server import TokenRejected
from tornado_auth.resource_server.signed_tokens import (
    ALGORITHMS,
    MAX_CLOCK_SKEW,
    read_claims,
    read_header_members,
    read_unproven_claims,
)
from tornado_auth.storage import Collection

MAX_LIFETIME = 300  # seconds
MAX_ID = 255
TYPES = frozenset({"", "jwt", "client-authentication+jwt"})
# All that somebody learns who does not have the client's key: not even whether there is a client.
NOT_PROVEN = "The client is unknown, or did not prove who it is."


def subject_of(assertion: str) -> str:
    """Return which client an assertion claims to be of; raises InvalidClient for a malformed one.

    Nothing of it is proven yet.
    """
    try:
        _read_header(assertion)
        subject = read_unproven_claims(assertion).get("sub")
    except TokenRejected:
        subject = None
    if not isinstance(subject, str) or not subject:
        raise InvalidClient(NOT_PROVEN)
    return subject


class ClientAssertions:
    """Check assertions for `issuer`, or for `token_endpoint` where the client may say that."""

    def __init__(
        self,
        keys: ClientKeys,
        spent_states: Collection[SpentState],
        *,
        issuer: str,
        token_endpoint: str,
        now: Callable[[], int],
    ) -> None:
        self._keys = keys
        self._spent_states = spent_states
        self._issuer = issuer
        self._token_endpoint = token_endpoint
        self._now = now

    async def check(self, client: Client, assertion: str) -> None:
        """Return if the client signed this assertion, for us, and shows it for the first time.

        Raises InvalidClient. It names the check that failed only if the key is the client's own.
        """
        claims = await self._signed_claims(client, assertion)
        try:
            self._check_parties(client, claims)
            expires_at = self._check_times(claims)
            await self._spend(client, claims.get("jti"), expires_at)
        except TokenRejected as error:
            raise InvalidClient(f"The client assertion is not good: {error}.") from None

    async def _signed_claims(self, client: Client, assertion: str) -> dict[str, Any]:
        try:
            algorithm, kid = _read_header(assertion)
            key = await self._keys.find(client, kid, algorithm)
            if key is None:
                raise TokenRejected("signed by an unknown key")
            return read_claims(assertion, key, algorithm)
        except TokenRejected:
            raise InvalidClient(NOT_PROVEN) from None

    def _check_parties(self, client: Client, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != client.id or claims.get("sub") != client.id:
            raise TokenRejected("iss and sub are not both the client_id")
        audience = claims.get("aud")
        if not client.takes_endpoint_audience:
            good = isinstance(audience, str) and audience == self._issuer
        else:
            named = audience if isinstance(audience, list) else [audience]
            good = bool(named) and all(one in (self._issuer, self._token_endpoint) for one in named)
        if not good:
            raise TokenRejected("aud is not the issuer, as one string")

    def _check_times(self, claims: Mapping[str, Any]) -> int:
        """Return when the assertion ends; it must live for a short time and have begun."""
        now = self._now()
        times: dict[str, int] = {
            name: claims[name] for name in ("exp", "iat", "nbf") if name in claims
        }
        if "exp" not in times or any(type(time) is not int for time in times.values()):
            raise TokenRejected("exp is missing, or a time is not in whole seconds")
        exp = times.pop("exp")
        if exp <= now:
            raise TokenRejected("it is over")
        if any(time > now + MAX_CLOCK_SKEW for time in times.values()):
            raise TokenRejected("iat or nbf is ahead")
        if exp - times.get("iat", now) > MAX_LIFETIME:
            raise TokenRejected("it lives longer than five minutes")
        return exp

    async def _spend(self, client: Client, jti: object, expires_at: int) -> None:
        if not isinstance(jti, str) or not 0 < len(jti) <= MAX_ID:
            raise TokenRejected("it needs a jti")
        spent = SpentState(id=digest(f"client_assertion:{client.id}:{jti}"), expires_at=expires_at)
        try:
            await self._spent_states.insert(spent)
        except AlreadyExists:
            raise TokenRejected("it was used before") from None


def _read_header(assertion: str) -> tuple[str, str]:
    """Return algorithm and kid ("" without one) that an assertion names; raises TokenRejected."""
    header = read_header_members(assertion)
    algorithm, kid, typ = (header.get(name, "") for name in ("alg", "kid", "typ"))
    if algorithm not in ALGORITHMS:
        raise TokenRejected("the algorithm is not allowed")
    if not isinstance(kid, str) or not isinstance(typ, str) or typ.lower() not in TYPES:
        raise TokenRejected("the header is of another kind of token")
    return algorithm, kid
