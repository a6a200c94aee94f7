"""The audit log: who did what to whom, when, from where, and with what result.

Owns how an event is made, that it becomes one line of the log and one record in the store, each
exactly once, and what happens while the store is away: the event waits in this process's memory
and is tried again under the same id. Nothing here changes or deletes an event; they expire.

A failure to store never reaches whoever did something: signing in goes on without its record.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence

from tornado_auth.digests import digest
from tornado_auth.errors import AlreadyExists, StorageError, StorageUnavailable
from tornado_auth.logs import redact
from tornado_auth.metrics import Metrics
from tornado_auth.models import Actor, AuditEvent, SpentState
from tornado_auth.scheduling import give_way
from tornado_auth.storage import Collection

logger = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds that whoever does something waits for its record
RETRY_AFTER = 1.0
MAX_WAITING = 10_000
MAX_TEXT = 1024
MAX_DETAILS = 64
_LAST_SECOND = 10**12 - 1
_LAST_MOMENT = 10**20 - 1

SYSTEM = Actor(via="system")  # the service itself
STARTING_TOGETHER = 60  # seconds


class AuditLog:
    """Record events and find them; each is kept for `retention` seconds."""

    def __init__(
        self,
        events: Collection[AuditEvent],
        *,
        retention: int,
        now: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._events = events
        self._retention = retention
        self._now = now
        self._failures = metrics.audit_failures
        self._moment = 0
        # Those that the store does not have yet for all we know, the oldest first.
        self._waiting: dict[str, AuditEvent] = {}
        self._catching_up: asyncio.Task[None] | None = None

    async def record(
        self,
        action: str,
        *,
        actor: Actor,
        subject: str = "",
        target: str = "",
        result: str = "success",
        details: Sequence[str] = (),
    ) -> None:
        """Write an event to the log and to the store; never raises because that is away.

        `details` are "name=value"; what looks like a secret in a text is replaced.
        """
        event = self._make(action, actor, subject, target, result, details)
        logger.info("audit", extra=_fields(event))
        self._wait(event)
        if self._is_behind:
            return self._late()
        try:
            await give_way()
            async with asyncio.timeout(PATIENCE):
                await self._store(event)
        except (StorageError, TimeoutError):
            logger.warning("audit_not_stored", exc_info=True)
        finally:
            # Also when the one who waits for this was cancelled.
            if event.id in self._waiting:
                self._late()

    async def find(
        self,
        *,
        actor: str = "",
        subject: str = "",
        action: str = "",
        after: str = "",
        limit: int = 100,
    ) -> list[AuditEvent]:
        """Return events, the newest first, from the one after the id `after`.

        What is given of `actor`, `subject` and `action` has to be equal.
        """
        wanted = {"actor": actor, "subject": subject, "action": action}
        equal = {name: value for name, value in wanted.items() if value}
        return await self._events.find(after=after, limit=limit, **equal)

    @property
    def waiting(self) -> int:
        """How many events the store does not have yet."""
        return len(self._waiting)

    async def stop(self) -> None:
        """Try once more to store what waits; the rest is lost but for its line in the log."""
        if self._catching_up is not None:
            self._catching_up.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._catching_up
        with contextlib.suppress(StorageError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._store_waiting()
        self._lose(len(self._waiting))

    def _make(
        self,
        action: str,
        actor: Actor,
        subject: str,
        target: str,
        result: str,
        details: Sequence[str],
    ) -> AuditEvent:
        now = self._now()
        return AuditEvent(
            id=self._next_id(now),
            at=now,
            expires_at=now + self._retention,
            action=action,
            actor=_clean(actor.user_id),
            actor_name=_clean(actor.name),
            via=actor.via,
            remote_ip=_clean(actor.remote_ip),
            subject=_clean(subject),
            target=_clean(target),
            result=_clean(result),
            details=tuple(map(_clean, details[:MAX_DETAILS])),
        )

    def _next_id(self, now: int) -> str:
        """Return an id that sorts before all those made earlier.

        Within a second the clock of the machine decides, which its processes share.
        """
        self._moment = max(self._moment + 1, time.monotonic_ns())
        second, moment = _LAST_SECOND - now, _LAST_MOMENT - self._moment
        return f"{second:012d}-{moment:020d}-{secrets.token_hex(4)}"

    def _wait(self, event: AuditEvent) -> None:
        self._waiting[event.id] = event
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self._lose(1)

    async def _store(self, event: AuditEvent) -> None:
        # It is there already if an earlier attempt landed without an answer: the id is the same.
        with contextlib.suppress(AlreadyExists):
            await self._events.insert(event)
        self._waiting.pop(event.id, None)

    @property
    def _is_behind(self) -> bool:
        return self._catching_up is not None and not self._catching_up.done()

    def _late(self) -> None:
        """Leave an event to the background."""
        self._failures.labels("late").inc()
        if not self._is_behind:
            self._catching_up = asyncio.ensure_future(self._catch_up())

    async def _catch_up(self) -> None:
        while self._waiting:
            await asyncio.sleep(RETRY_AFTER)
            with contextlib.suppress(StorageError):
                await self._store_waiting()
        logger.info("audit_caught_up")

    async def _store_waiting(self) -> None:
        while self._waiting:
            await self._store(next(iter(self._waiting.values())))

    def _lose(self, count: int) -> None:
        if count:
            self._failures.labels("lost").inc(count)
            logger.error("audit_lost", extra={"count": count})


async def record_signing_key(
    audit_log: AuditLog, kid: str, claims: Collection[SpentState], *, now: int
) -> None:
    """Record which key signs from now on, if it is another one than the log says.

    Of the processes that start together, the one does it that gets the claim.
    """
    try:
        last = await audit_log.find(action="signing_key_used", limit=1)
        if last and last[0].target == kid:
            return
        before = last[0].id if last else ""
        claim = SpentState(
            id=digest(f"signing key {kid} after {before}"), expires_at=now + STARTING_TOGETHER
        )
        await claims.insert(claim)
    except AlreadyExists:
        return
    except StorageUnavailable:
        logger.warning("signing_key_not_recorded", exc_info=True)
        return
    await audit_log.record("signing_key_used", actor=SYSTEM, target=kid)


def _fields(event: AuditEvent) -> dict[str, object]:
    """Return what the log says of an event: that which the store keeps, but for its own fields."""
    return {
        "id": event.id,
        "at": event.at,
        "action": event.action,
        "actor": event.actor,
        "actor_name": event.actor_name,
        "via": event.via,
        "remote_ip": event.remote_ip,
        "subject": event.subject,
        "target": event.target,
        "result": event.result,
        "details": list(event.details),
    }


def _clean(text: str) -> str:
    """Return a text that every store takes and that holds no secret as far as we can tell."""
    short = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
    return redact(short if short.isprintable() else "".join(map(_shown, short))) if short else ""


def _shown(character: str) -> str:
    return character if character.isprintable() else "?"
