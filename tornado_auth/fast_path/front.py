"""The sockets in front of Tornado.

Owns who is accepted, what was read of a connection that is not Tornado's yet, and for how long one
may keep silent. Has the methods of Tornado's HTTPServer that `serve` uses.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from tornado_auth.fast_path.answers import Answers, Late
from tornado_auth.fast_path.requests import MAX_SIZE, PlainRequests
from tornado_auth.fast_path.selector import Answering, InTurn, Sockets
from tornado_auth.web import InFlight

logger = logging.getLogger(__name__)

TICK = 1.0  # seconds between two looks at all connections
KEEP_ALIVE = 75.0  # seconds without a request after which a connection is closed
ACCEPT_TOGETHER = 8  # of a crowd, each would wait for the answers to all before it
ACCEPT_PAUSE = 1.0  # seconds without new connections when the system had none left to give
FINISH_WITHIN = 5.0

Address = Any  # as `accept` gives it: a tuple that depends on the family, or a str


class Front:
    """Accept connections, answer plain checks, and hand all else to `http_server`.

    `header_timeout` is how many seconds a new connection may take to send anything at all;
    `is_trusted` tells whether a peer's address is that of a proxy whose headers count. `selector`
    is that of the event loop, if it lets checks go first.
    """

    def __init__(
        self,
        http_server: HTTPServer,
        answers: Answers,
        *,
        header_timeout: float,
        is_trusted: Callable[[str], bool],
        in_flight: InFlight,
        selector: Sockets | None = None,
    ) -> None:
        self.answers = answers
        self.selector = InTurn() if selector is None else selector
        self._http_server = http_server
        self._header_timeout = header_timeout
        self._is_trusted = is_trusted
        self._listening: list[socket.socket] = []
        self._connections: set[_Connection] = set()
        self.in_flight = in_flight
        self._ticking: asyncio.TimerHandle | None = None

    # -- what serve calls ------------------------------------------------------------------------

    def add_sockets(self, sockets: list[socket.socket]) -> None:
        """Begin to accept connections."""
        self._loop = asyncio.get_running_loop()
        for listening in sockets:
            listening.setblocking(False)
            self._listening.append(listening)
            self._loop.add_reader(listening, self._accept, listening)
        if self._ticking is None:
            self._tick()

    def stop(self) -> None:
        """Accept no more; answers from now on tell the client that the connection ends."""
        for listening in self._listening:
            self._loop.remove_reader(listening)
            listening.close()
        self._listening.clear()
        self._http_server.stop()
        self.answers.close()

    async def close_all_connections(self) -> None:
        """Close every connection, those that are being answered after their answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_WITHIN):
                await self.in_flight.wait_idle()
        for connection in list(self._connections):
            connection.close()
        if self._ticking is not None:
            self._ticking.cancel()
        await self._http_server.close_all_connections()

    @property
    def connections(self) -> int:
        """How many connections are open that are not Tornado's."""
        return len(self._connections)

    # -- connections -----------------------------------------------------------------------------

    def _accept(self, listening: socket.socket) -> None:
        # A few at a time: processes that share the socket take turns.
        for _ in range(ACCEPT_TOGETHER):
            accepted = self._accepted(listening)
            if accepted is None:
                return
            self._begin(*accepted)

    def _accepted(self, listening: socket.socket) -> tuple[socket.socket, Address] | None:
        try:
            return listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return None
        except OSError as error:
            logger.error("accept_failed", extra={"reason": error.strerror})
            self._loop.remove_reader(listening)
            self._loop.call_later(ACCEPT_PAUSE, self._accept_again, listening)
            return None

    def _begin(self, sock: socket.socket, address: Address) -> None:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Tornado gives peers on a unix socket this address.
        peer = str(address[0]) if sock.family != socket.AF_UNIX else "0.0.0.0"  # noqa: S104 - no bind
        self._connections.add(_Connection(self, sock, address, self._is_trusted(peer)))

    def _accept_again(self, listening: socket.socket) -> None:
        if listening in self._listening:
            self._loop.add_reader(listening, self._accept, listening)

    def forget(self, connection: "_Connection") -> None:
        """Look after a connection no longer."""
        self._connections.discard(connection)

    def hand_over(self, sock: socket.socket, data: bytes, address: Address) -> None:
        """Give a connection to Tornado, with what was read of it already."""
        stream = _Prefilled(sock, data, max_buffer_size=self._http_server.max_buffer_size)
        self._http_server.handle_stream(stream, address)

    def _tick(self) -> None:
        """Once a second: a new Date, and an end for whoever keeps silent."""
        self._ticking = self._loop.call_later(TICK, self._tick)
        self.answers.start_second()
        now = time.monotonic()
        for connection in list(self._connections):
            connection.tick(now, self._header_timeout)


