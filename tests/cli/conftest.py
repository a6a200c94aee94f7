"""What the tests of the command share, beside the fixtures of tests/flows/processes.py.

cli       runs a subcommand in this process: `cli("users", "list")`, or `cli("serve", DEBUG="1")`
told      does so, and returns the JSON that it printed: `told("users", "list")`
in_store  does something with a server on the store that the subcommands work on
ann       the id of a user of that name
environ   what the settings are read from, on a SQLite file of the test
"""

import asyncio
import json
import logging
import os
import resource
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.flows.processes import base_environ, client, cluster
from tests.issuer import private_pem
from tornado_auth.cli import main
from tornado_auth.logs import QUIET_LOGGERS
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings

__all__ = ["client", "cluster"]

CLI = Callable[..., Result]
Told = Callable[..., Any]
InStore = Callable[[Callable[[AuthServer], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return base_environ(
        DATABASE_URL=f"sqlite:///{tmp_path}/store.db",
        # An RSA key takes long to load, and each subcommand loads it.
        PRIVATE_KEY=private_pem("ES256"),
        TORNADO_AUTH_SIGNING_ALGORITHM="ES256",
        ALLOWED_SERVICES="reports:tornado_auth.roles",
    )


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


@pytest.fixture
def told(cli: CLI) -> Told:
    def run(*arguments: str, **options: Any) -> Any:
        result = cli(*arguments, "--json", **options)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return json.loads(result.stdout)

    return run


@pytest.fixture
def in_store(environ: dict[str, str]) -> InStore:
    def run(action: Callable[[AuthServer], Coroutine[Any, Any, Any]]) -> Any:
        async def on_server() -> Any:
            server = AuthServer(load_settings(environ))
            await server.start()
            try:
                return await action(server)
            finally:
                await server.stop()

        return asyncio.run(on_server())

    return run


@pytest.fixture
def ann(in_store: InStore) -> str:
    user = in_store(lambda server: server.accounts.create("ann", email="ann@example.org"))
    return str(user.id)
