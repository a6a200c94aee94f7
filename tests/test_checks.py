"""Tokens and the sessions they name: what is remembered, and for how long."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.checks_world import IDLE_LIMIT, World, started
from tests.conftest import FakeClock
from tornado_auth.models import TokenType, Who
from tornado_auth.pending import Pending


@pytest.fixture
async def world(clock: FakeClock) -> World:
    return World(clock)


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
        assert await world.who(token) is not None  # less than a second has passed
        clock.advance(1)
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

    async def test_who_comes_later_does_not_join_a_reading_that_began_a_second_ago(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in()
        world.users.answering.clear()
        early = await started(world.who(token))  # has read the session already
        await world.sessions.delete("session-ann")  # by hand: nobody leaves a mark
        clock.advance(1)
        assert await world.who(token) is None
        world.users.answering.set()
        assert await early is not None  # it asked before the end
        assert await world.who(token) is None

    async def test_an_answer_from_memory_needs_no_loop(self, world: World) -> None:
        token = await world.sign_in()
        assert await world.who(token) is not None
        known = world.checks.recall(world.checks.verify(token))
        assert not isinstance(known, Pending)
        assert known is not None
        assert known.who.user.username == "ann"
        assert world.checks.recall(world.checks.verify("rubbish")) is None


class TestMemory:
    # S131 S133
    async def test_tokens_of_ended_sessions_push_no_good_one_out(self, clock: FakeClock) -> None:
        world = World(clock, known_sessions=20)
        await world.follow()
        token = await world.sign_in()
        assert await world.who(token) is not None
        reads = world.sessions.reads
        for number in range(200):
            ended = await world.token(sid=f"ended-{number}", userid="user-ann")
            assert await world.who(ended) is None
            assert await world.who(token) is not None
        assert world.sessions.reads == reads + 200
        assert len(world.checks._known) == 1

    # S133
    async def test_bogus_tokens_are_not_remembered(self, world: World) -> None:
        token = await world.sign_in()
        head, body, signature = token.split(".")
        for number in range(100):
            assert await world.who(f"{head}.{body}.{number:04}{signature[4:]}") is None
        assert len(world.checks._tokens) == 0
        assert world.sessions.reads == 0

    async def test_it_is_bounded_and_its_use_is_counted(self, clock: FakeClock) -> None:
        world = World(clock, known_sessions=10)
        tokens = [await world.sign_in(f"name{number}") for number in range(30)]
        for token in tokens:
            await world.who(token)
        await world.who(tokens[-1])

        def sample(name: str, **labels: str) -> float | None:
            return world.metrics.registry.get_sample_value(f"tornado_auth_{name}", labels)

        for cache in ("tokens", "sessions"):
            assert 5 <= (sample("cached", cache=cache) or 0) <= 10
            assert sample("cache_lookups_total", cache=cache, result="hit") == 1
            assert (sample("cache_lookups_total", cache=cache, result="miss") or 0) >= 30


class TestPermissionToken:
    async def permission_token(self, world: World, **claims: Any) -> str:
        named = {"sid": "session-ann", "userid": "user-ann", "aud": "files", "service": "files"}
        permissions = {"read": True, "write": False, "limit": 5, "admin": "true"}
        return await world.token(
            typ=TokenType.PERMISSION, **{**named, "permissions": permissions, **claims}
        )

    # S116
    async def test_it_opens_its_own_service_alone(self, world: World) -> None:
        await world.sign_in()
        token = await self.permission_token(world)
        for _ in range(2):  # read, and remembered
            who = await world.who(token, service="files")
            assert who is not None
            assert who.user.username == "ann"
            assert await world.who(token, service="mail") is None
            assert await world.who(token) is None

    async def test_asked_first_by_another_service_it_still_opens_its_own(
        self, world: World
    ) -> None:
        await world.sign_in()
        token = await self.permission_token(world)
        assert await world.who(token) is None
        assert await world.who(token, service="mail") is None
        assert await world.who(token, service="files") is not None

    async def test_it_brings_what_is_granted_by_true_alone(self, world: World) -> None:
        session_token = await world.sign_in()
        token = await self.permission_token(world)
        verify = world.checks.verify
        said = verify(token, service="files")
        assert said is not None
        assert said.granted == {"read"}
        assert verify(token, service="mail") is None
        said = verify(session_token, service="files")
        assert said is not None
        assert said.granted is None
        for junk in (None, [], "read", 5):
            token = await self.permission_token(world, permissions=junk)
            said = verify(token, service="files")
            assert said is not None
            assert said.granted == frozenset()

    # D13 S125
    async def test_it_ends_with_its_session(self, world: World) -> None:
        await world.sign_in()
        token = await self.permission_token(world)
        assert await world.who(token, service="files") is not None
        await world.sessions.delete("session-ann")
        await world.revocations.session_ended("session-ann")
        assert await world.who(token, service="files") is None

    @pytest.mark.parametrize("claims", [{"sid": None}, {"userid": "user-bob"}, {"exp": 1}])
    async def test_one_that_names_no_live_session_of_its_user_opens_nothing(
        self, world: World, claims: dict[str, Any]
    ) -> None:
        await world.sign_in()
        await world.sign_in("bob")
        token = await self.permission_token(world, **claims)
        assert await world.who(token, service="files") is None


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
