"""`tornado-auth audit`: what the audit log says."""

import getpass
import sys

import pytest

from tests.cli.conftest import CLI, Told
from tornado_auth.cli.administering import operator


@pytest.fixture(autouse=True)
def three_changes(cli: CLI, ann: str) -> None:
    cli("groups", "set", "ops")
    cli("groups", "add", "ops", "ann")
    cli("users", "disable", "ann")


# S150
def test_what_is_done_at_the_shell_is_recorded_with_who_did_it(
    cli: CLI, told: Told, ann: str
) -> None:
    lines = cli("audit").output.splitlines()
    words = [line.split("  ") for line in lines if "  shell  " in line]
    assert [word[1] for word in words] == ["user_disabled", "member_added", "group_put"]
    assert words[1][2:] == ["success", getpass.getuser(), "shell", "-", ann, "ops"]
    event = told("audit", "--action", "member_added")[0]
    assert (event["via"], event["actor"], event["actor_name"]) == ("shell", "", getpass.getuser())
    assert (event["subject"], event["target"]) == (ann, "ops")


def test_passwords_that_are_set_are_recorded_without_them(cli: CLI) -> None:
    cli("users", "add", "bob", "--password-stdin", input="correct horse battery\n")
    cli("users", "password", "bob", "--password-stdin", input="another password\n")
    output = cli("audit", "--subject", "bob").output
    assert "  user_created  " in output
    assert "  password_set  " in output
    assert "horse" not in output
    assert "another" not in output


def test_events_are_found_by_user_name_or_id_even_of_one_who_is_gone(
    cli: CLI, told: Told, ann: str
) -> None:
    named = told("audit", "--subject", "ann")
    assert [event["action"] for event in named] == ["user_disabled", "member_added"]
    cli("users", "delete", "ann", "--yes")
    assert told("audit", "--subject", "ann") == []
    assert [event["action"] for event in told("audit", "--subject", ann)] == [
        "user_deleted",
        "user_disabled",
        "member_added",
    ]
    assert told("audit", "--actor", ann) == []


def test_as_many_are_printed_as_one_asks_for(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["tornado_auth.cli.audit"], "PAGE", 2)
    actions = ["user_disabled", "member_added", "group_put", "signing_key_used"]
    for limit, number in (("1", 1), ("3", 3), ("0", 4), ("100", 4)):
        events = told("audit", "--limit", limit)
        assert [event["action"] for event in events] == actions[:number]


def test_an_operator_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert (operator().name, operator().via) == ("4000000000", "shell")
