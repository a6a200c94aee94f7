"""Checks over a store in memory that can fail, with a feed that a test feeds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.conftest import FakeClock
from tests.issuer import key_set
from tests.unreliable import Unreliable, WithFeed
from tornado_auth.checks import FORGET_AFTER, Checks
from tornado_auth.metrics import Metrics
from tornado_auth.models import Revocation, Session, TokenType, User, Who
from tornado_auth.revocations import Revocations
from tornado_auth.storage import Storage
from tornado_auth.storage.memory import MemoryBackend

ISSUER = "https://auth.example.org"
IDLE_LIMIT = 10_000
STALE_LIMIT = 60
NEVER = 4_000_000_000


class Ticks:
    """A clock that follows another one, but only forward, and never says the same twice."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._seen = clock()
        self._passed = 0.0

    def __call__(self) -> float:
        now = self._clock()
        self._passed += max(0, now - self._seen) + 1e-6
        self._seen = now
        return self._passed


class World:
    """Checks, the store that they read, and the tokens of its people."""

    def __init__(self, clock: FakeClock, **options: Any) -> None:
        self.clock = clock
        self.keys = key_set()
        self.metrics = Metrics()
        storage = Storage(MemoryBackend(), clock)
        self.sessions = Unreliable(storage.sessions)
        self.users = Unreliable(storage.users)
        self.marks = WithFeed(storage.revocations)
        monotonic = Ticks(clock)
        self.revocations = Revocations(
            self.marks,  # type: ignore[arg-type]
            keep_for=FORGET_AFTER + STALE_LIMIT,
            metrics=self.metrics,
            now=clock,
            monotonic=monotonic,
        )
        self.checks = Checks(
            self.keys,
            self.sessions,  # type: ignore[arg-type]
            self.users,  # type: ignore[arg-type]
            revocations=self.revocations,
            metrics=self.metrics,
            now=clock,
            monotonic=monotonic,
            **{
                "issuer": ISSUER,
                "idle_limit": IDLE_LIMIT,
                "stale_limit": STALE_LIMIT,
                "known_sessions": 1000,
                **options,
            },
        )

    @property
    def who(self) -> Callable[..., Awaitable[Who | None]]:
        return self.checks.who

    async def sign_in(self, name: str = "ann", **members: Any) -> str:
        now = self.clock()
        user = User(id=f"user-{name}", username=name, username_key=name, created_at=now)
        session = Session(
            **{
                "id": f"session-{name}",
                "user_id": user.id,
                "identity_id": f"dev:{name}",
                "provider": "dev",
                "auth_time": now,
                "created_at": now,
                "last_seen_at": now,
                "expires_at": NEVER,
                **members,
            }
        )
        await self.users.insert(user)
        await self.sessions.insert(session)
        return await self.token(sid=session.id, userid=user.id)

    async def token(self, *, typ: str = TokenType.SESSION, **claims: Any) -> str:
        common = {"iss": ISSUER, "aud": ISSUER, "iat": self.clock(), "exp": NEVER}
        return await self.keys.sign({**common, **claims}, typ=typ)

    async def follow(self) -> None:
        """Begin to follow the marks, and hear for the first time."""
        await self.revocations.start()
        await self.hear()

    async def hear(self, *marks: Revocation) -> None:
        """Be told of marks, and that now there is nothing else."""
        await self.marks.report(*marks)
        await self.marks.report()

    def store_fails(self, failing: bool = True) -> None:
        self.sessions.failing = self.users.failing = failing

    def store_answers(self, answering: bool = True) -> None:
        for collection in (self.sessions, self.users):
            (collection.answering.set if answering else collection.answering.clear)()

    def count(self, result: str) -> float:
        labels = {"result": result}
        return self.metrics.registry.get_sample_value("tornado_auth_checks_total", labels) or 0


class Follower:
    """What one process knows of the marks in the store of all."""

    def __init__(self, collection: Any, clock: FakeClock) -> None:
        self.collection = collection
        self.metrics = Metrics()
        self.monotonic = Ticks(clock)
        self.revocations = Revocations(
            collection,
            keep_for=FORGET_AFTER + STALE_LIMIT,
            metrics=self.metrics,
            now=clock,
            monotonic=self.monotonic,
        )

    async def hear(self) -> None:
        """Wait until what is in the store now has been heard."""
        asked_at = self.monotonic()
        async with asyncio.timeout(5):
            while self.revocations.as_of <= asked_at:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.001)

    def knows(self, *session_ids: str) -> bool:
        return all(map(self.revocations.has_ended, session_ids))

    def heard(self) -> float:
        name = "tornado_auth_revocations_heard_total"
        return self.metrics.registry.get_sample_value(name) or 0


async def started(awaitable: Awaitable[Any]) -> asyncio.Task[Any]:
    """Let something run until it waits."""
    task = asyncio.ensure_future(awaitable)
    await asyncio.sleep(0.01)
    return task


def session_mark(session_id: str) -> Revocation:
    return Revocation(id=f"mark-{session_id}", session_id=session_id)


def user_mark(user_id: str) -> Revocation:
    return Revocation(id=f"mark-{user_id}", user_id=user_id)
