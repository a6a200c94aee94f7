"""`tornado-auth users`: the people in the store."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from tornado_auth.cli.common import fail, with_server
from tornado_auth.errors import InvalidValue, UsernameError
from tornado_auth.models import User
from tornado_auth.passwords import check_new_password
from tornado_auth.server import AuthServer

PAGE = 500


@click.group()
def users() -> None:
    """Add, list, disable and delete users."""


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    prompted: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return prompted


password_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of input."
)


@users.command()
@click.argument("username")
@click.option("--name", default="", help="The full name.")
@password_option
@click.pass_obj
def add(config: Path | None, username: str, name: str, password_stdin: bool) -> None:
    """Make a local account: a user who signs in with user name and password."""
    password = _read_password(password_stdin)

    async def action(server: AuthServer) -> User:
        check_new_password(password)
        user = await server.accounts.create(username, name=name)
        await server.local_accounts.set_password(user.id, password)
        return user

    try:
        user = with_server(config, action)
    except (UsernameError, InvalidValue) as error:
        fail(str(error))
    click.echo(f"Added {user.username} ({user.id}).")


@users.command()
@click.argument("username")
@password_option
@click.pass_obj
def password(config: Path | None, username: str, password_stdin: bool) -> None:
    """Set the password of a local account; its sessions end."""
    new_password = _read_password(password_stdin)

    async def action(server: AuthServer) -> None:
        user = await _find(server, username)
        await server.local_accounts.set_password(user.id, new_password)
        await server.sessions.end_all(user.id)

    try:
        with_server(config, action)
    except InvalidValue as error:
        fail(str(error))
    click.echo(f"The password of {username} is set, and every session of that user ended.")


@users.command("list")
@click.pass_obj
def list_users(config: Path | None) -> None:
    """Print all users: id, user name, e-mail, since when, and whether they are disabled."""

    async def action(server: AuthServer) -> None:
        page = await server.storage.users.find(limit=PAGE)
        while page:
            for user in page:
                click.echo(_line(user))
            page = await server.storage.users.find(after=page[-1].id, limit=PAGE)

    with_server(config, action)


@users.command()
@click.argument("username")
@click.pass_obj
def disable(config: Path | None, username: str) -> None:
    """Refuse a user from now on: every check, within a second. All sessions of theirs end."""
    _set_disabled(config, username, disabled=True)
    click.echo(f"{username} is disabled.")


@users.command()
@click.argument("username")
@click.pass_obj
def enable(config: Path | None, username: str) -> None:
    """Let a disabled user in again."""
    _set_disabled(config, username, disabled=False)
    click.echo(f"{username} is enabled.")


@users.command()
@click.argument("username")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(config: Path | None, username: str, yes: bool) -> None:
    """Delete a user for good, with sessions and ways to sign in; the name stays taken."""

    async def action(server: AuthServer) -> None:
        user = await _find(server, username)
        await server.deletions.delete_user(user.id)

    if not yes:
        click.confirm(f"Delete {username} for good?", abort=True)
    with_server(config, action)
    click.echo(f"{username} is deleted.")


def _set_disabled(config: Path | None, username: str, *, disabled: bool) -> None:
    async def action(server: AuthServer) -> None:
        user = await _find(server, username)
        await server.accounts.set_disabled(user.id, disabled=disabled)
        # When letting in, too: a sign-in that was under way then may have left one behind.
        await server.sessions.end_all(user.id)

    with_server(config, action)


async def _find(server: AuthServer, username: str) -> User:
    user = await server.accounts.find_by_username(username)
    if user is None:
        fail(f"There is no user named {username}.")
    return user


def _line(user: User) -> str:
    since = datetime.fromtimestamp(user.created_at, UTC).date().isoformat()
    state = "disabled" if user.disabled_at else "enabled"
    line = f"{user.id}  {user.username}  {user.email or '-'}  {since}  {state}"
    # An address comes from outside, and a terminal obeys what is not printable.
    return "".join(c if c.isprintable() else "?" for c in line)
