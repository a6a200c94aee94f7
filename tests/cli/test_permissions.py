"""`tornado-auth permissions`: what a user may do, and who says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import CLI, InStore, Told
from tests.modules import MakeModule, writing_modules

WHY = ("permissions", "why", "ann", "reports")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path / "modules", monkeypatch)


@pytest.fixture(autouse=True)
def reader(cli: CLI, ann: str) -> None:
    cli("roles", "set", "reports:reader", "list", "read")
    cli("groups", "set", "analysts")
    cli("groups", "add", "analysts", "ann")
    cli("roles", "assign", "reports:reader", "--group", "analysts")


def test_what_a_user_may_do_is_shown(cli: CLI, told: Told) -> None:
    result = cli("permissions", "show", "ann", "reports")
    assert (result.exit_code, result.output) == (0, "list  true\nread  true\n")
    assert told("permissions", "show", "ann", "reports") == {"list": True, "read": True}


def test_a_permission_that_is_granted_names_role_and_group(cli: CLI, told: Told, ann: str) -> None:
    result = cli(*WHY, "read")
    first, provider, source, timing = result.output.splitlines()
    assert result.exit_code == 0
    assert first == f"ann ({ann}) in reports: read is granted by tornado_auth.roles"
    assert provider.startswith(
        'provider tornado_auth.roles  answered  {"list": true, "read": true}'
    )
    assert source == "read by the role reports:reader of group:analysts"
    assert timing.startswith("asked in ")
    told_of = told(*WHY, "read")
    assert (told_of["granted"], told_of["disabled_at"]) == (True, None)
    assert [source["role_id"] for source in told_of["sources"]] == ["reports:reader"]


def test_one_that_is_not_granted_ends_with_status_1(cli: CLI, ann: str) -> None:
    result = cli(*WHY, "write")
    assert result.exit_code == 1
    assert result.stdout.startswith(f"ann ({ann}) in reports: write is not granted\n")
    assert "by the role" not in result.stdout


def test_without_a_permission_all_of_them_are_explained(cli: CLI, told: Told) -> None:
    result = cli(*WHY)
    assert result.exit_code == 0
    assert result.output.splitlines()[0].endswith(' in reports: {"list": true, "read": true}')
    assert len([line for line in result.output.splitlines() if "by the role" in line]) == 2
    assert told(*WHY)["granted"] is None


def test_a_resource_has_roles_of_its_own(cli: CLI) -> None:
    cli("roles", "set", "reports:owner", "close")
    cli("roles", "assign", "reports:owner", "--user", "ann", "--resource", "q4")
    assert cli(*WHY, "close").exit_code == 1
    result = cli(*WHY, "close", "--resource", "q4")
    assert result.exit_code == 0
    assert "in reports in q4: close is granted" in result.output
    assert "close by the role reports:owner of user:ann for q4" in result.output
    shown = cli("permissions", "show", "ann", "reports", "--resource", "q4").output
    assert "close  true\n" in shown


def test_a_disabled_user_may_do_nothing(cli: CLI) -> None:
    cli("users", "disable", "ann")
    result = cli(*WHY, "read")
    assert result.exit_code == 1
    assert "everything is denied (disabled)" in result.stdout
    assert "the user is disabled since 2" in result.stdout
    assert (cli("permissions", "show", "ann", "reports").stdout) == ""


def test_a_service_that_nobody_named_denies(cli: CLI) -> None:
    result = cli("permissions", "show", "ann", "wiki")
    assert (result.exit_code, result.stdout) == (1, "")
    result = cli("permissions", "why", "ann", "wiki", "read")
    assert result.exit_code == 1
    assert "everything is denied (unknown_service)" in result.stdout


# S107
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise RuntimeError('the password is sesame')", "error"),
        ("await asyncio.sleep(60)", "timeout"),
        ("return ['read']", "junk"),
    ],
)
def test_a_provider_that_fails_denies_and_why_says_so(
    cli: CLI, module: MakeModule, body: str, said: str
) -> None:
    source = f"import asyncio\n\nasync def get_permissions(service, userid):\n    {body}\n"
    services = f"reports:union(tornado_auth.roles,{module('acme_rules', source)})"
    limits = {"ALLOWED_SERVICES": services, "TORNADO_AUTH_PERMISSION_TIMEOUT": "0.1"}
    result = cli(*WHY, "read", **limits)
    assert result.exit_code == 1
    assert f"everything is denied ({said})" in result.stdout
    assert f"provider acme_rules  {said}  " in result.stdout
    assert "provider tornado_auth.roles  answered  " in result.stdout
    assert "sesame" not in result.stdout
    assert "Traceback" not in result.stdout


def test_nobody_known_may_nothing(cli: CLI, in_store: InStore) -> None:
    result = cli("permissions", "why", "nobody", "reports")
    assert (result.exit_code, result.stderr) == (1, "There is no user 'nobody'.\n")
