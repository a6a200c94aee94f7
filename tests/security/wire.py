"""Bytes to a service and back, for requests that no HTTP client would send."""

import asyncio
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

from tornado.iostream import IOStream

_LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n", re.IGNORECASE)


async def connect(port: int) -> IOStream:
    stream = IOStream(socket.socket(socket.AF_INET))
    await stream.connect(("127.0.0.1", port))
    return stream


async def talk(port: int, *parts: bytes, pause: float = 0, seconds: float = 10) -> bytes:
    """Send the parts, and return all that comes until the other side closes.

    Raises TimeoutError if it does not close within `seconds`, StreamClosedError if it goes away
    before everything was sent.
    """
    stream = await connect(port)
    try:
        async with asyncio.timeout(seconds):
            for part in parts:
                await stream.write(part)
                await asyncio.sleep(pause)
            return await stream.read_until_close()
    finally:
        stream.close()


@dataclass(frozen=True)
class Answer:
    """An answer; its headers are sorted, in lower case, without the Date.

    Whether the connection ends is not compared: a check that left the fast path ends it, with the
    fast path off it need not.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: str = field(default="", compare=False)

    @classmethod
    def read(cls, data: bytes) -> "Answer":
        head, _, body = data.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        headers = sorted((name.lower(), value) for name, value in pairs)
        return cls(
            int(status.split(" ")[1]),
            tuple(pair for pair in headers if pair[0] not in ("date", "connection")),
            body,
            dict(headers).get("connection", ""),
        )

    def header(self, name: str) -> str:
        """Return the only value of a header, "" if it is absent."""
        if name.lower() == "connection":
            return self.connection
        return dict(self.headers).get(name.lower(), "")


def length_of_answer(data: bytes, *, is_head: bool = False) -> int | None:
    """Return where the first answer in `data` ends, None if more must come."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return None
    found = None if is_head else _LENGTH.search(data, 0, end)
    length = end + (int(found[1]) if found else 0)
    return length if length <= len(data) else None


class Wire:
    """A connection on which answers are read one by one; to a port, or to a unix socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._data = b""

    @classmethod
    async def to(cls, address: int | Path) -> "Wire":
        if isinstance(address, Path):
            return cls(*await asyncio.open_unix_connection(address))
        return cls(*await asyncio.open_connection("127.0.0.1", address))

    @property
    def socket(self) -> socket.socket:
        return self._writer.get_extra_info("socket")

    async def send(self, *parts: bytes) -> None:
        """Send each part so that the other side reads it by itself."""
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()
            # It runs in the same loop: one turn brings the bytes, the next one reads them.
            await asyncio.sleep(0.001 if len(parts) > 1 else 0)

    def end_sending(self) -> None:
        self._writer.write_eof()

    async def answer(self, *, is_head: bool = False, seconds: float = 10) -> Answer | None:
        """Return the next answer, None if the other side closes instead."""
        async with asyncio.timeout(seconds):
            while (length := length_of_answer(self._data, is_head=is_head)) is None:
                more = await self._read()
                if not more:
                    assert not self._data, "closed in the middle of an answer"
                    return None
                self._data += more
        data, self._data = self._data[:length], self._data[length:]
        return Answer.read(data)

    async def ask(self, *parts: bytes, seconds: float = 10) -> Answer:
        """Send one request in parts and return its answer."""
        await self.send(*parts)
        answer = await self.answer(seconds=seconds)
        assert answer is not None, "closed without an answer"
        return answer

    async def rest(self, seconds: float = 10) -> bytes:
        """Return all that comes until the other side closes."""
        async with asyncio.timeout(seconds):
            while more := await self._read():
                self._data += more
        return self._data

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(65536)
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        self._writer.transport.abort()
