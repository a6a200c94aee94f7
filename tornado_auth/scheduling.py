"""Whose turn it is: who waits for a check is served before everybody else.

A check takes microseconds and all else that the service does takes longer: so the rest is done in
short steps between which the event loop looks for checks, and beside the loop in threads that leave
it the CPU where they share one.

Owns what this process asks of the system's scheduler. No answer depends on it: a system that does
not know what is asked for leaves everything as it was.
"""

import asyncio
import ctypes
import os
import platform
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

NICENESS = 10  # of the threads beside the loop, more than the loop's own: a tenth of its weight
SLICE = 100_000  # nanoseconds, the least that Linux gives

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # numbers of the system call
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # struct sched_attr, sched_setattr(2)


async def give_way() -> None:
    """Let those go first who have asked for something since the last step."""
    await asyncio.sleep(0)


def report_fault(callback: object, error: BaseException) -> None:
    """Tell the loop what went wrong in a callback that it has not called itself, as it would."""
    context = {"message": f"Exception in {callback!r}", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)


def threads_beside_loop(number: int, name: str) -> ThreadPoolExecutor:
    """Return threads for what would hold up the event loop; what they start is as nice."""
    return ThreadPoolExecutor(number, thread_name_prefix=name, initializer=_be_nice)


def ask_for_short_slices() -> None:
    """Ask that this thread and those that it starts run soon and briefly, not late and long.

    Their share of the CPU stays what it was (Linux 6.12 and newer).
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    asked = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, SLICE, 0, 0)
    ctypes.CDLL(None).syscall(number, 0, asked, 0)


def _be_nice() -> None:
    if sys.platform == "linux":  # where a thread has a priority of its own
        thread = threading.get_native_id()
        own = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, own + NICENESS)
