"""`tornado-auth roles`: named sets of permissions, and who holds them.

A role is written as its id, `<service>:<name>`.
"""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import click

from tornado_auth.administration import Administration
from tornado_auth.cli.administering import PAGE, administer, holder_name, operator, pages
from tornado_auth.cli.output import Output, Row, columns, confirm, form, json_option, yes_option
from tornado_auth.errors import NotFound
from tornado_auth.models import Assignment, Role

F = TypeVar("F", bound=Callable[..., object])


@click.group()
def roles() -> None:
    """Make roles, give them to users and groups, and take them away."""


@roles.command("set")
@click.argument("role")
@click.argument("permission", nargs=-1, required=True)
@click.option("--description", help="What it is for; without it, what was said stays.")
@json_option
@click.pass_obj
def set_role(
    config: Path | None,
    role: str,
    permission: tuple[str, ...],
    description: str | None,
    out: Output,
) -> None:
    """Make a role, SERVICE:NAME, or give it these permissions and no others."""
    service, colon, name = role.partition(":")
    if not colon:
        raise click.UsageError(f"{role!r} is no role: write SERVICE:NAME.")

    async def action(administration: Administration) -> Role:
        said = description if description is not None else await _said(administration, role)
        return await administration.put_role(
            operator(), service, name, permissions=permission, description=said
        )

    made = administer(config, action)
    out.show(form(made), f"The role {made.id} allows {', '.join(made.permissions)}.")


@roles.command("list")
@click.option("--service", default="", help="Those of this service alone.")
@json_option
@click.pass_obj
def list_roles(config: Path | None, service: str, out: Output) -> None:
    """Print all roles: id, permissions and description."""

    async def rows(administration: Administration) -> AsyncIterator[Row]:
        async for role in pages(
            lambda after: administration.roles(service=service, after=after, limit=PAGE)
        ):
            yield form(role), columns(role.id, ",".join(role.permissions), role.description)

    administer(config, lambda administration: out.show_all(rows(administration)))


@roles.command()
@click.argument("role")
@json_option
@click.pass_obj
def show(config: Path | None, role: str, out: Output) -> None:
    """Print a role and its permissions; `holders` prints who holds it."""
    found = administer(config, lambda administration: administration.role(role))
    out.show(
        form(found),
        columns("role", found.id),
        columns("description", found.description),
        *(columns("permission", permission) for permission in found.permissions),
    )


@roles.command()
@click.argument("role")
@yes_option
@json_option
@click.pass_obj
def delete(config: Path | None, role: str, yes: bool, out: Output) -> None:
    """Delete a role; whoever held it holds it no more."""
    confirm(f"Delete the role {role} for good?", yes=yes)
    administer(config, lambda administration: administration.delete_role(operator(), role))
    out.show({"deleted": role}, f"The role {role} is deleted.")


@roles.command()
@click.argument("role")
@json_option
@click.pass_obj
def holders(config: Path | None, role: str, out: Output) -> None:
    """Print who holds a role: user or group, and the resource if it is for one alone."""

    async def rows(administration: Administration) -> AsyncIterator[Row]:
        async for held in pages(
            lambda after: administration.holders_of(role, after=after, limit=PAGE)
        ):
            name = await holder_name(administration, held.holder)
            yield form(held) | {"holder_name": name}, columns(name, held.resource)

    administer(config, lambda administration: out.show_all(rows(administration)))


def holder_options(command: F) -> F:
    """Add the options that say who holds a role, and where."""
    for option in (
        click.option("--resource", default="", help="In this resource, not in the whole service."),
        click.option("--group", multiple=True, help="A group; may be given more than once."),
        click.option("--user", multiple=True, help="A user; may be given more than once."),
    ):
        command = option(command)
    return command


@roles.command()
@click.argument("role")
@holder_options
@json_option
@click.pass_obj
def assign(
    config: Path | None,
    role: str,
    user: tuple[str, ...],
    group: tuple[str, ...],
    resource: str,
    out: Output,
) -> None:
    """Give a role to users and groups."""

    async def action(administration: Administration) -> list[Assignment]:
        return [
            await administration.assign(operator(), holder, role, resource=resource)
            for holder in await _holders(administration, user, group)
        ]

    _check_anybody(user, group)
    made = administer(config, action)
    lines = (f"{name} holds {role}." for name in _names(user, group))
    out.show({"assigned": [assignment.id for assignment in made]}, *lines)


@roles.command()
@click.argument("role")
@holder_options
@json_option
@click.pass_obj
def unassign(
    config: Path | None,
    role: str,
    user: tuple[str, ...],
    group: tuple[str, ...],
    resource: str,
    out: Output,
) -> None:
    """Take a role away from users and groups."""

    async def action(administration: Administration) -> list[str]:
        holders = await _holders(administration, user, group)
        ids = [f"{holder}|{role}|{resource}" for holder in holders]
        for assignment_id in ids:
            await administration.unassign(operator(), assignment_id)
        return ids

    _check_anybody(user, group)
    ids = administer(config, action)
    lines = (f"{name} no longer holds {role}." for name in _names(user, group))
    out.show({"unassigned": ids}, *lines)


def _check_anybody(user: tuple[str, ...], group: tuple[str, ...]) -> None:
    if not user and not group:
        raise click.UsageError("Say who: --user or --group.")


def _names(user: tuple[str, ...], group: tuple[str, ...]) -> tuple[str, ...]:
    return user + tuple(f"The group {name}" for name in group)


async def _holders(
    administration: Administration, user: tuple[str, ...], group: tuple[str, ...]
) -> list[str]:
    users = [await administration.user(name) for name in user]
    return [f"user:{one.id}" for one in users] + [f"group:{name}" for name in group]


async def _said(administration: Administration, role: str) -> str:
    try:
        return (await administration.role(role)).description
    except NotFound:
        return ""
