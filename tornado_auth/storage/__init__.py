"""What a store can do, and the door to the one that the settings name.

Owns the two protocols that a backend implements, the guard that checks every value before a
backend sees it, and `update`, the retry loop over compare-and-swap. Every race in the service
rests on two operations that each backend makes atomic: `replace`, which succeeds only on the
version that was read, and `delete`, which is true for exactly one caller.

Never speaks to a database itself: the backends do, and they never name a record type.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tornado_auth.errors import SettingsError, Stale
from tornado_auth.models import (
    RECORD_TYPES,
    AdminInvitation,
    Assignment,
    AuditEvent,
    AuthorizationCode,
    Client,
    Consent,
    CountedAttempt,
    DeviceCode,
    Grant,
    Group,
    GroupMapping,
    HandoverCode,
    Identity,
    InitialAccessToken,
    Membership,
    OpaqueAccessToken,
    Password,
    PushedRequest,
    Record,
    RefreshToken,
    Revocation,
    Role,
    Session,
    SpentState,
    User,
    UserClaims,
    UsernameClaim,
)
from tornado_auth.storage.guard import GuardedCollection

R = TypeVar("R", bound=Record)

UPDATE_ATTEMPTS = 20
PAGE = 100  # small enough for SQLite to be asked on the loop's thread


@dataclass(frozen=True, slots=True)
class Inserted(Generic[R]):
    """What was inserted since the last report, perhaps nothing, and where to go on after it."""

    records: tuple[R, ...]
    position: str


class Collection(Protocol[R]):
    """All records of one type. Every method may raise StorageUnavailable.

    Those that return records raise UnreadableRecord for what is none, e.g. after a change by hand.
    """

    async def insert(self, record: R) -> None:
        """Add a record; raises AlreadyExists if its id or the value of a UNIQUE field is taken."""

    async def get(self, id: str) -> R | None:
        """Return the record, or None if there is none or it has expired."""

    async def get_many(self, ids: Sequence[str]) -> dict[str, R]:
        """Return those of the records that exist and have not expired, by id, in one query."""

    async def find(self, *, after: str = "", limit: int = 100, **equal: str) -> list[R]:
        """Return live records in order of id, from the one after `after`.

        `equal` names UNIQUE or INDEX fields and the values that they must have.
        """

    async def search(
        self, field: str, prefix: str, *, after: str = "", limit: int = 100
    ) -> list[R]:
        """Return live records whose UNIQUE `field` begins with `prefix`, in order of it.

        From the one after the value `after` on; by code point, as everywhere.
        """

    async def replace(self, record: R) -> R:
        """Store the record if its version is still the stored one, and return it with the next.

        Raises Stale if not (also when it is gone), AlreadyExists if a UNIQUE value is taken.
        """

    async def delete(self, id: str) -> bool:
        """Remove the record; true for exactly one of any number of callers."""

    async def delete_where(self, **equal: str) -> int:
        """Remove all records with these values of UNIQUE or INDEX fields and return how many."""

    async def purge(self, now: int) -> int:
        """Remove what expired by `now` and return how many: 0 where the database does it itself."""

    def follow(self, position: str = "") -> AsyncGenerator[Inserted[R], None] | None:
        """Report what is inserted from now on, or after a `position` that was reported before.

        Reports at least twice a second, if only that there is nothing: then whatever was
        inserted before the last report has been reported. None where the database cannot tell by
        itself: `find` has to ask it again and again. The iterator raises StorageUnavailable when
        the database is lost, and PositionLost when it no longer knows the position.
        """


class Backend(Protocol):
    """One kind of database. A third-party one passes `storage.contract.StorageContract`."""

    def collection(self, record_type: type[R]) -> Collection[R]:
        """Return the collection of a record type that `open` was given."""

    async def open(self, record_types: Sequence[type[Record]]) -> None:
        """Connect, and create what is missing: tables or collections, and indexes. Idempotent."""

    async def ping(self) -> None:
        """Return if the database answers; raises StorageUnavailable if it does not."""

    async def close(self) -> None:
        """Let go of every connection and thread."""


class Storage:
    """The collections of the service, over one backend.

    `now` returns the time in seconds and decides what has expired.
    """

    def __init__(self, backend: Backend, now: Callable[[], int]) -> None:
        self._backend = backend
        self._now = now
        self.users = self._guarded(User)
        self.identities = self._guarded(Identity)
        self.username_claims = self._guarded(UsernameClaim)
        self.passwords = self._guarded(Password)
        self.sessions = self._guarded(Session)
        self.handover_codes = self._guarded(HandoverCode)
        self.spent_states = self._guarded(SpentState)
        self.counted_attempts = self._guarded(CountedAttempt)
        self.revocations = self._guarded(Revocation)
        self.roles = self._guarded(Role)
        self.groups = self._guarded(Group)
        self.memberships = self._guarded(Membership)
        self.assignments = self._guarded(Assignment)
        self.group_mappings = self._guarded(GroupMapping)
        self.admin_invitations = self._guarded(AdminInvitation)
        self.audit_events = self._guarded(AuditEvent)
        self.clients = self._guarded(Client)
        self.initial_access_tokens = self._guarded(InitialAccessToken)
        self.consents = self._guarded(Consent)
        self.grants = self._guarded(Grant)
        self.authorization_codes = self._guarded(AuthorizationCode)
        self.refresh_tokens = self._guarded(RefreshToken)
        self.access_tokens = self._guarded(OpaqueAccessToken)
        self.device_codes = self._guarded(DeviceCode)
        self.pushed_requests = self._guarded(PushedRequest)
        self.user_claims = self._guarded(UserClaims)

    def _guarded(self, record_type: type[R]) -> Collection[R]:
        return GuardedCollection(self._backend.collection(record_type), record_type, self._now)

    async def open(self) -> None:
        """Connect and create what is missing."""
        await self._backend.open(RECORD_TYPES)

    async def ping(self) -> None:
        """Return if the database answers; raises StorageUnavailable if it does not."""
        await self._backend.ping()

    async def close(self) -> None:
        """Let go of every connection and thread."""
        await self._backend.close()

    async def purge(self) -> int:
        """Remove everything that has expired and return how many records went."""
        now = self._now()
        return sum([await self._backend.collection(kind).purge(now) for kind in RECORD_TYPES])


async def update(collection: Collection[R], id: str, change: Callable[[R], R]) -> R | None:
    """Apply `change` to a record by compare-and-swap until it lands; None if there is no record.

    `change` is a pure function and may be called several times. Raises Stale when it keeps losing.
    """
    for _ in range(UPDATE_ATTEMPTS):
        record = await collection.get(id)
        if record is None:
            return None
        changed = change(record)
        if changed == record:
            return record
        try:
            return await collection.replace(changed)
        except Stale:
            continue
    raise Stale(f"{collection} kept changing under {UPDATE_ATTEMPTS} attempts")


async def all_of(collection: Collection[R], **equal: str) -> list[R]:
    """Return all records with these values of INDEX fields, for where there are not too many."""
    found: list[R] = []
    after = ""
    while page := await collection.find(after=after, limit=PAGE, **equal):
        found += page
        if len(page) < PAGE:
            break
        after = page[-1].id
    return found


def open_backend(url: str, *, timeout: float, write_timeout: float | None = None) -> Backend:
    """Return the backend that a DATABASE_URL names, not yet opened.

    `timeout` bounds each operation in seconds. `write_timeout`, if longer, is for how long a write
    is tried again while the database cannot take it. Raises SettingsError for a scheme that no
    backend has.
    """
    scheme = url.partition(":")[0]
    if scheme == "memory":
        from tornado_auth.storage.memory import MemoryBackend

        return MemoryBackend()
    if scheme == "sqlite":
        from tornado_auth.storage.sqlite import SQLiteBackend

        return SQLiteBackend(url, timeout=timeout)
    if scheme in ("mongodb", "mongodb+srv"):
        from tornado_auth.storage.mongodb import MongoDBBackend

        return MongoDBBackend(url, timeout=timeout, write_timeout=write_timeout)
    raise SettingsError(
        [
            f"DATABASE_URL: no backend for {scheme!r}. Use sqlite:///path, mongodb://host/name, "
            "mongodb+srv://host/name or memory://."
        ]
    )
