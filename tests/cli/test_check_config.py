"""`tornado-auth check-config`: every mistake at once, one line each, and no secret."""

from pathlib import Path

from tests.cli.conftest import CLI
from tests.flows.processes import MakeCluster
from tests.issuer import private_pem

MISTAKES = {
    "TORNADO_AUTH_LISTEN": "nowhere",
    "TORNADO_AUTH_SECRET": "short-and-secret",
    "GITHUB_SECRET": "sesame-open-github",
    "DATABASE_URL": "oracle://scott:tiger@host/db",
    "TORNADO_AUTH_LOG_LEVEL": "LOUD",
}


def test_settings_that_can_be_used_are_fine(cli: CLI) -> None:
    result = cli("check-config")
    assert (result.exit_code, result.output) == (0, "The settings are fine.\n")


# D23 D29 D30
def test_every_mistake_has_its_line_and_none_shows_a_secret(cluster: MakeCluster) -> None:
    result = cluster(**MISTAKES).run("check-config")
    assert result.returncode == 2
    assert result.stdout == ""
    first, *lines = result.stderr.splitlines()
    assert first == "The settings cannot be used:"
    for name in (*MISTAKES, "GITHUB_KEY"):
        if name != "GITHUB_SECRET":
            assert len([line for line in lines if line.startswith(f"  {name}")]) == 1, name
    assert len(lines) == len(MISTAKES)
    for secret in ("short-and-secret", "sesame", "tiger", "PRIVATE KEY", "Traceback"):
        assert secret not in result.stderr


# D23
def test_mistakes_of_all_parts_are_told_at_once(cli: CLI) -> None:
    result = cli(
        "check-config",
        PRIVATE_KEY=private_pem("RS256"),
        ALLOWED_SERVICES="files:no_such_module",
        INSTALLED_EXTENSIONS="no_such_extension",
        DATABASE_URL="sqlite:///:memory:",
    )
    assert result.exit_code == 2
    lines = [line.split(":")[0].strip() for line in result.stderr.splitlines()[1:]]
    names = ["PRIVATE_KEY", "ALLOWED_SERVICES", "INSTALLED_EXTENSIONS", "DATABASE_URL"]
    assert [next(n for n in names if line.startswith(n)) for line in lines] == names


# D28
def test_the_development_login_is_for_loopback(cli: CLI) -> None:
    public = {"EXTERNAL_ADDRESS": "https://auth.example.org"}
    assert cli("check-config", **public).exit_code == 0
    result = cli("check-config", "--dev", **public)
    assert result.exit_code == 2
    assert "EXTERNAL_ADDRESS" in result.stderr


def test_a_settings_file_can_be_named(cli: CLI, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('log_level = "LOUD"\n')
    assert cli("check-config").exit_code == 0
    result = cli("--config", "other.toml", "check-config")
    assert result.exit_code == 2
    assert "log_level" in result.stderr
    assert cli("--config", "nowhere.toml", "check-config").exit_code == 2


def test_nothing_is_written(cli: CLI, tmp_path: Path) -> None:
    cli("check-config")
    assert list(tmp_path.iterdir()) == []
