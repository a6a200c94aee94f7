"""Groups, roles, who holds them, and the login providers' groups that stand for ours.

Owns the parameters and members of these endpoints. Every change is made by `administration`.
"""

from collections.abc import Sequence

from tornado_auth.admin.access import AdminHandler
from tornado_auth.admin.operations import operation
from tornado_auth.admin.schemas import (
    AFTER,
    DESCRIPTION,
    HOLDER,
    LIMIT,
    LONG_NAME,
    MAX_PAGE,
    NAME,
    RESOURCE,
    ROLE_ID,
    listing,
    members,
    text,
)
from tornado_auth.admin.shown import (
    ASSIGNMENT,
    GROUP,
    MAPPING,
    MEMBERSHIP,
    ROLE,
    page,
    show_page,
    whole,
)
from tornado_auth.administrators import READ, WRITE

_PAGE = {"after": AFTER, "limit": LIMIT}


class GroupsEndpoint(AdminHandler):
    """/admin/api/groups."""

    @operation("List groups", READ, query=_PAGE, answer=page(GROUP))
    async def get(self, *, after: str = "", limit: int = MAX_PAGE) -> object:
        """Answer with a page."""
        found = await self.server.administration.groups(after=after, limit=limit + 1)
        return show_page(GROUP, found, limit=limit)


class GroupEndpoint(AdminHandler):
    """/admin/api/groups/{group}."""

    @operation("Show a group", READ, answer=GROUP.reference, errors=(404,))
    async def get(self, group: str) -> object:
        """Answer with the group."""
        return GROUP(await self.server.administration.group(group))

    @operation(
        "Create a group, or describe one anew",
        WRITE,
        body=members({}, {"description": DESCRIPTION}),
        answer=GROUP.reference,
    )
    async def put(self, group: str, *, description: str = "") -> object:
        """Answer with the group."""
        administration = self.server.administration
        return GROUP(await administration.put_group(self.actor, group, description=description))

    @operation("Delete a group with its memberships and roles", WRITE, status=204, errors=(404,))
    async def delete(self, group: str) -> None:
        """Delete it; the users stay."""
        await self.server.administration.delete_group(self.actor, group)


class MembersEndpoint(AdminHandler):
    """/admin/api/groups/{group}/members."""

    @operation("List who is in a group", READ, query=_PAGE, answer=page(MEMBERSHIP), errors=(404,))
    async def get(self, group: str, *, after: str = "", limit: int = MAX_PAGE) -> object:
        """Answer with a page."""
        found = await self.server.administration.members(group, after=after, limit=limit + 1)
        return show_page(MEMBERSHIP, found, limit=limit)


class MemberEndpoint(AdminHandler):
    """/admin/api/groups/{group}/members/{user_id}."""

    @operation("Put a user into a group", WRITE, answer=MEMBERSHIP.reference, errors=(404,))
    async def put(self, group: str, user_id: str) -> object:
        """Answer with the membership."""
        administration = self.server.administration
        return MEMBERSHIP(await administration.add_member(self.actor, group, user_id))

    @operation("Take a user out of a group", WRITE, status=204, errors=(404,))
    async def delete(self, group: str, user_id: str) -> None:
        """Take the user out."""
        await self.server.administration.remove_member(self.actor, group, user_id)


class RolesEndpoint(AdminHandler):
    """/admin/api/roles."""

    @operation("List roles", READ, query={"service": NAME, **_PAGE}, answer=page(ROLE))
    async def get(self, *, service: str = "", after: str = "", limit: int = MAX_PAGE) -> object:
        """Answer with a page, of one service if it is named."""
        found = await self.server.administration.roles(
            service=service, after=after, limit=limit + 1
        )
        return show_page(ROLE, found, limit=limit)


