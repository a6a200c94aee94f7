"""One worker, as its parent sees it.

Owns how the process is started, and the two ends of its life: "it listens", which comes over its
lifeline, and its exit status. Never decides whether it is replaced.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tornado_auth.supervisor.lifeline import READY

# Meant for the parent when they come from a terminal, which sends them to its workers as well.
FOR_THE_PARENT = frozenset({signal.SIGINT, signal.SIGHUP})


@dataclass(frozen=True, slots=True)
class Launch:
    """How a worker is started: its command, and the variables of its environment."""

    arguments: Sequence[str]
    variables: Mapping[str, str]


# Makes the Launch of a worker from the file descriptor of its lifeline and the path of the unix
# socket where it answers operators.
MakeLaunch = Callable[[int, Path], Launch]


class Worker:
    """A process that was started; `number` is its place, `name` is never given twice."""

    def __init__(
        self,
        number: int,
        name: str,
        *,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.number = number
        self.name = name
        self.pid = process.pid
        self.ready = False
        self.ended = asyncio.ensure_future(process.wait())
        self.ended.add_done_callback(lambda _: writer.close())
        self._process = process
        self._reader = reader

    @classmethod
    async def start(
        cls,
        number: int,
        name: str,
        *,
        make_launch: MakeLaunch,
        ops_path: Path,
        listening: Sequence[int],
    ) -> "Worker":
        """Start a process that inherits the `listening` file descriptors; raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            launch = make_launch(theirs.fileno(), ops_path)
            try:
                with _kept_from_workers(FOR_THE_PARENT):
                    process = await asyncio.create_subprocess_exec(
                        *launch.arguments,
                        env=launch.variables,
                        pass_fds=(theirs.fileno(), *listening),
                    )
            except BaseException:
                writer.close()
                raise
        return cls(number, name, process=process, reader=reader, writer=writer)

    async def wait_ready(self, within: float) -> bool:
        """Wait until it listens and return True; if it does not, until it has ended."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(within):
                self.ready = await self._reader.read(1) == READY
                if not self.ready:
                    await asyncio.shield(self.ended)
        if not self.ready:
            await self.stop(within=1)
        return self.ready

    def terminate(self) -> None:
        """Ask it to finish what is under way and end."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    async def stop(self, within: float) -> int:
        """Ask it to end, end it if it takes longer, and return its exit status."""
        self.terminate()
        await asyncio.wait([self.ended], timeout=within)
        if not self.ended.done():
            with suppress(ProcessLookupError):
                self._process.kill()
        return await asyncio.shield(self.ended)


@contextmanager
def _kept_from_workers(signals: frozenset[signal.Signals]) -> Iterator[None]:
    # A new process inherits the mask. They are unblocked by name and not set to what was before,
    # because another worker may be started at the same time.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
