"""What a process that listens needs of the system, with workers or without.

Owns the listening sockets from bind to the removal of a unix socket's file, and the limit of open
files. Never accepts a connection.
"""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tornado_auth.app import bind
from tornado_auth.cli.common import fail


@contextmanager
def bound(variable: str, address: str) -> Iterator[list[socket.socket]]:
    """Listen on an address that a variable gave, or end the program; "off" is no socket."""
    try:
        sockets = [] if address == "off" else bind(address)
    except (OSError, ValueError) as error:
        fail(f"{variable}: cannot listen on {address}: {error}")
    path = address.removeprefix("unix:") if address.startswith("unix:") else ""
    file = _identity(path)
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()
        # Another process may have taken the path over.
        if file is not None and file == _identity(path):
            with suppress(OSError):
                os.unlink(path)


@contextmanager
def inherited(file_descriptors: tuple[int, ...]) -> Iterator[list[socket.socket]]:
    """Take over listening sockets that the parent bound."""
    sockets = [socket.socket(fileno=number) for number in file_descriptors]
    for sock in sockets:
        sock.set_inheritable(False)
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def raise_open_files_limit() -> None:
    """Raise the soft limit to the hard one."""
    # Each connection is an open file, and the soft limit is often no more than 1024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # not every system takes its own hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _identity(path: str) -> tuple[int, int, int] | None:
    """Tell files of the same path apart; the number of a removed one is soon used again."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
