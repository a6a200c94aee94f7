"""Which roles a user holds in a service, found with few questions to the store.

Owns the reading, all of it by an index, and what is remembered of groups. Never changes a record.
"""

import asyncio
import itertools
from collections.abc import Callable

from tornado_auth.caches import BoundedCache
from tornado_auth.models import Assignment, Membership, Role
from tornado_auth.role_names import NAME
from tornado_auth.storage import PAGE, Collection, all_of

MAX_KNOWN = 10_000
AT_ONCE = 16  # groups of one user that are read together: others have questions, too

Held = tuple[Assignment, Role]


class HeldRoles:
    """Find what users hold, in person and through groups.

    What a group holds in a service is remembered for `cache_seconds`, as long as `stands` tells
    that nothing of the service changed since a moment of `monotonic`.
    """

    def __init__(
        self,
        roles: Collection[Role],
        memberships: Collection[Membership],
        assignments: Collection[Assignment],
        *,
        stands: Callable[[str, float], bool],
        cache_seconds: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._roles = roles
        self._memberships = memberships
        self._assignments = assignments
        self._stands = stands
        self._cache_seconds = cache_seconds
        self._monotonic = monotonic
        self._known: BoundedCache[tuple[str, str], tuple[float, list[Held]]] = BoundedCache(
            MAX_KNOWN
        )

    async def by(self, user_id: str, service: str) -> list[Held]:
        """Return the roles in a service that a user holds in person or through a group."""
        if not NAME.fullmatch(service):
            return []
        read_at = self._monotonic()
        memberships, own = await asyncio.gather(
            all_of(self._memberships, user_id=user_id),
            self._assignments_in(service, f"user:{user_id}"),
        )
        groups = [membership.group for membership in memberships]
        known = {group: self._recall(service, group) for group in groups}
        unknown = [group for group, held in known.items() if held is None]
        read: list[list[Assignment]] = []
        for at in range(0, len(unknown), AT_ONCE):
            some = (f"group:{group}" for group in unknown[at : at + AT_ONCE])
            read += await asyncio.gather(*(self._assignments_in(service, one) for one in some))
        roles = await self._roles.get_many([one.role_id for one in itertools.chain(own, *read)])
        for group, assignments in zip(unknown, read, strict=True):
            known[group] = held = _with_roles(assignments, roles)
            self._known.put((service, group), (read_at, held))
        return [*_with_roles(own, roles), *itertools.chain(*filter(None, known.values()))]

    def _recall(self, service: str, group: str) -> list[Held] | None:
        """Return what a group holds if it was read just now and nothing changed since."""
        read_at, held = self._known.get((service, group)) or (0.0, None)
        is_old = self._monotonic() - read_at >= self._cache_seconds
        return None if is_old or not self._stands(service, read_at) else held

    async def _assignments_in(self, service: str, holder: str) -> list[Assignment]:
        # Ids sort by holder and service: what is held in other services is not even read.
        after = prefix = f"{holder}|{service}:"
        held: list[Assignment] = []
        while True:
            page = await self._assignments.find(after=after, limit=PAGE, holder=holder)
            held += [one for one in page if one.service == service]
            if len(page) < PAGE or not page[-1].id.startswith(prefix):
                return held
            after = page[-1].id


def _with_roles(assignments: list[Assignment], roles: dict[str, Role]) -> list[Held]:
    return [(one, roles[one.role_id]) for one in assignments if one.role_id in roles]
