"""A worker's end of the connection to its parent.

Owns the two things that go over it: the worker says once that it listens, and learns of its
parent's death by the end of the stream, which the kernel brings even after SIGKILL. Never closes
it: to the parent, its end is the end of the worker.
"""

import asyncio
import os
from contextlib import suppress

READY = b"r"


class Lifeline:
    """The inherited socket with this file descriptor."""

    def __init__(self, file_descriptor: int) -> None:
        os.set_inheritable(file_descriptor, False)
        os.set_blocking(file_descriptor, False)
        self._file_descriptor = file_descriptor

    def tell_ready(self) -> None:
        """Tell the parent that this worker listens."""
        with suppress(OSError):  # a parent that has gone shows in `when_lost`
            os.write(self._file_descriptor, READY)

    def when_lost(self, event: asyncio.Event) -> None:
        """Set an event when the parent has gone."""
        loop = asyncio.get_running_loop()

        def lost() -> None:
            loop.remove_reader(self._file_descriptor)
            event.set()

        # The parent sends nothing, so there is something to read only at the end.
        loop.add_reader(self._file_descriptor, lost)
