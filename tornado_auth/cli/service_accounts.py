"""`tornado-auth service-accounts`: users that are programs, and get in with API keys alone.

`users` shows, disables and deletes them like all others, `api-keys` gives them keys.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import click

from tornado_auth.administration import Administration
from tornado_auth.cli.administering import administer, all_users, operator
from tornado_auth.cli.output import Output, Row, form, json_option, user_line
from tornado_auth.models import User


@click.group("service-accounts")
def service_accounts() -> None:
    """Make and list the accounts of programs."""


@service_accounts.command()
@click.argument("username")
@click.option("--name", default="", help="What it is, in words.")
@json_option
@click.pass_obj
def create(config: Path | None, username: str, name: str, out: Output) -> None:
    """Make an account that nobody signs in to; `api-keys create` is what it gets in with."""

    async def action(administration: Administration) -> User:
        return await administration.create_service_account(operator(), username, name=name)

    user = administer(config, action)
    out.show(form(user), f"Added {user.username} ({user.id}).")


@service_accounts.command("list")
@json_option
@click.pass_obj
def list_accounts(config: Path | None, out: Output) -> None:
    """Print all service accounts, as `users list` does."""

    async def rows(administration: Administration) -> AsyncIterator[Row]:
        async for user in all_users(administration):
            if user.is_service_account:
                yield form(user), user_line(user)

    administer(config, lambda administration: out.show_all(rows(administration)))
