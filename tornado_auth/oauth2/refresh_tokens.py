"""Refresh tokens: each is good once and has one successor (RFC 9700 §4.14.2).

Owns their making and their rotation. The successor follows from the token itself and our secret,
so that a client whose answer got lost can ask again and gets the same one; stored are digests
alone. Never decides what a token is good for: its grant says that.
"""

import base64
import functools
import hmac
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from tornado_auth.digests import digest
from tornado_auth.errors import AlreadyExists, Stale
from tornado_auth.models import Client, Grant, RefreshToken
from tornado_auth.seals import derive_key
from tornado_auth.storage import Collection

PREFIX = "trt_"


class RefreshTokens:
    """The refresh tokens of all grants.

    `lifetime` without use and `grace` for a repeated refresh are in seconds. Successors are made
    with the first of the `master_secrets`, and recognised with all.
    """

    def __init__(
        self,
        tokens: Collection[RefreshToken],
        *,
        master_secrets: Sequence[str],
        lifetime: int,
        grace: int,
        now: Callable[[], int],
    ) -> None:
        self._tokens = tokens
        self._keys = [derive_key("refresh tokens", secret) for secret in master_secrets]
        self._lifetime = lifetime
        self._grace = grace
        self._now = now

    async def issue(self, grant: Grant, client: Client, *, jkt: str = "") -> str:
        """Make the first token of a grant; with `jkt` good for who holds that key alone."""
        token = PREFIX + secrets.token_urlsafe(32)
        await self._tokens.insert(self._record(token, grant, client, jkt))
        return token

    async def find(self, token: str) -> RefreshToken | None:
        """Return the record of a token, though it may be used or over."""
        return await self._tokens.get(digest(token))

    def is_over(self, record: RefreshToken) -> bool:
        """Tell whether a token went unused for too long."""
        return record.used_at is None and record.valid_until <= self._now()

    async def rotate(
        self, token: str, record: RefreshToken, *, grant: Grant, client: Client
    ) -> str | None:
        """Spend a token and return its successor; None if it was spent before.

        Who repeats this within the grace, before the successor was used, gets it again.
        """
        successor = await self._spend(token, record, client)
        successor = successor or await self._repeat(token, record.id)
        if successor:
            # Whoever comes second, be it after a crash in between, finds it there or makes it.
            with suppress(AlreadyExists):
                await self._tokens.insert(self._record(successor, grant, client, record.jkt))
        return successor

    async def _spend(self, token: str, record: RefreshToken, client: Client) -> str | None:
        if record.used_at is not None:
            return None
        successor = _successor(token, self._keys[0])
        now = self._now()
        until = now + self._lifetime_for(client)
        spent = replace(
            record,
            used_at=now,
            successor_id=digest(successor),
            expires_at=min(until, record.expires_at or until),
        )
        try:
            await self._tokens.replace(spent)
        except Stale:  # another request was faster
            return None
        return successor

    async def _repeat(self, token: str, id: str) -> str | None:
        spent = await self._tokens.get(id)
        if spent is None or spent.used_at is None or not self._is_in_grace(spent.used_at):
            return None
        successor = await self._tokens.get(spent.successor_id)
        if successor is not None and successor.used_at is not None:
            return None
        candidates = (_successor(token, key) for key in self._keys)
        is_its = functools.partial(hmac.compare_digest, spent.successor_id)
        return next((one for one in candidates if is_its(digest(one))), None)

    def _is_in_grace(self, used_at: int) -> bool:
        return 0 < self._grace >= self._now() - used_at

    def _lifetime_for(self, client: Client) -> int:
        lifetime = client.refresh_token_lifetime
        return self._lifetime if lifetime is None else lifetime

    def _record(self, token: str, grant: Grant, client: Client, jkt: str) -> RefreshToken:
        now = self._now()
        return RefreshToken(
            id=digest(token),
            grant_id=grant.id,
            client_id=client.id,
            jkt=jkt,
            valid_until=now + self._lifetime_for(client),
            created_at=now,
            expires_at=grant.expires_at,
        )


def _successor(token: str, key: bytes) -> str:
    mac = hmac.digest(key, token.encode(), "sha256")
    return PREFIX + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
