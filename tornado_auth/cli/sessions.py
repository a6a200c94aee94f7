"""`tornado-auth sessions`: where users are signed in."""

from pathlib import Path

import click

from tornado_auth.administration import Administration
from tornado_auth.cli.administering import administer, list_of_user, operator
from tornado_auth.cli.output import (
    Output,
    columns,
    confirm,
    json_option,
    when,
    yes_option,
)
from tornado_auth.models import Session


@click.group()
def sessions() -> None:
    """List and end the sessions of a user; API keys are apart, see `api-keys`."""


@sessions.command("list")
@click.argument("user")
@json_option
@click.pass_obj
def list_sessions(config: Path | None, user: str, out: Output) -> None:
    """Print a user's sessions: id, identity, address, browser, begin, and when it was used last."""

    def line(session: Session) -> str:
        times = when(session.created_at), when(session.last_seen_at)
        browser = session.user_agent
        return columns(session.id, session.identity_id, session.remote_ip, browser, *times)

    list_of_user(config, user, out, Administration.sessions, line)


@sessions.command()
@click.argument("session_id")
@yes_option
@json_option
@click.pass_obj
def end(config: Path | None, session_id: str, yes: bool, out: Output) -> None:
    """End one session, everywhere within a second."""
    confirm(f"End the session {session_id}?", yes=yes)
    administer(config, lambda administration: administration.end_session(operator(), session_id))
    out.show({"ended": 1}, f"The session {session_id} is over.")


@sessions.command("end-all")
@click.argument("user")
@yes_option
@json_option
@click.pass_obj
def end_all(config: Path | None, user: str, yes: bool, out: Output) -> None:
    """End all sessions of a user; API keys stay."""

    async def action(administration: Administration) -> int:
        found = await administration.user(user)
        return await administration.end_sessions(operator(), found.id)

    confirm(f"End all sessions of {user}?", yes=yes)
    ended = administer(config, action)
    out.show({"ended": ended}, f"{ended} sessions of {user} are over.")
