"""What users may do: roles, groups, and who holds what.

Owns what is recorded of each change. Never decides what follows from it: `roles.Roles` does.
"""

from collections.abc import Sequence

from tornado_auth.administration.recording import Recording, check_limit
from tornado_auth.models import Actor, Assignment, Group, GroupMapping, Membership, Role
from tornado_auth.permissions import Explanation, Permissions
from tornado_auth.roles import Roles


class RoleAdministration(Recording):
    """Manage roles, groups, their members, assignments, and the groups of login providers."""

    _roles: Roles
    _permissions: Permissions

    # -- roles ----------------------------------------------------------------------------------

    async def put_role(
        self,
        actor: Actor,
        service: str,
        name: str,
        *,
        permissions: Sequence[str],
        description: str = "",
    ) -> Role:
        """Make a role, or give it other permissions."""
        async with self._attempt("role_put", actor, target=f"{service}:{name}"):
            role = await self._roles.put_role(
                service, name, permissions=permissions, description=description
            )
        details = (f"permissions={' '.join(role.permissions)}",)
        await self._record("role_put", actor, target=role.id, details=details)
        return role

    async def delete_role(self, actor: Actor, role_id: str) -> None:
        """Delete a role; whoever held it holds it no more."""
        async with self._attempt("role_deleted", actor, target=role_id):
            await self._roles.delete_role(role_id)
        await self._record("role_deleted", actor, target=role_id)

    async def role(self, role_id: str) -> Role:
        """Return one role."""
        return await self._roles.role(role_id)

    async def roles(self, *, service: str = "", after: str = "", limit: int = 100) -> list[Role]:
        """Return the roles of a service, or of all."""
        check_limit(limit)
        return await self._roles.roles(service=service, after=after, limit=limit)

    # -- groups ---------------------------------------------------------------------------------

    async def put_group(self, actor: Actor, name: str, *, description: str = "") -> Group:
        """Make a group, or describe it anew."""
        group = await self._roles.put_group(name, description=description)
        await self._record("group_put", actor, target=group.id)
        return group

    async def delete_group(self, actor: Actor, name: str) -> None:
        """Delete a group, with what it held."""
        async with self._attempt("group_deleted", actor, target=name):
            await self._roles.delete_group(name)
        await self._record("group_deleted", actor, target=name)

    async def group(self, name: str) -> Group:
        """Return one group."""
        return await self._roles.group(name)

    async def groups(self, *, after: str = "", limit: int = 100) -> list[Group]:
        """Return the groups."""
        check_limit(limit)
        return await self._roles.groups(after=after, limit=limit)

    async def members(self, group: str, *, after: str = "", limit: int = 100) -> list[Membership]:
        """Return who is in a group."""
        check_limit(limit)
        return await self._roles.members(group, after=after, limit=limit)

    async def groups_of(self, user_id: str) -> list[Membership]:
        """Return the groups that a user is in."""
        return await self._roles.groups_of(user_id)

    async def add_member(self, actor: Actor, group: str, user_id: str) -> Membership:
        """Put a user into a group."""
        await self._existing(user_id)
        async with self._attempt("member_added", actor, user_id, target=group):
            membership = await self._roles.add_member(group, user_id)
        await self._record("member_added", actor, user_id, target=group)
        return membership

    async def remove_member(self, actor: Actor, group: str, user_id: str) -> None:
        """Take a user out of a group."""
        async with self._attempt("member_removed", actor, user_id, target=group):
            await self._roles.remove_member(group, user_id)
        await self._record("member_removed", actor, user_id, target=group)

    async def map_group(
        self, actor: Actor, provider: str, upstream: str, group: str
    ) -> GroupMapping:
        """Put whoever is in a login provider's group into one of ours, from their next sign-in."""
        async with self._attempt("group_mapped", actor, target=f"{provider}:{upstream}"):
            mapping = await self._roles.map_group(provider, upstream, group)
        await self._record("group_mapped", actor, target=mapping.id, details=(f"group={group}",))
        return mapping

    async def unmap_group(self, actor: Actor, mapping_id: str) -> None:
        """Let a login provider's group stand for none of ours, from each one's next sign-in."""
        async with self._attempt("group_unmapped", actor, target=mapping_id):
            await self._roles.unmap_group(mapping_id)
        await self._record("group_unmapped", actor, target=mapping_id)

    async def mappings(
        self, *, provider: str = "", group: str = "", after: str = "", limit: int = 100
    ) -> list[GroupMapping]:
        """Return which groups of login providers stand for which of ours, or for this one."""
        check_limit(limit)
        return await self._roles.mappings(provider=provider, group=group, after=after, limit=limit)

    # -- assignments ----------------------------------------------------------------------------

    async def assign(
        self, actor: Actor, holder: str, role_id: str, *, resource: str = ""
    ) -> Assignment:
        """Give a role to "user:<id>" or "group:<name>", in one resource or everywhere."""
        if user_id := _user_of(holder):
            await self._existing(user_id)
        target = f"{holder}|{role_id}|{resource}"
        async with self._attempt("role_assigned", actor, user_id, target=target):
            assignment = await self._roles.assign(holder, role_id, resource=resource)
        await self._record("role_assigned", actor, user_id, target=assignment.id)
        return assignment

    async def unassign(self, actor: Actor, assignment_id: str) -> None:
        """Take a role away."""
        subject = _user_of(assignment_id.partition("|")[0])
        async with self._attempt("role_unassigned", actor, subject, target=assignment_id):
            await self._roles.unassign(assignment_id)
        await self._record("role_unassigned", actor, subject, target=assignment_id)

    async def assignments_of(self, holder: str) -> list[Assignment]:
        """Return the roles that a user or a group holds itself."""
        return await self._roles.assignments_of(holder)

    async def holders_of(
        self, role_id: str, *, after: str = "", limit: int = 100
    ) -> list[Assignment]:
        """Return who holds a role."""
        check_limit(limit)
        return await self._roles.holders_of(role_id, after=after, limit=limit)

    async def why(
        self, service: str, user_id: str, *, permission: str = "", resource: str = ""
    ) -> Explanation:
        """Tell what a user may do in a service, and who says so."""
        return await self._permissions.explain(
            service, user_id, permission=permission, resource=resource
        )


def _user_of(holder: str) -> str:
    kind, _, name = holder.partition(":")
    return name if kind == "user" else ""
