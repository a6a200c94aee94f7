"""The public keys of clients: registered as they are, or published at the client's address.

Owns the cache of those that were fetched, and how often anybody is asked: neither a key that is
unknown nor a client that does not answer makes us call it more than once in a while. Never keeps a
private or symmetric key.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from tornado_auth.caches import BoundedCache
from tornado_auth.errors import CallFailed
from tornado_auth.models import Client
from tornado_auth.outbound import Outbound
from tornado_auth.resource_server.key_sets import MODEST_RSA_BITS, Keys, jwks_keys
from tornado_auth.resource_server.signed_tokens import PublicKey

MAX_AGE = 600  # seconds
MAX_OUTAGE = 3600  # for so long the last keys stay good
COOLDOWN = 30
MAX_SETS = 1000


@dataclass(slots=True)
class _Fetched:
    keys: Keys = field(default_factory=dict)
    good_until: int = 0
    tried_at: int = -COOLDOWN
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ClientKeys:
    """The keys of all clients."""

    def __init__(self, outbound: Outbound, *, now: Callable[[], int]) -> None:
        self._outbound = outbound
        self._now = now
        self._sets: BoundedCache[str, _Fetched] = BoundedCache(MAX_SETS)

    async def find(self, client: Client, kid: str, algorithm: str) -> PublicKey | None:
        """Return the client's key with this name, or its only one of the algorithm; else None."""
        if not client.jwks_uri:
            return _pick(_read(client.jwks), kid, algorithm)
        fetched = self._sets.get(client.jwks_uri)
        if fetched is None:
            fetched = _Fetched()
            self._sets.put(client.jwks_uri, fetched)
        async with fetched.lock:
            if self._is_due(fetched, kid, algorithm):
                await self._fetch(client.jwks_uri, fetched)
        return _pick(fetched.keys, kid, algorithm)

    def _is_due(self, fetched: _Fetched, kid: str, algorithm: str) -> bool:
        if self._now() - fetched.tried_at < COOLDOWN:
            return False
        return (kid, algorithm) not in fetched.keys or self._now() >= fetched.good_until

    async def _fetch(self, uri: str, fetched: _Fetched) -> None:
        fetched.tried_at = self._now()
        try:
            fetched.keys = jwks_keys(await self._outbound.get(uri), MODEST_RSA_BITS)
        except (CallFailed, ValueError):
            if self._now() >= fetched.good_until + MAX_OUTAGE:
                fetched.keys = {}
            return
        fetched.good_until = self._now() + MAX_AGE


def _pick(keys: Keys, kid: str, algorithm: str) -> PublicKey | None:
    return keys.get((kid, algorithm)) or keys.get(("", algorithm))


@lru_cache(maxsize=256)
def _read(jwks: str) -> Keys:
    return jwks_keys(jwks.encode(), MODEST_RSA_BITS) if jwks else {}
