"""`tornado-auth keys`, and what holds for the command as a whole."""

import stat
from pathlib import Path

import pytest

from tests.cli.conftest import CLI
from tests.flows.processes import MakeCluster
from tornado_auth import __version__
from tornado_auth.keys import KeySet

NAMES = ("private.pem", "public.pem", "secret")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_each_algorithm_has_its_keys(cli: CLI, tmp_path: Path, algorithm: str) -> None:
    result = cli("keys", "generate", "--directory", "k", "--algorithm", algorithm)
    assert result.exit_code == 0, result.output
    private_pem, public_pem, secret = [(tmp_path / "k" / name).read_text() for name in NAMES]
    keys = KeySet.from_pem(private_pem, public_pem=public_pem, algorithm=algorithm)
    assert keys.public_pem() == public_pem
    assert len(secret.strip()) >= 64
    assert (f"TORNADO_AUTH_SIGNING_ALGORITHM={algorithm}" in result.output) is (
        algorithm != "RS256"
    )


# S148 S058
def test_nobody_else_can_read_them(cli: CLI, tmp_path: Path) -> None:
    cli("keys", "generate", "--directory", "a/b")
    assert mode_of(tmp_path / "a" / "b") == 0o700
    assert [mode_of(tmp_path / "a" / "b" / name) for name in NAMES] == [0o600] * 3


def test_the_output_names_the_files_and_nothing_that_is_in_them(cli: CLI, tmp_path: Path) -> None:
    result = cli("keys", "generate")
    assert result.exit_code == 0
    for name in NAMES:
        assert name in result.output
        assert (tmp_path / name).read_text().strip() not in result.output
    assert "PRIVATE KEY-----" not in result.output


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_there_is_never_overwritten(cli: CLI, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    result = cli("keys", "generate")
    assert result.exit_code == 1
    assert result.stderr == f"{name}: already there. Move it away to make new keys.\n"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_a_link_that_leads_nowhere_is_not_followed(cli: CLI, tmp_path: Path) -> None:
    (tmp_path / "secret").symlink_to(tmp_path / "elsewhere")
    assert cli("keys", "generate").exit_code == 1
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(cli: CLI, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = cli("keys", "generate", "--directory", "file/below")
    assert result.exit_code == 1
    assert result.stderr == "file/below: Not a directory. Choose another --directory.\n"


def test_what_was_made_is_what_serve_wants(cli: CLI, environ: dict[str, str]) -> None:
    cli("keys", "generate", "--directory", "k", "--algorithm", "EdDSA")
    del environ["PRIVATE_KEY"], environ["TORNADO_AUTH_SECRET"]
    files = {
        "PRIVATE_KEY_FILE": "k/private.pem",
        "PUBLIC_KEY_FILE": "k/public.pem",
        "TORNADO_AUTH_SECRET_FILE": "k/secret",
    }
    result = cli("check-config", **files, TORNADO_AUTH_SIGNING_ALGORITHM="EdDSA")
    assert result.output == "The settings are fine.\n"


def test_the_version_is_that_of_the_package(cluster: MakeCluster, cli: CLI) -> None:
    assert __version__ in cli("--version").output
    result = cluster().run("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"tornado-auth, version {__version__}\n"


def test_help_needs_no_settings(cli: CLI, environ: dict[str, str]) -> None:
    environ.clear()
    for arguments in (["-h"], ["serve", "--help"], ["users", "add", "--help"]):
        result = cli(*arguments)
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage: ")


def test_an_unknown_subcommand_is_an_error(cli: CLI) -> None:
    result = cli("fly")
    assert result.exit_code == 2
    assert "No such command 'fly'" in result.stderr
