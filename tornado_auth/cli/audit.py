"""`tornado-auth audit`: what happened, as the store has it.

Never changes or deletes an event.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import click

from tornado_auth.administration import Administration
from tornado_auth.cli.administering import PAGE, administer, pages
from tornado_auth.cli.output import Output, Row, columns, form, json_option, when
from tornado_auth.errors import NotFound
from tornado_auth.models import AuditEvent


@click.command()
@click.option("--actor", default="", help="What this user did; a name, or the id of one deleted.")
@click.option("--subject", default="", help="What happened to this user, likewise.")
@click.option("--action", default="", help='Events of this kind, such as "login_failed".')
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="How many at most; 0 for all.",
)
@json_option
@click.pass_obj
def audit(
    config: Path | None, actor: str, subject: str, action: str, limit: int, out: Output
) -> None:
    """Print what happened, the newest first: when, what, result, who, from where, to whom."""

    async def rows(administration: Administration) -> AsyncIterator[Row]:
        actor_id, subject_id = [
            await _id_of(administration, user) if user else "" for user in (actor, subject)
        ]
        number = 0
        async for event in pages(
            lambda after: administration.audit(
                actor=actor_id, subject=subject_id, action=action, after=after, limit=PAGE
            )
        ):
            yield form(event), _line(event)
            number += 1
            if number == limit:
                break

    administer(config, lambda administration: out.show_all(rows(administration)))


async def _id_of(administration: Administration, user: str) -> str:
    with suppress(NotFound):
        return (await administration.user(user)).id
    return user


def _line(event: AuditEvent) -> str:
    return columns(
        when(event.at),
        event.action,
        event.result,
        event.actor_name or event.actor,
        event.via,
        event.remote_ip,
        event.subject,
        event.target,
        *event.details,
    )
