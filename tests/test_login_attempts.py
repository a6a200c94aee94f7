"""Login attempts: bound to one browser, one use, ten minutes."""

import pytest

from tests.conftest import FakeClock
from tornado_auth.errors import LoginStateInvalid
from tornado_auth.login_attempts import LIFETIME, LoginAttempts
from tornado_auth.storage import Storage

SECRET = "s" * 40


@pytest.fixture
def attempts(storage: Storage, clock: FakeClock) -> LoginAttempts:
    return LoginAttempts([SECRET], storage.spent_states, now=clock)


async def test_an_attempt_comes_back_as_it_was(attempts: LoginAttempts) -> None:
    attempt, sealed = attempts.begin("github", next="/x", link_user_id="u1")
    assert await attempts.take(sealed, attempt.state) == attempt


async def test_attempts_share_nothing(attempts: LoginAttempts) -> None:
    one, _ = attempts.begin("github")
    two, _ = attempts.begin("github")
    secrets = [one.state, one.nonce, one.code_verifier, two.state, two.nonce, two.code_verifier]
    assert len(set(secrets)) == 6
    # RFC 7636 §4.1: 43 to 128 characters.
    assert all(43 <= len(secret) <= 128 for secret in secrets)


# S090 D8
async def test_a_state_is_good_for_one_callback(attempts: LoginAttempts) -> None:
    attempt, sealed = attempts.begin("github")
    await attempts.take(sealed, attempt.state)
    with pytest.raises(LoginStateInvalid):
        await attempts.take(sealed, attempt.state)


# S090
async def test_a_state_from_another_attempt_is_refused(attempts: LoginAttempts) -> None:
    _, sealed = attempts.begin("github")
    other, _ = attempts.begin("github")
    with pytest.raises(LoginStateInvalid):
        await attempts.take(sealed, other.state)


@pytest.mark.parametrize("sealed", ["", "x", "gAAAAA", "é"])
async def test_a_seal_that_is_not_ours_is_refused(attempts: LoginAttempts, sealed: str) -> None:
    attempt, _ = attempts.begin("github")
    with pytest.raises(LoginStateInvalid):
        await attempts.take(sealed, attempt.state)


# S090
async def test_an_attempt_ends_after_ten_minutes(attempts: LoginAttempts, clock: FakeClock) -> None:
    attempt, sealed = attempts.begin("github")
    clock.advance(LIFETIME + 1)
    with pytest.raises(LoginStateInvalid):
        await attempts.take(sealed, attempt.state)


async def test_a_new_secret_seals_and_an_old_one_still_opens(
    storage: Storage, clock: FakeClock
) -> None:
    old = LoginAttempts([SECRET], storage.spent_states, now=clock)
    new = LoginAttempts(["n" * 40, SECRET], storage.spent_states, now=clock)
    attempt, sealed = old.begin("github")
    assert await new.take(sealed, attempt.state) == attempt
    attempt, sealed = new.begin("github")
    with pytest.raises(LoginStateInvalid):
        await old.take(sealed, attempt.state)


async def test_an_attempt_of_another_version_is_started_again(
    attempts: LoginAttempts, clock: FakeClock
) -> None:
    plain = b'{"state": "s", "a_field_of_tomorrow": 1}'
    sealed = attempts._fernet.encrypt_at_time(plain, clock()).decode()
    with pytest.raises(LoginStateInvalid):
        await attempts.take(sealed, "s")


async def test_nothing_is_stored_before_a_callback(
    attempts: LoginAttempts, storage: Storage
) -> None:
    attempt, sealed = attempts.begin("github")
    assert await storage.spent_states.find() == []
    await attempts.take(sealed, attempt.state)
    (spent,) = await storage.spent_states.find()
    assert attempt.state not in repr(spent)
