"""What the subcommands that manage users, roles and keys share.

Everything goes through `server.administration`, in the name of whoever is at the shell. Never
decides what may be changed, nor how anything looks on a terminal: `output.py` does.
"""

import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

from tornado_auth.administration import Administration
from tornado_auth.cli.common import with_server
from tornado_auth.cli.output import Output, Row, form
from tornado_auth.errors import NotFound
from tornado_auth.models import Actor, Membership, Record, User

T = TypeVar("T")
R = TypeVar("R", bound=Record)

PAGE = 500


def operator() -> Actor:
    """Return who is at the shell, for the audit log: the name of the system's user."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user may have none
        name = str(os.getuid())
    return Actor(name=name, via="shell")


def administer(config: Path | None, action: Callable[[Administration], Awaitable[T]]) -> T:
    """Run one action on the users, roles and keys in the store."""
    return with_server(config, lambda server: action(server.administration))


async def pages(
    read: Callable[[str], Awaitable[list[R]]], key: Callable[[R], str] = lambda record: record.id
) -> AsyncIterator[R]:
    """Read a list to its end; `read` takes the key of the record after which a page begins."""
    after = ""
    while page := await read(after):
        for record in page:
            yield record
        after = key(page[-1])


def all_users(
    administration: Administration, *, username: str = "", email: str = ""
) -> AsyncIterator[User]:
    """Read all users in order of their names, or those that are searched for."""
    return pages(
        lambda after: administration.users(username=username, email=email, after=after, limit=PAGE),
        lambda user: user.id if email else user.username_key,
    )


def all_members(administration: Administration, group: str) -> AsyncIterator[Membership]:
    """Read who is in a group."""
    return pages(lambda after: administration.members(group, after=after, limit=PAGE))


def list_of_user(
    config: Path | None,
    user: str,
    out: Output,
    read: Callable[[Administration, str], Awaitable[list[R]]],
    line: Callable[[R], str],
) -> None:
    """Show what `read` finds of a user, given by name or id, with a `line` for each record."""

    async def rows(administration: Administration) -> AsyncIterator[Row]:
        found = await administration.user(user)
        for record in await read(administration, found.id):
            yield form(record), line(record)

    administer(config, lambda administration: out.show_all(rows(administration)))


async def users_named(administration: Administration, names: Iterable[str]) -> list[User]:
    """Return the users with these names or ids; raises NotFound for the first who is not there."""
    return [await administration.user(name) for name in names]


async def name_of(administration: Administration, user_id: str) -> str:
    """Return the name of a user, or the id of one who is gone."""
    try:
        return (await administration.user(user_id)).username
    except NotFound:
        return user_id


async def holder_name(administration: Administration, holder: str) -> str:
    """Return who holds a role as people know them: "user:<name>" or "group:<name>"."""
    kind, _, name = holder.partition(":")
    return f"user:{await name_of(administration, name)}" if kind == "user" else holder
