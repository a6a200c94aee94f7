"""Tornado's "hello, world" handler: `hello.py PORT PROCESSES`.

What one request costs on Tornado as everybody uses it, before anything is done for it.
"""

import asyncio
import sys

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.process import fork_processes
from tornado.web import Application, RequestHandler


class HelloHandler(RequestHandler):
    """The handler of Tornado's introduction."""

    def get(self) -> None:
        """Answer."""
        self.write("Hello, world")


async def main() -> None:
    """Listen until the process is ended."""
    server = HTTPServer(Application([(r"/", HelloHandler), (r"/auth/.*", HelloHandler)]))
    server.add_sockets(sockets)
    await asyncio.Event().wait()


if __name__ == "__main__":
    port, processes = map(int, sys.argv[1:])
    sockets = bind_sockets(port, "127.0.0.1", backlog=4096)
    if processes > 1:
        fork_processes(processes)
    asyncio.run(main())
