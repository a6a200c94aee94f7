"""What the tests of the command share, beside the fixtures of tests/flows/processes.py.

cli       runs a subcommand in this process: `cli("users", "list")`, or `cli("serve", DEBUG="1")`
environ   what the settings are read from, on a SQLite file of the test
"""

import logging
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.flows.processes import base_environ, client, cluster
from tornado_auth.cli import main
from tornado_auth.logs import QUIET_LOGGERS

__all__ = ["client", "cluster"]

CLI = Callable[..., Result]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return base_environ(DATABASE_URL=f"sqlite:///{tmp_path}/store.db")


@pytest.fixture
def cli(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CLI]:
    for name in set(os.environ) - set(environ):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    root, names = logging.getLogger(), list(QUIET_LOGGERS)
    before = root.handlers[:], root.level, [logging.getLogger(name).level for name in names]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def run(*arguments: str, input: str | None = None, **variables: str) -> Result:
        return CliRunner().invoke(main, arguments, input=input, env=environ | variables)

    yield run
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    for name, level in zip(names, before[2], strict=True):
        logging.getLogger(name).setLevel(level)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
