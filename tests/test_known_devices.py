"""What a browser keeps in which somebody has signed in: ours alone to make, for one user each."""

import dataclasses
import json

import pytest

from tests.conftest import FakeClock
from tornado_auth.known_devices import LIFETIME, MAX_USERS, KnownDevices
from tornado_auth.models import Password
from tornado_auth.seals import make_seal
from tornado_auth.storage import Storage

SECRET = "s" * 40
OTHER_SECRET = "t" * 40


@pytest.fixture
def devices(storage: Storage, clock: FakeClock) -> KnownDevices:
    return KnownDevices([SECRET], storage.passwords, now=clock)


@pytest.fixture(autouse=True)
async def passwords(storage: Storage, clock: FakeClock) -> None:
    for number in range(MAX_USERS + 2):
        await storage.passwords.insert(Password(id=f"u{number}", hash="x", changed_at=clock()))


async def test_a_device_is_recognised_for_who_signed_in_there(devices):
    sealed = await devices.remember("", "u1")
    assert devices.users(sealed) == {"u1"}
    assert await devices.recognise(sealed, "u1") != ""


# S138
async def test_it_is_a_stranger_to_everybody_else(devices):
    sealed = await devices.remember("", "u1")
    for user_id in ("u2", "", "u", "u11"):
        assert await devices.recognise(sealed, user_id) == ""


async def test_a_few_users_share_a_browser_and_nothing_ties_them_together(devices):
    sealed = ""
    for number in range(MAX_USERS):
        sealed = await devices.remember(sealed, f"u{number}")
    names = {await devices.recognise(sealed, f"u{number}") for number in range(MAX_USERS)}
    assert len(names) == MAX_USERS
    assert "" not in names


async def test_the_last_few_users_are_kept(devices):
    sealed = ""
    for user_id in ("u0", "u1", "u2", "u3", "u0", "u4"):
        sealed = await devices.remember(sealed, user_id)
    assert devices.users(sealed) == {"u0", "u2", "u3", "u4"}
    assert len(sealed) < 1000  # of the 8 KiB that all cookies together may have


# S138
async def test_each_sign_in_gives_the_device_another_name(devices):
    """So whoever copied the old one uses up nothing but its own attempts."""
    first = await devices.remember("", "u1")
    second = await devices.remember(first, "u1")
    assert await devices.recognise(first, "u1") != await devices.recognise(second, "u1")
    assert await devices.recognise(second, "u1") != ""


# S138
async def test_a_new_password_makes_strangers_of_all_devices(devices, storage, clock):
    sealed = await devices.remember(await devices.remember("", "u2"), "u1")
    clock.advance(1)
    await _change(storage, "u1", clock())
    assert await devices.recognise(sealed, "u1") == ""
    assert await devices.recognise(sealed, "u2") != ""
    again = await devices.remember(sealed, "u1")
    assert await devices.recognise(again, "u1") != ""


async def test_a_password_that_is_gone_does_too(devices, storage):
    sealed = await devices.remember("", "u1")
    await storage.passwords.delete("u1")
    assert await devices.recognise(sealed, "u1") == ""
    assert devices.users(await devices.remember(sealed, "u1")) == set()


# S138
async def test_what_is_not_sealed_by_us_for_this_is_worth_nothing(devices, storage, clock):
    plain = json.dumps([["u1", "device", clock(), clock()]]).encode()
    sealed = await devices.remember("", "u1")
    for forged in (
        "",
        "x",
        "gAAAAA",
        "é",
        plain.decode(),
        sealed[:-1],
        sealed[:20] + ("A" if sealed[20] != "A" else "B") + sealed[21:],
        make_seal("known device", [OTHER_SECRET]).encrypt_at_time(plain, clock()).decode(),
        make_seal("login attempt", [SECRET]).encrypt_at_time(plain, clock()).decode(),
    ):
        assert devices.users(forged) == set(), forged
        assert await devices.recognise(forged, "u1") == ""
        # And it does no harm to who signs in there.
        assert devices.users(await devices.remember(forged, "u2")) == {"u2"}


async def test_a_seal_of_another_version_is_worth_nothing(devices, clock):
    for entries in ([["u1", "device", 5]], [[]], [5], 5, None, [["u1", "d", 5, 5, 5]]):
        plain = json.dumps(entries).encode()
        sealed = make_seal("known device", [SECRET]).encrypt_at_time(plain, clock()).decode()
        assert devices.users(sealed) == set()


async def test_nobody_reads_in_it_who_was_there(devices):
    sealed = await devices.remember("", "somebody")
    assert "somebody" not in sealed
    assert sealed != await devices.remember("", "somebody")


async def test_a_secret_is_replaced_and_the_old_one_still_opens(devices, storage, clock):
    sealed = await devices.remember("", "u1")
    both = KnownDevices([OTHER_SECRET, SECRET], storage.passwords, now=clock)
    assert await both.recognise(sealed, "u1") != ""
    renewed = await both.remember(sealed, "u2")
    new = KnownDevices([OTHER_SECRET], storage.passwords, now=clock)
    assert new.users(renewed) == {"u1", "u2"}
    assert new.users(sealed) == set()


async def test_who_has_not_signed_in_for_long_is_forgotten(devices, clock):
    sealed = await devices.remember("", "u1")
    clock.advance(LIFETIME - 1)
    assert devices.users(sealed) == {"u1"}
    sealed = await devices.remember(sealed, "u2")
    clock.advance(1)
    assert devices.users(sealed) == {"u2"}
    clock.advance(LIFETIME)
    assert devices.users(sealed) == set()


async def _change(storage: Storage, user_id: str, changed_at: int) -> None:
    password = await storage.passwords.get(user_id)
    assert password is not None
    await storage.passwords.replace(dataclasses.replace(password, changed_at=changed_at))
