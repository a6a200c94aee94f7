"""A load at a fixed rate, whatever the server does: latency as a caller sees it.

wrk asks again when it was answered, so a server that stalls is asked less and looks better than it
is, and one that is saturated shows only its queue. Here requests fall due at random moments, a set
number a second (a Poisson process), and the time of each counts from the moment when it fell due.
The loop never sleeps, for it would wake up late: it takes a CPU of its own.

    python -m bench.open_loop < specification.json

A specification is {"address", "seconds", "streams": [{"name", "rate", "connections", "template",
"tokens", "status"}]}; the answer is {name: {"count", "p50_ms", "p99_ms", "p999_ms"}}.
"""

import gc
import itertools
import json
import random
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.load import end_of_answer
from bench.processes import CLIENT_CPU, ROOT, Failed, connect, plain_environ

DRAIN_LIMIT = 10.0
CONNECT_LIMIT = 10.0


@dataclass(frozen=True)
class Latency:
    """What the answers of one stream took."""

    count: int
    p50_ms: float
    p99_ms: float
    p999_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency":
        """Sum up at least one."""
        ordered = sorted(seconds)
        fifty, ninety_nine, most = (
            1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]
            for part in (0.5, 0.99, 0.999)
        )
        return cls(len(ordered), fifty, ninety_nine, most)


class Stream:
    """Requests of one kind, `rate` a second over so many connections.

    `next_request` returns what to send, None to let one pass; `on_answer` looks at each answer and
    raises Failed if it is wrong.
    """

    def __init__(
        self,
        name: str,
        *,
        rate: float,
        connections: int,
        next_request: Callable[[], bytes | None],
        on_answer: Callable[[bytes], None],
    ) -> None:
        self.name = name
        self.rate = rate
        self.connections = connections
        self.next_request = next_request
        self.on_answer = on_answer
        self.latencies: list[float] = []
        self.due: deque[float] = deque()
        self.idle: deque[_Connection] = deque()
        self.next_at = 0.0

    def fall_due(self, now: float, randomness: random.Random) -> None:
        """Note what should have been sent by now."""
        while self.next_at <= now:
            self.due.append(self.next_at)
            self.next_at += randomness.expovariate(self.rate)


class _Connection:
    def __init__(self, address: str, stream: Stream) -> None:
        self.stream = stream
        self.socket: socket.socket = connect(address, timeout=CONNECT_LIMIT)
        self.socket.setblocking(False)
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.due_at = 0.0
        self.is_asked = False

    def send(self, request: bytes, due_at: float) -> None:
        self.due_at = due_at
        self.is_asked = True
        if self.socket.send(request) != len(request):
            raise Failed(f"{self.stream.name}: a request did not fit into the socket's buffer")

    def receive(self) -> bytes | None:
        """Return the answer if it is whole by now."""
        received = self.socket.recv(65536)
        if not received:
            raise Failed(f"{self.stream.name}: the connection was closed without an answer")
        self.received += received
        end = end_of_answer(self.received)
        if not 0 < end <= len(self.received):
            return None
        answer = bytes(self.received)
        self.received.clear()
        self.is_asked = False
        return answer


