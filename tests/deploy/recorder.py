"""A service that answers yes to everything and keeps each request, byte for byte, by connection."""

import asyncio
import re
from collections.abc import Callable

YES = b"HTTP/1.1 200 OK\r\nX-Auth-User: ann\r\nContent-Length: 0\r\n\r\n"

Answer = Callable[[bytes, int], bytes | None]


class Recorder:
    """`connections` has a list of requests for each; `answer` may give None to hang up instead.

    It gets the request, and how many came before on the same connection.
    """

    def __init__(self, answer: Answer = lambda request, before: YES) -> None:
        self.connections: list[list[bytes]] = []
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """Listen; return the address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def requests(self) -> list[bytes]:
        return [request for connection in self.connections for request in connection]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        requests: list[bytes] = []
        self.connections.append(requests)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                requests.append(head + await reader.readexactly(int(length[1]) if length else 0))
                answer = self._answer(requests[-1], len(requests) - 1)
                if answer is None:
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
