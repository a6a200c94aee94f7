"""Pushed authorization requests (RFC 9126), and those of ours that are too long for an address.

Owns their names (`request_uri`) and that each is answered once. What is pushed stays there while
its user signs in, however little time there was to begin. Never reads what is in one.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from tornado_auth.digests import digest
from tornado_auth.errors import Stale
from tornado_auth.models import Client, PushedRequest
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.storage import Collection

PREFIX = "urn:ietf:params:oauth:request_uri:"
TIME_TO_ANSWER = 600  # seconds
LONGEST = 3600  # seconds for which it is kept, however often its user comes and goes


class PushedRequests:
    """The requests that wait for their user; `lifetime` (until that begins) is in seconds."""

    def __init__(
        self, requests: Collection[PushedRequest], *, lifetime: int, now: Callable[[], int]
    ) -> None:
        self._requests = requests
        self._lifetime = lifetime
        self._now = now

    async def push(
        self, client: Client, parameters: Parameters, *, jkt: str = ""
    ) -> tuple[str, int]:
        """Keep a request and return its request_uri and for how many seconds that is good."""
        return await self._keep(client, parameters, jkt, self._lifetime), self._lifetime

    async def park(self, client: Client, parameters: Parameters, *, jkt: str = "") -> str:
        """Keep a request that we would have to send around, and return its request_uri."""
        return await self._keep(client, parameters, jkt, TIME_TO_ANSWER)

    async def _keep(self, client: Client, parameters: Parameters, jkt: str, lifetime: int) -> str:
        name = secrets.token_urlsafe(32)
        record = PushedRequest(
            id=digest(name),
            client_id=client.id,
            parameters=parameters.to_json(),
            dpop_jkt=jkt,
            created_at=self._now(),
            expires_at=self._now() + lifetime,
        )
        await self._requests.insert(record)
        return PREFIX + name

    async def get(self, request_uri: str, client_id: str) -> PushedRequest | None:
        """Return what a client pushed; None if that is unknown, over, answered or another's."""
        record = await self._requests.get(_id(request_uri))
        return record if record is not None and record.client_id == client_id else None

    async def hold(self, request_uri: str) -> None:
        """Keep a request while its user is busy with it."""
        record = await self._requests.get(_id(request_uri))
        if record is None:
            return
        now = self._now()
        until = min(now + TIME_TO_ANSWER, record.created_at + LONGEST)
        if until - (record.expires_at or now) > TIME_TO_ANSWER / 4:
            with suppress(Stale):
                await self._requests.replace(replace(record, expires_at=until))

    async def spend(self, request_uri: str) -> bool:
        """Forget a request that is answered; true for exactly one caller."""
        return await self._requests.delete(_id(request_uri))


def _id(request_uri: str) -> str:
    return digest(request_uri.removeprefix(PREFIX))
