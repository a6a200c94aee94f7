"""`tornado-auth api-keys` and `service-accounts`: what programs get in with."""

from tests.cli.conftest import CLI, InStore, Told
from tornado_auth.models import Who
from tornado_auth.server import AuthServer

CREATE = ("api-keys", "create", "ann", "--name", "nightly")


def works(in_store: InStore, key: str) -> bool:
    async def ask(server: AuthServer) -> Who | None:
        return await server.checks.who(key)

    return in_store(ask) is not None


# S148
def test_a_key_is_printed_once_and_works_until_it_is_revoked(
    cli: CLI, told: Told, in_store: InStore, ann: str
) -> None:
    result = cli(*CREATE, "--scope", "reports", "--scope", "wiki")
    key = result.stdout.strip()
    assert (result.exit_code, key.startswith("tak_"), result.stdout.count("\n")) == (0, True, 1)
    (shown,) = told("api-keys", "list", "ann")
    assert (shown["name"], shown["scopes"], shown["user_id"]) == (
        "nightly",
        ["reports", "wiki"],
        ann,
    )
    assert shown["expires_at"] is None
    line = cli("api-keys", "list", "ann").output
    assert line == f"{shown['id']}  nightly  reports,wiki  never  never\n"
    assert works(in_store, key)
    used = cli("api-keys", "list", "ann").output.split("  ")[-1]
    assert used.startswith("2")
    assert told("api-keys", "revoke", shown["id"], "--yes") == {"revoked": shown["id"]}
    assert not works(in_store, key)
    assert told("api-keys", "list", "ann") == []
    assert cli("api-keys", "revoke", shown["id"], "--yes").exit_code == 1
    everything = "".join(cli(*command).output for command in (("audit",), ("users", "show", "ann")))
    assert key not in everything


def test_a_key_may_end_by_itself(told: Told, ann: str) -> None:
    made = told(*CREATE, "--scope", "*", "--days", "7")
    assert made["expires_at"] - made["created_at"] == 7 * 86_400
    assert made["key"].startswith("tak_")


def test_what_cannot_be_done_is_told(cli: CLI, ann: str) -> None:
    for status, *arguments in (
        (1, *CREATE, "--scope", "no good"),
        (1, "api-keys", "create", "nobody", "--name", "x", "--scope", "*"),
        (2, "api-keys", "create", "ann", "--name", "x"),
        (2, "api-keys", "create", "ann", "--scope", "*"),
        (2, *CREATE, "--scope", "*", "--days", "0"),
        (1, "api-keys", "list", "nobody"),
        (1, "api-keys", "revoke", "key-1", "--yes"),
    ):
        result = cli(*arguments)
        assert (result.exit_code, result.stdout) == (status, ""), arguments
        assert result.stderr


def test_a_service_account_gets_in_with_keys(
    cli: CLI, told: Told, in_store: InStore, ann: str
) -> None:
    result = cli("service-accounts", "create", "nightly-build", "--name", "The nightly build")
    (account,) = told("service-accounts", "list")
    assert result.output == f"Added nightly-build ({account['id']}).\n"
    assert (account["name"], account["is_service_account"]) == ("The nightly build", True)
    assert cli("service-accounts", "list").output.startswith(
        f"{account['id']}  nightly-build  -  2"
    )
    assert "service account\n" in cli("users", "show", "nightly-build").output
    key = told("api-keys", "create", "nightly-build", "--name", "x", "--scope", "*")["key"]
    assert works(in_store, key)
    cli("users", "disable", "nightly-build")
    assert not works(in_store, key)
    assert cli("service-accounts", "create", "ann").exit_code == 1
