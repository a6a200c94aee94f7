"""What both halves of administration share.

Owns how a change is recorded, whom an id names, and how long a page may be. Never changes anything
else.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tornado_auth.accounts import Accounts
from tornado_auth.audit import AuditLog
from tornado_auth.errors import InvalidRequest, NotFound, StorageUnavailable
from tornado_auth.models import Actor, User

MAX_PAGE = 1000
_USER_ID = re.compile(r"[0-9a-fA-F]{32}")


class Recording:
    """Record changes, and find users."""

    _accounts: Accounts
    _audit_log: AuditLog

    async def user(self, id_or_name: str) -> User:
        """Return the user with this id, or else with this name.

        What has the form of an id is no name: else somebody could choose the id of a user who was
        deleted as a name, and get what somebody else still means for that user.
        """
        user = await self._accounts.get(id_or_name)
        if user is None and not _USER_ID.fullmatch(id_or_name):
            user = await self._accounts.find_by_username(id_or_name)
        if user is None:
            raise NotFound(f"There is no user {id_or_name!r}.")
        return user

    async def _existing(self, user_id: str) -> User:
        user = await self._accounts.get(user_id)
        if user is None:
            raise NotFound(f"There is no user {user_id!r}.")
        return user

    async def _record(
        self,
        action: str,
        actor: Actor,
        subject: str = "",
        *,
        target: str = "",
        details: tuple[str, ...] = (),
    ) -> None:
        await self._audit_log.record(
            action, actor=actor, subject=subject, target=target, details=details
        )

    @asynccontextmanager
    async def _attempt(
        self, action: str, actor: Actor, subject: str = "", *, target: str = ""
    ) -> AsyncIterator[None]:
        """Record a change of which nobody knows whether it happened: the store did not answer.

        Who tries again may find nothing left to do, and then nothing else is recorded.
        """
        try:
            yield
        except StorageUnavailable:
            await self._audit_log.record(
                action, actor=actor, subject=subject, target=target, result="storage_unavailable"
            )
            raise


def check_limit(limit: int) -> None:
    """Raise InvalidRequest unless a page may be so long."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"A page has 1 to {MAX_PAGE} entries.")
