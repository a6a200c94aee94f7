"""A client that keeps its connection and asks for one token after another, as a proxy does.

It notes when each question was sent: what counts is who passes who asked after an end.
"""

import asyncio
import json
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What a check got; `asked_at` is of the monotonic clock, `seconds` the time that it took."""

    asked_at: float
    seconds: float
    code: int
    reason: str
    body: bytes

    @property
    def passed(self) -> bool:
        return self.code == 200 and not self.says_signed_out

    @property
    def refused(self) -> bool:
        """Tell whether it calls the token invalid."""
        return self.code == 401 or self.says_signed_out

    @property
    def says_signed_out(self) -> bool:
        return bool(self.body) and json.loads(self.body).get("authenticated") is False


class Asker:
    """One connection to a process on 127.0.0.1, opened anew only when it was told to be closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, token: str, path: str = "/auth/verify") -> Answer:
        """Ask whether a token passes; a connection that breaks is an error."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        asked_at = time.monotonic()
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"auth-token: {token}", "", ""]
        writer.write("\r\n".join(lines).encode())
        async with asyncio.timeout(20):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = _fields(head)
            body = await reader.readexactly(int(fields.get("content-length", "0")))
        seconds = time.monotonic() - asked_at
        if fields.get("connection", "").lower() == "close":
            self.close()
        reason = fields.get("x-auth-reason", "")
        return Answer(asked_at, seconds, int(head.split(" ")[1]), reason, body)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _fields(head: str) -> dict[str, str]:
    lines = [line.partition(":") for line in head.split("\r\n")[1:]]
    return {name.lower(): value.strip() for name, _, value in lines}
