"""`tornado-auth users`: the people in the store, and the programs that have accounts like them."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import click

from tornado_auth.administration import Administration
from tornado_auth.cli.administering import administer, all_users, operator, users_named
from tornado_auth.cli.common import with_server
from tornado_auth.cli.output import (
    Output,
    Row,
    confirm,
    form,
    json_option,
    progress,
    user_line,
    yes_option,
)
from tornado_auth.cli.user_claims import claims
from tornado_auth.cli.user_details import export, show
from tornado_auth.models import User
from tornado_auth.passwords import check_new_password
from tornado_auth.server import AuthServer


@click.group()
def users() -> None:
    """Add, list, show, disable and delete users."""


users.add_command(show)
users.add_command(export)
users.add_command(claims)

password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of input."
)


@users.command()
@click.argument("username")
@click.option("--name", default="", help="The full name.")
@password_option
@json_option
@click.pass_obj
def add(config: Path | None, username: str, name: str, password_stdin: bool, out: Output) -> None:
    """Make a local account: a user who signs in with user name and password."""
    password = _read_password(password_stdin)

    async def action(server: AuthServer) -> User:
        check_new_password(password)
        user = await server.accounts.create(username, name=name)
        await server.local_accounts.set_password(user.id, password)
        await server.audit_log.record(
            "user_created", actor=operator(), subject=user.id, target=user.username
        )
        return user

    user = with_server(config, action)
    out.show(form(user), f"Added {user.username} ({user.id}).")


@users.command()
@click.argument("username")
@password_option
@json_option
@click.pass_obj
def password(config: Path | None, username: str, password_stdin: bool, out: Output) -> None:
    """Set the password of a local account; its sessions end, API keys stay."""
    new_password = _read_password(password_stdin)

    async def action(server: AuthServer) -> User:
        user = await server.administration.user(username)
        await server.local_accounts.set_password(user.id, new_password)
        await server.audit_log.record("password_set", actor=operator(), subject=user.id)
        await server.administration.end_sessions(operator(), user.id)
        return user

    user = with_server(config, action)
    line = f"The password of {user.username} is set, and every session of that user ended."
    out.show(form(user), line)


@users.command("list")
@click.option("--username", default="", help="Those whose name begins so.")
@click.option("--email", default="", help="Those with this e-mail address.")
@json_option
@click.pass_obj
def list_users(config: Path | None, username: str, email: str, out: Output) -> None:
    """Print all users: id, user name, e-mail, since when, and whether they are disabled."""

    async def rows(administration: Administration) -> AsyncIterator[Row]:
        async for user in all_users(administration, username=username, email=email):
            yield form(user), user_line(user)

    administer(config, lambda administration: out.show_all(rows(administration)))


@users.command()
@click.argument("user", nargs=-1, required=True)
@json_option
@click.pass_obj
def disable(config: Path | None, user: tuple[str, ...], out: Output) -> None:
    """Refuse users from now on: every check, within a second. All sessions and keys end."""
    _set_disabled(config, user, disabled=True, out=out)


@users.command()
@click.argument("user", nargs=-1, required=True)
@json_option
@click.pass_obj
def enable(config: Path | None, user: tuple[str, ...], out: Output) -> None:
    """Let disabled users in again."""
    _set_disabled(config, user, disabled=False, out=out)


@users.command()
@click.argument("user", nargs=-1, required=True)
@yes_option
@json_option
@click.pass_obj
def delete(config: Path | None, user: tuple[str, ...], yes: bool, out: Output) -> None:
    """Delete users for good, with all that is theirs; the names stay taken."""

    async def action(administration: Administration) -> list[User]:
        found = await users_named(administration, user)
        with progress("Deleting", length=len(found)) as step:
            for one in found:
                await administration.delete_user(operator(), one.id)
                step()
        return found

    names = ", ".join(user) if len(user) <= 10 else f"{len(user)} users"
    confirm(f"Delete {names} for good?", yes=yes)
    found = administer(config, action)
    out.show(
        {"deleted": [one.id for one in found]}, *(f"{one.username} is deleted." for one in found)
    )


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    prompted: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return prompted


def _set_disabled(
    config: Path | None, names: tuple[str, ...], *, disabled: bool, out: Output
) -> None:
    async def action(administration: Administration) -> list[User]:
        return [
            await administration.set_disabled(operator(), user.id, disabled=disabled)
            for user in await users_named(administration, names)
        ]

    state = "disabled" if disabled else "enabled"
    changed = administer(config, action)
    out.show(
        {state: [user.id for user in changed]},
        *(f"{user.username} is {state}." for user in changed),
    )
