"""What the documents say is there, and what is there is documented."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from tornado_auth.app import OPS_ROUTES, ROUTES
from tornado_auth.cli import main
from tornado_auth.settings import Settings

ROOT = Path(__file__).parent.parent
NOT_OURS = {
    ".git",
    ".venv",
    ".bench",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    "__pycache__",
    "node_modules",
    "build",
    "dist",
    "data",
}
SEED_NAMES = {
    "private_key",
    "public_key",
    "google_key",
    "google_secret",
    "github_key",
    "github_secret",
    "database_url",
    "external_address",
    "allowed_services",
    "installed_extensions",
}
# Read by the test suite, and where to find the file with the settings.
OTHER_VARIABLES = {"REQUIRE_ALL_TESTS", "TORNADO_AUTH_CONFIG"}

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"\bTORNADO_AUTH_[A-Z0-9_]*[A-Z0-9]")
# Put together here, so that this file does not hold them.
FORBIDDEN = [
    "".join(parts)
    for parts in (
        ("/wo", "rk/"),
        ("/tmp/", "ta"),
        ("/ro", "ot/"),
        ("issue", " #"),
        ("shared", "/"),
        ("SPEC", ".md"),
        ("seed-", "inventory"),
        ("pypi", ".org"),
        ("npmjs", ".org"),
        ("registry", ".npm"),
        ("deb.", "debian.org"),
    )
]


def _files() -> Iterator[Path]:
    for folder, names, files in os.walk(ROOT):
        names[:] = sorted(n for n in names if n not in NOT_OURS and not n.endswith(".egg-info"))
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith(".cov"))


def _texts() -> dict[str, str]:
    texts = {}
    for path in _files():
        content = path.read_bytes()
        if b"\0" not in content:
            texts[str(path.relative_to(ROOT))] = content.decode()
    return texts


TEXTS = _texts()
DOCUMENTS = {name: text for name, text in TEXTS.items() if name.endswith(".md")}
EVERYTHING_SAID = "\n".join(DOCUMENTS.values())
every_document = pytest.mark.parametrize("name", DOCUMENTS)


def _anchors(text: str) -> set[str]:
    """Return what a link into a document may end with: its headings, as they are rendered."""
    titles = re.findall(r"^#+ +(.+?) *$", CODE.sub("", text), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


def _broken(name: str, target: str) -> bool:
    if re.match(r"[a-z]+:", target):
        return False
    address, _, anchor = unquote(target).partition("#")
    path = ((ROOT / name).parent / address).resolve() if address else ROOT / name
    if not path.exists() or not path.is_relative_to(ROOT):
        return True
    return bool(anchor) and anchor not in _anchors(path.read_text(encoding="utf-8"))


@every_document
def test_every_link_leads_somewhere(name: str) -> None:
    targets = ["".join(match) for match in LINK.findall(CODE.sub("", DOCUMENTS[name]))]
    assert [target for target in targets if _broken(name, target)] == []


def test_a_broken_link_is_recognised() -> None:
    assert _broken("README.md", "docs/nowhere.md")
    assert _broken("README.md", "CONTRIBUTING.md#nothing-of-the-kind")
    assert _broken("README.md", "../outside.md")
    assert not _broken("README.md", "CONTRIBUTING.md#house-rules")


def _commands(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for part, below in command.commands.items():
            yield from _commands(below, f"{name} {part}")
    else:
        yield name


COMMANDS = list(_commands(main, "tornado-auth"))


def test_there_are_commands() -> None:
    assert {"tornado-auth serve", "tornado-auth keys generate"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert re.search(rf"{command}\b", EVERYTHING_SAID)


def _documented_form(pattern: str) -> str:
    r"""Return a pattern for how a route is written for people.

    "/auth/login/([a-z]+)" is "/auth/login/<provider>", "\." is a dot; "/?" and "(?:...)?" may stay
    away.
    """
    form = re.sub(r"/\?$|\(\?:.*?\)\?", "", pattern.rstrip("$")).replace("\\", "")
    return r"<[a-z_]+>".join(re.escape(part) for part in re.split(r"\(.*?\)", form))


ROUTED = sorted(
    {_documented_form(pattern) for pattern, *_ in [*ROUTES, *OPS_ROUTES]} - {"/", "/auth"}
)


@pytest.mark.parametrize("route", ROUTED)
def test_every_route_is_documented(route: str) -> None:
    document = "docs/admin-api.md" if route.startswith("/admin/") else "docs/api.md"
    assert re.search(rf"{route}(?![\w/-])", DOCUMENTS[document])


def test_the_documented_form_of_a_route() -> None:
    assert re.fullmatch(_documented_form(r"/a/([a-z]+)/b"), "/a/<provider>/b")
    assert re.fullmatch(_documented_form(r"/\.b(?:/[a-z]*)?"), "/.b")


def _variable(field: str) -> str:
    return field.upper() if field in SEED_NAMES else f"TORNADO_AUTH_{field.upper()}"


VARIABLES = {_variable(field) for field in Settings.model_fields if field != "dev"}


def test_every_variable_that_is_named_exists() -> None:
    known = VARIABLES | {f"{name}_FILE" for name in VARIABLES} | OTHER_VARIABLES
    named = {
        (name, variable)
        for name, text in TEXTS.items()
        if not name.startswith("tests/")
        for variable in VARIABLE.findall(text)
    }
    assert {(name, variable) for name, variable in named if variable not in known} == set()


@pytest.mark.parametrize("variable", sorted(VARIABLES))
def test_every_setting_is_documented(variable: str) -> None:
    assert re.search(rf"\b{variable}\b", DOCUMENTS["docs/settings.md"])


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    titles = re.findall(r"^## +(.*)$", DOCUMENTS["CHANGELOG.md"], re.MULTILINE)
    assert titles[0].strip("[]").startswith("Unreleased")


@pytest.mark.parametrize("words", FORBIDDEN)
def test_the_repository_speaks_only_of_the_project(words: str) -> None:
    assert [name for name, text in TEXTS.items() if words in text] == []


def test_the_scripts_that_are_named_exist_and_can_be_run() -> None:
    named = set(re.findall(r"\bscripts/[a-z_-]+", "\n".join(TEXTS.values())))
    assert {"scripts/serve", "scripts/test", "scripts/check"} <= named
    for name in named - {"scripts/_environment"}:
        assert os.access(ROOT / name, os.X_OK), f"{name} is no script, but it is named"


def test_this_python_is_one_that_the_package_supports() -> None:
    (minimum,) = re.findall(r'python_requires=">=3\.(\d+)"', TEXTS["setup.py"])
    assert sys.version_info[:2] >= (3, int(minimum))
