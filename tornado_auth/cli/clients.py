"""`tornado-auth clients`: the applications that may ask for tokens.

A secret is printed by the command that makes it, and by no other.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import click

from tornado_auth.administration import Administration
from tornado_auth.cli.administering import PAGE, administer, operator, pages
from tornado_auth.cli.client_options import field_options, fields_of
from tornado_auth.cli.output import (
    Output,
    Row,
    columns,
    confirm,
    form,
    json_option,
    when,
    yes_option,
)
from tornado_auth.models import Client
from tornado_auth.oauth2.clients import Registered

DAY = 86400
ONCE = "It is not shown again."


@click.group()
def clients() -> None:
    """Register, show, change and remove the applications that may ask for tokens."""


@clients.command()
@click.argument("name")
@field_options
@json_option
@click.pass_obj
def add(config: Path | None, /, name: str, out: Output, **given: object) -> None:
    """Register a client; prints its client_id and, this once, its secret."""
    fields = fields_of(given) | {"client_name": name}

    async def action(administration: Administration) -> Registered:
        return await administration.register_client(operator(), fields)

    made = administer(config, action)
    shown = form(made.client) | {"client_secret": made.secret or None}
    out.show(shown, columns(made.client.id, made.secret))
    if made.secret:
        out.hint(ONCE)


@clients.command("list")
@json_option
@click.pass_obj
def list_clients(config: Path | None, out: Output) -> None:
    """Print all clients: id, name, how they prove themselves, since when, and their state."""

    async def rows(administration: Administration) -> AsyncIterator[Row]:
        async for client in pages(lambda after: administration.clients(after=after, limit=PAGE)):
            yield form(client), _line(client)

    administer(config, lambda administration: out.show_all(rows(administration)))


@clients.command()
@click.argument("client_id")
@json_option
@click.pass_obj
def show(config: Path | None, client_id: str, out: Output) -> None:
    """Print a client with all that it may do."""
    client = administer(config, lambda administration: administration.client(client_id))
    out.show(form(client), *_lines(client))


@clients.command()
@click.argument("client_id")
@click.option("--name", "client_name", help="What users know it by.")
@field_options
@json_option
@click.pass_obj
def update(config: Path | None, /, client_id: str, out: Output, **given: object) -> None:
    """Change what is given of a client, and nothing else; "" takes away what there was."""
    changes = fields_of(given)
    if not changes:
        raise click.UsageError("Say what to change.")

    async def action(administration: Administration) -> Client:
        return await administration.change_client(operator(), client_id, changes)

    out.show(form(administer(config, action)), f"{client_id} is changed.")


@clients.command("rotate-secret")
@click.argument("client_id")
@click.option("--keep-old", is_flag=True, help="Let the secret before count, too.")
@yes_option
@json_option
@click.pass_obj
def rotate_secret(
    config: Path | None, client_id: str, keep_old: bool, yes: bool, out: Output
) -> None:
    """Make a new secret and print it, this once; rotate again to end one that was kept."""

    async def action(administration: Administration) -> tuple[Client, str]:
        return await administration.rotate_client_secret(operator(), client_id, keep_old=keep_old)

    confirm(f"End the secrets of {client_id} now?", yes=yes or keep_old)
    client, secret = administer(config, action)
    out.show(form(client) | {"client_secret": secret}, secret)
    out.hint(ONCE)


@clients.command()
@click.argument("client_id")
@json_option
@click.pass_obj
def disable(config: Path | None, client_id: str, out: Output) -> None:
    """Refuse a client and all its tokens from now on."""
    _set_disabled(config, client_id, disabled=True, out=out)


@clients.command()
@click.argument("client_id")
@json_option
@click.pass_obj
def enable(config: Path | None, client_id: str, out: Output) -> None:
    """Take a disabled client and its tokens again."""
    _set_disabled(config, client_id, disabled=False, out=out)


@clients.command()
@click.argument("client_id")
@yes_option
@json_option
@click.pass_obj
def remove(config: Path | None, client_id: str, yes: bool, out: Output) -> None:
    """Delete a client for good, with all that users allowed it."""
    confirm(f"Remove {client_id} for good?", yes=yes)
    administer(config, lambda administration: administration.remove_client(operator(), client_id))
    out.show({"removed": client_id}, f"{client_id} is removed.")


@clients.command("initial-token")
@click.argument("name")
@click.option("--days", type=click.IntRange(1, 400), default=1, help="How long it lasts; 1.")
@json_option
@click.pass_obj
def initial_token(config: Path | None, name: str, days: int, out: Output) -> None:
    """Make a token with which clients register themselves, and print it, this once."""

    async def action(administration: Administration) -> str:
        return await administration.create_initial_access_token(operator(), name, days * DAY)

    token = administer(config, action)
    out.show({"initial_access_token": token, "expires_in": days * DAY}, token)
    out.hint(ONCE)


def _set_disabled(config: Path | None, client_id: str, *, disabled: bool, out: Output) -> None:
    async def action(administration: Administration) -> Client:
        return await administration.set_client_disabled(operator(), client_id, disabled=disabled)

    state = "disabled" if disabled else "enabled"
    out.show(form(administer(config, action)), f"{client_id} is {state}.")


def _line(client: Client) -> str:
    state = "disabled" if client.disabled_at else "enabled"
    method, since = client.token_endpoint_auth_method, when(client.created_at)[:10]
    return columns(client.id, client.client_name, method, since, state)


def _lines(client: Client) -> Iterator[str]:
    for name, value in form(client).items():
        if name.endswith("_at") and isinstance(value, int):
            yield columns(name, when(value))
        elif isinstance(value, list | tuple) and value:
            yield columns(name, *map(str, value))
        elif isinstance(value, bool):
            yield columns(name, "yes" if value else "no")
        elif value not in ("", None, (), []):
            yield columns(name, str(value))
