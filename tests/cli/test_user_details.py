"""`tornado-auth users show`, `export`, and what is done to many users at once."""

import json
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import CLI, InStore, Told
from tornado_auth.logins import Visitor
from tornado_auth.models import AssertedIdentity
from tornado_auth.server import AuthServer


@pytest.fixture
def ann_with_everything(cli: CLI, in_store: InStore) -> str:
    async def sign_in(server: AuthServer) -> str:
        asserted = AssertedIdentity(
            provider="github", subject="1", username="ann", name="Ann A.", email="a@example.org"
        )
        return (await server.logins.sign_in(asserted, Visitor())).user_id

    user_id: str = in_store(sign_in)
    for command in (
        ("groups", "set", "ops"),
        ("groups", "add", "ops", "ann"),
        ("roles", "set", "reports:reader", "read"),
        ("roles", "set", "reports:owner", "close"),
        ("roles", "assign", "reports:reader", "--group", "ops"),
        ("roles", "assign", "reports:owner", "--user", "ann", "--resource", "q4"),
        ("api-keys", "create", "ann", "--name", "nightly", "--scope", "reports"),
    ):
        assert cli(*command).exit_code == 0
    return user_id


def test_a_user_is_shown_with_all_that_is_theirs(
    cli: CLI, told: Told, ann_with_everything: str
) -> None:
    lines = cli("users", "show", "ann").output.splitlines()
    assert lines[:3] == [
        f"user  ann  {ann_with_everything}",
        "name  Ann A.",
        "email  a@example.org",
    ]
    assert "group  ops  -" in lines
    assert "role  reports:owner  q4  -" in lines
    assert "role  reports:reader  -  group:ops" in lines
    assert [line.split("  ")[0] for line in lines[3:]] == [
        "since", "identity", "group", "role", "role", "session", "key"
    ]  # fmt: skip
    shown = told("users", "show", ann_with_everything)
    assert [identity["id"] for identity in shown["identities"]] == ["github:1"]
    assert [group["group"] for group in shown["groups"]] == ["ops"]
    assert [held["role_id"] for held in shown["assignments"]] == ["reports:owner", "reports:reader"]
    assert [key["name"] for key in shown["keys"]] == ["nightly"]
    assert len(shown["sessions"]) == 1


def test_users_are_written_to_a_new_file_that_nobody_else_reads(
    cli: CLI, told: Told, in_store: InStore, ann_with_everything: str, tmp_path: Path
) -> None:
    in_store(lambda server: server.accounts.create("bob"))
    assert cli("users", "export", "users.jsonl").output == "Wrote 2 users to users.jsonl.\n"
    path = tmp_path / "users.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["username"] for line in lines] == ["ann", "bob"]
    assert lines[0] == told("users", "show", "ann")
    again = cli("users", "export", "users.jsonl")
    assert (again.exit_code, again.stdout) == (1, "")
    assert "users.jsonl: File exists" in again.stderr
    assert cli("users", "export", "other.jsonl", TORNADO_AUTH_SECRET="short").exit_code == 2
    assert not (tmp_path / "other.jsonl").exists()


def test_users_are_searched_for(cli: CLI, told: Told, in_store: InStore) -> None:
    async def create(server: AuthServer) -> None:
        for name in ("anna", "annika", "bob"):
            await server.accounts.create(name, email=f"{name}@example.org")

    in_store(create)
    assert [user["username"] for user in told("users", "list", "--username", "ANN")] == [
        "anna",
        "annika",
    ]
    (bob,) = told("users", "list", "--email", "bob@example.org")
    assert bob["username"] == "bob"
    assert cli("users", "list", "--email", "x", "--username", "y").exit_code == 1


def test_many_are_disabled_and_deleted_at_once(cli: CLI, told: Told, in_store: InStore) -> None:
    async def create(server: AuthServer) -> list[str]:
        return [(await server.accounts.create(f"user{number}")).id for number in range(12)]

    ids = in_store(create)
    names = [f"user{number}" for number in range(12)]
    assert told("users", "disable", *names[:2]) == {"disabled": ids[:2]}
    assert cli("users", "enable", "user0").output == "user0 is enabled.\n"
    result = cli("users", "delete", *names, input="y\n")
    assert "Delete 12 users for good? [y/N]" in result.stderr
    assert result.stdout.count(" is deleted.\n") == 12
    assert told("users", "list") == []


def test_one_unknown_name_among_many_changes_nobody(
    cli: CLI, told: Told, in_store: InStore, ann: str
) -> None:
    for command in ("disable", "delete"):
        options = ["--yes"] if command == "delete" else []
        assert cli("users", command, "ann", "nobody", *options).exit_code == 1
    (shown,) = told("users", "list")
    assert shown["disabled_at"] is None
