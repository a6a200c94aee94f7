"""Roles, groups and who holds what, in memory and on SQLite."""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.permissions_world import PermissionsWorld
from tornado_auth import held_roles
from tornado_auth.errors import InvalidRequest, NotFound
from tornado_auth.roles import Roles, Source
from tornado_auth.storage import Storage


@pytest.fixture
def roles(storage: Storage, clock: FakeClock) -> Roles:
    return PermissionsWorld(clock, storage=storage).roles


async def editors(roles: Roles) -> str:
    """Have a role for whom editing is allowed, and a group of those who are to hold it."""
    await roles.put_group("staff")
    return (await roles.put_role("wiki", "editor", permissions=["edit", "read"])).id


async def test_a_role_is_created_once_and_changed_from_then_on(
    roles: Roles, clock: FakeClock
) -> None:
    created = await roles.put_role("wiki", "editor", permissions=["read", "edit", "read"])
    assert (created.id, created.service, created.name) == ("wiki:editor", "wiki", "editor")
    assert created.permissions == ("edit", "read")
    clock.advance(60)
    changed = await roles.put_role("wiki", "editor", permissions=["read"], description="Reads.")
    assert changed == await roles.role("wiki:editor")
    assert changed == dataclasses.replace(
        created, permissions=("read",), description="Reads.", version=1
    )


async def test_what_is_not_there_is_not_found(roles: Roles) -> None:
    role_id = await editors(roles)
    for missing in (
        roles.role("wiki:reader"),
        roles.delete_role("wiki:reader"),
        roles.group("guests"),
        roles.delete_group("guests"),
        roles.members("guests"),
        roles.add_member("guests", "u1"),
        roles.remove_member("staff", "u1"),
        roles.assign("user:u1", "wiki:reader"),
        roles.assign("group:guests", role_id),
        roles.unassign(f"user:u1|{role_id}|"),
        roles.holders_of("wiki:reader"),
        roles.map_group("github", "acme", "guests"),
        roles.unmap_group("github:acme"),
    ):
        with pytest.raises(NotFound):
            await missing


WRONG: list[Any] = ["", "a b", "a|b", "a\n", "a\0b", "ä", "x" * 129, None, 7, ["a"], {"$ne": ""}]


@pytest.mark.parametrize("wrong", [".", "..", "-x", ".x"])
async def test_no_name_is_a_folder_or_an_option(roles: Roles, wrong: str) -> None:
    for refuse in (
        roles.put_role(wrong, "editor", permissions=[]),
        roles.put_role("wiki", wrong, permissions=[]),
        roles.put_group(wrong),
    ):
        with pytest.raises(InvalidRequest, match="first a letter"):
            await refuse


# S142 S145
@pytest.mark.parametrize("wrong", WRONG, ids=repr)
async def test_no_name_can_be_mistaken_for_something_else(
    roles: Roles, storage: Storage, wrong: Any
) -> None:
    role_id = await editors(roles)
    refused: list[Callable[[], Awaitable[object]]] = [
        lambda: roles.put_role(wrong, "editor", permissions=[]),
        lambda: roles.put_role("wiki", wrong, permissions=[]),
        lambda: roles.put_role("wiki", "editor", permissions=[wrong]),
        lambda: roles.put_group(wrong),
        lambda: roles.group(wrong),
        lambda: roles.role(wrong),
        lambda: roles.delete_role(wrong),
        lambda: roles.add_member("staff", wrong),
        lambda: roles.add_member(wrong, "u1"),
        lambda: roles.remove_member("staff", wrong),
        lambda: roles.assign(wrong, role_id),
        lambda: roles.assign("user:u1", wrong),
        lambda: roles.assignments_of(wrong),
        lambda: roles.unassign(wrong),
        lambda: roles.map_group(wrong, "acme", "staff"),
        lambda: roles.map_group("github", "acme", wrong),
    ]
    if wrong != "":
        refused += [lambda: roles.assign("user:u1", role_id, resource=wrong)]
    if isinstance(wrong, str):
        refused += [
            lambda: roles.role(f"wiki:{wrong}"),
            lambda: roles.assign(f"user:{wrong}", role_id),
            lambda: roles.assign(f"group:{wrong}", role_id),
            lambda: roles.unassign(f"user:u1|wiki:{wrong}|"),
        ]
    for refuse in refused:
        with pytest.raises(InvalidRequest):
            await refuse()
    assert [role.permissions for role in await roles.roles()] == [("edit", "read")]
    assert await storage.assignments.find() == []
    assert await storage.memberships.find() == []


