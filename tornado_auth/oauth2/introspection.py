"""Introspection (RFC 7662): what a resource server is told of an access token that it was sent.

Owns who is told what. Never tells why a token does not count, nor whether it ever did.
"""

import json
from typing import Any

from tornado_auth.models import Client
from tornado_auth.oauth2.access_tokens import AccessTokens
from tornado_auth.oauth2.errors import InvalidClient
from tornado_auth.oauth2.user_authorization import is_public
from tornado_auth.oauth2.values import ACR, AccessToken

INACTIVE: dict[str, object] = {"active": False}


class Introspection:
    """Tell resource servers of tokens that are meant for them."""

    def __init__(self, access_tokens: AccessTokens, *, issuer: str) -> None:
        self._access_tokens = access_tokens
        self._issuer = issuer

    async def answer(self, client: Client, token: str) -> dict[str, object]:
        """Return what is known of a token, for a client that is one of its audiences.

        Everybody else, and whoever asks with anything but such a token, learns that it is not
        active. Raises InvalidClient for a client that has nothing to prove itself with.
        """
        if is_public(client):
            raise InvalidClient("A client without credentials cannot ask.")  # RFC 7662 §2.1
        access_token = await self._access_tokens.read(token)
        if access_token is None or not set(client.audiences) & set(access_token.audience):
            return INACTIVE
        return _without_empty(self._members(access_token))

    def _members(self, token: AccessToken) -> dict[str, Any]:
        grant = token.grant
        return {
            "active": True,
            "iss": self._issuer,
            "sub": token.sub,
            "aud": token.audience[0] if len(token.audience) == 1 else list(token.audience),
            "client_id": token.client.id,
            "username": token.user.username if token.user else "",
            "scope": " ".join(token.scope),
            "token_type": "DPoP" if token.jkt else "Bearer",
            "iat": token.issued_at,
            "exp": token.expires_at,
            "jti": token.jti,
            "cnf": {"jkt": token.jkt} if token.jkt else {},  # RFC 9449 §6.2
            "act": json.loads(token.act) if token.act else {},  # RFC 8693 §4.1
            # RFC 9470 §6.2
            **({"auth_time": grant.auth_time, "acr": grant.acr or ACR} if grant else {}),
        }


def _without_empty(members: dict[str, Any]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value not in ("", {})}
