"""What the subcommands share: reading the settings, and failing with a clear sentence."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import click

from tornado_auth.cli.output import printable
from tornado_auth.errors import SettingsError, StorageUnavailable, TornadoAuthError
from tornado_auth.logs import configure_logging
from tornado_auth.server import AuthServer
from tornado_auth.settings import Settings, load_settings

T = TypeVar("T")

EXIT_FAILURE = 1
EXIT_SETTINGS = 2


def fail(message: str, *, status: int = EXIT_FAILURE) -> NoReturn:
    """Print a message to standard error and end the program."""
    click.echo(message, err=True)
    raise SystemExit(status)


def read_object(file: Path) -> dict[str, object]:
    """Return the JSON object in a file, or end the program."""
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        fail(f"{printable(str(file))}: not a JSON object.")
    return read


@contextmanager
def settings_problems() -> Iterator[None]:
    """Turn SettingsError into one line a problem and exit status 2."""
    try:
        yield
    except SettingsError as error:
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        fail(f"The settings cannot be used:\n{lines}", status=EXIT_SETTINGS)


def read_settings(config: Path | None, *, dev: bool = False) -> Settings:
    """Return the settings of environment and files, or end the program."""
    with settings_problems():
        return load_settings(os.environ, dev=dev, config_file=config)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except StorageUnavailable as error:
        fail(f"DATABASE_URL: the store does not answer: {error}")
    except TornadoAuthError as error:
        fail(printable(str(error)))


def with_server(config: Path | None, action: Callable[[AuthServer], Awaitable[T]]) -> T:
    """Run one action on a started server, without listening anywhere.

    What it raises from errors.py ends the program with a sentence and exit status 1.
    """
    settings = read_settings(config)
    configure_logging("WARNING", "text")

    async def run() -> T:
        server = AuthServer(settings)
        try:
            await server.start()
            return await action(server)
        finally:
            await server.stop()

    with _refusals(), settings_problems():
        return asyncio.run(run())
