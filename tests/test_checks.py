"""Tokens and the sessions they name: what is remembered, for how long, and what an outage does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.issuer import key_set
from tests.unreliable import Unreliable
from tornado_auth.checks import Checks
from tornado_auth.metrics import Metrics
from tornado_auth.models import Session, TokenType, User, Who
from tornado_auth.storage import Storage
from tornado_auth.storage.memory import MemoryBackend

ISSUER = "https://auth.example.org"
IDLE_LIMIT = 10_000
STALE_LIMIT = 60
NEVER = 4_000_000_000


class World:
    """Checks over a store in memory that can fail, and the tokens of its people."""

    def __init__(self, clock: FakeClock, **options: Any) -> None:
        self.clock = clock
        self.keys = key_set()
        self.metrics = Metrics()
        storage = Storage(MemoryBackend(), clock)
        self.sessions = Unreliable(storage.sessions)
        self.users = Unreliable(storage.users)
        self.checks = Checks(
            self.keys,
            self.sessions,  # type: ignore[arg-type]
            self.users,  # type: ignore[arg-type]
            metrics=self.metrics,
            now=clock,
            **{
                "issuer": ISSUER,
                "idle_limit": IDLE_LIMIT,
                "stale_limit": STALE_LIMIT,
                **options,
            },
        )

    @property
    def who(self) -> Callable[[str], Awaitable[Who | None]]:
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

    def store_fails(self, failing: bool = True) -> None:
        self.sessions.failing = self.users.failing = failing

    def count(self, result: str) -> float:
        labels = {"result": result}
        return self.metrics.registry.get_sample_value("tornado_auth_checks_total", labels) or 0


@pytest.fixture
async def world(clock: FakeClock) -> World:
    return World(clock)


async def started(awaitable: Awaitable[Any]) -> asyncio.Task[Any]:
    """Let something run until it waits."""
    task = asyncio.ensure_future(awaitable)
    await asyncio.sleep(0.01)
    return task


class TestTokens:
    async def test_a_live_session_is_answered_with_its_user(self, world: World) -> None:
        who = await world.who(await world.sign_in("ann"))
        assert who is not None
        assert (who.user.username, who.session.id) == ("ann", "session-ann")
        assert world.count("passed") == 1

    # S112
    @pytest.mark.parametrize("token", ["", "rubbish", "a.b.c", "eyJ.eyJ.", "\u00ff"])
    async def test_rubbish_opens_nothing_and_asks_nobody(self, world: World, token: str) -> None:
        assert await world.who(token) is None
        assert world.sessions.reads == 0
        assert world.count("refused") == 1

    # S116
    @pytest.mark.parametrize(
        "claims",
        [
            {"typ": TokenType.PERMISSION},
            {"aud": "files"},
            {"iss": "https://other.example"},
            {"exp": 1_800_000_000},
            {"sid": None},
            {"sid": 5},
            {"userid": None},
            {"userid": ["user-ann"]},
        ],
    )
    async def test_another_token_of_ours_opens_nothing(
        self, world: World, claims: dict[str, Any]
    ) -> None:
        await world.sign_in("ann")
        named = {"sid": "session-ann", "userid": "user-ann"}
        assert await world.who(await world.token(**named)) is not None
        assert await world.who(await world.token(**{**named, **claims})) is None

    async def test_a_remembered_token_ends_when_it_says(
        self, world: World, clock: FakeClock
    ) -> None:
        await world.sign_in("ann")
        token = await world.token(sid="session-ann", userid="user-ann", exp=clock() + 10)
        clock.advance(9)
        assert await world.who(token) is not None
        clock.advance(1)
        assert await world.who(token) is None

    async def test_a_token_is_good_for_its_own_user_only(self, world: World) -> None:
        await world.sign_in("ann")
        await world.sign_in("bob")
        assert await world.who(await world.token(sid="session-ann", userid="user-bob")) is None


class TestSessions:
    # S131
    async def test_what_is_known_is_fresh_for_a_second(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        for _ in range(5):
            assert await world.who(token) is not None
        assert world.sessions.reads == 1
        clock.advance(1)
        assert await world.who(token) is not None
        assert world.sessions.reads == 2

    # D13 S125 S131
    async def test_a_session_that_another_process_ended_is_refused_within_a_second(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        assert await world.who(token) is not None
        await world.sessions.delete("session-ann")
        clock.advance(1)
        assert await world.who(token) is None

    # D12 S125
    async def test_a_disabled_or_deleted_user_is_refused_within_a_second(
        self, world: World, clock: FakeClock
    ) -> None:
        ann, bob = await world.sign_in("ann"), await world.sign_in("bob")
        assert await world.who(ann) is not None
        assert await world.who(bob) is not None
        user = await world.users.get("user-ann")
        await world.users.replace(replace(user, disabled_at=clock()))
        await world.users.delete("user-bob")
        clock.advance(1)
        assert await world.who(ann) is None
        assert await world.who(bob) is None

    async def test_a_session_that_is_gone_is_remembered_for_a_second_too(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.token(sid="nothing", userid="nobody")
        for _ in range(5):
            assert await world.who(token) is None
        assert (world.sessions.reads, world.users.reads) == (1, 0)
        clock.advance(1)
        assert await world.who(token) is None
        assert world.sessions.reads == 2

    # S125
    async def test_a_session_has_an_absolute_limit_and_an_idle_one(
        self, world: World, clock: FakeClock
    ) -> None:
        absolute = await world.sign_in("ann", expires_at=clock() + 100)
        idle = await world.sign_in("bob", last_seen_at=clock() - IDLE_LIMIT + 100)
        for_ever = await world.sign_in("eve", expires_at=None)
        clock.advance(99)
        assert await world.who(absolute) is not None
        assert await world.who(for_ever) is not None
        clock.advance(1)
        assert await world.who(absolute) is None
        assert await world.who(idle) is None
        assert await world.who(for_ever) is not None

    # S140
    async def test_a_clock_that_is_set_back_does_not_prolong_what_is_known(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        assert await world.who(token) is not None
        await world.sessions.delete("session-ann")
        clock.advance(-3600)
        assert await world.who(token) is None


class TestReading:
    async def test_all_who_ask_at_once_share_one_reading(self, world: World) -> None:
        token = await world.sign_in()
        world.sessions.answering.clear()
        tasks = [asyncio.ensure_future(world.who(token)) for _ in range(20)]
        await asyncio.sleep(0.01)
        world.sessions.answering.set()
        answers = await asyncio.gather(*tasks)
        assert [who.user.username for who in answers if who] == ["ann"] * 20
        assert (world.sessions.reads, world.users.reads) == (1, 1)

    @pytest.mark.parametrize("who_leaves", [0, 1, 2])
    async def test_a_caller_who_goes_away_harms_no_other(
        self, world: World, who_leaves: int
    ) -> None:
        token = await world.sign_in()
        world.sessions.answering.clear()
        tasks = [await started(world.who(token)) for _ in range(3)]
        tasks[who_leaves].cancel()
        await asyncio.sleep(0.01)
        world.sessions.answering.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(answer, Who) for answer in answers].count(True) == 2
        assert isinstance(answers[who_leaves], asyncio.CancelledError)
        assert world.sessions.reads == 1

    async def test_a_reading_that_fails_when_all_have_gone_is_no_trouble(
        self, world: World
    ) -> None:
        token = await world.sign_in()
        world.sessions.answering.clear()
        world.store_fails()
        task = await started(world.who(token))
        task.cancel()
        await asyncio.sleep(0.01)
        world.sessions.answering.set()
        await asyncio.sleep(0.01)
        assert task.cancelled()

    # D13
    async def test_an_ended_session_is_refused_at_once(self, world: World) -> None:
        token = await world.sign_in()
        assert await world.who(token) is not None
        world.checks.refuse("session-ann")
        assert await world.who(token) is None

    async def test_who_comes_later_does_not_join_a_reading_that_began_a_second_ago(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        world.users.answering.clear()
        early = await started(world.who(token))  # has read the session already
        await world.sessions.delete("session-ann")  # elsewhere: nobody tells this process
        clock.advance(1)
        assert await world.who(token) is None
        world.users.answering.set()
        assert await early is not None  # it asked before the end
        assert await world.who(token) is None

    # D13
    async def test_a_reading_under_way_does_not_bring_an_ended_session_back(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        world.sessions.answering.clear()
        early = await started(world.who(token))  # has read the session, not yet the user
        await world.sessions.delete("session-ann")
        world.checks.refuse("session-ann")
        assert await world.who(token) is None
        world.sessions.answering.set()
        assert await early is not None  # it asked before the end
        assert await world.who(token) is None
        clock.advance(1)
        assert await world.who(token) is None

    async def test_a_reading_under_way_does_not_bring_an_old_name_back(self, world: World) -> None:
        token = await world.sign_in()
        world.users.answering.clear()
        early = await started(world.who(token))
        user = await world.users._inner.get("user-ann")
        await world.users.replace(replace(user, username="queen"))
        world.checks.forget("session-ann")
        late = await started(world.who(token))
        world.users.answering.set()
        assert [(await task).user.username for task in (early, late)] == ["ann", "queen"]
        assert (await world.who(token)).user.username == "queen"
        assert world.sessions.reads == 2

    async def test_what_is_forgotten_is_read_again(self, world: World) -> None:
        token = await world.sign_in()
        await world.who(token)
        user = await world.users.get("user-ann")
        await world.users.replace(replace(user, username="queen"))
        assert (await world.who(token)).user.username == "ann"
        world.checks.forget("session-ann")
        assert (await world.who(token)).user.username == "queen"


class TestLastUse:
    async def test_it_is_noted_when_it_differs_by_minutes(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        clock.advance(299)
        await world.who(token)
        assert world.checks.take_seen() == {}
        clock.advance(1)
        await world.who(token)
        assert world.checks.take_seen() == {"session-ann": clock()}
        assert world.checks.take_seen() == {}

    async def test_a_short_idle_limit_is_followed_closely(self, clock: FakeClock) -> None:
        world = World(clock, idle_limit=300)
        token = await world.sign_in()
        clock.advance(30)
        await world.who(token)
        assert world.checks.take_seen() == {"session-ann": clock()}

    async def test_a_use_counts_before_it_is_written_down(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        for _ in range(3):
            clock.advance(IDLE_LIMIT - 1)
            assert await world.who(token) is not None

    async def test_who_is_refused_has_not_used_the_session(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        clock.advance(IDLE_LIMIT)
        assert await world.who(token) is None
        assert world.checks.take_seen() == {}
