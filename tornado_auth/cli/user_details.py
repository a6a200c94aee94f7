"""`tornado-auth users show` and `users export`: all that belongs to a user.

Never shows what opens a door: sessions and API keys are shown by their ids, passwords not at all.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import click

from tornado_auth.administration import Administration
from tornado_auth.cli.administering import administer, all_users
from tornado_auth.cli.common import fail
from tornado_auth.cli.output import (
    Output,
    as_json,
    columns,
    form,
    json_option,
    printable,
    progress,
    when,
)
from tornado_auth.models import Assignment, Identity, Membership, Session, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """A user and what belongs to the user; `assignments` are those of the groups, too."""

    user: User
    identities: list[Identity]
    groups: list[Membership]
    assignments: list[Assignment]
    sessions: list[Session]
    keys: list[Session]


@click.command()
@click.argument("user")
@json_option
@click.pass_obj
def show(config: Path | None, user: str, out: Output) -> None:
    """Print a user, by name or id, with groups, roles, and what the user gets in with."""

    async def action(administration: Administration) -> Details:
        return await _details(administration, await administration.user(user))

    details = administer(config, action)
    out.show(_form(details), *_lines(details))


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@click.pass_obj
def export(config: Path | None, file: Path, out: Output) -> None:
    """Write what `show` tells of each user to a new file, one JSON object a line."""

    with _new_file(file) as lines:
        number = administer(config, lambda administration: _write_all(administration, lines))
    out.show({"users": number, "file": str(file)}, f"Wrote {number} users to {file}.")


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """Open a file that only its owner reads; it is removed unless all goes well."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        fail(f"{printable(str(path))}: {why}. Choose another file.")
    with os.fdopen(descriptor, "w") as lines:
        try:
            yield lines
        except BaseException:
            path.unlink()
            raise


async def _write_all(administration: Administration, lines: TextIO) -> int:
    number = 0
    with progress("Writing") as step:
        async for user in all_users(administration):
            details = await _details(administration, user)
            await asyncio.to_thread(lines.write, as_json(_form(details)) + "\n")
            number += 1
            step()
    return number


async def _details(administration: Administration, user: User) -> Details:
    groups = await administration.groups_of(user.id)
    holders = [f"user:{user.id}", *(f"group:{membership.group}" for membership in groups)]
    return Details(
        user=user,
        identities=await administration.identities(user.id),
        groups=groups,
        assignments=[
            assignment
            for holder in holders
            for assignment in await administration.assignments_of(holder)
        ],
        sessions=await administration.sessions(user.id),
        keys=await administration.keys(user.id),
    )


def _form(details: Details) -> dict[str, object]:
    return form(details.user) | {
        "identities": [form(identity) for identity in details.identities],
        "groups": [form(membership) for membership in details.groups],
        "assignments": [form(assignment) for assignment in details.assignments],
        "sessions": [form(session) for session in details.sessions],
        "keys": [form(key) for key in details.keys],
    }


def _lines(details: Details) -> Iterator[str]:
    user = details.user
    yield columns("user", user.username, user.id)
    yield columns("name", user.name)
    yield columns("email", user.email)
    yield columns("since", when(user.created_at))
    if user.is_service_account:
        yield "service account"
    if user.disabled_at is not None:
        yield columns("disabled", when(user.disabled_at))
    for identity in details.identities:
        yield columns("identity", identity.id, identity.email, when(identity.last_login_at))
    for membership in details.groups:
        yield columns("group", membership.group, membership.provider)
    for held in details.assignments:
        by = "" if held.holder.startswith("user:") else held.holder
        yield columns("role", held.role_id, held.resource, by)
    for session in details.sessions:
        yield columns("session", session.id, session.identity_id, when(session.last_seen_at))
    for key in details.keys:
        yield columns("key", key.id, key.name, ",".join(key.scopes), when(key.last_seen_at or None))
