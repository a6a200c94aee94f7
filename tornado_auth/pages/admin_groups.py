"""The pages of groups and of roles: all of them, and one with who is in it or holds it.

Owns which records are read for a page and what its forms do. See `admin.py` for the frame.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, ClassVar

from tornado_auth.administration import MAX_PAGE
from tornado_auth.errors import AlreadyThere, NotFound
from tornado_auth.models import Group, Role
from tornado_auth.pages.admin import UNASSIGN, Change, ChangingHandler, Question, assign
from tornado_auth.pages.admin_rows import (
    HOME,
    PAGE_SIZE,
    Rows,
    assignment_row,
    cut,
    group_row,
    holder_row,
    mapping_row,
    membership_row,
    page_url,
    role_row,
)

GROUPS, ROLES = f"{HOME}/groups", f"{HOME}/roles"


class GroupsHandler(ChangingHandler):
    """GET /auth/admin/groups: every group, and POST for a new one."""

    section = "groups"
    template = "admin_groups.html"
    changes: ClassVar = {
        "create": Change(
            do=lambda page, _: page.create(),
            leads_to=lambda group: page_url("groups", group.id),
        )
    }

    async def post(self, name: str | None = None, action: str | None = None) -> None:
        """Create a group."""
        await super().post(name, "create")

    async def create(self) -> Group:
        """Create a group, but never change one that is there."""
        name = self.body_parameter("name")
        await _check_new(self.administration.group(name), "group")
        return await self.administration.put_group(
            self.actor, name, description=self.body_parameter("description")
        )

    def url(self, name: str) -> str:
        """See AdminHandler."""
        return GROUPS

    async def gather(self, name: str) -> dict[str, Any]:
        """Read the groups of a page, in order of name."""
        found = await self.administration.groups(after=self.parameter("after"), limit=PAGE_SIZE + 1)
        groups, more = cut(found, GROUPS, lambda group: group.id)
        items = [group_row(group) for group in groups]
        return {"groups": Rows(id="groups", items=items, more=more)}


class GroupHandler(ChangingHandler):
    """GET /auth/admin/groups/<name>: who is in it and what that gives; POST to its changes."""

    section = "groups"
    template = "admin_group.html"
    changes: ClassVar = {
        "describe": Change(
            do=lambda page, group: page.administration.put_group(
                page.actor, group, description=page.body_parameter("description")
            )
        ),
        "add-member": Change(do=lambda page, group: page.add_member(group)),
        "remove-member": Change(
            do=lambda page, group: page.administration.remove_member(
                page.actor, group, page.body_parameter("id")
            ),
            done="removed",
        ),
        "assign": assign("group"),
        "unassign": UNASSIGN,
        "map": Change(
            do=lambda page, group: page.administration.map_group(
                page.actor,
                page.body_parameter("provider"),
                page.body_parameter("upstream"),
                group,
            )
        ),
        "unmap": Change(
            do=lambda page, _: page.administration.unmap_group(
                page.actor, page.body_parameter("id")
            ),
            done="removed",
        ),
        "delete": Change(
            do=lambda page, group: page.administration.delete_group(page.actor, group),
            done="deleted",
            leads_to=lambda _: GROUPS,
            question=Question(
                "Delete this group?",
                "Everybody in it loses what it gives, and the login providers' groups that stand "
                "for it are forgotten. This cannot be undone.",
                "Delete the group",
            ),
        ),
    }

    def url(self, name: str) -> str:
        """See AdminHandler."""
        return page_url("groups", name)

    async def add_member(self, group: str) -> None:
        """Put a user into the group, by name or id."""
        user = await self.administration.user(self.body_parameter("username"))
        await self.administration.add_member(self.actor, group, user.id)

    async def gather(self, name: str) -> dict[str, Any]:
        """Read the group, a page of its members, its roles and what stands for it."""
        group = await self.administration.group(name)
        found, held, mappings = await asyncio.gather(
            self.administration.members(name, after=self.parameter("after"), limit=PAGE_SIZE + 1),
            self.administration.assignments_of(f"group:{name}"),
            self.administration.mappings(group=name, limit=MAX_PAGE),
        )
        members, more = cut(found, self.url(name), lambda member: member.id)
        users = await self.administration.users_by_id([member.user_id for member in members])
        return {
            "title": name,
            "group": group,
            "actions": {action: self.action(name, action) for action in self.changes},
            "members": Rows(
                id="members",
                items=[membership_row(one, users.get(one.user_id)) for one in members],
                empty="Nobody.",
                action=self.action(name, "remove-member"),
                button="Remove",
                more=more,
            ),
            "roles": Rows(
                id="roles",
                items=[assignment_row(assignment) for assignment in held],
                action=self.action(name, "unassign"),
                button="Take away",
            ),
            "mappings": Rows(
                id="mappings",
                items=[mapping_row(mapping) for mapping in mappings],
                action=self.action(name, "unmap"),
                button="Forget",
            ),
        }


class RolesHandler(ChangingHandler):
    """GET /auth/admin/roles: every role, or those of one service; POST for a new one."""

    section = "roles"
    template = "admin_roles.html"
    changes: ClassVar = {
        "create": Change(
            do=lambda page, _: page.create(),
            leads_to=lambda role: page_url("roles", role.id),
        )
    }

    async def post(self, name: str | None = None, action: str | None = None) -> None:
        """Create a role."""
        await super().post(name, "create")

    async def create(self) -> Role:
        """Create a role, but never change one that is there."""
        service, name = self.body_parameter("service"), self.body_parameter("name")
        await _check_new(self.administration.role(f"{service}:{name}"), "role")
        return await self.administration.put_role(
            self.actor,
            service,
            name,
            permissions=self.words("permissions"),
            description=self.body_parameter("description"),
        )

    def url(self, name: str) -> str:
        """See AdminHandler."""
        return ROLES

    async def gather(self, name: str) -> dict[str, Any]:
        """Read the roles of a page, in order of service and name."""
        service = self.parameter("of").strip()
        found = await self.administration.roles(
            service=service, after=self.parameter("after"), limit=PAGE_SIZE + 1
        )
        roles, more = cut(found, ROLES, lambda role: role.id, kept={"of": service})
        items = [role_row(role) for role in roles]
        return {"of": service, "roles": Rows(id="roles", items=items, more=more)}


class RoleHandler(ChangingHandler):
    """GET /auth/admin/roles/<service:name>: what it allows and who holds it."""

    section = "roles"
    template = "admin_role.html"
    changes: ClassVar = {
        "save": Change(do=lambda page, role_id: page.save(role_id)),
        "unassign": UNASSIGN,
        "delete": Change(
            do=lambda page, role_id: page.administration.delete_role(page.actor, role_id),
            done="deleted",
            leads_to=lambda _: ROLES,
            question=Question(
                "Delete this role?",
                "Everybody who holds it loses what it allows. This cannot be undone.",
                "Delete the role",
            ),
        ),
    }

    def url(self, name: str) -> str:
        """See AdminHandler."""
        return page_url("roles", name)

    async def save(self, role_id: str) -> None:
        """Change what the role allows, and its description."""
        role = await self.administration.role(role_id)
        await self.administration.put_role(
            self.actor,
            role.service,
            role.name,
            permissions=self.words("permissions"),
            description=self.body_parameter("description"),
        )

    async def gather(self, name: str) -> dict[str, Any]:
        """Read the role, and a page of who holds it."""
        role = await self.administration.role(name)
        found = await self.administration.holders_of(
            name, after=self.parameter("after"), limit=PAGE_SIZE + 1
        )
        held, more = cut(found, self.url(name), lambda assignment: assignment.id)
        ids = [one.holder.removeprefix("user:") for one in held if one.holder.startswith("user:")]
        users = await self.administration.users_by_id(ids)
        return {
            "title": name,
            "role": role,
            "actions": {action: self.action(name, action) for action in self.changes},
            "holders": Rows(
                id="holders",
                items=[holder_row(assignment, users) for assignment in held],
                empty="Nobody.",
                action=self.action(name, "unassign"),
                button="Take away",
                more=more,
            ),
        }


async def _check_new(reading: Awaitable[object], what: str) -> None:
    with suppress(NotFound):
        await reading
        raise AlreadyThere(f"There is a {what} of this name already.")
