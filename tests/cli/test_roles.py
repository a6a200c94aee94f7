"""`tornado-auth roles`: named sets of permissions, and who holds them."""

import pytest

from tests.cli.conftest import CLI, Told

READER = "reports:reader"


@pytest.fixture(autouse=True)
def reader(cli: CLI) -> None:
    result = cli("roles", "set", READER, "pages.read", "list", "--description", "May look")
    assert (result.exit_code, result.output) == (
        0,
        "The role reports:reader allows list, pages.read.\n",
    )


def test_roles_are_listed_by_service(cli: CLI, told: Told) -> None:
    cli("roles", "set", "wiki:editor", "edit")
    lines = cli("roles", "list").output.splitlines()
    assert "reports:reader  list,pages.read  May look" in lines
    assert "wiki:editor  edit  -" in lines
    (role,) = told("roles", "list", "--service", "reports")
    assert (role["id"], role["permissions"]) == (READER, ["list", "pages.read"])


def test_a_role_gets_other_permissions_and_keeps_its_description(cli: CLI, told: Told) -> None:
    assert told("roles", "set", READER, "list")["description"] == "May look"
    lines = cli("roles", "show", READER).output.splitlines()
    assert lines == ["role  reports:reader", "description  May look", "permission  list"]
    assert told("roles", "set", READER, "list", "--description", "")["description"] == ""


def test_a_role_is_given_and_taken_away(cli: CLI, told: Told, ann: str) -> None:
    cli("groups", "set", "ops")
    result = cli("roles", "assign", READER, "--user", "ann", "--group", "ops")
    assert result.output == "ann holds reports:reader.\nThe group ops holds reports:reader.\n"
    cli("roles", "assign", READER, "--user", ann, "--resource", "q4")
    assert cli("roles", "holders", READER).output.splitlines() == [
        "group:ops  -",
        "user:ann  -",
        "user:ann  q4",
    ]
    taken = told("roles", "unassign", READER, "--user", "ann")
    assert taken == {"unassigned": [f"user:{ann}|{READER}|"]}
    holders = [(held["holder"], held["resource"]) for held in told("roles", "holders", READER)]
    assert holders == [("group:ops", ""), (f"user:{ann}", "q4")]
    result = cli("roles", "unassign", READER, "--group", "ops")
    assert result.output == "The group ops no longer holds reports:reader.\n"
    assert cli("roles", "unassign", READER, "--group", "ops").exit_code == 1


def test_a_deleted_role_is_held_by_nobody(cli: CLI, told: Told, ann: str) -> None:
    cli("roles", "assign", READER, "--user", "ann")
    assert cli("roles", "delete", READER, "--yes").output == "The role reports:reader is deleted.\n"
    assert told("users", "show", "ann")["assignments"] == []
    assert cli("roles", "show", READER).exit_code == 1


def test_what_cannot_be_done_is_told(cli: CLI, ann: str) -> None:
    for status, *arguments in (
        (2, "set", "reader", "list"),
        (2, "set", READER),
        (2, "assign", READER),
        (1, "set", "a b:c", "list"),
        (1, "set", READER, "no spaces"),
        (1, "show", "reports:nothing"),
        (1, "holders", "reports:nothing"),
        (1, "assign", READER, "--user", "nobody"),
        (1, "assign", READER, "--group", "nobodys"),
        (1, "assign", "reports:nothing", "--user", "ann"),
        (1, "delete", "reports:nothing", "--yes"),
    ):
        result = cli("roles", *arguments)
        assert (result.exit_code, result.stdout) == (status, ""), arguments
        assert result.stderr
