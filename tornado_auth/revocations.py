"""What has ended or changed, told to every process within a second.

Owns the marks that whoever ends a session or changes a user leaves in the store, the feed by which
each process learns of them (the database's own where it has one, else a question several times a
second), and which of them a process keeps in mind. Never decides whether a request may pass.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

from tornado_auth.errors import PositionLost, StorageUnavailable
from tornado_auth.metrics import Metrics
from tornado_auth.models import Revocation
from tornado_auth.scheduling import give_way
from tornado_auth.storage import PAGE, Collection, Inserted

logger = logging.getLogger(__name__)

MARK_LIFETIME = 3600
POLL_INTERVAL = 0.2
# Marks are ordered by their writers' clocks, and a slow one may land late: look back that far.
OVERLAP = 10
RETRY_AFTER = 0.2
MAX_UNSENT = 10_000
MAX_KEPT = 100_000
HEARD_WITHIN = 1.0


class Revocations:
    """Leave marks, and follow those of all processes.

    `as_of` is the moment up to which every mark is known; `complete_since` is the one from which
    on none was missed. Both are of the clock `monotonic`, as every `read_at` here. `changes` counts
    what was heard, so that whoever knew an answer can tell that it still stands. A mark is kept
    in mind for `keep_for` seconds: whoever remembers something longer than that reads it again.
    """

    def __init__(
        self,
        revocations: Collection[Revocation],
        *,
        keep_for: float,
        metrics: Metrics,
        now: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._revocations = revocations
        self._metrics = metrics
        self._now = now
        self._monotonic = monotonic
        self._keep_for = keep_for
        self._ended: dict[str, float] = {}
        self._changed: dict[str, float] = {}
        self._services: dict[str, float] = {}
        self._forgot_at = float("-inf")
        self._unsent: deque[Revocation] = deque(maxlen=MAX_UNSENT)
        self._following: asyncio.Task[None] | None = None
        self._sending: asyncio.Task[None] | None = None
        self._position = ""
        self.as_of = float("-inf")
        self.complete_since = float("inf")
        self.changes = 0
        metrics.revocation_lag_seconds.set_function(lambda: self.lag)

    @property
    def lag(self) -> float:
        """For how many seconds nothing has been heard; infinite before the first answer."""
        return self._monotonic() - self.as_of

    def has_ended(self, session_id: str) -> bool:
        """Tell whether a session is known to be over, whatever was read of it."""
        return session_id in self._ended

    def has_changed(self, user_id: str, read_at: float) -> bool:
        """Tell whether what was read of a user at that moment is out of date."""
        return read_at <= self._changed.get(user_id, self._forgot_at)

    def has_service_changed(self, service: str, read_at: float) -> bool:
        """Tell whether what was read of a service's roles at that moment is out of date."""
        return read_at <= self._services.get(service, self._forgot_at)

    def is_certain(self, read_at: float) -> bool:
        """Tell whether every change since that moment is known, but for those of the last second.

        Not while the feed is deaf, nor of what was read before it began or lost its place.
        """
        deaf_for = self._monotonic() - self.as_of
        return read_at >= self.complete_since and deaf_for < HEARD_WITHIN

    def service_stands(self, service: str, read_at: float) -> bool:
        """Tell whether what was read of a service's roles is certain, and no change was heard."""
        return self.is_certain(read_at) and not self.has_service_changed(service, read_at)

    async def session_ended(self, session_id: str) -> None:
        """Have every process refuse a session; raises StorageUnavailable if that will take longer.

        Then the mark is kept, and left as soon as the store takes it.
        """
        await self._leave(Revocation(id="", session_id=session_id))

    async def user_changed(self, user_id: str) -> None:
        """Have every process read a user again; raises StorageUnavailable as above."""
        await self._leave(Revocation(id="", user_id=user_id))

    async def service_changed(self, service: str) -> None:
        """Have every process ask again what users may do in a service; raises as above."""
        await self._leave(Revocation(id="", service=service))

    def user_may_have_changed(self, user_id: str) -> None:
        """Do as above without waiting, when the store did not tell whether something happened."""
        self._leave_later(Revocation(id="", user_id=user_id))

    def service_may_have_changed(self, service: str) -> None:
        """Do so for a service."""
        self._leave_later(Revocation(id="", service=service))

    async def start(self) -> None:
        """Begin to follow the marks of all processes."""
        self._following = asyncio.ensure_future(self._follow())

    async def stop(self) -> None:
        """Leave the marks that are still due, and follow no more."""
        for task in (self._following, self._sending):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._send_unsent()

    async def _leave(self, mark: Revocation) -> None:
        self._heed(mark)
        try:
            await self._send(mark)
        except StorageUnavailable:
            self._unsent.append(mark)
            raise

    def _leave_later(self, mark: Revocation) -> None:
        self._heed(mark)
        self._unsent.append(mark)

    async def _send(self, mark: Revocation) -> None:
        """Insert a mark with the time at which it lands, for others ask for new ones by that."""
        while True:
            now, began_at = self._now(), self._monotonic()
            id = f"{_first_id(now)}-{secrets.token_hex(8)}"
            await self._revocations.insert(replace(mark, id=id, expires_at=now + MARK_LIFETIME))
            if self._monotonic() - began_at <= OVERLAP / 2:
                return

    async def _send_unsent(self) -> None:
        with contextlib.suppress(StorageUnavailable):  # then after the next report
            while self._unsent:
                mark = self._unsent[0]
                await self._send(mark)
                with contextlib.suppress(ValueError):  # it had to make room meanwhile
                    self._unsent.remove(mark)

    def _heed(self, mark: Revocation) -> None:
        """Keep a mark in mind, the last one last, and let go of the old ones."""
        marks, name = self._ended, mark.session_id
        if mark.user_id:
            marks, name = self._changed, mark.user_id
        elif mark.service:
            marks, name = self._services, mark.service
        now = self._monotonic()
        self.changes += 1
        marks.pop(name, None)
        marks[name] = now
        while marks[oldest := next(iter(marks))] < now - self._keep_for:
            del marks[oldest]
        if len(marks) > MAX_KEPT:
            # Rather read everything again than let anything slip.
            self._ended, self._changed, self._services, self._forgot_at = {}, {}, {}, now

    async def _follow(self) -> None:
        while True:
            try:
                await self._take_reports()
            except PositionLost:
                logger.warning("revocations_missed")
                self._position, self.complete_since = "", float("inf")
                self.changes += 1
            except StorageUnavailable:
                logger.warning("revocations_not_heard", exc_info=self.lag < 1)
            except Exception:
                # Whatever it is: nobody but the lag would tell that the feed is dead.
                self._metrics.storage_errors.inc()
                logger.exception("revocations_not_heard")
            await asyncio.sleep(RETRY_AFTER)

    async def _take_reports(self) -> None:
        reports = self._revocations.follow(self._position) or self._poll()
        asked_at = self._monotonic()
        async with contextlib.aclosing(reports):
            async for report in reports:
                self._take(report, asked_at)
                if self._unsent and (self._sending is None or self._sending.done()):
                    # Aside, for a store that is slow to write may well be quick to report.
                    self._sending = asyncio.ensure_future(self._send_unsent())
                asked_at = self._monotonic()

    def _take(self, report: Inserted[Revocation], asked_at: float) -> None:
        """Pass on what was heard; it was asked for at `asked_at`, so it is complete up to then."""
        for mark in report.records:
            self._metrics.revocations_heard.inc()
            self._heed(mark)
        if not self._position:
            # The first answer: only what is read from here on is covered.
            self.complete_since = self._monotonic()
            self.changes += 1
        self._position = report.position
        self.as_of = asked_at

    async def _poll(self) -> AsyncGenerator[Inserted[Revocation], None]:
        """Ask again and again; the position is the time of the last answer."""
        recent: set[str] = set()
        heard_at = int(self._position or self._now())
        while True:
            now = self._now()
            if now - heard_at > MARK_LIFETIME - OVERLAP:
                raise PositionLost("the marks since then may have expired")
            floor = _first_id(min(now, heard_at) - OVERLAP)
            marks = await self._marks_after(floor)
            yield Inserted(tuple(mark for mark in marks if mark.id not in recent), str(now))
            recent, heard_at = {mark.id for mark in marks}, now
            await asyncio.sleep(POLL_INTERVAL)

    async def _marks_after(self, after: str) -> list[Revocation]:
        marks: list[Revocation] = []
        while page := await self._revocations.find(after=after, limit=PAGE):
            marks += page
            if len(page) < PAGE:
                break
            if len(marks) > MAX_KEPT:
                raise PositionLost("more marks than a process keeps in mind")
            after = page[-1].id
            await give_way()
        return marks


def _first_id(now: int) -> str:
    return f"{max(0, now):012d}"
