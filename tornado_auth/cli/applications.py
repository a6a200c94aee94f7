"""`tornado-auth applications`: which clients a user is connected with."""

from collections.abc import AsyncIterator
from pathlib import Path

import click

from tornado_auth.admin.shown import show_application
from tornado_auth.administration import Administration
from tornado_auth.cli.administering import administer, operator
from tornado_auth.cli.output import Output, Row, columns, confirm, json_option, when, yes_option
from tornado_auth.models import User


@click.group()
def applications() -> None:
    """List and end the connections of users with applications."""


@applications.command("list")
@click.argument("user")
@json_option
@click.pass_obj
def list_applications(config: Path | None, user: str, out: Output) -> None:
    """Print what a user is connected with: client, its name, scopes, and the last sign-in there."""

    async def rows(administration: Administration) -> AsyncIterator[Row]:
        found = await administration.user(user)
        for one in await administration.applications(found.id):
            client = one.client
            last = when(one.last_granted_at)
            line = columns(client.id, client.client_name, ",".join(one.scope), last)
            yield show_application(one), line

    administer(config, lambda administration: out.show_all(rows(administration)))


@applications.command()
@click.argument("user")
@click.argument("client_id")
@yes_option
@json_option
@click.pass_obj
def withdraw(config: Path | None, user: str, client_id: str, yes: bool, out: Output) -> None:
    """End all that an application may do for a user; it has to ask again."""

    async def action(administration: Administration) -> User:
        found = await administration.user(user)
        await administration.withdraw_application(operator(), found.id, client_id)
        return found

    confirm(f"End what {client_id} may do for {user}?", yes=yes)
    found = administer(config, action)
    line = f"{client_id} may do nothing more for {found.username}."
    out.show({"user_id": found.id, "client_id": client_id}, line)