class RoleEndpoint(AdminHandler):
    """/admin/api/roles/{role_id}."""

    @operation("Show a role", READ, answer=ROLE.reference, errors=(404,))
    async def get(self, role_id: str) -> object:
        """Answer with the role."""
        return ROLE(await self.server.administration.role(role_id))

    @operation(
        "Create a role, or replace what it permits",
        WRITE,
        body=members({"permissions": listing(LONG_NAME)}, {"description": DESCRIPTION}),
        answer=ROLE.reference,
    )
    async def put(
        self, role_id: str, *, permissions: Sequence[str], description: str = ""
    ) -> object:
        """Answer with the role."""
        service, _, name = role_id.partition(":")
        return ROLE(
            await self.server.administration.put_role(
                self.actor, service, name, permissions=permissions, description=description
            )
        )

    @operation("Delete a role and take it away from all", WRITE, status=204, errors=(404,))
    async def delete(self, role_id: str) -> None:
        """Delete it."""
        await self.server.administration.delete_role(self.actor, role_id)


class HoldersEndpoint(AdminHandler):
    """/admin/api/roles/{role_id}/holders."""

    @operation("List who holds a role", READ, query=_PAGE, answer=page(ASSIGNMENT), errors=(404,))
    async def get(self, role_id: str, *, after: str = "", limit: int = MAX_PAGE) -> object:
        """Answer with a page."""
        found = await self.server.administration.holders_of(role_id, after=after, limit=limit + 1)
        return show_page(ASSIGNMENT, found, limit=limit)


class AssignmentsEndpoint(AdminHandler):
    """/admin/api/assignments."""

    @operation(
        "List the roles that a user or a group holds",
        READ,
        query={"holder": HOLDER},
        required=("holder",),
        answer=whole(ASSIGNMENT),
        errors=(404,),
    )
    async def get(self, *, holder: str) -> object:
        """Answer with all."""
        found = await self.server.administration.assignments_of(holder)
        return {"items": list(map(ASSIGNMENT, found))}

    @operation(
        "Give a role to a user or a group, in one resource or in the whole service",
        WRITE,
        status=201,
        body=members({"holder": HOLDER, "role_id": ROLE_ID}, {"resource": RESOURCE}),
        answer=ASSIGNMENT.reference,
        errors=(404,),
    )
    async def post(self, *, holder: str, role_id: str, resource: str = "") -> object:
        """Answer with the assignment."""
        administration = self.server.administration
        kind, _, name = holder.partition(":")
        if kind == "user":
            holder = f"user:{await self.find_user(name)}"
        return ASSIGNMENT(
            await administration.assign(self.actor, holder, role_id, resource=resource)
        )


class AssignmentEndpoint(AdminHandler):
    """/admin/api/assignments/{assignment_id}."""

    @operation("Take a role away", WRITE, status=204, errors=(404,))
    async def delete(self, assignment_id: str) -> None:
        """Take it away."""
        await self.server.administration.unassign(self.actor, assignment_id)


class MappingsEndpoint(AdminHandler):
    """/admin/api/mappings."""

    @operation(
        "List which groups of login providers stand for ours",
        READ,
        query={"provider": NAME, **_PAGE},
        answer=page(MAPPING),
    )
    async def get(self, *, provider: str = "", after: str = "", limit: int = MAX_PAGE) -> object:
        """Answer with a page, of one login provider if it is named."""
        found = await self.server.administration.mappings(
            provider=provider, after=after, limit=limit + 1
        )
        return show_page(MAPPING, found, limit=limit)

    @operation(
        "Let a login provider's group stand for one of ours",
        WRITE,
        status=201,
        body=members({"provider": NAME, "upstream": text(least=1), "group": NAME}),
        answer=MAPPING.reference,
        errors=(404,),
    )
    async def post(self, *, provider: str, upstream: str, group: str) -> object:
        """Answer with the mapping; it counts from each user's next sign-in."""
        administration = self.server.administration
        return MAPPING(await administration.map_group(self.actor, provider, upstream, group))


class MappingEndpoint(AdminHandler):
    """/admin/api/mappings/{mapping_id}."""

    @operation("Let a login provider's group stand for nothing", WRITE, status=204, errors=(404,))
    async def delete(self, mapping_id: str) -> None:
        """Forget the mapping."""
        await self.server.administration.unmap_group(self.actor, mapping_id)
