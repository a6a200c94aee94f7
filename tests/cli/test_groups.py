"""`tornado-auth groups`: who is in which group."""

import sys

import pytest

from tests.cli.conftest import CLI, InStore, Told


@pytest.fixture(autouse=True)
def analysts(cli: CLI) -> None:
    assert cli("groups", "set", "analysts", "--description", "Who count").exit_code == 0


def test_groups_are_listed(cli: CLI, told: Told) -> None:
    cli("groups", "set", "ops")
    result = cli("groups", "list")
    assert (result.exit_code, result.output) == (0, "analysts  Who count\nops  -\n")
    (first, second) = told("groups", "list")
    assert (first["id"], first["description"], second["id"]) == ("analysts", "Who count", "ops")


def test_a_description_stays_until_it_is_given_anew(told: Told) -> None:
    assert told("groups", "set", "analysts")["description"] == "Who count"
    assert told("groups", "set", "analysts", "--description", "")["description"] == ""


def test_users_are_put_into_a_group_and_taken_out(
    cli: CLI, told: Told, in_store: InStore, ann: str
) -> None:
    bob = in_store(lambda server: server.accounts.create("bob")).id
    result = cli("groups", "add", "analysts", "ann", bob)
    assert (result.exit_code, result.output) == (0, "ann is in analysts.\nbob is in analysts.\n")
    members = {
        member["username"]: member["user_id"] for member in told("groups", "members", "analysts")
    }
    assert members == {"ann": ann, "bob": bob}
    assert sorted(cli("groups", "members", "analysts").output.splitlines()) == sorted(
        [f"{ann}  ann  -", f"{bob}  bob  -"]
    )
    assert told("groups", "remove", "analysts", "bob") == {"group": "analysts", "removed": [bob]}
    assert cli("groups", "remove", "analysts", "bob").exit_code == 1
    assert [member["user_id"] for member in told("groups", "members", "analysts")] == [ann]


def test_there_may_be_more_than_a_page_of_them(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["tornado_auth.cli.groups"], "PAGE", 2)
    for number in range(4):
        told("groups", "set", f"group{number}")
    names = [group["id"] for group in told("groups", "list")]
    assert names == ["analysts", *(f"group{number}" for number in range(4))]


def test_a_group_is_shown_with_its_roles(cli: CLI, told: Told) -> None:
    cli("roles", "set", "reports:reader", "read")
    cli("roles", "assign", "reports:reader", "--group", "analysts", "--resource", "q4")
    lines = cli("groups", "show", "analysts").output.splitlines()
    assert lines == ["group  analysts", "description  Who count", "role  reports:reader  q4"]
    (held,) = told("groups", "show", "analysts")["assignments"]
    assert (held["role_id"], held["resource"]) == ("reports:reader", "q4")


def test_a_deleted_group_is_gone_with_what_it_held(cli: CLI, told: Told, ann: str) -> None:
    cli("roles", "set", "reports:reader", "read")
    cli("roles", "assign", "reports:reader", "--group", "analysts")
    cli("groups", "add", "analysts", "ann")
    assert told("groups", "delete", "analysts", "--yes") == {"deleted": "analysts"}
    assert told("groups", "list") == []
    assert told("roles", "holders", "reports:reader") == []
    assert told("users", "show", "ann")["groups"] == []
    assert cli("groups", "show", "analysts").exit_code == 1


def test_login_providers_groups_stand_for_ours(cli: CLI, told: Told) -> None:
    assert cli("groups", "map", "github", "acme/data team", "analysts").exit_code == 0
    cli("groups", "map", "company", "analysts", "analysts")
    assert cli("groups", "mappings").output == (
        "company  analysts  analysts\ngithub  acme/data team  analysts\n"
    )
    (mapping,) = told("groups", "mappings", "--provider", "github")
    assert (mapping["upstream"], mapping["group"]) == ("acme/data team", "analysts")
    assert cli("groups", "unmap", "github", "acme/data team", "--yes").exit_code == 0
    assert [mapping["provider"] for mapping in told("groups", "mappings")] == ["company"]
    assert cli("groups", "unmap", "github", "acme/data team", "--yes").exit_code == 1


def test_what_cannot_be_done_is_told_in_a_sentence(cli: CLI, ann: str) -> None:
    for arguments in (
        ("show", "nobodys"),
        ("members", "nobodys"),
        ("add", "nobodys", "ann"),
        ("add", "analysts", "nobody"),
        ("remove", "analysts", "ann"),
        ("map", "github", "acme", "nobodys"),
        ("set", "a:b"),
        ("delete", "nobodys", "--yes"),
    ):
        result = cli("groups", *arguments)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
