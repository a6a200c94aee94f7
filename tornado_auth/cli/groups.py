"""`tornado-auth groups`: groups, who is in them, and the login providers' groups they stand for."""

from collections.abc import AsyncIterator
from pathlib import Path

import click

from tornado_auth.administration import Administration
from tornado_auth.cli.administering import (
    PAGE,
    administer,
    all_members,
    name_of,
    operator,
    pages,
    users_named,
)
from tornado_auth.cli.output import Output, Row, columns, confirm, form, json_option, yes_option
from tornado_auth.errors import NotFound
from tornado_auth.models import Group, GroupMapping, User


@click.group()
def groups() -> None:
    """Make groups, put users into them, and map the groups of login providers."""


@groups.command("set")
@click.argument("group")
@click.option("--description", help="What it is for; without it, what was said stays.")
@json_option
@click.pass_obj
def set_group(config: Path | None, group: str, description: str | None, out: Output) -> None:
    """Make a group, or describe it anew."""

    async def action(administration: Administration) -> Group:
        said = description if description is not None else await _said(administration, group)
        return await administration.put_group(operator(), group, description=said)

    made = administer(config, action)
    out.show(form(made), f"The group {made.id} is there.")


@groups.command("list")
@json_option
@click.pass_obj
def list_groups(config: Path | None, out: Output) -> None:
    """Print all groups: name and description."""

    async def rows(administration: Administration) -> AsyncIterator[Row]:
        async for group in pages(lambda after: administration.groups(after=after, limit=PAGE)):
            yield form(group), columns(group.id, group.description)

    administer(config, lambda administration: out.show_all(rows(administration)))


@groups.command()
@click.argument("group")
@json_option
@click.pass_obj
def show(config: Path | None, group: str, out: Output) -> None:
    """Print a group and the roles that it holds; `members` prints who is in it."""

    async def action(administration: Administration) -> None:
        found = await administration.group(group)
        held = await administration.assignments_of(f"group:{group}")
        out.show(
            form(found) | {"assignments": [form(assignment) for assignment in held]},
            columns("group", found.id),
            columns("description", found.description),
            *(columns("role", assignment.role_id, assignment.resource) for assignment in held),
        )

    administer(config, action)


@groups.command()
@click.argument("group")
@yes_option
@json_option
@click.pass_obj
def delete(config: Path | None, group: str, yes: bool, out: Output) -> None:
    """Delete a group, with what it held; its members lose that."""
    confirm(f"Delete the group {group} for good?", yes=yes)
    administer(config, lambda administration: administration.delete_group(operator(), group))
    out.show({"deleted": group}, f"The group {group} is deleted.")


@groups.command()
@click.argument("group")
@json_option
@click.pass_obj
def members(config: Path | None, group: str, out: Output) -> None:
    """Print who is in a group: id, user name, and the login provider that put them there."""

    async def rows(administration: Administration) -> AsyncIterator[Row]:
        async for membership in all_members(administration, group):
            name = await name_of(administration, membership.user_id)
            line = columns(membership.user_id, name, membership.provider)
            yield form(membership) | {"username": name}, line

    administer(config, lambda administration: out.show_all(rows(administration)))


@groups.command()
@click.argument("group")
@click.argument("user", nargs=-1, required=True)
@json_option
@click.pass_obj
def add(config: Path | None, group: str, user: tuple[str, ...], out: Output) -> None:
    """Put users into a group."""

    async def action(administration: Administration) -> list[User]:
        found = await users_named(administration, user)
        for one in found:
            await administration.add_member(operator(), group, one.id)
        return found

    found = administer(config, action)
    lines = (f"{one.username} is in {group}." for one in found)
    out.show({"group": group, "added": [one.id for one in found]}, *lines)


@groups.command()
@click.argument("group")
@click.argument("user", nargs=-1, required=True)
@json_option
@click.pass_obj
def remove(config: Path | None, group: str, user: tuple[str, ...], out: Output) -> None:
    """Take users out of a group."""

    async def action(administration: Administration) -> list[User]:
        found = await users_named(administration, user)
        for one in found:
            await administration.remove_member(operator(), group, one.id)
        return found

    found = administer(config, action)
    lines = (f"{one.username} is no longer in {group}." for one in found)
    out.show({"group": group, "removed": [one.id for one in found]}, *lines)


@groups.command("map")
@click.argument("provider")
@click.argument("upstream")
@click.argument("group")
@json_option
@click.pass_obj
def map_group(config: Path | None, provider: str, upstream: str, group: str, out: Output) -> None:
    """Put whoever is in a login provider's group into one of ours, from their next sign-in."""

    async def action(administration: Administration) -> GroupMapping:
        return await administration.map_group(operator(), provider, upstream, group)

    mapping = administer(config, action)
    out.show(form(mapping), f"{upstream} of {provider} stands for {group}.")


@groups.command()
@click.argument("provider")
@click.argument("upstream")
@yes_option
@json_option
@click.pass_obj
def unmap(config: Path | None, provider: str, upstream: str, yes: bool, out: Output) -> None:
    """Let a login provider's group stand for none of ours, from each one's next sign-in."""

    async def action(administration: Administration) -> None:
        await administration.unmap_group(operator(), f"{provider}:{upstream}")

    confirm(f"Let {upstream} of {provider} stand for no group?", yes=yes)
    administer(config, action)
    shown = {"provider": provider, "upstream": upstream}
    out.show(shown, f"{upstream} of {provider} stands for no group.")


@groups.command()
@click.option("--provider", default="", help="Those of this login provider alone.")
@json_option
@click.pass_obj
def mappings(config: Path | None, provider: str, out: Output) -> None:
    """Print the mapped groups: login provider, its group, ours."""

    async def rows(administration: Administration) -> AsyncIterator[Row]:
        async for mapping in pages(
            lambda after: administration.mappings(provider=provider, after=after, limit=PAGE)
        ):
            line = columns(mapping.provider, mapping.upstream, mapping.group)
            yield form(mapping), line

    administer(config, lambda administration: out.show_all(rows(administration)))


async def _said(administration: Administration, group: str) -> str:
    try:
        return (await administration.group(group)).description
    except NotFound:
        return ""