class OpenLoop:
    """All streams to one server, from one thread."""

    def __init__(self, address: str, streams: Sequence[Stream], *, seed: int = 1) -> None:
        self._address = address
        self._streams = streams
        self._randomness = random.Random(seed)
        self._epoll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._busy = 0

    def run(self, seconds: float, *, every_second: Callable[[], None] | None = None) -> None:
        """Send for so long, wait for what is still to come, and close."""
        try:
            for stream in self._streams:
                for _ in range(stream.connections):
                    self._connect(stream)
            self._send_until(time.perf_counter() + seconds, every_second)
            self._drain()
        finally:
            self.close()

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.socket.close()
        self._epoll.close()

    def _connect(self, stream: Stream) -> None:
        connection = _Connection(self._address, stream)
        self._connections[connection.socket.fileno()] = connection
        self._epoll.register(connection.socket, select.EPOLLIN)
        stream.idle.append(connection)

    def _send_until(self, end: float, every_second: Callable[[], None] | None) -> None:
        now = time.perf_counter()
        tick = now + 1
        for stream in self._streams:
            stream.next_at = now + self._randomness.expovariate(stream.rate)
        while now < end:
            for stream in self._streams:
                stream.fall_due(now, self._randomness)
                self._send(stream)
            self._receive(0)
            now = time.perf_counter()
            if every_second and now >= tick:
                tick += 1
                every_second()

    def _send(self, stream: Stream) -> None:
        while stream.due and stream.idle:
            due_at = stream.due.popleft()
            request = stream.next_request()
            if request is not None:
                self._ask(stream, request, due_at)

    def _ask(self, stream: Stream, request: bytes, due_at: float) -> None:
        stream.idle.popleft().send(request, due_at)
        self._busy += 1

    def _drain(self) -> None:
        limit = time.perf_counter() + DRAIN_LIMIT
        for stream in self._streams:
            stream.due.clear()
        while self._busy and time.perf_counter() < limit:
            self._receive(0.1)
        if self._busy:
            raise Failed(f"{self._busy} requests were never answered")

    def _receive(self, timeout: float) -> None:
        for number, _ in self._epoll.poll(timeout):
            connection = self._connections[number]
            stream = connection.stream
            if not connection.is_asked:
                self._reconnect(connection)
                continue
            answer = connection.receive()
            if answer is not None:
                stream.latencies.append(time.perf_counter() - connection.due_at)
                self._busy -= 1
                stream.on_answer(answer)
                stream.idle.append(connection)

    def _reconnect(self, connection: _Connection) -> None:
        """Take a new connection for one that the server closed while nothing was asked."""
        connection.stream.idle.remove(connection)
        self._epoll.unregister(connection.socket)
        del self._connections[connection.socket.fileno()]
        connection.socket.close()
        self._connect(connection.stream)


def send_each(address: str, requests: Iterator[bytes], *, name: str, connections: int) -> int:
    """Send each request once, as fast as they are answered with 200; return how many there were."""
    stream = Stream(
        name,
        rate=1,
        connections=connections,
        next_request=lambda: next(requests, None),
        on_answer=expect(name, 200),
    )
    return _Burst(address, [stream]).run_out(stream)


class _Burst(OpenLoop):
    """The same connections, each asked again as soon as it has answered."""

    def run_out(self, stream: Stream) -> int:
        try:
            for _ in range(stream.connections):
                self._connect(stream)
            while self._busy or stream.idle:
                self._send_all(stream)
                self._receive(DRAIN_LIMIT)
            return len(stream.latencies)
        finally:
            self.close()

    def _send_all(self, stream: Stream) -> None:
        while stream.idle:
            request = stream.next_request()
            if request is None:
                stream.idle.clear()
                return
            self._ask(stream, request, 0.0)


def cycle(requests: Sequence[bytes]) -> Callable[[], bytes]:
    """Return a function that returns these requests in turn."""
    endless: Iterator[bytes] = itertools.cycle(requests)
    return lambda: next(endless)


def expect(name: str, status: int) -> Callable[[bytes], None]:
    """Return a function that raises Failed for an answer with another status."""
    start = f"HTTP/1.1 {status} ".encode()

    def look(answer: bytes) -> None:
        if not answer.startswith(start):
            raise Failed(f"{name}: not {status}: {answer[:600].decode(errors='replace')}")

    return look


def measure(address: str, seconds: int, streams: Sequence[Mapping[str, Any]]) -> dict[str, Latency]:
    """Run the streams in a process of its own, on the CPU of the clients."""
    specification = {"address": address, "seconds": seconds, "streams": streams}
    cpu = ",".join(map(str, CLIENT_CPU))
    done = subprocess.run(
        ["taskset", "-c", cpu, sys.executable, "-m", "bench.open_loop"],
        input=json.dumps(specification),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=plain_environ(),
        timeout=seconds + DRAIN_LIMIT + 30,
    )
    if done.returncode:
        raise Failed(done.stderr.strip().splitlines()[-1])
    return {name: Latency(**found) for name, found in json.loads(done.stdout).items()}


def _stream(given: Mapping[str, Any]) -> Stream:
    tokens = Path(given["tokens"]).read_text().split()
    requests = [given["template"].replace("@TOKEN@", token).encode() for token in tokens]
    return Stream(
        given["name"],
        rate=given["rate"],
        connections=given["connections"],
        next_request=cycle(requests),
        on_answer=expect(given["name"], given["status"]),
    )


def main() -> None:
    """Run what standard input says."""
    given = json.load(sys.stdin)
    streams = [_stream(one) for one in given["streams"]]
    gc.freeze()
    gc.disable()
    OpenLoop(given["address"], streams).run(given["seconds"])
    print(json.dumps({one.name: asdict(Latency.of(one.latencies)) for one in streams}))


if __name__ == "__main__":
    main()
