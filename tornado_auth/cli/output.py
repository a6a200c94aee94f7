"""How the subcommands show what is stored: lines for people, or JSON.

Owns what may reach a terminal: text that comes from outside is never printed with a character that
a terminal obeys. What a person is asked, and the progress of long work, goes to standard error, so
that standard output holds the result and nothing else.
"""

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat

import click

from tornado_auth.admin.shown import KEY, SHOWN
from tornado_auth.models import API_KEY, Record, Session, User

Form = Mapping[str, object]
Row = tuple[Form, str]

_FORMS = {shown.type: shown for shown in SHOWN if shown is not KEY}


def printable(text: str) -> str:
    """Return a text as one line that changes nothing on a terminal but what it shows."""
    return "".join(character if character.isprintable() else "?" for character in text)


def as_json(value: object) -> str:
    """Return JSON on one line, in ASCII without control characters."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def columns(*values: str) -> str:
    """Return the line of a list; what is empty is shown as a hyphen."""
    return "  ".join(value or "-" for value in values)


def when(time: int | None) -> str:
    """Return a time as people read it, in UTC; None is never."""
    return "never" if time is None else f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}"


def user_line(user: User) -> str:
    """Return the line of a user in a list."""
    state = "disabled" if user.disabled_at else "enabled"
    return columns(user.id, user.username, user.email, when(user.created_at)[:10], state)


def form(record: Record) -> dict[str, object]:
    """Return the JSON of a record, as the admin API shows it; times are seconds since the epoch."""
    if isinstance(record, Session) and record.provider == API_KEY:
        return KEY(record)
    return _FORMS[type(record)](record)


@dataclass(frozen=True, slots=True)
class Output:
    """Standard output in one of two forms."""

    in_json: bool

    def show(self, shown: Form, *lines: str) -> None:
        """Print one thing: an object, or its lines."""
        for line in [as_json(shown)] if self.in_json else map(printable, lines):
            click.echo(line)

    def hint(self, text: str) -> None:
        """Tell a person what to do next, on standard error."""
        if not self.in_json:
            click.echo(printable(text), err=True)

    async def show_all(self, rows: AsyncIterator[Row]) -> None:
        """Print a list as it is read: an array with a line for each object, or a line each."""
        is_first = True
        with progress("Reading", hidden=sys.stdout.isatty()) as step:
            async for shown, line in rows:
                if self.in_json:
                    click.echo("[" if is_first else ",")
                    click.echo(as_json(shown), nl=False)
                else:
                    click.echo(printable(line))
                is_first = False
                step()
        if self.in_json:
            click.echo("[]" if is_first else "\n]")


@contextmanager
def progress(
    label: str, *, length: int | None = None, hidden: bool = False
) -> Iterator[Callable[[], None]]:
    """Show on a terminal how far long work has come; what is yielded is called after each step."""
    if hidden or not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(repeat(None), length, label, show_pos=True, file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is destroyed; ends the program unless the answer is yes."""
    if not yes:
        click.confirm(printable(question), abort=True, err=True)


def _output(_context: click.Context, _option: click.Parameter, in_json: bool) -> Output:
    return Output(in_json)


json_option = click.option(
    "--json", "out", is_flag=True, callback=_output, help="Print JSON instead of lines."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
