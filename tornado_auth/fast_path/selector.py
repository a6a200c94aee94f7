"""The event loop's selector, which lets plain checks go first.

asyncio puts what it has just read behind all that is ready, so that a check would wait for the next
step of every sign-in under way. Here the callback of a registered socket is called as soon as the
socket is readable, before the loop does anything else, and without what the loop adds to a call.

Owns that order. Never knows what a callback does; one takes microseconds and awaits nothing.
"""

import selectors

from tornado_auth.scheduling import report_fault


class ChecksFirst(selectors.DefaultSelector):
    """A selector for `asyncio.SelectorEventLoop`.

    `register(socket, EVENT_READ, callback)` is for sockets that the loop does not know. To the loop
    a socket is new after `unregister`.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready of the loop's own, after the callbacks of all other sockets."""
        own = []
        for ready in super().select(timeout):
            called = ready[0].data
            if type(called) is tuple:  # asyncio's: the handles of a reader and a writer
                own.append(ready)
                continue
            try:
                called()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # as asyncio has it, too: nothing else ends the loop
                report_fault(called, error)
        return own
