"""`tornado-auth users claims`: what applications can be told of a user beyond the account.

Never shows what comes from the account itself, as the user name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tornado_auth.administration import Administration
from tornado_auth.cli.administering import administer, operator
from tornado_auth.cli.common import read_object
from tornado_auth.cli.output import Output, columns, json_option
from tornado_auth.user_claims import VERIFIED

_FLAGS = {"true": True, "false": False}


@click.command()
@click.argument("user")
@click.argument("change", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--json-file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON object with all claims, in place of what was known.",
)
@json_option
@click.pass_obj
def claims(
    config: Path | None, user: str, change: tuple[str, ...], file: Path | None, out: Output
) -> None:
    """Print the claims of a user, or set some: `birthdate=1990-05-06 address.country=Sverige`.

    NAME= forgets one. A new `email` or `phone_number` is one that nobody made sure of, until
    `email_verified=true`.
    """
    changes = dict(map(_change, change))
    said = None if file is None else read_object(file)

    async def action(administration: Administration) -> dict[str, object]:
        found = await administration.user(user)
        before = await administration.claims(found.id) if said is None else said
        if said is None and not changes:
            return before
        return await administration.set_claims(operator(), found.id, _changed(before, changes))

    known = administer(config, action)
    lines = (columns(name, _shown(value)) for name, value in known.items())
    out.show(known, *lines)


def _change(text: str) -> tuple[str, str]:
    name, is_one, value = text.partition("=")
    if not is_one or not name:
        raise click.UsageError(f"{text!r} is not NAME=VALUE.")
    return name, value


def _changed(before: Mapping[str, object], changes: Mapping[str, str]) -> dict[str, object]:
    known: dict[str, Any] = {k: v for k, v in before.items() if k != "updated_at"}
    outdated = [name for name, of in VERIFIED.items() if of in changes]
    for name in outdated:
        known.pop(name, None)
    for name, value in changes.items():
        claim, _, member = name.partition(".")
        if member:
            address = dict(known.get(claim) or {}) | {member: value}
            known[claim] = {member: text for member, text in address.items() if text}
        else:
            known[claim] = _FLAGS.get(value, value) if claim in VERIFIED else value
    return {name: value for name, value in known.items() if value not in ("", {})}


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(str(part) for part in value.values())
    return str(value).lower() if isinstance(value, bool) else str(value)
