"""`tornado-auth admins`: who may use the admin API and the admin pages.

Whoever has this command may do all of it anyway; it is how the first administrator comes about.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import click

from tornado_auth.administration import Administration
from tornado_auth.administrators import (
    ADMINISTRATOR,
    AUDITOR,
    INVITATION_LIFETIME,
    READ,
    SERVICE,
    WRITE,
)
from tornado_auth.cli.administering import PAGE, administer, all_members, name_of, operator, pages
from tornado_auth.cli.common import fail
from tornado_auth.cli.output import Output, Row, columns, form, json_option, printable
from tornado_auth.errors import NotFound
from tornado_auth.models import Role, User


@click.group()
def admins() -> None:
    """Invite, list, add and remove administrators."""


@admins.command()
@json_option
@click.pass_obj
def invite(config: Path | None, out: Output) -> None:
    """Print a secret that makes one user an administrator, once, within an hour."""
    secret = administer(
        config, lambda administration: administration.invite_administrator(operator())
    )
    out.show({"secret": secret, "expires_in": INVITATION_LIFETIME}, secret)
    out.hint("Within an hour: sign in, and enter it at /auth/admin/invitation.")


@admins.command("list")
@json_option
@click.pass_obj
def list_admins(config: Path | None, out: Output) -> None:
    """Print all administrators: id, user name, read or write, role, and the group that has it."""
    administer(config, lambda administration: out.show_all(_rows(administration)))


@admins.command()
@click.argument("user")
@click.option("--read-only", is_flag=True, help="See everything, change nothing.")
@json_option
@click.pass_obj
def add(config: Path | None, user: str, read_only: bool, out: Output) -> None:
    """Make a user an administrator."""
    role_id = AUDITOR if read_only else ADMINISTRATOR

    async def action(administration: Administration) -> User:
        found = await administration.user(user)
        await administration.assign(operator(), f"user:{found.id}", role_id)
        return found

    found = administer(config, action)
    out.show(form(found) | {"role_id": role_id}, f"{found.username} holds {role_id}.")


@admins.command()
@click.argument("user")
@json_option
@click.pass_obj
def remove(config: Path | None, user: str, out: Output) -> None:
    """Take that away; exit status 1 if a group or another role still makes the user one."""

    async def action(administration: Administration) -> tuple[User, int, bool]:
        found = await administration.user(user)
        removed = 0
        for role_id in (ADMINISTRATOR, AUDITOR):
            try:
                await administration.unassign(operator(), f"user:{found.id}|{role_id}|")
            except NotFound:
                continue
            removed += 1
        return found, removed, await administration.is_administrator(found.id, write=False)

    found, removed, remains = administer(config, action)
    if remains:
        fail(f"{found.username} still is an administrator, by another role or a group.")
    if not removed:
        fail(f"{printable(user)} is no administrator.")
    out.show(form(found), f"{found.username} is no administrator any more.")


async def _rows(administration: Administration) -> AsyncIterator[Row]:
    async for role in pages(
        lambda after: administration.roles(service=SERVICE, after=after, limit=PAGE)
    ):
        if {READ, WRITE} & set(role.permissions):
            async for row in _rows_of(administration, role):
                yield row


async def _rows_of(administration: Administration, role: Role) -> AsyncIterator[Row]:
    access = "write" if WRITE in role.permissions else "read"
    async for user_id, group in _who_holds(administration, role.id):
        name = await name_of(administration, user_id)
        shown = {
            "user_id": user_id,
            "username": name,
            "access": access,
            "role_id": role.id,
            "group": group,
        }
        yield shown, columns(user_id, name, access, role.id, group)


async def _who_holds(
    administration: Administration, role_id: str
) -> AsyncIterator[tuple[str, str]]:
    """Tell the users who hold a role in all of its service, each with the group that has it."""
    async for held in pages(
        lambda after: administration.holders_of(role_id, after=after, limit=PAGE)
    ):
        kind, _, name = held.holder.partition(":")
        if held.resource:
            continue
        if kind == "user":
            yield name, ""
        else:
            async for member in all_members(administration, name):
                yield member.user_id, name