@pytest.mark.parametrize("colon", ["a:b", "a/b"])
async def test_a_colon_or_slash_is_for_permissions_and_resources_alone(
    roles: Roles, colon: str
) -> None:
    await roles.put_role("wiki", "editor", permissions=[colon])
    await roles.assign("user:u1", "wiki:editor", resource=colon)
    for refused in (
        roles.put_role(colon, "editor", permissions=[]),
        roles.put_role("wiki", colon, permissions=[]),
        roles.put_group(colon),
    ):
        with pytest.raises(InvalidRequest):
            await refused


async def test_a_role_has_a_bounded_number_of_permissions_and_a_short_description(
    roles: Roles,
) -> None:
    await roles.put_role("wiki", "all", permissions=[f"p{n}" for n in range(100)])
    wrong: Any
    for wrong in (
        {"permissions": [f"p{n}" for n in range(101)]},
        {"permissions": "read"},
        {"permissions": [], "description": "x" * 501},
        {"permissions": [], "description": "two\nlines"},
        {"permissions": [], "description": None},
    ):
        with pytest.raises(InvalidRequest):
            await roles.put_role("wiki", "all", **wrong)


async def test_lists_come_by_the_page(roles: Roles) -> None:
    for service in ("blog", "wiki"):
        for number in range(3):
            await roles.put_role(service, f"r{number}", permissions=[])
    await roles.put_group("a")
    await roles.put_group("b")
    assert [role.id for role in await roles.roles(service="wiki", limit=2)] == [
        "wiki:r0",
        "wiki:r1",
    ]
    assert [role.id for role in await roles.roles(after="blog:r2", limit=2)] == [
        "wiki:r0",
        "wiki:r1",
    ]
    assert [group.id for group in await roles.groups(after="a")] == ["b"]
    for user_id in ("u1", "u2", "u3"):
        await roles.add_member("a", user_id)
        await roles.assign(f"user:{user_id}", "wiki:r0")
    members = await roles.members("a", after="a:u1", limit=1)
    assert [member.user_id for member in members] == ["u2"]
    (holder,) = await roles.holders_of("wiki:r0", after="user:u2|wiki:r0|")
    assert holder.holder == "user:u3"


