"""Grants: what a user authorized a client for, and whether that still holds.

Owns their beginning, their end, and the one question that every code and token is subject to.
Nothing is remembered between two questions: what has ended is refused at once, in every process.
Never makes a code or token.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from tornado_auth.errors import Stale, StorageUnavailable
from tornado_auth.models import (
    AuthorizationCode,
    Client,
    Grant,
    OpaqueAccessToken,
    RefreshToken,
    Session,
    User,
    Who,
)
from tornado_auth.oauth2.errors import AccessDenied
from tornado_auth.storage import Collection, all_of, update

ENDS_AT_ONCE = 32  # with what was made from each

Children = Collection[AuthorizationCode] | Collection[RefreshToken] | Collection[OpaqueAccessToken]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGrant:
    """A grant that holds, with those whom it binds."""

    grant: Grant
    user: User
    client: Client


class Grants:
    """The grants of all users; `lifetime` and `idle_limit` (of sessions) are in seconds.

    `children` are the collections of what is made from grants, by `grant_id`.
    """

    def __init__(
        self,
        grants: Collection[Grant],
        sessions: Collection[Session],
        users: Collection[User],
        clients: Collection[Client],
        *,
        children: Sequence[Children] = (),
        lifetime: int,
        idle_limit: int,
        now: Callable[[], int],
    ) -> None:
        self._grants = grants
        self._sessions = sessions
        self._users = users
        self._clients = clients
        self._children = children
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
        """Begin a grant that ends after `lifetime` seconds unless `confirm` prolongs it.

        Raises AccessDenied if the session is over, though `who` was told otherwise a moment ago.
        """
        now, session = self._now(), who.session
        grant = Grant(
            id=secrets.token_urlsafe(32),
            user_id=who.user.id,
            client_id=client.id,
            session_id=session.id,
            sid=session.id,
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
        # After that, so that who ends the session now sees the grant.
        if await self._sessions.get(session.id) is None:
            await self.end(grant.id)
            raise AccessDenied("The session ended.")
        return grant

    async def confirm(self, grant: Grant) -> Grant | None:
        """Let a grant live on, as its code is redeemed; None if it ended meanwhile."""
        until = self._now() + self._lifetime
        return await update(
            self._grants, grant.id, lambda current: replace(current, expires_at=until)
        )

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
            current = await self._grants.get(grant_id)  # it may have moved at this very moment
            has_moved = current is not None and current.session_id != grant.session_id
            return await self.live(grant_id) if has_moved else None
        return LiveGrant(grant=grant, user=user, client=client)

    def _is_live(self, session: Session | None) -> bool:
        return session is not None and session.last_seen_at + self._idle_limit > self._now()

    async def end(self, grant_id: str) -> bool:
        """End a grant and so all that was made from it; true for exactly one caller."""
        is_ended = await self._grants.delete(grant_id)
        await self._forget_children([grant_id])
        return is_ended

    async def of_session(self, session_id: str) -> list[Grant]:
        """Return what was granted in a session."""
        return await all_of(self._grants, session_id=session_id)

    async def of_user(self, user_id: str) -> list[Grant]:
        """Return what a user granted."""
        return await all_of(self._grants, user_id=user_id)

    async def move(self, old_session_id: str, new_session_id: str) -> None:
        """Let what was granted in a session live on with another one of the same user."""
        grants = await self.of_session(old_session_id)
        for start in range(0, len(grants), ENDS_AT_ONCE):
            some = grants[start : start + ENDS_AT_ONCE]
            await asyncio.gather(*(self._move(grant.id, new_session_id) for grant in some))

    async def _move(self, grant_id: str, session_id: str) -> None:
        with suppress(Stale):  # one that keeps changing ends with the old session
            await update(
                self._grants, grant_id, lambda current: replace(current, session_id=session_id)
            )

    async def end_session(self, session_id: str) -> list[Grant]:
        """End what lives only as long as a session; return all that was granted in it."""
        grants = await self.of_session(session_id)
        ended = [grant.id for grant in grants if not grant.is_offline]
        for start in range(0, len(ended), ENDS_AT_ONCE):
            await asyncio.gather(*map(self.end, ended[start : start + ENDS_AT_ONCE]))
        return grants

    async def end_consent(self, user_id: str, client_id: str) -> int:
        """End all that a user granted a client, and return how many grants that were."""
        return await self._end_all(consent_id=consent_id(user_id, client_id))

    async def forget_user(self, user_id: str) -> int:
        """End all that a user granted."""
        return await self._end_all(user_id=user_id)

    async def forget_client(self, client_id: str) -> int:
        """End all that a client was granted, by however many: what came of it expires by itself."""
        return await self._grants.delete_where(client_id=client_id)

    async def _end_all(self, **equal: str) -> int:
        grants = await all_of(self._grants, **equal)
        ended = await self._grants.delete_where(**equal)
        await self._forget_children([grant.id for grant in grants])
        return ended

    async def _forget_children(self, grant_ids: Iterable[str]) -> None:
        # They ended with their grants already, and expire though the store fails just now.
        with suppress(StorageUnavailable):
            for grant_id in grant_ids:
                await asyncio.gather(
                    *(children.delete_where(grant_id=grant_id) for children in self._children)
                )


def consent_id(user_id: str, client_id: str) -> str:
    """Return the id under which is kept what a user allows a client."""
    return f"{user_id}:{client_id}"
