"""Tokens for other services to verify.

Owns what a permission token says. Never decides what a user may do: `permissions.py` does.
"""

import secrets
from collections.abc import Callable, Mapping

from tornado_auth.keys import KeySet
from tornado_auth.models import Session, TokenType


class PermissionTokens:
    """Sign tokens for services; `permission_lifetime` is in seconds."""

    def __init__(
        self, keys: KeySet, *, issuer: str, permission_lifetime: int, now: Callable[[], int]
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._permission_lifetime = permission_lifetime
        self._now = now

    async def permission_token(
        self,
        session: Session,
        service: str,
        permissions: Mapping[str, object],
        *,
        resource: str = "",
    ) -> str:
        """Sign what a user may do in a service, or a resource of it; good for that alone.

        `sid` names the session, so that the token opens nothing at /auth/verify once that ended.
        """
        now, audience = self._now(), audience_of(service, resource)
        claims = {
            "iss": self._issuer,
            "sub": session.user_id,
            "aud": audience,
            "userid": session.user_id,
            "sid": session.id,
            "service": audience,  # older verifiers look at this one alone
            "permissions": dict(permissions),
            "iat": now,
            "exp": min(
                now + self._permission_lifetime,
                session.expires_at or now + self._permission_lifetime,
            ),
            "jti": secrets.token_urlsafe(16),
        }
        return await self._keys.sign(claims, typ=TokenType.PERMISSION)


def audience_of(service: str, resource: str) -> str:
    """Return whom a permission token is for: a service, or a resource of it where one is named.

    No service has a colon in its name, so neither token ever counts for the other.
    """
    return f"{service}:{resource}" if service and resource else service
