"""`tornado-auth admins`: who may use the admin API and pages."""

import pytest

from tests.cli.conftest import CLI, InStore, Told
from tornado_auth.models import Actor
from tornado_auth.server import AuthServer


# S153
def test_the_first_administrator_comes_by_a_secret_that_works_once(
    cli: CLI, in_store: InStore, ann: str
) -> None:
    result = cli("admins", "invite")
    assert (result.exit_code, result.stdout.count("\n"), len(result.stdout)) == (0, 1, 44)
    secret = result.stdout.strip()
    actor = Actor(user_id=ann, via="api")
    in_store(lambda server: server.administration.accept_invitation(actor, secret))
    assert cli("admins", "list").output == f"{ann}  ann  write  tornado_auth:administrator  -\n"
    assert secret not in cli("audit").output

    async def accept_again(server: AuthServer) -> str:
        with pytest.raises(Exception, match="unknown, used or expired") as error:
            await server.administration.accept_invitation(actor, secret)
        return type(error.value).__name__

    assert in_store(accept_again) == "NotAllowed"


def test_the_secret_is_told_in_json_with_its_life(told: Told) -> None:
    told_of = told("admins", "invite")
    assert (sorted(told_of), told_of["expires_in"]) == (["expires_in", "secret"], 3600)


@pytest.mark.parametrize(
    ("options", "access", "role"),
    [([], "write", "administrator"), (["--read-only"], "read", "auditor")],
)
def test_one_is_added_and_removed(
    cli: CLI, told: Told, in_store: InStore, ann: str, options: list[str], access: str, role: str
) -> None:
    def may(write: bool) -> bool:
        return bool(
            in_store(lambda server: server.administration.is_administrator(ann, write=write))
        )

    result = cli("admins", "add", "ann", *options)
    assert result.output == f"ann holds tornado_auth:{role}.\n"
    (admin,) = told("admins", "list")
    assert admin == {
        "user_id": ann,
        "username": "ann",
        "access": access,
        "role_id": f"tornado_auth:{role}",
        "group": "",
    }
    assert (may(write=False), may(write=True)) == (True, access == "write")
    assert cli("admins", "remove", "ann").output == "ann is no administrator any more.\n"
    assert told("admins", "list") == []
    assert not may(write=False)
    again = cli("admins", "remove", "ann")
    assert (again.exit_code, again.stderr) == (1, "ann is no administrator.\n")


def test_a_group_of_administrators_is_named(cli: CLI, told: Told, ann: str) -> None:
    cli("groups", "set", "root")
    cli("groups", "add", "root", "ann")
    cli("roles", "set", "tornado_auth:helper", "admin:read")
    cli("roles", "set", "tornado_auth:other", "nothing")
    cli("roles", "assign", "tornado_auth:helper", "--group", "root")
    cli("roles", "assign", "tornado_auth:other", "--user", "ann")
    cli("roles", "assign", "tornado_auth:administrator", "--user", "ann", "--resource", "x")
    assert cli("admins", "list").output == f"{ann}  ann  read  tornado_auth:helper  root\n"
    result = cli("admins", "remove", "ann")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "still is an administrator" in result.stderr
