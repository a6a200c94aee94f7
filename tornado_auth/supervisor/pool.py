"""All workers: started, replaced when they die, reloaded one by one, ended together.

Owns the listening sockets, which stay open here from the first worker to the last, so that no
connection is refused while workers come and go. Never accepts one.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path

from tornado_auth.supervisor.metrics import SupervisorMetrics
from tornado_auth.supervisor.workers import MakeLaunch, Worker

logger = logging.getLogger(__name__)

START_WITHIN = 60.0  # seconds until a new worker listens
STOP_WITHIN = 38.0  # a worker gives requests under way 30 s, and then lets go of everything
STEADY_AFTER = 10.0  # seconds; who lives longer did not die of its start
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
EXIT_FAILURE = 1

FINE = 0


class Supervisor:
    """A parent that keeps `size` workers running on `sockets`.

    `folder` is for the workers' unix sockets. `may_reload` reads the settings again, tells what is
    wrong with them, and returns whether workers can start with them.
    """

    def __init__(
        self,
        size: int,
        sockets: Sequence[socket.socket],
        *,
        folder: Path,
        make_launch: MakeLaunch,
        may_reload: Callable[[], Awaitable[bool]],
    ) -> None:
        self.size = size
        self.metrics = SupervisorMetrics()
        self.workers: dict[int, Worker] = {}  # those that listen, by number
        self._sockets = sockets
        self._folder = folder
        self._make_launch = make_launch
        self._may_reload = may_reload
        self._alive: set[Worker] = set()  # with those that start or finish their work
        self._made = 0
        self._pauses: dict[int, float] = {}
        self._locks = [asyncio.Lock() for _ in range(size)]
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._reload_wanted = asyncio.Event()
        self.metrics.workers.set_function(lambda: len(self.workers))

    async def run(self) -> int:
        """Keep the workers running until `stop`, and return the exit status of the command.

        If one cannot even start at the beginning, all end, and the status is its own.
        """
        try:
            status = await self._start_all()
            if status == FINE:
                self._in_background(self._reload_when_wanted())
                await self._stopping.wait()
                logger.info("stopping")
            return FINE if self._stopping.is_set() else status
        finally:
            await self._end_all()

    def stop(self) -> None:
        """Let all workers finish what is under way, and end."""
        self._stopping.set()
        for worker in self._alive:
            worker.terminate()

    def reload(self) -> None:
        """Replace all workers by ones with new settings; after the reload that is under way."""
        self._reload_wanted.set()

    def ops_path(self, name: str) -> Path:
        """Return the unix socket where the worker with this name answers operators."""
        return self._folder / f"{name}.sock"

    # -- starting -------------------------------------------------------------------------------

    async def _start_all(self) -> int:
        # One alone first: what keeps it from starting is told once, not by all of them.
        status = await self._start_first(0)
        if status != FINE or self._stopping.is_set():
            return status
        rest = await asyncio.gather(*(self._start_first(n) for n in range(1, self.size)))
        return next((status for status in rest if status != FINE), FINE)

    async def _start_first(self, number: int) -> int:
        try:
            worker = await self._start(number)
        except OSError:
            logger.exception("worker_not_started", extra={"worker": number})
            return EXIT_FAILURE
        if worker.ready:
            return FINE
        # One that was ended by a signal, or that gave up without a word, failed all the same.
        return max(worker.ended.result(), EXIT_FAILURE)

    async def _start(self, number: int) -> Worker:
        """Start a worker, wait until it listens or has ended, and give it its place."""
        self._made += 1
        name = f"{number}-{self._made}"
        worker = await Worker.start(
            number,
            name,
            make_launch=self._make_launch,
            ops_path=self.ops_path(name),
            listening=[sock.fileno() for sock in self._sockets],
        )
        self.metrics.workers_started.inc()
        self._alive.add(worker)
        worker.ended.add_done_callback(lambda _: self._alive.discard(worker))
        if self._stopping.is_set():
            worker.terminate()
        if await worker.wait_ready(START_WITHIN):
            logger.info("worker_ready", extra={"worker": number, "pid": worker.pid})
            self.workers[number] = worker
            self._in_background(self._watch(worker))
        return worker

    # -- replacing ------------------------------------------------------------------------------

    async def _watch(self, worker: Worker) -> None:
        """Replace a worker that ends though nobody told it to."""
        number, began = worker.number, time.monotonic()
        status = await asyncio.shield(worker.ended)
        if self._stopping.is_set() or self.workers.get(number) is not worker:
            return
        del self.workers[number]
        self.metrics.workers_died.inc()
        logger.error("worker_died", extra={"worker": number, "pid": worker.pid, "status": status})
        if time.monotonic() - began > STEADY_AFTER:
            self._pauses.pop(number, None)
        while number not in self.workers:
            await asyncio.sleep(self._next_pause(number))
            await self._fill(number)

    def _next_pause(self, number: int) -> float:
        """Return 0 for the first death, and then more and more."""
        pause = self._pauses.get(number, 0.0)
        self._pauses[number] = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
        return pause

    async def _fill(self, number: int) -> bool:
        """Start a worker for this place, unless a reload did it meanwhile."""
        async with self._locks[number]:
            return number in self.workers or await self._try_to_start(number)

    async def _try_to_start(self, number: int) -> bool:
        try:
            worker = await self._start(number)
        except OSError:
            logger.exception("worker_not_started", extra={"worker": number})
            return False
        if not worker.ready:
            told = {"worker": number, "pid": worker.pid, "status": worker.ended.result()}
            logger.error("worker_not_started", extra=told)
        return worker.ready

    # -- reloading ------------------------------------------------------------------------------

    async def _reload_when_wanted(self) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            logger.info("reload_began")
            result = await self._reload()
            self.metrics.reloads.labels(result).inc()
            level = logging.INFO if result == "done" else logging.ERROR
            logger.log(level, "reload_ended", extra={"result": result})

    async def _reload(self) -> str:
        if not await self._may_reload():
            return "refused"
        for number in range(self.size):
            async with self._locks[number]:
                old = self.workers.get(number)
                if not await self._try_to_start(number):
                    return "failed"
            if old is not None:
                await self._retire(old)
        return "done"

    async def _retire(self, worker: Worker) -> None:
        status = await worker.stop(STOP_WITHIN)
        logger.info(
            "worker_retired", extra={"worker": worker.number, "pid": worker.pid, "status": status}
        )

    # -- ending ---------------------------------------------------------------------------------

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._end_of_task)

    def _end_of_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("supervisor_failed", exc_info=error)

    async def _end_all(self) -> None:
        for sock in self._sockets:
            sock.close()
        self.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop(STOP_WITHIN) for worker in self._alive))
