"""What an API key is answered with, by the parts that answer for a session token."""

import secrets
from dataclasses import replace
from typing import Any

import pytest

from tests.checks_world import IDLE_LIMIT, World, session_mark, user_mark
from tests.conftest import FakeClock
from tornado_auth.digests import digest_of_api_key
from tornado_auth.errors import StorageUnavailable
from tornado_auth.models import API_KEY, TokenType

KEY = "tak_" + "A" * 43


@pytest.fixture
async def world(clock: FakeClock) -> World:
    return World(clock)


def made_up() -> str:
    return "tak_" + secrets.token_urlsafe(32)


async def add_key(world: World, key: str = KEY, **members: Any) -> str:
    """Put a key of ann's into the store, as it is once somebody has made it."""
    await world.sign_in(
        "ann",
        **{
            "id": digest_of_api_key(key),
            "provider": API_KEY,
            "identity_id": "",
            "last_seen_at": 0,
            "expires_at": None,
            "scopes": ("files",),
            **members,
        },
    )
    return key


class TestAGoodOne:
    async def test_it_says_whose_it_is(self, world: World) -> None:
        key = await add_key(world)
        for _ in range(3):
            who = await world.who(key)
            assert who is not None
            assert (who.user.id, who.session.scopes) == ("user-ann", ("files",))
        assert world.sessions.reads == 1
        assert world.count("passed") == 3

    async def test_whoever_answers_sees_what_it_is_for(self, world: World) -> None:
        await add_key(world)
        await world.who(KEY)
        known = world.checks.recall(world.checks.verify(KEY))
        assert known.scopes == ("files",)
        token = await world.sign_in("bob")
        await world.who(token)
        known = world.checks.recall(world.checks.verify(token))
        assert known.scopes is None

    async def test_once_it_has_passed_it_costs_what_a_session_token_costs(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await world.follow()
        await add_key(world)
        assert world.checks.verify(KEY).user_id == ""
        await world.who(KEY)
        await world.who(KEY)
        await world.hear()
        verified = world.checks.verify(KEY)
        assert verified.user_id == "user-ann"
        assert world.checks.verify(KEY) is verified
        assert await world.who(KEY) is not None
        monkeypatch.setattr(type(world.checks), "_look_closely", None)
        assert world.checks.recall(verified).user_id == "user-ann"

    async def test_it_may_lie_unused_for_longer_than_a_session(
        self, world: World, clock: FakeClock
    ) -> None:
        token = await world.sign_in("bob")
        await add_key(world)
        clock.advance(IDLE_LIMIT + 1)
        assert await world.who(token) is None
        assert await world.who(KEY) is not None

    async def test_its_uses_are_noted_and_not_written(self, world: World, clock: FakeClock) -> None:
        await add_key(world)
        for _ in range(3):
            await world.who(KEY)
        key_id = digest_of_api_key(KEY)
        (stored,) = await world.sessions.inner.find()
        assert stored.last_seen_at == 0
        assert world.checks.take_seen() == {key_id: clock()}

    async def test_a_permission_token_made_for_it_ends_with_it(self, world: World) -> None:
        await world.follow()
        await add_key(world)
        claims = {"sid": digest_of_api_key(KEY), "userid": "user-ann", "aud": "files"}
        token = await world.token(typ=TokenType.PERMISSION, permissions={"read": True}, **claims)
        assert await world.who(token, service="files") is not None
        assert await world.who(token, service="wiki") is None
        await world.hear(session_mark(claims["sid"]))
        assert await world.who(token, service="files") is None

    async def test_who_is_known_passes_while_the_store_does_not_answer(
        self, world: World, clock: FakeClock
    ) -> None:
        await add_key(world)
        assert await world.who(KEY) is not None
        world.store_fails()
        clock.advance(2)
        assert await world.who(KEY) is not None
        with pytest.raises(StorageUnavailable):
            await world.who(made_up())


class TestABadOne:
    async def test_a_revoked_one_is_refused_once_that_is_heard(self, world: World) -> None:
        await world.follow()
        await add_key(world)
        for _ in range(2):
            assert await world.who(KEY) is not None
        key_id = digest_of_api_key(KEY) or ""
        await world.sessions.delete(key_id)
        await world.hear(session_mark(key_id))
        assert await world.who(KEY) is None

    async def test_an_expired_one_is_refused_in_the_second_in_which_it_ends(
        self, world: World, clock: FakeClock
    ) -> None:
        await world.follow()
        await add_key(world, expires_at=clock() + 10)
        for _ in range(2):
            assert await world.who(KEY) is not None
        clock.advance(9)
        await world.hear()
        assert await world.who(KEY) is not None
        clock.advance(1)
        await world.hear()
        assert await world.who(KEY) is None

    @pytest.mark.parametrize("is_known", [True, False])
    async def test_that_of_a_disabled_user_is_refused(self, world: World, is_known: bool) -> None:
        await world.follow()
        await add_key(world)
        for _ in range(2 * is_known):
            assert await world.who(KEY) is not None
        user = await world.users.inner.get("user-ann")
        await world.users.inner.replace(replace(user, disabled_at=1))
        await world.hear(user_mark("user-ann"))
        assert await world.who(KEY) is None

    @pytest.mark.parametrize("is_known", [True, False])
    async def test_that_of_a_deleted_user_is_refused(self, world: World, is_known: bool) -> None:
        await world.follow()
        await add_key(world)
        for _ in range(2 * is_known):
            assert await world.who(KEY) is not None
        await world.users.inner.delete("user-ann")
        await world.hear(user_mark("user-ann"))
        assert await world.who(KEY) is None

    # S112
    @pytest.mark.parametrize(
        "key",
        [
            "tak_",
            KEY[:-1],
            KEY + "A",
            KEY + "\n",
            "tak_" + "\u00fc" * 43,
            "tak_" + "\udcff" * 43,
            "tak_" + "." * 43,
            digest_of_api_key(KEY) or "",
        ],
    )
    async def test_what_cannot_be_one_asks_nobody(self, world: World, key: str) -> None:
        await add_key(world)
        assert await world.who(key) is None
        assert world.sessions.reads == 0

    async def test_a_session_token_that_names_a_key_is_that_of_its_user_alone(
        self, world: World
    ) -> None:
        await add_key(world)
        key_id = digest_of_api_key(KEY)
        for user_id in ("", "user-bob"):
            assert await world.who(await world.token(sid=key_id, userid=user_id)) is None


class TestMadeUpOnes:
    # S112
    async def test_one_that_nobody_has_is_read_once(self, world: World) -> None:
        await world.follow()
        key = made_up()
        for _ in range(5):
            assert await world.who(key) is None
        assert world.sessions.reads == 1
        assert world.count("refused") == 5

    # S112
    async def test_however_many_there_are_they_push_nobody_out(self, clock: FakeClock) -> None:
        world = World(clock, known_sessions=4)
        await world.follow()
        token = await world.sign_in("bob")
        await add_key(world)
        for _ in range(2):
            assert await world.who(token) is not None
            assert await world.who(KEY) is not None
        before = world.sessions.reads
        for _ in range(200):
            assert await world.who(made_up()) is None
        assert world.sessions.reads == before + 200
        for _ in range(2):
            assert await world.who(token) is not None
            assert await world.who(KEY) is not None
        assert world.sessions.reads == before + 200
        for name in ("tokens", "sessions"):
            labels = {"cache": name}
            assert world.metrics.registry.get_sample_value("tornado_auth_cached", labels) == 2

    # S112
    async def test_those_that_wait_leave_room_for_sessions(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tornado_auth.readings.MAX_WAITING", 4)
        token = await world.sign_in("bob")
        verified = [world.checks.verify(made_up()) for _ in range(5)]
        asked = [world.checks.recall(each) for each in verified[:2]]
        for each in verified[2:]:
            with pytest.raises(StorageUnavailable):
                world.checks.recall(each)
        assert await world.who(token) is not None
        assert [await each for each in asked] == [None, None]
