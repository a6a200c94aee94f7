"""Local accounts: argon2id off the loop, equal work for everybody."""

import asyncio
import dataclasses
import logging
import os
import sys
import threading
import unicodedata
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher

from tests.conftest import FakeClock
from tests.test_accounts import accounts_of
from tornado_auth.accounts import Accounts
from tornado_auth.errors import InvalidValue, TornadoAuthError, WrongPassword
from tornado_auth.models import AssertedIdentity, User
from tornado_auth.passwords import MAX_LENGTH, LocalAccounts
from tornado_auth.scheduling import NICENESS
from tornado_auth.storage import Storage

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery staple"


class CountingHasher(PasswordHasher):
    """A hasher that notes the parameters of each hash that it verifies, and its threads."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str] = []
        self.threads: set[threading.Thread] = set()

    __slots__ = ("threads", "verified")

    def verify(self, hash, password):
        self.verified.append(hash.rsplit("$", 2)[0])
        self.threads.add(threading.current_thread())
        return super().verify(hash, password)

    def hash(self, password, *, salt=None):
        self.threads.add(threading.current_thread())
        return super().hash(password, salt=salt)


@pytest.fixture
async def local(storage: Storage, clock: FakeClock) -> AsyncIterator[LocalAccounts]:
    local = LocalAccounts(storage.users, storage.passwords, now=clock, hasher=CHEAP)
    yield local
    await local.close()


@pytest.fixture
def accounts(storage: Storage, clock: FakeClock) -> Accounts:
    return accounts_of(storage, clock)


@pytest.fixture
async def bob(accounts: Accounts, local: LocalAccounts) -> User:
    user = await accounts.create("bob", name="Bob")
    await local.set_password(user.id, PASSWORD)
    return user


async def test_the_right_password_proves_the_local_identity(local, bob, accounts):
    asserted = await local.authenticate("Bob", PASSWORD)
    assert asserted == AssertedIdentity(
        provider="local", subject=bob.id, username="bob", name="Bob", amr=("pwd",)
    )
    assert (await accounts.sign_in(asserted)).user == bob


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("bob", "correct horse battery stapl"),
        ("bob", PASSWORD + " "),
        ("bob", PASSWORD.upper()),
        ("bob", ""),
        ("bob", PASSWORD + "\ud800"),
        ("bob", "x" * (MAX_LENGTH + 1)),
        ("ann", PASSWORD),
        ("", PASSWORD),
        ("admin", PASSWORD),
        ("bob\0", PASSWORD),
        ("\ud800bob", PASSWORD),
    ],
)
async def test_anything_else_is_wrong_and_does_not_say_what(local, bob, username, password):
    with pytest.raises(WrongPassword, match=r"^The user name or the password is wrong\.$"):
        await local.authenticate(username, password)


async def test_a_user_without_a_password_has_none_that_fits(local, accounts):
    await accounts.create("ann")
    with pytest.raises(WrongPassword):
        await local.authenticate("ann", "")


# S152
async def test_a_password_is_stored_as_argon2id_only(local, bob, storage, clock):
    record = await storage.passwords.get(bob.id)
    assert record.hash.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert PASSWORD not in repr(record)
    assert record.changed_at == clock()


# S152
async def test_by_default_the_costs_are_those_of_rfc_9106(storage, clock, bob):
    local = LocalAccounts(storage.users, storage.passwords, now=clock)
    await local.set_password(bob.id, PASSWORD)
    record = await storage.passwords.get(bob.id)
    assert record.hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert (await local.authenticate("bob", PASSWORD)).subject == bob.id
    await local.close()


# S152
async def test_a_password_counts_to_its_last_character(local, bob):
    long = "x" * (MAX_LENGTH - 1)
    await local.set_password(bob.id, long + "y")
    assert (await local.authenticate("bob", long + "y")).subject == bob.id
    for other in (long + "z", long):
        with pytest.raises(WrongPassword):
            await local.authenticate("bob", other)


# S152
async def test_a_password_is_the_same_however_its_accents_are_encoded(local, bob):
    composed = unicodedata.normalize("NFC", "p\u00e4ssw\u00f6rd")
    await local.set_password(bob.id, unicodedata.normalize("NFD", composed))
    for form in ("NFC", "NFD"):
        assert await local.authenticate("bob", unicodedata.normalize(form, composed))
    with pytest.raises(WrongPassword):
        await local.authenticate("bob", "passw\u00f6rd")


@pytest.mark.parametrize(
    "password", ["", "1234567", "e\u0301" * 4, "x" * (MAX_LENGTH + 1), "x" * 10 + "\ud800"]
)
async def test_a_password_that_cannot_be_had_is_refused_with_the_rule(local, bob, password):
    with pytest.raises(InvalidValue, match="8 to 1024 characters"):
        await local.set_password(bob.id, password)
    assert await local.authenticate("bob", PASSWORD)


@pytest.mark.parametrize("password", ["12345678", "\U0001f600" * 8, "        ", "x" * MAX_LENGTH])
async def test_a_password_of_any_characters_is_taken(local, bob, password):
    await local.set_password(bob.id, password)
    assert await local.authenticate("bob", password)


async def test_a_new_password_replaces_the_old_one(local, bob, storage, clock):
    clock.advance(60)
    await local.set_password(bob.id, "something else")
    assert await local.authenticate("bob", "something else")
    assert (await storage.passwords.get(bob.id)).changed_at == clock()
    with pytest.raises(WrongPassword):
        await local.authenticate("bob", PASSWORD)


async def test_nobody_has_no_password(local, storage):
    with pytest.raises(InvalidValue, match="no such user"):
        await local.set_password("nobody", PASSWORD)
    assert await storage.passwords.find() == []


# S152
async def test_an_unknown_user_costs_as_much_work_as_a_known_one(storage, clock, bob, accounts):
    await accounts.create("ann")
    hasher = CountingHasher()
    local = LocalAccounts(storage.users, storage.passwords, now=clock, hasher=hasher)
    for username in ("bob", "ann", "nobody1", "admin", "\0"):
        with pytest.raises(WrongPassword):
            await local.authenticate(username, "wrong password")
    await local.close()
    assert hasher.verified == ["$argon2id$v=19$m=8,t=1,p=1"] * 5


# S139
async def test_hashing_runs_on_few_threads_that_are_not_the_loops(storage, clock, bob):
    hasher = CountingHasher()
    local = LocalAccounts(storage.users, storage.passwords, now=clock, hasher=hasher)
    await asyncio.gather(*(local.set_password(bob.id, PASSWORD) for _ in range(5)))
    await asyncio.gather(*(local.authenticate("bob", PASSWORD) for _ in range(20)))
    assert 1 <= len(hasher.threads) <= os.cpu_count()
    assert threading.main_thread() not in hasher.threads
    await local.close()
    assert not any(thread.is_alive() for thread in hasher.threads)


async def test_a_password_is_rehashed_when_the_costs_change(storage, clock, bob):
    dearer = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    local = LocalAccounts(storage.users, storage.passwords, now=clock, hasher=dearer)
    before = await storage.passwords.get(bob.id)
    clock.advance(60)
    assert await local.authenticate("bob", PASSWORD)
    after = await storage.passwords.get(bob.id)
    assert after.hash.startswith("$argon2id$v=19$m=16,t=2,p=1$")
    assert after.changed_at == before.changed_at
    assert await local.authenticate("bob", PASSWORD)
    assert await storage.passwords.get(bob.id) == after
    await local.close()


async def test_a_rehash_does_not_undo_a_change_of_the_same_moment(storage, clock, bob):
    class ChangesMeanwhile(PasswordHasher):
        def check_needs_rehash(self, hash):
            return True

    local = LocalAccounts(storage.users, storage.passwords, now=clock, hasher=ChangesMeanwhile())
    rehash = local._rehash

    async def change_then_rehash(stored, secret):
        changed = dataclasses.replace(stored, hash=CHEAP.hash("something else"))
        await storage.passwords.replace(changed)
        await rehash(stored, secret)

    local._rehash = change_then_rehash
    assert await local.authenticate("bob", PASSWORD)
    assert CHEAP.verify((await storage.passwords.get(bob.id)).hash, "something else")
    await local.close()


@pytest.mark.parametrize("broken", ["", "nonsense", "$argon2id$v=19$m=8,t=1,p=1$%$%"])
# S149
async def test_a_hash_that_cannot_be_read_opens_nothing_and_is_logged(
    local, bob, storage, caplog, broken
):
    caplog.set_level(logging.DEBUG)
    record = await storage.passwords.get(bob.id)
    await storage.passwords.replace(dataclasses.replace(record, hash=broken))
    with pytest.raises(WrongPassword):
        await local.authenticate("bob", PASSWORD)
    event = next(r for r in caplog.records if r.getMessage() == "unreadable_password_hash")
    assert (event.levelno, event.user_id) == (logging.ERROR, bob.id)


# S149
async def test_neither_password_nor_hash_is_in_a_log_or_an_error(local, bob, storage, caplog):
    caplog.set_level(logging.DEBUG)
    encoded = (await storage.passwords.get(bob.id)).hash
    errors: list[TornadoAuthError] = []
    for attempt in (
        local.authenticate("bob", "guessed password"),
        local.set_password(bob.id, "guessed"),
        local.set_password("nobody", "guessed password"),
    ):
        with pytest.raises(TornadoAuthError) as caught:
            await attempt
        errors.append(caught.value)
    await local.set_password(bob.id, "guessed password")
    await local.authenticate("bob", "guessed password")
    told = repr([(vars(r), r.getMessage()) for r in caplog.records if "tornado_auth" in r.name])
    told += repr([(error, error.__cause__, vars(local)) for error in errors])
    assert "guessed" not in told
    assert encoded not in told
    assert "wrong_password" in told


# S139
@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a priority of its own on Linux")
async def test_the_threads_that_hash_give_way_to_the_loop(local, bob):
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    await local.authenticate("bob", PASSWORD)
    threads = [await local._run(priority) for _ in range(5)]
    assert set(threads) == {min(19, priority() + NICENESS)}
