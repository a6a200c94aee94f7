"""The question of a reverse proxy: may this request pass, as whom, and with which permissions?

Owns the decision behind /auth/verify. Knows no HTTP: `web/answers.py` makes headers of a verdict.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

from tornado_auth.checks import Answer, Checks, Verified
from tornado_auth.granted import granted_names
from tornado_auth.permissions import Permissions
from tornado_auth.readings import Known


@dataclass(frozen=True, slots=True)
class Verdict:
    """`known` is None if nobody is signed in; `granted` is None if no service was asked about."""

    known: Known | None
    allowed: bool
    granted: frozenset[str] | None = None


NOBODY = Verdict(None, allowed=False)


class ForwardAuth:
    """Decide whether requests may pass."""

    def __init__(self, checks: Checks, permissions: Permissions) -> None:
        self._checks = checks
        self._permissions = permissions

    async def decide(self, token: str, *, service: str, needed: str) -> Verdict:
        """Decide on a request with this token; "" stands for none, also of service and permission.

        With a service, a permission token for it counts, too, and brings its permissions along.
        Raises StorageUnavailable when nobody can tell whose the token is.
        """
        if not token:
            return NOBODY
        verified = self._checks.verify(token, service=service)
        verdict = self.recall(verified, service=service, needed=needed)
        return verdict if isinstance(verdict, Verdict) else await verdict

    def recall(
        self, verified: Verified | None, *, service: str, needed: str
    ) -> Verdict | Awaitable[Verdict]:
        """Decide at once if everything is known, and else later."""
        known = self._checks.recall(verified)
        granted = verified.granted if verified else None
        if isinstance(known, asyncio.Future):
            return self._after(known, granted, service=service, needed=needed)
        return self._judge(known, granted, service=service, needed=needed)

    async def _after(
        self,
        reading: Awaitable[Answer],
        granted: frozenset[str] | None,
        *,
        service: str,
        needed: str,
    ) -> Verdict:
        verdict = self._judge(await reading, granted, service=service, needed=needed)
        return verdict if isinstance(verdict, Verdict) else await verdict

    def _judge(
        self, known: Answer, granted: frozenset[str] | None, *, service: str, needed: str
    ) -> Verdict | Awaitable[Verdict]:
        if known is None:
            return NOBODY
        if not service:
            # A permission of no service is one that nobody has.
            return Verdict(known, allowed=not needed)
        if granted is None:
            granted = self._permissions.recall(service, known.user_id)
        if granted is None:
            return self._ask(known, service=service, needed=needed)
        return Verdict(known, _is_enough(granted, needed), granted)

    async def _ask(self, known: Known, *, service: str, needed: str) -> Verdict:
        granted = granted_names(await self._permissions.ask(service, known.user_id))
        return Verdict(known, _is_enough(granted, needed), granted)


def _is_enough(granted: frozenset[str], needed: str) -> bool:
    return bool(granted) and (not needed or needed in granted)
