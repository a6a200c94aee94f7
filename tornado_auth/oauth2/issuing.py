"""Make tokens of what a grant type proved: access token, refresh token and ID token.

Owns what is in each (RFC 9068 §2.2, OpenID Connect Core §2). Never knows how something was proven,
nor asks whether it may be had.
"""

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256, sha512

from tornado_auth.digests import digest
from tornado_auth.keys import KeySet
from tornado_auth.models import Grant, OpaqueAccessToken, TokenType
from tornado_auth.oauth2.access_tokens import OPAQUE_PREFIX
from tornado_auth.oauth2.claims import Claims, named_claims
from tornado_auth.oauth2.refresh_tokens import RefreshTokens
from tornado_auth.oauth2.values import ACR, Authorization, TokenResponse
from tornado_auth.storage import Collection

OPAQUE = "opaque"


class TokenIssuer:
    """Mint tokens; both lifetimes are in seconds, that of access tokens if a client has none."""

    def __init__(
        self,
        keys: KeySet,
        access_tokens: Collection[OpaqueAccessToken],
        *,
        refresh_tokens: RefreshTokens,
        claims: Claims,
        issuer: str,
        access_token_lifetime: int,
        id_token_lifetime: int,
        now: Callable[[], int],
    ) -> None:
        self._keys = keys
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._claims = claims
        self._issuer = issuer
        self._access_token_lifetime = access_token_lifetime
        self._id_token_lifetime = id_token_lifetime
        self._now = now

    async def issue(self, authorization: Authorization) -> TokenResponse:
        """Return what the token endpoint answers.

        Raises ValueError for a user without a grant: it is by the grant that their tokens end.
        """
        if authorization.user is not None and authorization.grant is None:
            raise ValueError("Tokens of a user hang on a grant: begin one, and give it along.")
        now = self._now()
        until = self._end_of(authorization, now)
        access_token = await self._access_token(authorization, now, until)
        return TokenResponse(
            access_token=access_token,
            token_type="DPoP" if authorization.jkt else "Bearer",
            expires_in=until - now,
            scope=" ".join(authorization.scope),
            refresh_token=await self._refresh_token(authorization),
            id_token=await self._id_token(authorization, access_token, now),
            issued_token_type=authorization.issued_token_type,
        )

    def _end_of(self, authorization: Authorization, now: int) -> int:
        """Return when the access token ends: with its grant at the latest."""
        lifetime = authorization.client.access_token_lifetime
        ends = [now + (self._access_token_lifetime if lifetime is None else lifetime)]
        if authorization.until is not None:
            ends.append(authorization.until)
        if authorization.grant is not None and authorization.grant.expires_at is not None:
            ends.append(authorization.grant.expires_at)
        return min(ends)

    async def _access_token(self, authorization: Authorization, now: int, until: int) -> str:
        if authorization.client.access_token_format == OPAQUE:
            return await self._opaque_access_token(authorization, now, until)
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": _subject_of(authorization),
            "aud": _one_or_all(self._audience_of(authorization)),
            "client_id": authorization.client.id,
            "iat": now,
            "exp": until,
            "jti": secrets.token_urlsafe(16),
        }
        optional: dict[str, object] = {
            "scope": " ".join(authorization.scope),
            "cnf": {"jkt": authorization.jkt} if authorization.jkt else None,
            "act": json.loads(authorization.act) if authorization.act else None,
            **_of_sign_in(authorization.grant),
        }
        claims |= {name: value for name, value in optional.items() if value}
        return await self._keys.sign(claims, typ=TokenType.ACCESS)

    async def _opaque_access_token(self, authorization: Authorization, now: int, until: int) -> str:
        token = OPAQUE_PREFIX + secrets.token_urlsafe(32)
        record = OpaqueAccessToken(
            id=digest(token),
            grant_id=authorization.grant.id if authorization.grant else "",
            client_id=authorization.client.id,
            sub=_subject_of(authorization),
            scope=authorization.scope,
            audience=self._audience_of(authorization),
            jkt=authorization.jkt,
            act=authorization.act,
            issued_at=now,
            expires_at=until,
        )
        await self._access_tokens.insert(record)
        return token

    def _audience_of(self, authorization: Authorization) -> tuple[str, ...]:
        return authorization.audience or (self._issuer,)

    async def _refresh_token(self, authorization: Authorization) -> str:
        if authorization.refresh_token or not authorization.has_refresh_token:
            return authorization.refresh_token
        if authorization.grant is None:
            return ""  # there is nothing that it could be refreshed from
        return await self._refresh_tokens.issue(
            authorization.grant, authorization.client, jkt=authorization.refresh_jkt
        )

    async def _id_token(self, authorization: Authorization, access_token: str, now: int) -> str:
        user, grant, client = authorization.user, authorization.grant, authorization.client
        if not authorization.has_id_token or user is None or grant is None:
            return ""
        names = named_claims(grant, client, authorization.scope, "id_token")
        claims: dict[str, object] = {
            **await self._claims.for_id_token(user, names),
            "iss": self._issuer,
            "sub": user.id,
            "aud": client.id,
            "iat": now,
            "exp": now + self._id_token_lifetime,
            "auth_time": grant.auth_time,
            "acr": grant.acr or ACR,
            "sid": grant.sid,
            "at_hash": _at_hash(access_token, self._keys.algorithm),
        }
        if grant.amr:
            claims["amr"] = list(grant.amr)
        if authorization.nonce:
            claims["nonce"] = authorization.nonce
        return await self._keys.sign(claims, typ=TokenType.ID)


def _subject_of(authorization: Authorization) -> str:
    return authorization.user.id if authorization.user else authorization.client.id


def _of_sign_in(grant: Grant | None) -> dict[str, object]:
    """Return the claims that tell how the user signed in, and under which grant."""
    if grant is None:
        return {}
    return {
        "gid": grant.id,
        "auth_time": grant.auth_time,
        "acr": grant.acr or ACR,
        "amr": list(grant.amr),
    }


def _one_or_all(audience: tuple[str, ...]) -> str | list[str]:
    return audience[0] if len(audience) == 1 else list(audience)


def _at_hash(access_token: str, algorithm: str) -> str:
    """Return the claim `at_hash`: half of the hash that the algorithm signs (Core §3.1.3.6)."""
    hashed = (sha512 if algorithm == "EdDSA" else sha256)(access_token.encode()).digest()
    return urlsafe_b64encode(hashed[: len(hashed) // 2]).rstrip(b"=").decode()
