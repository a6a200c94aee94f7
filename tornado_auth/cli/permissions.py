"""`tornado-auth permissions`: what a user may do in a service, and who says so.

The permission provider is asked as the service would ask it, in this process. Never from the cache
of another: what a running process remembers of an answer is a few seconds old at most.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from tornado_auth.admin.shown import show_explanation
from tornado_auth.administration import Administration
from tornado_auth.cli.administering import administer, holder_name
from tornado_auth.cli.common import EXIT_FAILURE
from tornado_auth.cli.output import Form, Output, as_json, columns, json_option, when
from tornado_auth.models import User
from tornado_auth.permissions import Explanation

ANSWERED = "answered"

resource_option = click.option("--resource", default="", help="In this resource of the service.")


@dataclass(frozen=True, slots=True)
class Why:
    """An explanation, whom it is about, and what those are called who hold the roles in it."""

    user: User
    explanation: Explanation
    names: dict[str, str]

    @property
    def denied(self) -> str:
        """Why everything is denied, or "" if it is not."""
        if self.user.disabled_at is not None:
            return "disabled"
        return "" if self.explanation.result == ANSWERED else self.explanation.result

    @property
    def answer(self) -> Form:
        """What a service is told."""
        return {} if self.denied else self.explanation.permissions


@click.group()
def permissions() -> None:
    """Show what a user may do in a service, and why."""


@permissions.command()
@click.argument("user")
@click.argument("service")
@resource_option
@json_option
@click.pass_obj
def show(config: Path | None, user: str, service: str, resource: str, out: Output) -> None:
    """Print what a user may do in a service; exit status 1 if everything is denied."""
    why = administer(
        config, lambda administration: _ask(administration, user, service, "", resource)
    )
    out.show(why.answer, *(columns(name, as_json(value)) for name, value in why.answer.items()))
    _end(why)


@permissions.command("why")
@click.argument("user")
@click.argument("service")
@click.argument("permission", default="")
@resource_option
@json_option
@click.pass_obj
def explain(
    config: Path | None, user: str, service: str, permission: str, resource: str, out: Output
) -> None:
    """Print which role, group or provider decided; exit status 1 if PERMISSION is not granted."""
    why = administer(
        config, lambda administration: _ask(administration, user, service, permission, resource)
    )
    shown = show_explanation(why.explanation) | {"disabled_at": why.user.disabled_at}
    out.show(shown, *_lines(why))
    _end(why)


async def _ask(
    administration: Administration, user: str, service: str, permission: str, resource: str
) -> Why:
    found = await administration.user(user)
    explanation = await administration.why(
        service, found.id, permission=permission, resource=resource
    )
    holders = {source.holder for source in explanation.sources}
    names = {holder: await holder_name(administration, holder) for holder in holders}
    return Why(found, explanation, names)


def _end(why: Why) -> None:
    if why.denied or why.explanation.granted is False:
        raise SystemExit(EXIT_FAILURE)


def _lines(why: Why) -> Iterator[str]:
    explanation, user = why.explanation, why.user
    where = f" in {explanation.resource}" if explanation.resource else ""
    yield f"{user.username} ({user.id}) in {explanation.service}{where}: {_verdict(why)}"
    if user.disabled_at is not None:
        yield f"the user is disabled since {when(user.disabled_at)}"
    for provider in explanation.providers:
        said = provider.error if provider.permissions is None else as_json(provider.permissions)
        took = f"{provider.milliseconds:.1f} ms"
        yield columns(f"provider {provider.name}", provider.result, said, took)
    for source in explanation.sources:
        only = f" for {source.resource}" if source.resource else ""
        name = why.names[source.holder]
        yield f"{source.permission} by the role {source.role_id} of {name}{only}"
    age = explanation.cached_age
    cached = "nothing is cached" if age is None else f"the cached answer is {age} s old"
    yield f"asked in {explanation.milliseconds:.1f} ms; {cached}"


def _verdict(why: Why) -> str:
    explanation = why.explanation
    if why.denied:
        return f"everything is denied ({why.denied})"
    if explanation.permission:
        verb = "granted" if explanation.granted else "not granted"
        by = f" by {explanation.decided_by}" if explanation.decided_by else ""
        return f"{explanation.permission} is {verb}{by}"
    return as_json(explanation.permissions)
