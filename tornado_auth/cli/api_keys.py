"""`tornado-auth api-keys`: what programs get in with."""

from pathlib import Path

import click

from tornado_auth.administration import Administration
from tornado_auth.cli.administering import administer, list_of_user, operator
from tornado_auth.cli.output import (
    Output,
    columns,
    confirm,
    form,
    json_option,
    when,
    yes_option,
)
from tornado_auth.models import Session

DAY = 86_400


@click.group("api-keys")
def api_keys() -> None:
    """Make, list and revoke the API keys of people and service accounts."""


@api_keys.command()
@click.argument("user")
@click.option("--name", required=True, help="What it is for, as lists show it.")
@click.option(
    "--scope",
    multiple=True,
    required=True,
    help='A service, "*" for all, admin:read or admin:write; may be given more than once.',
)
@click.option("--days", type=click.IntRange(min=1), help="How long it lasts; without, for ever.")
@json_option
@click.pass_obj
def create(
    config: Path | None,
    user: str,
    name: str,
    scope: tuple[str, ...],
    days: int | None,
    out: Output,
) -> None:
    """Make an API key and print it, this once."""
    lifetime = None if days is None else days * DAY

    async def action(administration: Administration) -> tuple[Session, str]:
        found = await administration.user(user)
        return await administration.create_key(
            operator(), found.id, name=name, scopes=scope, lifetime=lifetime
        )

    key, text = administer(config, action)
    out.show(form(key) | {"key": text}, text)
    out.hint("It is not shown again.")


@api_keys.command("list")
@click.argument("user")
@json_option
@click.pass_obj
def list_keys(config: Path | None, user: str, out: Output) -> None:
    """Print the API keys of a user: id, name, scopes, until when, and when it was used last."""

    def line(key: Session) -> str:
        used = when(key.last_seen_at or None)
        return columns(key.id, key.name, ",".join(key.scopes), when(key.expires_at), used)

    list_of_user(config, user, out, Administration.keys, line)


@api_keys.command()
@click.argument("key_id")
@yes_option
@json_option
@click.pass_obj
def revoke(config: Path | None, key_id: str, yes: bool, out: Output) -> None:
    """Refuse an API key from now on; `list` tells the id of each."""
    confirm(f"Revoke {key_id} for good?", yes=yes)
    administer(config, lambda administration: administration.revoke_key(operator(), key_id))
    out.show({"revoked": key_id}, f"{key_id} is revoked.")
