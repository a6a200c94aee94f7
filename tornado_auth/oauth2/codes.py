"""Authorization codes (RFC 6749 §4.1.2): made here, redeemed by the grant type.

Owns their form, their digest and that each is used once. Never knows who redeems one.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace

from tornado_auth.digests import digest
from tornado_auth.errors import Stale
from tornado_auth.models import AuthorizationCode, Grant
from tornado_auth.oauth2.authorization_requests import AuthorizationRequest
from tornado_auth.storage import Collection

PREFIX = "tac_"
KEPT = 600  # seconds for which a code is known after its end, so that a second use is noticed


class AuthorizationCodes:
    """The codes of all grants; `lifetime` is in seconds."""

    def __init__(
        self, codes: Collection[AuthorizationCode], *, lifetime: int, now: Callable[[], int]
    ) -> None:
        self._codes = codes
        self._now = now
        self.lifetime = lifetime

    async def issue(self, grant: Grant, request: AuthorizationRequest) -> str:
        """Make a code for a grant, bound to all that its redemption must match."""
        code = PREFIX + secrets.token_urlsafe(32)
        valid_until = self._now() + self.lifetime
        record = AuthorizationCode(
            id=digest(code),
            grant_id=grant.id,
            client_id=grant.client_id,
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            nonce=request.nonce,
            dpop_jkt=request.dpop_jkt,
            valid_until=valid_until,
            expires_at=valid_until + KEPT,
        )
        await self._codes.insert(record)
        return code

    async def find(self, code: str) -> AuthorizationCode | None:
        """Return what is known of a code, though it may be over or used; None if nothing is."""
        return await self._codes.get(digest(code)) if code.startswith(PREFIX) else None

    async def use(self, record: AuthorizationCode) -> AuthorizationCode | None:
        """Mark a code as used, for exactly one caller: None for all others."""
        if record.used_at is not None:
            return None
        try:
            return await self._codes.replace(replace(record, used_at=self._now()))
        except Stale:
            return None
