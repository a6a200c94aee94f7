"""Slowing down who fails too often."""

import pytest

from tests.conftest import FakeClock
from tornado_auth.errors import TooManyAttempts
from tornado_auth.throttle import ATTEMPT_LIFETIME, LIMITS, Limit, Throttle, address_key

ACCOUNT = LIMITS["login-account"]


@pytest.fixture
def throttle(clock: FakeClock) -> Throttle:
    return Throttle(clock)


def fail(throttle: Throttle, key: str, times: int, scope: str = "login-account") -> None:
    for _ in range(times):
        throttle.check(scope, key)
        throttle.fail(scope, key)


def test_the_attempt_after_the_last_allowed_failure_is_refused_and_says_how_long(throttle, clock):
    fail(throttle, "ann", ACCOUNT.attempts - 1)
    clock.advance(20)
    fail(throttle, "ann", 1)
    with pytest.raises(TooManyAttempts) as caught:
        throttle.check("login-account", "ann")
    assert caught.value.retry_after == ACCOUNT.window - 20


def test_a_refused_attempt_does_not_prolong_the_wait(throttle, clock):
    fail(throttle, "ann", ACCOUNT.attempts)
    clock.advance(ACCOUNT.window - 1)
    with pytest.raises(TooManyAttempts) as caught:
        throttle.check("login-account", "ann")
    assert caught.value.retry_after == 1
    clock.advance(1)
    throttle.check("login-account", "ann")


def test_the_window_moves_so_that_each_failure_counts_for_its_own_time(throttle, clock):
    fail(throttle, "ann", 1)
    clock.advance(ACCOUNT.window - 10)
    fail(throttle, "ann", ACCOUNT.attempts - 1)
    clock.advance(10)
    fail(throttle, "ann", 1)
    with pytest.raises(TooManyAttempts):
        throttle.check("login-account", "ann")


def test_keys_and_scopes_are_counted_apart(throttle):
    fail(throttle, "ann", ACCOUNT.attempts)
    throttle.check("login-account", "bob")
    throttle.check("login-address", "ann")


def test_a_success_clears_the_failures_of_an_account(throttle):
    fail(throttle, "ann", ACCOUNT.attempts - 1)
    throttle.check("login-account", "ann")
    throttle.succeed("login-account", "ann")
    fail(throttle, "ann", ACCOUNT.attempts)


def test_a_success_does_not_clear_the_failures_of_an_address(throttle):
    limit = LIMITS["login-address"]
    fail(throttle, "192.0.2.1", limit.attempts - 1, "login-address")
    throttle.check("login-address", "192.0.2.1")
    throttle.succeed("login-address", "192.0.2.1")
    fail(throttle, "192.0.2.1", 1, "login-address")
    with pytest.raises(TooManyAttempts):
        throttle.check("login-address", "192.0.2.1")


def test_successes_alone_never_use_up_an_address(throttle):
    for _ in range(LIMITS["login-address"].attempts * 2):
        throttle.check("login-address", "192.0.2.1")
        throttle.succeed("login-address", "192.0.2.1")


def test_attempts_at_the_same_time_cannot_all_slip_through(throttle):
    for _ in range(ACCOUNT.attempts):
        throttle.check("login-account", "ann")
    with pytest.raises(TooManyAttempts) as caught:
        throttle.check("login-account", "ann")
    assert caught.value.retry_after == ATTEMPT_LIFETIME


def test_an_attempt_that_never_ends_is_soon_forgotten(throttle, clock):
    for _ in range(ACCOUNT.attempts):
        throttle.check("login-account", "ann")
    clock.advance(ATTEMPT_LIFETIME)
    throttle.check("login-account", "ann")


def test_failures_count_and_successes_do_no_harm_without_a_check_before(throttle):
    throttle.succeed("login-account", "ann")
    for _ in range(ACCOUNT.attempts * 2):
        throttle.fail("login-account", "ann")
    with pytest.raises(TooManyAttempts):
        throttle.check("login-account", "ann")


def test_what_no_longer_counts_takes_no_memory(throttle, clock):
    for number in range(50):
        fail(throttle, f"user-{number}", 1)
    assert throttle.size == 50
    clock.advance(ACCOUNT.window)
    throttle.check("login-account", "ann")
    assert throttle.size == 1


def test_memory_has_a_bound_and_the_least_recently_used_go_first(clock):
    throttle = Throttle(clock, limits={"scope": Limit(1, 60)}, max_keys=3)
    for key in ("a", "b", "c"):
        throttle.fail("scope", key)
    with pytest.raises(TooManyAttempts):
        throttle.check("scope", "a")
    throttle.fail("scope", "d")
    assert throttle.size == 3
    throttle.check("scope", "b")
    with pytest.raises(TooManyAttempts):
        throttle.check("scope", "a")


def test_keys_of_any_length_and_content_are_taken_and_not_kept(throttle):
    fail(throttle, "\ud800" + "x" * 100_000, 1)
    assert "xxx" not in repr(vars(throttle))


def test_an_unknown_scope_is_a_mistake(throttle):
    with pytest.raises(KeyError):
        throttle.check("login", "ann")


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
