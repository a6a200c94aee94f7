"""What reaches a terminal, how the subcommands ask, and how they end."""

import io
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import product

import click
import pytest

from tests.cli.conftest import CLI, InStore, Told
from tornado_auth.cli import main
from tornado_auth.cli.output import Output, Row, as_json, form, printable, progress
from tornado_auth.models import API_KEY, RECORD_TYPES, AuditEvent, Session
from tornado_auth.server import AuthServer

EVIL = "a\x1b[2J\r\n\x7f\x9b\u202e\u2028z"  # no NUL: neither a store nor an argument takes it
RUN_THE_SERVICE = {"serve", "check-config", "generate", "nginx-config"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def leaves(command: click.Command = main) -> Iterator[click.Command]:
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        yield from leaves(below)
    if not isinstance(command, click.Group):
        yield command


# S145
def test_no_text_obeys_the_terminal() -> None:
    assert printable(EVIL + "\0") == "a?[2J??????z?"
    assert printable("ännä — 漢字") == "ännä — 漢字"
    shown = as_json({"said": EVIL})
    assert shown.isprintable()
    assert shown.isascii()
    assert json.loads(shown) == {"said": EVIL}


# S145
def test_what_came_from_outside_is_printed_without_control_characters(
    cli: CLI, in_store: InStore, ann: str
) -> None:
    async def spoil(server: AuthServer) -> None:
        store = server.storage
        user = await store.users.get(ann)
        assert user is not None
        await store.users.replace(replace(user, name=EVIL, email=EVIL, disabled_at=1))
        for provider in ("github", API_KEY):
            await store.sessions.insert(
                Session(
                    id=f"key-{provider}" if provider == API_KEY else "one",
                    user_id=ann,
                    identity_id=EVIL,
                    provider=provider,
                    auth_time=1,
                    created_at=1,
                    last_seen_at=1,
                    user_agent=EVIL,
                    remote_ip=EVIL,
                    name=EVIL,
                    scopes=(EVIL,),
                )
            )
        event = AuditEvent(id="0", at=1, action="x", actor_name=EVIL, target=EVIL, details=(EVIL,))
        await store.audit_events.insert(event)

    in_store(spoil)
    for arguments in (
        ("users", "list"),
        ("users", "show", "ann"),
        ("sessions", "list", "ann"),
        ("api-keys", "list", "ann"),
        ("audit",),
    ):
        for options in ((), ("--json",)):
            result = cli(*arguments, *options)
            assert result.exit_code == 0, result.output
            assert result.stdout.replace("\n", "").isprintable(), arguments
            assert "[2J" in result.stdout, arguments
    for arguments in (
        ("users", "show", EVIL),
        ("groups", "show", EVIL),
        ("users", "export", f"nowhere/{EVIL}"),
    ):
        result = cli(*arguments)
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert result.stderr.strip("\n").isprintable()


DESTROYING = [
    ("users", "delete", "ann"),
    ("groups", "delete", "ops"),
    ("groups", "unmap", "github", "acme"),
    ("roles", "delete", "reports:reader"),
    ("sessions", "end-all", "ann"),
    ("sessions", "end", "one"),
    ("identities", "unlink", "ann", "github:1"),
    ("api-keys", "revoke", "key-1"),
    ("clients", "rotate-secret", "c-1"),
    ("clients", "remove", "c-1"),
    ("applications", "withdraw", "ann", "c-1"),
]


def test_who_does_not_say_yes_destroys_nothing(cli: CLI, in_store: InStore, ann: str) -> None:
    for command in (
        ("groups", "set", "ops"),
        ("groups", "map", "github", "acme", "ops"),
        ("roles", "set", "reports:reader", "read"),
        ("identities", "link", "ann", "github", "1"),
    ):
        assert cli(*command).exit_code == 0

    async def everything(server: AuthServer) -> list[object]:
        kinds = (record_type.KIND for record_type in RECORD_TYPES)
        return [await getattr(server.storage, kind).find() for kind in kinds]

    before = in_store(everything)
    for arguments, answer in product(DESTROYING, ("n\n", "")):
        result = cli(*arguments, input=answer)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "[y/N]" in result.stderr
    assert in_store(everything) == before


def test_all_that_destroy_ask() -> None:
    asking = {command.name for command in leaves() if "yes" in {p.name for p in command.params}}
    assert asking == {arguments[1] for arguments in DESTROYING}


def test_all_that_manage_the_store_know_json() -> None:
    without = {c.name for c in leaves() if "--json" not in {o for p in c.params for o in p.opts}}
    assert without == RUN_THE_SERVICE


def test_every_record_that_is_shown_has_a_form(told: Told, in_store: InStore, ann: str) -> None:
    user = in_store(lambda server: server.accounts.get(ann))
    assert "username_key" not in form(user)
    assert "version" not in form(user)
    assert form(user) == told("users", "list")[0]


async def three_rows() -> AsyncIterator[Row]:
    for number in range(3):
        yield {"number": number}, f"line {number}"


async def no_rows() -> AsyncIterator[Row]:
    for row in ():
        yield row


async def test_a_list_is_an_array_with_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    await Output(in_json=True).show_all(three_rows())
    output = capsys.readouterr().out
    assert output.count("\n") == 5
    assert json.loads(output) == [{"number": number} for number in range(3)]
    await Output(in_json=True).show_all(no_rows())
    assert capsys.readouterr().out == "[]\n"
    await Output(in_json=False).show_all(three_rows())
    assert capsys.readouterr().out == "line 0\nline 1\nline 2\n"


async def test_long_lists_show_their_progress_unless_the_terminal_has_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for output, is_shown in ((io.StringIO(), True), (Terminal(), False)):
        errors = Terminal()
        monkeypatch.setattr(sys, "stdout", output)
        monkeypatch.setattr(sys, "stderr", errors)
        await Output(in_json=False).show_all(three_rows())
        assert ("Reading" in errors.getvalue()) is is_shown
        assert output.getvalue() == "line 0\nline 1\nline 2\n"


def test_progress_is_shown_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, is_shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress("Deleting", length=2) as step:
            step()
            step()
        assert (re.search(r"Deleting.*2/2", stream.getvalue()) is not None) is is_shown
