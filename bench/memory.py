"""How much memory one process takes: for what it knows, and for who only waits.

Resident memory as the kernel counts it, before and after, so it holds whatever the allocator did
not give back.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench.load import exchange, get, is_whole
from bench.open_loop import send_each
from bench.population import Population
from bench.processes import Failed, Process, connect
from bench.report import Goal, Outcome
from bench.run import Run
from bench.servers import CHECK, HELLO, OURS, Scene, Server, start_ours

TOKENS = 1_000_000
CONNECTIONS = 10_000
TOKENS_WHEN_QUICK = 10_000
CONNECTIONS_WHEN_QUICK = 500
STATED_PER_TOKEN = 3 * 1024
STATED_PER_CONNECTION = 4 * 1024
STATED_PROCESS = 256 * 1024 * 1024
SENDERS = 64
SETTLE = 3.0
MEGABYTE = 1 << 20


def memory(run: Run) -> Outcome:
    """Measure what known tokens and idle connections take."""
    tokens = TOKENS_WHEN_QUICK if run.quick else TOKENS
    connections = CONNECTIONS_WHEN_QUICK if run.quick else CONNECTIONS
    outcome = Outcome(f"Memory of one process: {tokens:,} known tokens, {connections:,} idle")
    scene = _scene(run, tokens)
    server = start_ours(
        scene,
        environ={
            "TORNADO_AUTH_KNOWN_SESSIONS": str(tokens),
            "TORNADO_AUTH_HEADER_TIMEOUT": "5m",  # how long a connection may be idle
        },
    )
    _settled(server, scene)
    empty = server.process.resident()
    for _ in range(2):  # more is kept of what comes again
        sent = send_each(server.address, _requests(scene.tokens), name=OURS, connections=SENDERS)
        if sent != tokens:
            raise Failed(f"{sent} of {tokens} tokens were checked")
    knowing = _settled(server, scene)
    holding = _with_idle(server, scene, connections)
    hello = run.server(HELLO)
    before = _settled(hello, scene)
    of_hello = (_with_idle(hello, scene, connections) - before) / connections
    per_token, per_connection = (knowing - empty) / tokens, (holding - knowing) / connections
    outcome.header = ["resident memory", "MiB", "bytes for each"]
    outcome.rows = [
        ["tornado_auth, started", _megabytes(empty), ""],
        [f"+ {tokens:,} known tokens", _megabytes(knowing), f"{per_token:,.0f}"],
        [f"+ {connections:,} idle connections", _megabytes(holding), f"{per_connection:,.0f}"],
        [f"for comparison: an idle connection of {HELLO}", "", f"{of_hello:,.0f}"],
    ]
    limit = STATED_PROCESS + tokens * STATED_PER_TOKEN + connections * STATED_PER_CONNECTION
    outcome.goals = [
        Goal("bytes for a known token", per_token, STATED_PER_TOKEN, at_most=True),
        Goal("bytes for an idle connection", per_connection, STATED_PER_CONNECTION, at_most=True),
        Goal("MiB of the process", holding / MEGABYTE, limit / MEGABYTE, at_most=True),
    ]
    return outcome


def _scene(run: Run, tokens: int) -> Scene:
    # ES256, which signs six times as fast: what is remembered of a token is as long.
    population = Population.of(tokens, tokens, algorithm="ES256")
    path = run.folder / "memory-tokens"
    population.write_tokens(path, range(tokens))
    url = population.fill_sqlite(run.folder / "memory.db")
    return replace(run.scene, population=population, tokens=path, database_url=url)


def _requests(tokens: Path) -> Iterator[bytes]:
    template = get(CHECK)
    with tokens.open("rb") as lines:
        for line in lines:
            yield template.replace(b"@TOKEN@", line.strip())


def _settled(server: Server, scene: Scene) -> int:
    """Ask once, wait until nothing is under way, and return the resident memory."""
    exchange(server.address, next(_requests(scene.tokens)))
    time.sleep(SETTLE)
    return server.process.resident()


def _with_idle(server: Server, scene: Scene, number: int) -> int:
    """Return the resident memory with so many connections that were asked once each."""
    with ExitStack() as stack:
        requests = _requests(scene.tokens)
        opened = [stack.enter_context(_asked(server, next(requests))) for _ in range(number)]
        time.sleep(SETTLE)
        _require_open(server.process, opened)
        return server.process.resident()


def _asked(server: Server, request: bytes) -> socket.socket:
    connection = connect(server.address, timeout=10.0)
    connection.sendall(request)
    answer = b""
    while not is_whole(answer):
        received = connection.recv(65536)
        if not received:
            raise Failed(f"{server.process.name} closed a connection: {answer!r}")
        answer += received
    return connection


def _require_open(process: Process, connections: list[socket.socket]) -> None:
    closed = 0
    for connection in connections:
        connection.setblocking(False)
        try:
            closed += not connection.recv(1)
        except BlockingIOError:
            continue
    if closed:
        raise Failed(f"{process.name} closed {closed} idle connections")


def _megabytes(size: float) -> str:
    return f"{size / MEGABYTE:,.0f}"
