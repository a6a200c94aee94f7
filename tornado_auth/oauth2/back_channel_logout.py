"""What clients are told when a session ends (OpenID Connect Back-Channel Logout §2).

Owns the logout token and its delivery: to all clients of the session at once, in the background,
so that no client can hold up whoever signs out, nor a host that hangs the clients elsewhere. What
cannot be delivered in a few tries is given up: the tokens that a client got in the session have
ended anyway.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from tornado_auth.errors import CallFailed, StorageUnavailable
from tornado_auth.keys import KeySet
from tornado_auth.metrics import Metrics
from tornado_auth.models import API_KEY, Client, Session, TokenType
from tornado_auth.oauth2.grants import Grants
from tornado_auth.outbound import Outbound
from tornado_auth.storage import Collection

logger = logging.getLogger(__name__)

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TOKEN_LIFETIME = 120
RETRY_AFTER = (1.0, 5.0)  # seconds
AT_ONCE = 50
AT_ONCE_TO_HOST = 5
MAX_WAITING = 1000
MAX_WAITING_FOR_HOST = 200
DRAIN = 2.0  # seconds that a stopping server waits for what is under way


class _Host:
    """A host of clients' servers, as long as one of them is to be told.

    Not a client alone: anybody may have many of them, if clients can register themselves.
    """

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(AT_ONCE_TO_HOST)
        self.waiting = 0


class BackChannelLogout:
    """Tell clients, each over `Outbound`, which limits the time of a call."""

    def __init__(
        self,
        grants: Grants,
        clients: Collection[Client],
        keys: KeySet,
        *,
        outbound: Outbound,
        issuer: str,
        metrics: Metrics,
        now: Callable[[], int],
        retry_after: Sequence[float] = RETRY_AFTER,
    ) -> None:
        self._grants = grants
        self._clients = clients
        self._keys = keys
        self._outbound = outbound
        self._issuer = issuer
        self._results = metrics.backchannel_logouts
        self._now = now
        self._retry_after = retry_after
        self._places = asyncio.Semaphore(AT_ONCE)
        self._hosts = WeakValueDictionary[str, _Host]()
        self._under_way: set[asyncio.Task[None]] = set()
        self._tidying: set[asyncio.Task[None]] = set()
        self._one_tidies = asyncio.Lock()

    async def session_ended(self, session: Session) -> None:
        """End what was granted for the length of a session, and tell its clients; never raises.

        The grants of a session that is gone count no more, whether they are deleted or not: nobody
        waits for that.
        """
        if session.provider == API_KEY:
            return
        try:
            grants = await self._grants.of_session(session.id)
            clients = await self._clients.get_many(list({grant.client_id for grant in grants}))
        except StorageUnavailable:
            logger.warning("clients_not_told", exc_info=True)
            return
        for client_id, sid in dict.fromkeys((grant.client_id, grant.sid) for grant in grants):
            client = clients.get(client_id)
            if client and client.backchannel_logout_uri and client.disabled_at is None:
                self._tell_later(client, session.user_id, sid)
        if grants:
            _start(self._tidy(session.id), self._tidying)

    async def _tidy(self, session_id: str) -> None:
        # They expire though the store fails just now. One by one: others need the store, too.
        with suppress(StorageUnavailable):
            async with self._one_tidies:
                await self._grants.end_session(session_id)

    async def stop(self) -> None:
        """Wait a little for what is under way, and give up the rest."""
        tasks = self._under_way | self._tidying
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=DRAIN)
        self._results.labels("dropped").inc(len(late & self._under_way))
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _tell_later(self, client: Client, user_id: str, sid: str) -> None:
        name = urlsplit(client.backchannel_logout_uri).netloc.lower()
        host = self._hosts.setdefault(name, _Host())
        if len(self._under_way) >= MAX_WAITING or host.waiting >= MAX_WAITING_FOR_HOST:
            self._count("dropped", client)
            return
        host.waiting += 1
        _start(self._tell(host, client, user_id, sid), self._under_way)

    async def _tell(self, host: _Host, client: Client, user_id: str, sid: str) -> None:
        for pause in (*self._retry_after, None):
            result = await self._deliver(host, client, user_id, sid)
            if result != "failed" or pause is None:
                break
            await asyncio.sleep(pause)
        host.waiting -= 1
        self._count(result, client)

    def _count(self, result: str, client: Client) -> None:
        self._results.labels(result).inc()
        if result != "delivered":
            logger.warning("client_not_told", extra={"client_id": client.id, "reason": result})

    async def _deliver(self, host: _Host, client: Client, user_id: str, sid: str) -> str:
        try:
            async with host.places, self._places:
                # Made now: the token lives for minutes, and there may have been many before it.
                token = await self._token(client, user_id, sid)
                status = await self._outbound.post_form(
                    client.backchannel_logout_uri, {"logout_token": token}
                )
        except CallFailed:
            return "failed"
        if status in (200, 204):
            return "delivered"
        return "failed" if status >= 500 else "refused"  # §2.8: the client will not think again

    async def _token(self, client: Client, user_id: str, sid: str) -> str:
        """Make the logout token (§2.4); the session goes by the `sid` of its ID tokens."""
        claims = {
            "iss": self._issuer,
            "aud": client.id,
            "sub": user_id,
            "sid": sid,
            "iat": self._now(),
            "exp": self._now() + TOKEN_LIFETIME,
            "jti": secrets.token_urlsafe(16),
            "events": {EVENT: {}},
        }
        return await self._keys.sign(claims, typ=TokenType.LOGOUT)


def _start(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    """Begin something in the background, and keep it among `tasks` until it is done."""
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
