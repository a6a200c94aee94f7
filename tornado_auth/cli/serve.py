"""`tornado-auth serve`: listen, answer, and stop without dropping a request.

Owns the life of one process that answers: alone, or as a worker of `supervise.py`.
"""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click
from tornado.httpserver import HTTPServer

from tornado_auth.app import make_app, make_listener, make_ops_app
from tornado_auth.cli.common import fail, read_settings, settings_problems
from tornado_auth.cli.listening import bound, inherited, raise_open_files_limit
from tornado_auth.cli.supervise import supervise
from tornado_auth.errors import StorageError, UnreadableRecord
from tornado_auth.fast_path import ChecksFirst, Front
from tornado_auth.logs import configure_logging
from tornado_auth.scheduling import ask_for_short_slices
from tornado_auth.server import AuthServer
from tornado_auth.supervisor import Lifeline
from tornado_auth.web import InFlight

logger = logging.getLogger(__name__)

STOP_WITHIN = 30.0  # seconds for requests under way when the signal comes
LAST_REQUESTS = 1.0  # seconds in which kept connections may send one that was on its way
_GC_THRESHOLD = (20_000, 20, 50)


@click.command()
@click.option(
    "--dev",
    is_flag=True,
    help="Development login on: anybody can be anyone. Only on a loopback address.",
)
@click.option(
    "--processes",
    type=click.IntRange(0, 1024),
    help="Run so many workers (0: one per core), and read the settings again on SIGHUP.",
)
@click.option("--inherit", type=int, multiple=True, hidden=True)  # listening sockets of the parent
@click.option("--lifeline", type=int, hidden=True)
@click.option("--ops", default="", hidden=True)  # where the parent asks, also with --dev
@click.pass_obj
def serve(
    config: Path | None,
    *,
    dev: bool,
    processes: int | None,
    inherit: tuple[int, ...],
    lifeline: int | None,
    ops: str,
) -> None:
    """Run the service until SIGTERM or SIGINT."""
    settings = read_settings(config, dev=dev)
    configure_logging(settings.log_level, settings.log_format)
    raise_open_files_limit()
    if processes is not None:
        raise SystemExit(supervise(settings, config, processes=processes))
    ask_for_short_slices()
    with settings_problems():
        server = AuthServer(settings)
    parent = None if lifeline is None else Lifeline(lifeline)
    # Bound before anything else, so that a mistake shows at once; callers wait for `start`.
    with (
        inherited(inherit) if parent else bound("TORNADO_AUTH_LISTEN", settings.listen) as sockets,
        bound("TORNADO_AUTH_OPS_LISTEN", ops or settings.ops_listen) as ops_sockets,
        settings_problems(),
    ):
        try:
            selector = ChecksFirst()
            with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
                runner.run(_run(server, selector, sockets, ops_sockets, parent=parent))
        except UnreadableRecord as error:
            fail(f"DATABASE_URL: the store holds what is no record of ours: {error}")
        except StorageError as error:
            fail(f"DATABASE_URL: the store does not answer: {error}")


async def _run(
    server: AuthServer,
    selector: ChecksFirst,
    sockets: list[socket.socket],
    ops_sockets: list[socket.socket],
    *,
    parent: Lifeline | None,
) -> None:
    app = make_app(server)
    main, ops = make_listener(app, server, selector), HTTPServer(make_ops_app(server))
    _on_signals(_refuse_reload, signal.SIGHUP)
    try:
        await server.start()
        # What lives as long as the process need not be looked through again and again.
        gc.collect()
        gc.freeze()
        # Nearly all that a check leaves behind is free of cycles.
        gc.set_threshold(*_GC_THRESHOLD)
        signalled = _signalled(parent)
        main.add_sockets(sockets)
        ops.add_sockets(ops_sockets)
        told = {"address": server.settings.listen, "issuer": server.settings.issuer}
        logger.info("listening", extra=told)
        if parent is not None:
            parent.tell_ready()
        await signalled.wait()
        logger.info("stopping")
        await _finish([main, ops], app.settings["in_flight"])
    finally:
        await server.stop()


async def _finish(listening: list[HTTPServer | Front], in_flight: InFlight) -> None:
    """Take no more connections, answer what is under way, and close."""
    in_flight.stop()
    for http_server in listening:
        http_server.stop()
    await asyncio.sleep(LAST_REQUESTS)
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_WITHIN - LAST_REQUESTS):
            await in_flight.wait_idle()
    for http_server in listening:
        await http_server.close_all_connections()


def _signalled(parent: Lifeline | None) -> asyncio.Event:
    """Return what is set by a signal to stop, and by the end of the parent."""
    signalled = asyncio.Event()
    _on_signals(signalled.set, signal.SIGTERM, signal.SIGINT)
    if parent is not None:
        parent.when_lost(signalled)
    return signalled


def _on_signals(callback: Callable[[], None], *signals: signal.Signals) -> None:
    for number in signals:
        asyncio.get_running_loop().add_signal_handler(number, callback)


def _refuse_reload() -> None:
    logger.warning("reload_refused", extra={"remedy": "start it with --processes, or restart it"})
