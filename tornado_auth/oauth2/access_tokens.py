"""Access tokens as they come back: whose they are, and whether they still count.

Owns how both forms are read, a JWT (RFC 9068) or an opaque token with a record, and the end of a
single one. Nothing is remembered: what a token hangs on is asked for each time. Never makes a
token: `issuing` does.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tornado_auth.digests import digest
from tornado_auth.errors import AlreadyExists, InvalidToken
from tornado_auth.keys import KeySet
from tornado_auth.models import Client, OpaqueAccessToken, SpentState, TokenType
from tornado_auth.oauth2.dpop import DPoP
from tornado_auth.oauth2.errors import InvalidBearerToken
from tornado_auth.oauth2.grants import Grants, LiveGrant
from tornado_auth.oauth2.values import AccessToken, DPoPProof
from tornado_auth.resource_server.signed_tokens import TokenRejected, check_times
from tornado_auth.storage import Collection

OPAQUE_PREFIX = "tat_"


class AccessTokens:
    """All access tokens of this issuer."""

    def __init__(
        self,
        access_tokens: Collection[OpaqueAccessToken],
        spent_states: Collection[SpentState],
        clients: Collection[Client],
        *,
        grants: Grants,
        dpop: DPoP,
        keys: KeySet,
        issuer: str,
        now: Callable[[], int],
    ) -> None:
        self._access_tokens = access_tokens
        self._spent_states = spent_states
        self._clients = clients
        self._grants = grants
        self._dpop = dpop
        self._keys = keys
        self._issuer = issuer
        self._now = now

    async def read(self, token: str) -> AccessToken | None:
        """Return what a token says, None unless it counts at this moment.

        For whom it is and to which key it is bound is for the caller to look at.
        """
        if token.startswith(OPAQUE_PREFIX):
            record = await self._access_tokens.get(digest(token))
            return await self._live(record) if record else None
        try:
            record = self._from_jwt(token)
        except (InvalidToken, TokenRejected):
            return None
        live, spent = await asyncio.gather(
            self._live(record), self._spent_states.get(_spent_id(record.id))
        )
        return None if spent else live

    async def admit(self, token: str, *, scheme: str, proof: DPoPProof | None) -> AccessToken:
        """Return what a token says that opens a resource of ours (RFC 6750 §2, RFC 9449 §7).

        Raises InvalidBearerToken; InvalidDPoPProof, UseDPoPNonce.
        """
        access_token = await self.read(token)
        if access_token is None or self._issuer not in access_token.audience:
            scheme_name = "DPoP" if scheme == "dpop" else "Bearer"
            raise InvalidBearerToken("The access token is not valid here.", scheme=scheme_name)
        await self.check_scheme(access_token, token, scheme=scheme, proof=proof)
        return access_token

    async def check_scheme(
        self, access_token: AccessToken, token: str, *, scheme: str, proof: DPoPProof | None
    ) -> None:
        """Refuse a token that is bound to a key and comes without that key's proof.

        Raises InvalidBearerToken; InvalidDPoPProof, UseDPoPNonce.
        """
        if not access_token.jkt and scheme == "bearer":
            return
        if not access_token.jkt:
            raise InvalidBearerToken("The access token is not bound to a key.", scheme="DPoP")
        if scheme != "dpop" or proof is None:
            description = "The access token is bound to a key and needs its proof."
            raise InvalidBearerToken(description, scheme="DPoP")
        if await self._dpop.check(proof, access_token=token) != access_token.jkt:
            description = "The access token is bound to another key than that of the proof."
            raise InvalidBearerToken(description, scheme="DPoP")

    async def end(self, token: str, access_token: AccessToken) -> None:
        """End one token and nothing else; `access_token` is what was read from it."""
        if token.startswith(OPAQUE_PREFIX):
            await self._access_tokens.delete(digest(token))
            return
        spent = SpentState(id=_spent_id(access_token.jti), expires_at=access_token.expires_at)
        try:
            await self._spent_states.insert(spent)
        except AlreadyExists:
            return  # ended by somebody else at the same moment

    def _from_jwt(self, token: str) -> OpaqueAccessToken:
        claims = self._keys.read(token, typ=TokenType.ACCESS)
        if claims.get("iss") != self._issuer:
            raise TokenRejected("from another issuer")
        check_times(claims, self._now())
        return _record_of(claims)

    async def _live(self, record: OpaqueAccessToken) -> AccessToken | None:
        """Add whom a token stands for, None unless all of them are there and good."""
        if not record.grant_id:
            client, subject = await asyncio.gather(
                self._active(record.client_id), self._active(record.sub)
            )
            return _access_token(record, client) if client and subject else None
        live = await self._grants.live(record.grant_id)
        if live is None or live.user.id != record.sub:
            return None
        is_own = live.client.id == record.client_id  # another's was exchanged (RFC 8693)
        client = live.client if is_own else await self._active(record.client_id)
        return _access_token(record, client, live) if client else None

    async def _active(self, client_id: str) -> Client | None:
        client = await self._clients.get(client_id)
        return client if client is not None and client.disabled_at is None else None


def _record_of(claims: dict[str, Any]) -> OpaqueAccessToken:
    """Return a JWT's claims as the record that it would have if it were opaque."""
    aud, act = claims["aud"], claims.get("act")
    return OpaqueAccessToken(
        id=claims["jti"],
        grant_id=claims.get("gid", ""),
        client_id=claims["client_id"],
        sub=claims["sub"],
        scope=tuple(claims.get("scope", "").split()),
        audience=(aud,) if isinstance(aud, str) else tuple(aud),
        jkt=claims.get("cnf", {}).get("jkt", ""),
        act=json.dumps(act) if act else "",
        issued_at=claims["iat"],
        expires_at=claims["exp"],
    )


def _access_token(
    record: OpaqueAccessToken, client: Client, live: LiveGrant | None = None
) -> AccessToken:
    return AccessToken(
        client=client,
        sub=record.sub,
        user=live.user if live else None,
        grant=live.grant if live else None,
        scope=record.scope,
        audience=record.audience,
        jti=record.id,
        jkt=record.jkt,
        act=record.act,
        issued_at=record.issued_at,
        expires_at=record.expires_at or 0,
    )


def _spent_id(jti: str) -> str:
    return digest(f"access_token:{jti}")
