"""Ports for processes that cannot be told to take any."""

import itertools
import os
import socket

# Below those that the system gives to outgoing connections, and apart for each worker of the run:
# a port that is free now must still be free when the process comes to bind it.
_EACH = 4_000
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 5
_FIRST = 12_000 + _EACH * _WORKER
_ports = itertools.cycle(range(_FIRST, _FIRST + _EACH))
for _ in range(os.getpid() % _EACH):
    next(_ports)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody else in this run is given."""
    for port in itertools.islice(_ports, _EACH):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
