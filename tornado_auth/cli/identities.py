"""`tornado-auth identities`: with what, at which login provider, users sign in."""

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
from tornado_auth.models import Identity


@click.group()
def identities() -> None:
    """List, link and unlink the identities of a user."""


@identities.command("list")
@click.argument("user")
@json_option
@click.pass_obj
def list_identities(config: Path | None, user: str, out: Output) -> None:
    """Print a user's identities: id, e-mail, and when each signed in last."""

    def line(identity: Identity) -> str:
        return columns(identity.id, identity.email, when(identity.last_login_at))

    list_of_user(config, user, out, Administration.identities, line)


@identities.command()
@click.argument("user")
@click.argument("provider")
@click.argument("subject")
@json_option
@click.pass_obj
def link(config: Path | None, user: str, provider: str, subject: str, out: Output) -> None:
    """Let SUBJECT, the id that a person has at a login provider, sign in as a user."""

    async def action(administration: Administration) -> Identity:
        found = await administration.user(user)
        return await administration.link_identity(operator(), found.id, provider, subject)

    identity = administer(config, action)
    out.show(form(identity), f"{identity.id} signs in as {user}.")


@identities.command()
@click.argument("user")
@click.argument("identity_id")
@yes_option
@json_option
@click.pass_obj
def unlink(config: Path | None, user: str, identity_id: str, yes: bool, out: Output) -> None:
    """Let an identity no longer sign in, and end the sessions that it began."""

    async def action(administration: Administration) -> None:
        found = await administration.user(user)
        await administration.unlink_identity(operator(), found.id, identity_id)

    confirm(f"Let {identity_id} no longer sign in as {user}?", yes=yes)
    administer(config, action)
    out.show({"unlinked": identity_id}, f"{identity_id} no longer signs in as {user}.")
