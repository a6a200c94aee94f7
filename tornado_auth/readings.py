"""Sessions and their users, read from the store for many callers at once.

Owns the queue of those who wait: whoever asks for the same session shares one reading, and all
who ask in the same turn of the loop share one query. A few queries run at a time, so a slow store
is not asked more the slower it gets, and the queue has an end. Never remembers a result.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import fields
from itertools import islice
from operator import attrgetter

import msgspec

from tornado_auth.errors import StorageUnavailable, UnreadableRecord
from tornado_auth.models import API_KEY, Session, User, Who
from tornado_auth.storage import Collection
from tornado_auth.storage.codec import from_document

logger = logging.getLogger(__name__)

AT_ONCE = 2
BATCH = 64
MAX_WAITING = 10_000
MAX_REFRESHING = 1_000  # of these: whoever waits must not be turned away for what can wait
JOINS_WITHIN = 1.0  # seconds: one that takes longer may have read what has changed since


_USER, _SESSION = (tuple(field.name for field in fields(kind)) for kind in (User, Session))
_user_values, _session_values = attrgetter(*_USER), attrgetter(*_SESSION)

_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode


class Known:
    """What was read of a session at the moment `read_at`; `who` is None if there is no such one.

    Once packed, the records are kept as MessagePack: that takes a quarter of the memory, and the
    garbage collector does not visit it again and again. `check_answer` and `identity_lines` are
    what was made of them before, for whoever answers. `passed_at` is for `keep`'s owner to note
    when it was last found good. `scopes` are those of an API key, None for any other session.
    """

    __slots__ = (
        "_records",
        "_who",
        "check_answer",
        "expires_at",
        "identity_lines",
        "is_disabled",
        "last_seen_at",
        "passed_at",
        "read_at",
        "scopes",
        "user_id",
    )

    def __init__(self, who: Who | None, read_at: float) -> None:
        self.read_at = read_at
        self.check_answer: bytes | None = None
        self.identity_lines: bytes | None = None
        self.passed_at: tuple[int, int] | None = None
        self._who = who
        self._records = b""
        self.user_id = ""
        self.expires_at: int | None = None
        self.last_seen_at = 0
        self.is_disabled = False
        self.scopes: tuple[str, ...] | None = None
        if who is not None:
            self.user_id = who.user.id
            self.expires_at, self.last_seen_at = who.session.expires_at, who.session.last_seen_at
            self.is_disabled = who.user.disabled_at is not None
            if who.session.provider == API_KEY:
                self.scopes = who.session.scopes

    @property
    def is_packed(self) -> bool:
        """Tell whether those who waited for it were answered: who asks now asks again."""
        return self._records != b""

    @property
    def who(self) -> Who | None:
        """The session and its user, as records."""
        if self._who is not None or not self.user_id:
            return self._who
        user, session = _decode(self._records)
        return Who(
            user=from_document(User, dict(zip(_USER, user, strict=True))),
            session=from_document(Session, dict(zip(_SESSION, session, strict=True))),
        )

    def pack(self) -> None:
        """Make it small, after those who waited for it were answered."""
        if self._who is not None:
            values = (_user_values(self._who.user), _session_values(self._who.session))
            self._records = _encode(values)
            self._who = None


Outcome = Known | StorageUnavailable | UnreadableRecord
Waiter = Callable[[Outcome], None]
Found = dict[str, Who | UnreadableRecord]


def _pack(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        if isinstance(outcome, Known):
            outcome.pack()


class _Reading:
    """A session that is read or waits to be, and who is called with the outcome."""

    __slots__ = ("began_at", "waiters")

    def __init__(self) -> None:
        self.began_at = float("inf")
        self.waiters: list[Waiter] = []


class Readings:
    """Read sessions and their users.

    `keep` gets each result before anybody else and says whether it is still true: if not, it is
    read again for those who wait. `failed_at` is when the store last did not answer, None if it
    has answered since. `is_slow` is for whoever loses patience to set, until something is read.
    """

    def __init__(
        self,
        sessions: Collection[Session],
        users: Collection[User],
        *,
        keep: Callable[[str, Known], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sessions = sessions
        self._users = users
        self._keep = keep
        self._monotonic = monotonic
        self._queue: dict[str, _Reading] = {}
        self._running: dict[str, _Reading] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed_at: float | None = None
        self.is_slow = False

    @property
    def is_busy(self) -> bool:
        """Tell whether anything is being read or about to be."""
        return bool(self._running or self._queue)

    def read(self, session_id: str, waiter: Waiter, *, may_be_made_up: bool = False) -> None:
        """Call `waiter` with what the store says of a session, later.

        Raises StorageUnavailable at once when too many wait already; sooner for what anybody may
        have made up, which is to leave room for sessions.
        """
        running = self._running.get(session_id)
        if running and self._monotonic() - running.began_at < JOINS_WITHIN:
            running.waiters.append(waiter)
            return
        limit = MAX_WAITING // 2 if may_be_made_up else MAX_WAITING
        if session_id not in self._queue and len(self._queue) >= limit:
            raise StorageUnavailable("Too many sessions wait to be read.")
        self._queued(session_id).waiters.append(waiter)

    def refresh(self, session_id: str) -> None:
        """Read a session for the sake of `keep`, without anybody waiting; soon, if not now."""
        if session_id not in self._running and len(self._queue) < MAX_REFRESHING:
            self._queued(session_id)

    def _queued(self, session_id: str) -> _Reading:
        if not self._queue:
            # Not at once: others who ask in this turn of the loop share the query.
            asyncio.get_running_loop().call_soon(self._start)
        return self._queue.setdefault(session_id, _Reading())

    def _start(self) -> None:
        while self._queue and len(self._tasks) < AT_ONCE:
            batch = {id: self._queue.pop(id) for id in list(islice(self._queue, BATCH))}
            began_at = self._monotonic()
            for reading in batch.values():
                reading.began_at = began_at
            self._running |= batch
            task = asyncio.ensure_future(self._read(batch, began_at))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("reading_failed", exc_info=error)
        self._start()

    async def _read(self, batch: dict[str, _Reading], began_at: float) -> None:
        found: Found = {}
        failure: StorageUnavailable | None = StorageUnavailable("The reading was given up.")
        try:
            found = await self._find_each(list(batch))
            failure = self.failed_at = None
        except StorageUnavailable as error:
            failure = error
            self._note_failure()
        finally:
            self.is_slow = False
            outcomes: list[Outcome] = []
            for session_id, reading in batch.items():
                if self._running.get(session_id) is reading:
                    del self._running[session_id]
                one = found.get(session_id)
                read = one if isinstance(one, UnreadableRecord) else Known(one, began_at)
                outcome = failure or read
                self._hand_out(session_id, reading, outcome)
                outcomes.append(outcome)
            # Those who waited are called in this turn of the loop, and this in the next.
            asyncio.get_running_loop().call_soon(_pack, outcomes)

    async def _find_each(self, session_ids: list[str]) -> Found:
        """Return who was found; a record that cannot be read is the matter of one session alone."""
        try:
            return await self._find(session_ids)
        except UnreadableRecord as error:
            if len(session_ids) == 1:
                return {session_ids[0]: UnreadableRecord(f"{error} (session {session_ids[0]})")}
        found: Found = {}
        for session_id in session_ids:
            found |= await self._find_each([session_id])
        return found

    async def _find(self, session_ids: list[str]) -> Found:
        sessions = await self._sessions.get_many(session_ids)
        users = await self._users.get_many([session.user_id for session in sessions.values()])
        return {
            id: Who(user=users[session.user_id], session=session)
            for id, session in sessions.items()
            if session.user_id in users
        }

    def _hand_out(self, session_id: str, reading: _Reading, outcome: Outcome) -> None:
        if isinstance(outcome, Known) and not self._keep(session_id, outcome):
            self._queued(session_id).waiters.extend(reading.waiters)
            return
        for waiter in reading.waiters:
            waiter(outcome)

    def _note_failure(self) -> None:
        """Note that the store does not answer; those in the queue need not wait to learn it."""
        now = self._monotonic()
        if self.failed_at is None or now - self.failed_at >= 1:
            logger.warning("storage_unavailable", exc_info=True)
        self.failed_at = now
        queue, self._queue = self._queue, {}
        failure = StorageUnavailable("The store did not answer a moment ago.")
        for session_id, reading in queue.items():
            self._hand_out(session_id, reading, failure)
