"""`tornado-auth serve`: listen, answer, and stop without dropping a request."""

import asyncio
import logging
import resource
import signal
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
    except OSError as error:
        fail(f"TORNADO_AUTH_LISTEN, TORNADO_AUTH_OPS_LISTEN: cannot listen: {error}")


async def _run(server: AuthServer, settings: Settings) -> None:
    app = make_app(server)
    main = make_http_server(app, settings)
    main.add_sockets(bind(settings.listen))
    listening = [main]
    if settings.ops_listen != "off":
        ops = HTTPServer(make_ops_app(server))
        ops.add_sockets(bind(settings.ops_listen))
        listening.append(ops)
    await server.start()
    logger.info("listening", extra={"address": settings.listen, "issuer": settings.issuer})
    await _signalled()
    logger.info("stopping")
    for http_server in listening:
        http_server.stop()
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_WITHIN):
            await app.settings["in_flight"].wait_idle()
    for http_server in listening:
        await http_server.close_all_connections()
    await server.stop()


async def _signalled() -> None:
    signalled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled.set)
    await signalled.wait()


def _raise_open_files_limit() -> None:
    # Each connection is an open file, and the soft limit is often no more than 1024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