class TestPermissions:
    # D24
    async def test_nobody_may_do_what_no_role_allows(self, roles: Roles) -> None:
        await editors(roles)
        assert await roles.permissions_of("wiki", "u1") == {}
        assert await roles.permissions_of("none", "u1") == {}
        assert await roles.sources_of("wiki", "u1") == []

    async def test_a_role_is_held_in_person_or_through_a_group(self, roles: Roles) -> None:
        editor = await editors(roles)
        owner = (await roles.put_role("wiki", "owner", permissions=["delete", "read"])).id
        await roles.assign("group:staff", editor)
        await roles.assign("user:u1", owner)
        await roles.add_member("staff", "u1")
        await roles.add_member("staff", "u2")
        assert await roles.permissions_of("wiki", "u1") == {
            "delete": True,
            "edit": True,
            "read": True,
        }
        assert await roles.permissions_of("wiki", "u2") == {"edit": True, "read": True}
        assert set(await roles.sources_of("wiki", "u1")) == {
            Source("delete", owner, "user:u1", ""),
            Source("read", owner, "user:u1", ""),
            Source("edit", editor, "group:staff", ""),
            Source("read", editor, "group:staff", ""),
        }
        await roles.remove_member("staff", "u2")
        assert await roles.permissions_of("wiki", "u2") == {}

    async def test_a_resource_needs_a_role_in_it_or_in_all_of_the_service(
        self, roles: Roles
    ) -> None:
        editor = await editors(roles)
        reader = (await roles.put_role("wiki", "reader", permissions=["read"])).id
        await roles.assign("user:u1", reader)
        await roles.assign("user:u1", editor, resource="team/a")
        await roles.put_role("wiki", "writer", permissions=["read"])
        await roles.assign("user:u1", "wiki:writer", resource="team/c")
        here = {"edit": True, "read": True}
        elsewhere = {"edit": False, "read": True}
        assert await roles.permissions_of("wiki", "u1", resource="team/a") == here
        for resource in ("team/b", "team", "team/a/", "TEAM/A", ""):
            assert await roles.permissions_of("wiki", "u1", resource=resource) == elsewhere
        sources = await roles.sources_of("wiki", "u1", resource="team/b")
        assert sources == [Source("read", reader, "user:u1", "")]
        sources = await roles.sources_of("wiki", "u1", resource="team/a")
        assert Source("edit", editor, "user:u1", "team/a") in sources

    async def test_names_that_begin_alike_are_others(self, roles: Roles) -> None:
        for service in ("wiki", "wiki2", "wik", "wiki.a", "wiki-a"):
            role = await roles.put_role(service, "editor", permissions=[f"edit-{service}"])
            await roles.assign("user:u1", role.id)
        await roles.put_group("u1")
        await roles.put_group("u1.a")
        await roles.add_member("u1", "u2")
        await roles.assign("group:u1.a", "wiki:editor")
        assert await roles.permissions_of("wiki", "u1") == {"edit-wiki": True}
        for user_id in ("u", "u10", "u1.a", "u2", "user:u1"):
            assert await roles.permissions_of("wiki", user_id) == {}
        for service in ("", "wiki:editor", "wiki:editor|", "w"):
            assert await roles.permissions_of(service, "u1") == {}

    async def test_however_many_roles_somebody_holds_all_count(
        self, roles: Roles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(held_roles, "PAGE", 5)
        await editors(roles)
        await roles.put_role("blog", "reader", permissions=["read"])
        await roles.assign("user:u1", "blog:reader")
        for number in range(6):
            await roles.assign("user:u1", "wiki:editor", resource=f"r{number}")
        assert await roles.permissions_of("wiki", "u1", resource="r5") == {
            "edit": True,
            "read": True,
        }
        assert len(await roles.sources_of("wiki", "u1", resource="r0")) == 2
        assert len(await roles.assignments_of("user:u1")) == 7
        assert await roles.permissions_of("blog", "u1") == {"read": True}

    async def test_however_many_groups_somebody_is_in_all_count(
        self, roles: Roles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(held_roles, "AT_ONCE", 2)
        groups = [f"g{number}" for number in range(5)]
        for group in groups:
            await roles.put_group(group)
            await roles.add_member(group, "u1")
            await roles.put_role("wiki", group, permissions=[group])
            await roles.assign(f"group:{group}", f"wiki:{group}")
        assert await roles.permissions_of("wiki", "u1") == dict.fromkeys(groups, True)

    async def test_a_changed_role_counts_for_all_who_hold_it(self, roles: Roles) -> None:
        role_id = await editors(roles)
        await roles.assign("user:u1", role_id)
        await roles.put_role("wiki", "editor", permissions=["comment"])
        assert await roles.permissions_of("wiki", "u1") == {"comment": True}


class TestTakingAway:
    async def test_a_role_goes_with_all_that_gives_it(self, roles: Roles) -> None:
        role_id = await editors(roles)
        await roles.put_role("wiki", "reader", permissions=["read"])
        await roles.assign("user:u1", role_id)
        await roles.assign("user:u1", "wiki:reader")
        await roles.delete_role(role_id)
        assert await roles.permissions_of("wiki", "u1") == {"read": True}
        await editors(roles)
        assert await roles.permissions_of("wiki", "u1") == {"read": True}

    async def test_a_group_goes_with_all_that_rests_on_it(
        self, roles: Roles, storage: Storage
    ) -> None:
        role_id = await editors(roles)
        await roles.put_group("guests")
        for group in ("staff", "guests"):
            await roles.add_member(group, "u1")
            await roles.assign(f"group:{group}", role_id)
            await roles.map_group("github", group, group)
        await roles.delete_group("staff")
        assert [group.id for group in await roles.groups()] == ["guests"]
        assert [one.group for one in await roles.groups_of("u1")] == ["guests"]
        assert [one.holder for one in await roles.holders_of(role_id)] == ["group:guests"]
        assert [one.group for one in await roles.mappings()] == ["guests"]

    async def test_one_assignment_goes_alone(self, roles: Roles) -> None:
        role_id = await editors(roles)
        everywhere = await roles.assign("user:u1", role_id)
        in_a = await roles.assign("user:u1", role_id, resource="a:b/c")
        await roles.unassign(everywhere.id)
        assert await roles.assignments_of("user:u1") == [in_a]
        await roles.unassign(in_a.id)
        with pytest.raises(NotFound):
            await roles.unassign(in_a.id)

    # S153
    async def test_nothing_is_left_of_a_user_who_is_deleted(
        self, roles: Roles, storage: Storage
    ) -> None:
        role_id = await editors(roles)
        for user_id in ("u1", "u10"):
            await roles.assign(f"user:{user_id}", role_id, resource="a")
            await roles.add_member("staff", user_id)
        await roles.forget_user("u1")
        assert [one.holder for one in await storage.assignments.find()] == ["user:u10"]
        assert [one.user_id for one in await storage.memberships.find()] == ["u10"]


class TestGroupsOfLoginProviders:
    @pytest.fixture
    async def mapped(self, roles: Roles) -> Roles:
        for group in ("staff", "devs", "guests"):
            await roles.put_group(group)
        await roles.map_group("github", "acme", "staff")
        await roles.map_group("github", "acme/dev team", "devs")
        await roles.map_group("corp", "acme", "guests")
        return roles

    async def groups_of(self, roles: Roles, user_id: str = "u1") -> list[str]:
        return [membership.group for membership in await roles.groups_of(user_id)]

    async def test_who_signs_in_is_in_the_groups_that_the_providers_stand_for(
        self, mapped: Roles
    ) -> None:
        changed = await mapped.follow_groups("u1", "github", ["acme", "acme/dev team", "other"])
        assert changed == (["devs", "staff"], [])
        assert await self.groups_of(mapped) == ["devs", "staff"]
        assert await mapped.follow_groups("u1", "github", ["acme"]) == ([], ["devs"])
        assert await self.groups_of(mapped) == ["staff"]
        await mapped.follow_groups("u1", "github", [])
        assert await self.groups_of(mapped) == []

    async def test_what_a_person_or_another_provider_did_stays(self, mapped: Roles) -> None:
        await mapped.add_member("devs", "u1")
        await mapped.follow_groups("u1", "corp", ["acme"])
        await mapped.follow_groups("u1", "github", ["acme/dev team"])
        await mapped.follow_groups("u1", "github", [])
        assert await self.groups_of(mapped) == ["devs", "guests"]
        await mapped.follow_groups("u1", "corp", [])
        assert await self.groups_of(mapped) == ["devs"]

    async def test_a_member_whom_a_person_confirms_stays(self, mapped: Roles) -> None:
        await mapped.follow_groups("u1", "github", ["acme"])
        confirmed = await mapped.add_member("staff", "u1")
        assert confirmed.provider == ""
        await mapped.follow_groups("u1", "github", [])
        assert await self.groups_of(mapped) == ["staff"]

    # S145
    async def test_strange_names_of_groups_match_nothing(self, mapped: Roles) -> None:
        strange = ["", "ACME", "acme\0", "acme\n", "\ud800", "x" * 10_000, "acme:staff"]
        await mapped.follow_groups("u1", "github", strange)
        assert await self.groups_of(mapped) == []

    async def test_nobody_is_not_a_login_provider(self, mapped: Roles) -> None:
        await mapped.add_member("devs", "u1")
        with pytest.raises(InvalidRequest):
            await mapped.follow_groups("u1", "", [])
        assert await self.groups_of(mapped) == ["devs"]

    async def test_a_mapping_is_changed_and_ended(self, mapped: Roles) -> None:
        await mapped.map_group("github", "acme", "guests")
        await mapped.follow_groups("u1", "github", ["acme"])
        assert await self.groups_of(mapped) == ["guests"]
        assert [one.id for one in await mapped.mappings(provider="corp")] == ["corp:acme"]
        await mapped.unmap_group("github:acme")
        await mapped.follow_groups("u1", "github", ["acme"])
        assert await self.groups_of(mapped) == []