class _Connection:
    """A connection between plain requests."""

    __slots__ = (
        "_address",
        "_fd",
        "_front",
        "_held",
        "_is_new",
        "_is_reading",
        "_loop",
        "_since",
        "_sock",
        "_trusted",
        "_unsent",
        "is_busy",
    )

    def __init__(self, front: Front, sock: socket.socket, address: Address, trusted: bool) -> None:
        self._front = front
        self._sock = sock
        self._address = address
        self._trusted = trusted
        self._held = b""
        self._unsent = b""
        self._is_new = True
        self.is_busy = False
        self._since = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._fd = sock.fileno()  # asyncio takes long to find a socket that it does not know
        self._is_reading = False
        self._read_on()

    def tick(self, now: float, header_timeout: float) -> None:
        """Close what has been silent for too long, or has taken too long for a request."""
        silent = now - self._since
        if self.is_busy:
            return
        is_slow = self._is_new or self._held or self._unsent
        if silent >= (header_timeout if is_slow else KEEP_ALIVE):
            self.close()

    def close(self) -> None:
        """End the connection."""
        self._let_go()
        self._sock.close()

    def _let_go(self) -> None:
        self._pause()
        self._loop.remove_writer(self._fd)
        self._front.forget(self)

    def _pause(self) -> None:
        if self._is_reading:
            self._front.selector.unregister(self._fd)
            self._is_reading = False

    def _read_on(self) -> None:
        if not self._is_reading:
            self._front.selector.register(self._fd, EVENT_READ, self._readable)
            self._is_reading = True

    def _readable(self) -> Answering | None:
        if self.is_busy:
            # One request at a time: what comes before its answer has to wait.
            self._pause()
            return None
        try:
            data = self._sock.recv(MAX_SIZE)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            data = b""
        if data:
            return self._take(data)
        self.close()
        return None

    def _take(self, data: bytes) -> Answering | None:
        held = self._held
        if held:
            data, self._held = held + data, b""
        answer = self._front.answers.answer(data, trusted=self._trusted)
        if isinstance(answer, bytes):
            return partial(self._send, answer)
        if answer is not None:
            self._wait(answer)
        elif PlainRequests.may_become_plain(data):
            if not held:
                self._since = time.monotonic()
            self._held = data
        else:
            self._hand_over(data)
        return None

    def _hand_over(self, data: bytes) -> None:
        self._let_go()
        self._front.hand_over(self._sock, data, self._address)

    def _wait(self, late: Late) -> None:
        self.is_busy = True
        self._front.in_flight.begin()
        late.found.add_done_callback(partial(self._answer_late, late))

    def _answer_late(self, late: Late, _: object) -> None:
        self._front.in_flight.end()
        self.is_busy = False
        answer = self._front.answers.late(late)
        if self._sock.fileno() != -1:
            self._read_on()
            self._send(answer)

    def _send(self, data: bytes) -> None:
        self._since = time.monotonic()
        self._is_new = False
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            return self.close()
        if sent < len(data):
            self._unsent = data[sent:]
            self._pause()
            return self._loop.add_writer(self._fd, self._writable)
        if self._front.answers.closing:
            self.close()
        return None

    def _writable(self) -> None:
        data, self._unsent = self._unsent, b""
        self._loop.remove_writer(self._fd)
        self._read_on()
        self._send(data)


class _Prefilled(IOStream):
    """A stream of which some bytes were read before it was made."""

    def __init__(self, sock: socket.socket, data: bytes, *, max_buffer_size: int | None) -> None:
        self._before = data
        super().__init__(sock, max_buffer_size=max_buffer_size)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read what came before first (the method that IOStream's subclasses provide)."""
        if not self._before:
            return super().read_from_fd(buf)
        size = min(len(buf), len(self._before))
        buf[:size] = self._before[:size]
        self._before = self._before[size:]
        return size
