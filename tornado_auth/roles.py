"""Who may do what, as the store has it: roles, groups, who is in them and who holds what.

Owns these records, the order in which they come and go, and the marks by which every process
hears of a change. A role is a named set of permissions in one service; users and groups hold
roles, in all of the service or in one resource of it. What nobody gave, nobody has.

Every change can be repeated after a crash at any point. It leaves its mark also if there was
nothing left to do, for the first try may have ended before its own, and if the store did not tell
whether it happened; only where nobody knows any more whom it was about, caches forget by
themselves. Never asks whether a user exists or who may
change what: `administration.py` does.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tornado_auth import role_names as names
from tornado_auth.errors import AlreadyExists, NotFound, StorageUnavailable
from tornado_auth.held_roles import HeldRoles
from tornado_auth.models import Assignment, Group, GroupMapping, Membership, Record, Role
from tornado_auth.revocations import Revocations
from tornado_auth.storage import Collection, all_of, update

R = TypeVar("R", bound=Record)
Child = TypeVar("Child", bound=Record)


@dataclass(frozen=True, slots=True)
class Source:
    """Why somebody has a permission: who holds which role, and in which resource ("": in all)."""

    permission: str
    role_id: str
    holder: str
    resource: str


class Roles:
    """Keep roles and groups, and tell what they allow a user.

    For `cache_seconds` is remembered what groups hold, see `HeldRoles`.
    """

    def __init__(
        self,
        roles: Collection[Role],
        groups: Collection[Group],
        memberships: Collection[Membership],
        assignments: Collection[Assignment],
        group_mappings: Collection[GroupMapping],
        *,
        revocations: Revocations,
        now: Callable[[], int],
        cache_seconds: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._roles = roles
        self._groups = groups
        self._memberships = memberships
        self._assignments = assignments
        self._mappings = group_mappings
        self._revocations = revocations
        self._now = now
        self._held = HeldRoles(
            roles,
            memberships,
            assignments,
            stands=revocations.service_stands,
            cache_seconds=cache_seconds,
            monotonic=monotonic,
        )

    # -- roles ------------------------------------------------------------------------------

    async def put_role(
        self, service: str, name: str, *, permissions: Sequence[str], description: str = ""
    ) -> Role:
        """Create a role, or give the one of that name these permissions and description.

        A new one is held by nobody, whatever is left of a former one of that name.
        """
        names.check_name(service, "service")
        role = Role(
            id=f"{service}:{names.check_name(name, 'name of the role')}",
            service=service,
            name=name,
            description=names.check_description(description),
            permissions=names.check_permissions(permissions),
            created_at=self._now(),
        )

        def change(stored: Role) -> Role:
            return replace(stored, permissions=role.permissions, description=description)

        async with self._marked("", service):
            if await self._roles.get(role.id) is None:
                await self._assignments.delete_where(role_id=role.id)
            return await _put(self._roles, role, change)

    async def delete_role(self, role_id: str) -> None:
        """Take a role away from everybody who holds it, and delete it; raises NotFound."""
        service, _ = names.check_role_id(role_id)
        async with self._marked("", service):
            await self._assignments.delete_where(role_id=role_id)
            deleted = await self._roles.delete(role_id)
            await self._assignments.delete_where(role_id=role_id)  # those made in between
        _check_found(deleted, "role")

    async def role(self, role_id: str) -> Role:
        """Return a role; raises NotFound."""
        names.check_role_id(role_id)
        return _found(await self._roles.get(role_id), "role")

    async def roles(self, *, service: str = "", after: str = "", limit: int = 100) -> list[Role]:
        """Return roles in order of id, those of one service or all."""
        return await self._roles.find(after=after, limit=limit, **_given(service=service))

    # -- groups -----------------------------------------------------------------------------

    async def put_group(self, name: str, *, description: str = "") -> Group:
        """Create a group, or give the one of that name this description.

        A new one is empty, whatever is left of a former one of that name.
        """
        group = Group(
            id=names.check_name(name, "name of the group"),
            description=names.check_description(description),
            created_at=self._now(),
        )
        if await self._groups.get(name) is None:
            await self._empty(name)
        return await _put(
            self._groups, group, lambda stored: replace(stored, description=description)
        )

    async def delete_group(self, name: str) -> None:
        """Delete a group with its members, roles and mappings; raises NotFound."""
        names.check_name(name, "name of the group")
        await self._empty(name)
        deleted = await self._groups.delete(name)
        await self._empty(name)  # of what came in between
        _check_found(deleted, "group")

    async def group(self, name: str) -> Group:
        """Return a group; raises NotFound."""
        return _found(await self._groups.get(names.check_name(name, "name of the group")), "group")

    async def groups(self, *, after: str = "", limit: int = 100) -> list[Group]:
        """Return groups in order of name."""
        return await self._groups.find(after=after, limit=limit)

    async def _empty(self, group: str) -> None:
        holder = f"group:{group}"
        held = await all_of(self._assignments, holder=holder)
        async with self._marked("", *{assignment.service for assignment in held}):
            await self._assignments.delete_where(holder=holder)
        await self._mappings.delete_where(group=group)
        await self._memberships.delete_where(group=group)

    # -- members ----------------------------------------------------------------------------

    async def add_member(self, group: str, user_id: str, *, provider: str = "") -> Membership:
        """Put a user into a group; raises NotFound if there is no such group.

        Whom a person adds (no provider) stays, whatever a login provider says later.
        """
        names.check_permission(user_id, "id of the user")
        await self.group(group)
        membership = Membership(
            id=f"{group}:{user_id}",
            group=group,
            user_id=user_id,
            provider=provider,
            created_at=self._now(),
        )
        change = _unchanged if provider else _by_hand
        async with self._marked(user_id):
            put = await _put(self._memberships, membership, change)
            await self._check_still_there(self._groups, group, self._memberships, put)
        return put

    async def remove_member(self, group: str, user_id: str) -> None:
        """Take a user out of a group; raises NotFound if the user is not in it."""
        names.check_name(group, "name of the group")
        names.check_permission(user_id, "id of the user")
        async with self._marked(user_id):
            deleted = await self._memberships.delete(f"{group}:{user_id}")
        _check_found(deleted, "member")

    async def members(self, group: str, *, after: str = "", limit: int = 100) -> list[Membership]:
        """Return who is in a group, in order of id; raises NotFound if there is no such group."""
        await self.group(group)
        return await self._memberships.find(after=after, limit=limit, group=group)

    async def groups_of(self, user_id: str) -> list[Membership]:
        """Return in which groups a user is."""
        return await all_of(self._memberships, user_id=user_id)

    # -- who holds what ---------------------------------------------------------------------

    async def assign(self, holder: str, role_id: str, *, resource: str = "") -> Assignment:
        """Give a user or group a role, in one resource or, without, in all of the service.

        `holder` is "user:<id>" or "group:<name>". Raises NotFound without such a role or group.
        """
        user_id, group = names.check_holder(holder)
        role = await self.role(role_id)
        if group:
            await self.group(group)
        assignment = Assignment(
            id=f"{holder}|{role_id}|{names.check_resource(resource)}",
            holder=holder,
            role_id=role_id,
            service=role.service,
            resource=resource,
            created_at=self._now(),
        )
        async with self._marked(user_id, role.service):
            put = await _put(self._assignments, assignment, _unchanged)
            await self._check_still_there(self._roles, role_id, self._assignments, put)
            if group:
                await self._check_still_there(self._groups, group, self._assignments, put)
        return put

    async def unassign(self, assignment_id: str) -> None:
        """Take a role away; raises NotFound if nobody holds it so."""
        user_id, service = names.check_assignment_id(assignment_id)
        async with self._marked(user_id, service):
            deleted = await self._assignments.delete(assignment_id)
        _check_found(deleted, "assignment")

    async def assignments_of(self, holder: str) -> list[Assignment]:
        """Return which roles a user or group holds itself."""
        names.check_holder(holder)
        return await all_of(self._assignments, holder=holder)

    async def holders_of(
        self, role_id: str, *, after: str = "", limit: int = 100
    ) -> list[Assignment]:
        """Return who holds a role, in order of id; raises NotFound if there is no such role."""
        await self.role(role_id)
        return await self._assignments.find(after=after, limit=limit, role_id=role_id)

    async def _check_still_there(
        self, parents: Collection[R], parent_id: str, children: Collection[Child], child: Child
    ) -> None:
        """Take back what was added to something that was deleted meanwhile; raises NotFound.

        Else it would come to life with the next role or group of that name.
        """
        if await parents.get(parent_id) is None:
            await children.delete(child.id)
            raise NotFound(f"{parent_id} was deleted at this moment.")

    # -- groups of login providers ----------------------------------------------------------

    async def map_group(self, provider: str, upstream: str, group: str) -> GroupMapping:
        """Have a login provider's group stand for one of ours; raises NotFound without ours."""
        names.check_name(provider, "login provider")
        await self.group(group)
        mapping = GroupMapping(
            id=f"{provider}:{names.check_upstream(upstream)}",
            provider=provider,
            upstream=upstream,
            group=group,
            created_at=self._now(),
        )
        put = await _put(self._mappings, mapping, lambda stored: replace(stored, group=group))
        await self._check_still_there(self._groups, group, self._mappings, put)
        return put

    async def unmap_group(self, mapping_id: str) -> None:
        """End that; who is in our group by it stays until the next sign-in. Raises NotFound."""
        _check_found(await self._mappings.delete(mapping_id), "mapping")

    async def mappings(
        self, *, provider: str = "", group: str = "", after: str = "", limit: int = 100
    ) -> list[GroupMapping]:
        """Return mappings in order of id, those of one login provider or group of ours, or all."""
        equal = _given(provider=provider, group=group)
        return await self._mappings.find(after=after, limit=limit, **equal)

    async def follow_groups(
        self, user_id: str, provider: str, groups: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """Put a user into the groups that the login provider's stand for, and out of its others.

        Returns those joined and those left. Whom a person or another login provider put into a
        group stays in it.
        """
        names.check_name(provider, "login provider")  # "" would be whom a person added
        joined, left = [], []
        ids = [f"{provider}:{group}" for group in groups if names.UPSTREAM.fullmatch(group)]
        wanted = {mapping.group for mapping in (await self._mappings.get_many(ids)).values()}
        memberships = await self.groups_of(user_id)
        for membership in memberships:
            if membership.provider == provider and membership.group not in wanted:
                async with self._marked(user_id):
                    deleted = await self._memberships.delete(membership.id)
                left += [membership.group] if deleted else []
        for group in sorted(wanted - {membership.group for membership in memberships}):
            try:
                await self.add_member(group, user_id, provider=provider)
            except NotFound:
                continue  # the group is being deleted, and the mapping with it
            joined.append(group)
        return joined, left

    # -- what follows -----------------------------------------------------------------------

    async def forget_user(self, user_id: str) -> None:
        """Delete what there is of a user who is being deleted."""
        await self._assignments.delete_where(holder=f"user:{user_id}")
        await self._memberships.delete_where(user_id=user_id)

    async def permissions_of(
        self, service: str, user_id: str, *, resource: str = ""
    ) -> dict[str, bool]:
        """Return what roles allow a user in a resource, or in all of the service if "".

        False is what the user may do only elsewhere in the service; all else is not mentioned.
        """
        granted: dict[str, bool] = {}
        for assignment, role in await self._held.by(user_id, service):
            here = assignment.resource in ("", resource)
            for permission in role.permissions:
                granted[permission] = here or granted.get(permission, False)
        return dict(sorted(granted.items()))

    async def sources_of(self, service: str, user_id: str, *, resource: str = "") -> list[Source]:
        """Return why a user has the permissions that are true above."""
        return [
            Source(permission, role.id, assignment.holder, assignment.resource)
            for assignment, role in await self._held.by(user_id, service)
            if assignment.resource in ("", resource)
            for permission in role.permissions
        ]

    @contextlib.asynccontextmanager
    async def _marked(self, user_id: str, *services: str) -> AsyncGenerator[None, None]:
        """Mark the user as changed or, without one, the services, also if that is not certain.

        Raises StorageUnavailable if one of the marks is left only later.
        """
        revocations = self._revocations
        changed: Callable[[str], Awaitable[None]] = revocations.user_changed
        may_have_changed: Callable[[str], None] = revocations.user_may_have_changed
        if not user_id:
            changed = revocations.service_changed
            may_have_changed = revocations.service_may_have_changed
        about = [user_id] if user_id else services
        try:
            yield
        except (StorageUnavailable, NotFound):  # it may have happened, or was there for a moment
            for name in about:
                may_have_changed(name)
            raise
        outcomes = await asyncio.gather(*map(changed, about), return_exceptions=True)
        for outcome in filter(None, outcomes):
            raise outcome


async def _put(collection: Collection[R], record: R, change: Callable[[R], R]) -> R:
    """Insert a record, or change the one that has its id."""
    while True:
        try:
            await collection.insert(record)
        except AlreadyExists:
            changed = await update(collection, record.id, change)
            if changed is not None:
                return changed
        else:
            return record


def _given(**equal: str) -> dict[str, str]:
    return {name: value for name, value in equal.items() if value}


def _unchanged(stored: R) -> R:
    return stored


def _by_hand(membership: Membership) -> Membership:
    return replace(membership, provider="")


def _found(record: R | None, what: str) -> R:
    if record is None:
        raise NotFound(f"There is no such {what}.")
    return record


def _check_found(found: bool, what: str) -> None:
    if not found:
        raise NotFound(f"There is no such {what}.")
