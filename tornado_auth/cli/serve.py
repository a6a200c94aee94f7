"""`tornado-auth serve`: listen, answer, and stop without dropping a request."""

import asyncio
import logging
import resource
import signal
import socket
from contextlib import suppress
from pathlib import Path

import click
from tornado.httpserver import HTTPServer

from tornado_auth.app import bind, make_app, make_http_server, make_ops_app
from tornado_auth.cli.common import fail, read_settings, settings_problems
from tornado_auth.errors import StorageError
from tornado_auth.logs import configure_logging
from tornado_auth.server import AuthServer
from tornado_auth.settings import Settings
from tornado_auth.web import InFlight

logger = logging.getLogger(__name__)

STOP_WITHIN = 30.0  # seconds for requests under way when the signal comes


@click.command()
@click.option(
    "--dev",
    is_flag=True,
    help="Development login on: anybody can be anyone. Only on a loopback address.",
)
@click.pass_obj
def serve(config: Path | None, dev: bool) -> None:
    """Run the service until SIGTERM or SIGINT."""
    settings = read_settings(config, dev=dev)
    configure_logging(settings.log_level, settings.log_format)
    _raise_open_files_limit()
    with settings_problems():
        server = AuthServer(settings)
        try:
            asyncio.run(_run(server, settings))
        except StorageError as error:
            fail(f"DATABASE_URL: the store does not answer: {error}")


async def _run(server: AuthServer, settings: Settings) -> None:
    app = make_app(server)
    main, ops = make_http_server(app, settings), HTTPServer(make_ops_app(server))
    # Bound before anything else, so that a mistake shows at once; callers wait for `start`.
    sockets = _bind("TORNADO_AUTH_LISTEN", settings.listen)
    ops_sockets = _bind("TORNADO_AUTH_OPS_LISTEN", settings.ops_listen)
    try:
        await server.start()
        signalled = _signalled()
        main.add_sockets(sockets)
        ops.add_sockets(ops_sockets)
        logger.info("listening", extra={"address": settings.listen, "issuer": settings.issuer})
        await signalled.wait()
        logger.info("stopping")
        await _finish([main, ops], app.settings["in_flight"])
    finally:
        for sock in [*sockets, *ops_sockets]:
            sock.close()
        await server.stop()


async def _finish(listening: list[HTTPServer], in_flight: InFlight) -> None:
    """Take no more connections, answer what is under way, and close."""
    for http_server in listening:
        http_server.stop()
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_WITHIN):
            await in_flight.wait_idle()
    for http_server in listening:
        await http_server.close_all_connections()


def _bind(variable: str, address: str) -> list[socket.socket]:
    try:
        return [] if address == "off" else bind(address)
    except (OSError, ValueError) as error:
        fail(f"{variable}: cannot listen on {address}: {error}")


def _signalled() -> asyncio.Event:
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    return signalled


def _raise_open_files_limit() -> None:
    # Each connection is an open file, and the soft limit is often no more than 1024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # not every system takes its own hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
