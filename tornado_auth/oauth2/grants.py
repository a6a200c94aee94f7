"""Grants: what a user authorized a client for, and whether that still holds.

Owns their beginning, their end, and the one question that every code and token is subject to.
Nothing is remembered between two questions: what has ended is refused at once, in every process.
Never makes a code or token.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from tornado_auth.errors import Stale
from tornado_auth.models import Client, Grant, Session, User, Who
from tornado_auth.storage import Collection

PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGrant:
    """A grant that holds, with those whom it binds."""

    grant: Grant
    user: User
    client: Client


class Grants:
    """The grants of all users; `lifetime` and `idle_limit` (of sessions) are in seconds."""

    def __init__(
        self,
        grants: Collection[Grant],
        sessions: Collection[Session],
        users: Collection[User],
        clients: Collection[Client],
        *,
        lifetime: int,
        idle_limit: int,
        now: Callable[[], int],
    ) -> None:
        self._grants = grants
        self._sessions = sessions
        self._users = users
        self._clients = clients
        self._lifetime = lifetime
        self._idle_limit = idle_limit
        self._now = now

    async def start(
        self,
        who: Who,
        client: Client,
        *,
        scope: tuple[str, ...],
        resources: tuple[str, ...] = (),
        claims: str = "",
        acr: str = "",
        lifetime: int,
    ) -> Grant:
        """Begin a grant that ends after `lifetime` seconds unless `confirm` prolongs it."""
        now, session = self._now(), who.session
        grant = Grant(
            id=secrets.token_urlsafe(32),
            user_id=who.user.id,
            client_id=client.id,
            session_id=session.id,
            consent_id=consent_id(who.user.id, client.id),
            scope=scope,
            resources=resources,
            claims=claims,
            auth_time=session.auth_time,
            amr=session.amr,
            acr=acr,
            is_offline="offline_access" in scope,
            created_at=now,
            expires_at=now + lifetime,
        )
        await self._grants.insert(grant)
        return grant

    async def confirm(self, grant: Grant) -> Grant | None:
        """Let a grant live on, now that its code was redeemed; None if it ended meanwhile."""
        try:
            return await self._grants.replace(
                replace(grant, expires_at=self._now() + self._lifetime)
            )
        except Stale:
            return None

    async def live(self, grant_id: str) -> LiveGrant | None:
        """Return a grant with its user and client if all of them, and its session, are good."""
        grant = await self._grants.get(grant_id)
        if grant is None:
            return None
        user, client, session = await asyncio.gather(
            self._users.get(grant.user_id),
            self._clients.get(grant.client_id),
            self._sessions.get(grant.session_id),
        )
        if user is None or user.disabled_at is not None:
            return None
        if client is None or client.disabled_at is not None:
            return None
        if not grant.is_offline and not self._is_live(session):
            return None
        return LiveGrant(grant=grant, user=user, client=client)

    def _is_live(self, session: Session | None) -> bool:
        return session is not None and session.last_seen_at + self._idle_limit > self._now()

    async def end(self, grant_id: str) -> bool:
        """End a grant and so all that was made from it; true for exactly one caller."""
        return await self._grants.delete(grant_id)

    async def of_session(self, session_id: str) -> list[Grant]:
        """Return what was granted in a session."""
        return await self._all(session_id=session_id)

    async def of_user(self, user_id: str) -> list[Grant]:
        """Return what a user granted."""
        return await self._all(user_id=user_id)

    async def end_session(self, session_id: str) -> list[Grant]:
        """End what lives only as long as a session; return all that was granted in it."""
        grants = await self.of_session(session_id)
        for grant in grants:
            if not grant.is_offline:
                await self._grants.delete(grant.id)
        return grants

    async def end_consent(self, user_id: str, client_id: str) -> int:
        """End all that a user granted a client, and return how many grants that were."""
        return await self._grants.delete_where(consent_id=consent_id(user_id, client_id))

    async def forget_user(self, user_id: str) -> int:
        """End all that a user granted."""
        return await self._grants.delete_where(user_id=user_id)

    async def forget_client(self, client_id: str) -> int:
        """End all that a client was granted."""
        return await self._grants.delete_where(client_id=client_id)

    async def _all(self, **equal: str) -> list[Grant]:
        found: list[Grant] = []
        while page := await self._grants.find(
            after=found[-1].id if found else "", limit=PAGE, **equal
        ):
            found += page
        return found


def consent_id(user_id: str, client_id: str) -> str:
    """Return the id under which is kept what a user allows a client."""
    return f"{user_id}:{client_id}"
