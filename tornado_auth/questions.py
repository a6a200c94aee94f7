"""What /auth/authorize is asked: what may somebody do, in one service or in many at once?

Owns which answers there are, and what an API key may ask about. Never decides what a user may do:
`permissions.py` asks the providers.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tornado_auth.granted import scopes_cover, scopes_of
from tornado_auth.models import Session
from tornado_auth.permissions import Permissions


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a user may do; `error` is a reason code if nobody could be asked, else ""."""

    permissions: Mapping[str, object]
    error: str = ""


class Questions:
    """Answer what the owner of a session may do."""

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions

    async def ask(self, session: Session, service: str, *, resource: str = "") -> Allowed:
        """Return what is allowed in a service, or in a resource of it."""
        if not scopes_cover(scopes_of(session), service):
            return Allowed({}, "insufficient_scope")
        permissions = await self._permissions.ask(service, session.user_id, resource=resource)
        return Allowed({}, "access_denied") if permissions is None else Allowed(permissions)

    async def ask_all(
        self, session: Session, services: Sequence[str], *, resources: Sequence[str] = ("",)
    ) -> dict[str, dict[str, Allowed]]:
        """Return the answers by service and resource, all asked at the same time."""
        pairs = [(service, resource) for service in services for resource in resources]
        answers = await asyncio.gather(
            *(self.ask(session, service, resource=resource) for service, resource in pairs)
        )
        found: dict[str, dict[str, Allowed]] = {service: {} for service in services}
        for (service, resource), answer in zip(pairs, answers, strict=True):
            found[service][resource] = answer
        return found
