"""Slowing down who tries too often: in the store for sign-ins, in memory for look-ups."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FakeClock
from tornado_auth.errors import StorageUnavailable, TooManyAttempts
from tornado_auth.models import CountedAttempt
from tornado_auth.storage import Storage, open_backend
from tornado_auth.throttle import (
    LOGIN_LIMITS,
    LOOKUP_LIMITS,
    Limit,
    LoginThrottle,
    Throttle,
    address_key,
)

ACCOUNT = LOGIN_LIMITS["login-account"]
ADDRESS = LOGIN_LIMITS["login-address"]


class Wrong(Exception):
    """What was tried was wrong."""


async def fail(throttle: LoginThrottle, times: int = 1, **keys: str) -> None:
    for _ in range(times):
        with pytest.raises(Wrong):
            async with throttle.attempt(_scopes(keys)):
                raise Wrong


async def is_refused(throttle: LoginThrottle, **keys: str) -> bool:
    """Fail once; tell whether it was refused before it could."""
    try:
        async with throttle.attempt(_scopes(keys)):
            raise Wrong
    except Wrong:
        return False
    except TooManyAttempts:
        return True


async def succeed(throttle: LoginThrottle, **keys: str) -> None:
    async with throttle.attempt(_scopes(keys)):
        pass


async def wait_of(throttle: LoginThrottle, **keys: str) -> int:
    """Return how long a refused attempt is told to wait."""
    with pytest.raises(TooManyAttempts) as caught:
        async with throttle.attempt(_scopes(keys)):
            pytest.fail("it was let in")
    return caught.value.retry_after


def _scopes(keys: dict[str, str]) -> dict[str, str]:
    return {f"login-{scope}": key for scope, key in keys.items()}


@pytest.fixture
def throttle(storage: Storage, clock: FakeClock) -> LoginThrottle:
    return LoginThrottle(storage.counted_attempts, now=clock)


class TestSignIns:
    # S138
    async def test_the_attempt_after_the_last_failure_is_refused_and_says_how_long(
        self, throttle, clock
    ):
        await fail(throttle, ACCOUNT.attempts - 1, account="ann")
        clock.advance(20)
        await fail(throttle, account="ann")
        assert await wait_of(throttle, account="ann") == ACCOUNT.window - 20

    async def test_a_refused_attempt_writes_nothing_and_does_not_prolong_the_wait(
        self, throttle, clock, storage, monkeypatch
    ):
        await fail(throttle, ACCOUNT.attempts, account="ann")
        clock.advance(ACCOUNT.window - 1)

        async def write(*args, **kwargs):
            pytest.fail("it wrote")

        with monkeypatch.context() as patch:
            for name in ("insert", "replace", "delete", "delete_where"):
                patch.setattr(storage.counted_attempts, name, write)
            assert await wait_of(throttle, address="192.0.2.1", account="ann") == 1
        clock.advance(1)
        await fail(throttle, account="ann")

    @pytest.mark.parametrize("start", range(0, ACCOUNT.window, 74))
    async def test_no_window_holds_more_than_the_limit(self, throttle, clock, start):
        """However the attempts lie to the periods in which places are numbered."""
        clock.now += start
        let_in: list[int] = []
        for _ in range(3 * ACCOUNT.window // 10):
            clock.advance(10)
            if not await is_refused(throttle, account="ann"):
                let_in.append(clock())
            assert len([at for at in let_in if at > clock() - ACCOUNT.window]) <= ACCOUNT.attempts
        assert len(let_in) == 3 * ACCOUNT.attempts

    async def test_each_failure_counts_for_its_own_time(self, throttle, clock):
        await fail(throttle, account="ann")
        clock.advance(ACCOUNT.window - 10)
        await fail(throttle, ACCOUNT.attempts - 1, account="ann")
        assert await wait_of(throttle, account="ann") == 10
        clock.advance(10)
        await fail(throttle, account="ann")
        assert await wait_of(throttle, account="ann") == ACCOUNT.window - 10

    async def test_keys_and_scopes_are_counted_apart(self, throttle):
        await fail(throttle, ACCOUNT.attempts, account="ann")
        for keys in ({"account": "bob"}, {"address": "ann"}, {"device": "ann"}):
            await succeed(throttle, **keys)

    async def test_who_is_refused_by_one_scope_does_not_count_in_another(self, throttle, storage):
        await fail(throttle, ACCOUNT.attempts, account="ann")
        for _ in range(ADDRESS.attempts + 1):
            await wait_of(throttle, address="192.0.2.1", account="ann")
        assert len(await storage.counted_attempts.find()) == ACCOUNT.attempts

    async def test_a_success_clears_the_failures_of_an_account(self, throttle, storage):
        for _ in range(3):
            await fail(throttle, ACCOUNT.attempts - 1, account="ann")
            await succeed(throttle, account="ann")
        assert await storage.counted_attempts.find() == []

    async def test_a_success_does_not_clear_the_failures_of_an_address(self, throttle):
        await fail(throttle, ADDRESS.attempts - 1, address="192.0.2.1")
        await succeed(throttle, address="192.0.2.1")
        await fail(throttle, address="192.0.2.1")
        assert await wait_of(throttle, address="192.0.2.1") == ADDRESS.window

    async def test_successes_alone_never_use_up_an_address(self, throttle, storage):
        for _ in range(ADDRESS.attempts * 2):
            await succeed(throttle, address="192.0.2.1")
        assert await storage.counted_attempts.find() == []

    async def test_keys_of_any_length_and_content_are_taken_and_not_kept(self, throttle, storage):
        await fail(throttle, account="\ud800" + "x" * 100_000)
        (record,) = await storage.counted_attempts.find()
        assert "xxx" not in repr(record)
        assert len(record.id) < 100

    # S138
    async def test_the_store_keeps_at_most_what_the_limit_allows_and_not_for_long(
        self, throttle, storage, clock
    ):
        for _ in range(3 * ACCOUNT.attempts):
            if await is_refused(throttle, account="ann"):
                clock.advance(1)
        assert len(await storage.counted_attempts.find()) == ACCOUNT.attempts
        clock.advance(ACCOUNT.window)
        assert await storage.purge() == ACCOUNT.attempts

    async def test_an_unknown_scope_is_a_mistake(self, throttle):
        with pytest.raises(KeyError):
            await succeed(throttle, name="ann")

    async def test_a_store_that_does_not_answer_lets_nobody_in(
        self, throttle, storage, monkeypatch
    ):
        async def fail_to(record):
            raise StorageUnavailable

        monkeypatch.setattr(storage.counted_attempts, "insert", fail_to)
        with pytest.raises(StorageUnavailable):
            await succeed(throttle, account="ann")


class TestTogether:
    """Many attempts at once, over two connections to one store."""

    @pytest.fixture(params=["memory", "sqlite", "mongodb"])
    async def pair(
        self, request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
    ) -> AsyncIterator[list[LoginThrottle]]:
        url = f"sqlite:///{tmp_path}/shared.db"
        if request.param == "mongodb":
            url = request.getfixturevalue("mongo_url")
        storages = [Storage(open_backend(url, timeout=10), clock) for _ in range(2)]
        if request.param == "memory":
            storages = [Storage(open_backend("memory://", timeout=10), clock)] * 2
        for storage in storages:
            await storage.open()
        yield [LoginThrottle(storage.counted_attempts, now=clock) for storage in storages]
        for storage in storages:
            await storage.close()

    @staticmethod
    async def rush(pair: list[LoginThrottle], **keys: str) -> tuple[int, set[type]]:
        """Try 50 times at once; return how many were let in, and what was said in the end."""
        let_in = 0

        async def attempt(throttle: LoginThrottle) -> None:
            nonlocal let_in
            async with throttle.attempt(_scopes(keys)):
                let_in += 1
                await asyncio.sleep(0.05)
                raise Wrong

        ends = await asyncio.gather(
            *(attempt(pair[number % 2]) for number in range(50)), return_exceptions=True
        )
        return let_in, {type(end) for end in ends}

    # S138
    async def test_exactly_as_many_as_the_limit_are_let_in(self, pair, clock):
        for number in range(5):
            assert await self.rush(pair, address="192.0.2.1", account=f"ann{number}") == (
                ACCOUNT.attempts,
                {Wrong, TooManyAttempts},
            )
        # Now the address has had its fifty.
        assert await self.rush(pair, address="192.0.2.1", account="bob") == (0, {TooManyAttempts})

    # S138
    async def test_what_failed_before_counts(self, pair, clock, monkeypatch):
        for throttle in {pair[0]._attempts: pair[0], pair[1]._attempts: pair[1]}.values():
            # Let no one look again before all have taken what places they can.
            insert = throttle._attempts.insert

            async def insert_slowly(record: CountedAttempt, insert: Any = insert) -> None:
                await insert(record)
                await asyncio.sleep(0.1)

            monkeypatch.setattr(throttle._attempts, "insert", insert_slowly)
        clock.advance(ACCOUNT.window // 2)
        await fail(pair[0], 7, account="ann")
        clock.advance(ACCOUNT.window - 1)  # and places are numbered anew by now
        assert (await self.rush(pair, account="ann"))[0] == ACCOUNT.attempts - 7
        clock.advance(1)
        assert (await self.rush(pair, account="ann"))[0] == 7

    # S138
    async def test_who_read_before_a_period_and_who_read_in_it_cannot_both_use_it_up(
        self, pair, clock, monkeypatch
    ):
        """One process has chosen its places, then time goes on, and another chooses from all."""
        clock.now += ACCOUNT.window - clock.now % ACCOUNT.window - 1
        held = asyncio.Event()
        insert = pair[0]._attempts.insert

        async def insert_late(record: CountedAttempt) -> None:
            await held.wait()
            await insert(record)

        with monkeypatch.context() as patch:
            patch.setattr(pair[0]._attempts, "insert", insert_late)
            early = asyncio.ensure_future(self.rush(pair[:1] * 2, account="ann"))
            await asyncio.sleep(0.2)
        clock.advance(1)
        late = asyncio.ensure_future(self.rush(pair[1:] * 2, account="ann"))
        held.set()
        assert (await early)[0] + (await late)[0] <= ACCOUNT.attempts
        assert len(await pair[0]._attempts.find()) <= ACCOUNT.attempts


@pytest.fixture
def lookups(clock: FakeClock) -> Throttle:
    return Throttle(clock)


LOOKUPS = LOOKUP_LIMITS["lookup-address"]


def count(throttle: Throttle, key: str, times: int = 1, scope: str = "lookup-address") -> None:
    for _ in range(times):
        throttle.count(scope, key)


class TestLookUps:
    def test_the_one_too_many_is_refused_and_says_how_long(self, lookups, clock):
        count(lookups, "ann", LOOKUPS.attempts - 1)
        clock.advance(20)
        count(lookups, "ann")
        with pytest.raises(TooManyAttempts) as caught:
            count(lookups, "ann")
        assert caught.value.retry_after == LOOKUPS.window - 20

    def test_one_that_is_refused_does_not_count(self, lookups, clock):
        count(lookups, "ann", LOOKUPS.attempts)
        clock.advance(LOOKUPS.window - 1)
        with pytest.raises(TooManyAttempts) as caught:
            count(lookups, "ann")
        assert caught.value.retry_after == 1
        clock.advance(1)
        count(lookups, "ann", LOOKUPS.attempts)

    def test_the_window_moves(self, lookups, clock):
        count(lookups, "ann")
        clock.advance(LOOKUPS.window - 10)
        count(lookups, "ann", LOOKUPS.attempts - 1)
        clock.advance(10)
        count(lookups, "ann")
        with pytest.raises(TooManyAttempts):
            count(lookups, "ann")

    def test_keys_and_scopes_are_counted_apart(self, lookups):
        count(lookups, "ann", LOOKUPS.attempts)
        count(lookups, "bob")
        count(lookups, "ann", scope="lookup-user")

    def test_what_no_longer_counts_takes_no_memory(self, lookups, clock):
        for number in range(50):
            count(lookups, f"user-{number}")
        assert lookups.size == 50
        clock.advance(LOOKUPS.window)
        count(lookups, "ann")
        assert lookups.size == 1

    # S138
    def test_memory_has_a_bound_and_the_least_recently_used_go_first(self, clock):
        throttle = Throttle(clock, limits={"scope": Limit(1, 60)}, max_keys=3)
        for key in ("a", "b", "c"):
            throttle.count("scope", key)
        with pytest.raises(TooManyAttempts):
            throttle.count("scope", "a")
        throttle.count("scope", "d")
        assert throttle.size == 3
        throttle.count("scope", "b")
        with pytest.raises(TooManyAttempts):
            throttle.count("scope", "a")

    def test_keys_of_any_length_and_content_are_taken_and_not_kept(self, lookups):
        count(lookups, "\ud800" + "x" * 100_000)
        assert "xxx" not in repr(vars(lookups))

    def test_an_unknown_scope_is_a_mistake(self, lookups):
        with pytest.raises(KeyError):
            lookups.count("lookup", "ann")


# S138
@pytest.mark.parametrize(
    ("ip", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_address_stands_for_its_ipv4_host_or_its_ipv6_network(ip, key):
    assert address_key(ip) == key
