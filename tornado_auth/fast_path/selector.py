"""The event loop's selector, which lets plain checks go first.

asyncio puts what it has just read behind all that is ready, so that a check would wait for the next
step of every sign-in under way. Here the callback of a registered socket is called as soon as the
socket is readable, before the loop does anything else, and without what the loop adds to a call.

Owns that order, and that those who come together are read before they are answered. Never knows
what a callback does; one takes microseconds and awaits nothing.
"""

import asyncio
import selectors
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from tornado_auth.scheduling import report_fault

TOGETHER = 32  # who is read before the first is answered; of hundreds, it would wait too long

Answering: TypeAlias = Callable[[], None]
Reading: TypeAlias = Callable[[], Answering | None]


class Sockets(Protocol):
    """Where a connection says what reads it when it is readable, which may return what answers."""

    def register(self, fd: int, events: int, data: Reading) -> object:
        """Call `data` each time `fd` is readable; `events` is EVENT_READ."""

    def unregister(self, fd: int) -> object:
        """Call it no more."""


class ChecksFirst(selectors.DefaultSelector):
    """A selector for `asyncio.SelectorEventLoop`.

    `register(socket, EVENT_READ, callback)` is for sockets that the loop does not know. To the loop
    a socket is new after `unregister`. What callbacks return is called when TOGETHER of them have
    been: the first answer wakes a client, who should find more, and not be woken for each.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready of the loop's own, after the callbacks of all other sockets."""
        own, plain = [], []
        for ready in super().select(timeout):
            called = ready[0].data
            if type(called) is tuple:  # asyncio's: the handles of a reader and a writer
                own.append(ready)
            else:
                plain.append(called)
        for first in range(0, len(plain), TOGETHER):
            _call(_call(plain[first : first + TOGETHER]))
        return own


class InTurn:
    """The sockets of a loop with a selector of its own: each is called when the loop gets to it."""

    def register(self, fd: int, events: int, data: Reading) -> None:
        """Make it a reader of the running loop."""
        asyncio.get_running_loop().add_reader(fd, _read_and_answer, data)

    def unregister(self, fd: int) -> None:
        """Take it from the running loop."""
        asyncio.get_running_loop().remove_reader(fd)


def _read_and_answer(read: Reading) -> None:
    if (answer := read()) is not None:
        answer()


def _call(callbacks: Sequence[Reading]) -> list[Answering]:
    returned = []
    for called in callbacks:
        try:
            answer = called()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # as asyncio has it, too: nothing else ends the loop
            report_fault(called, error)
        else:
            if answer is not None:
                returned.append(answer)
    return returned
