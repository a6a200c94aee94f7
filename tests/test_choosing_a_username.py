"""Choosing a user name, once: which are free, what is kept when it fails."""

import pytest

from tests.conftest import FakeClock
from tests.test_accounts import ANN, BOB, accounts_of, everything
from tornado_auth.accounts import Accounts
from tornado_auth.errors import (
    AlreadyExists,
    InvalidUsername,
    InvalidValue,
    StorageUnavailable,
    UsernameAlreadySet,
    UsernameTaken,
)
from tornado_auth.models import User
from tornado_auth.storage import Storage
from tornado_auth.usernames import skeleton


@pytest.fixture
def accounts(storage: Storage, clock: FakeClock) -> Accounts:
    return accounts_of(storage, clock)


# D15 S104
async def test_a_name_is_chosen_once(accounts):
    user = (await accounts.sign_in(ANN)).user
    chosen = await accounts.choose_username(user.id, "Anna")
    assert (chosen.username, chosen.username_key, chosen.username_chosen) == (
        "anna",
        "anna",
        True,
    )
    assert await accounts.find_by_username("ANNA") == chosen
    with pytest.raises(UsernameAlreadySet, match=r"^Cannot modify username, already set$"):
        await accounts.choose_username(user.id, "annie")
    assert (await accounts.create("annie")).username == "annie"


async def test_the_automatic_name_can_be_kept_by_choosing_it(accounts):
    user = (await accounts.sign_in(ANN)).user
    assert (await accounts.choose_username(user.id, "ANN")).username_chosen


# D14 S146 S147
async def test_a_name_that_somebody_has_or_had_is_taken_and_so_are_lookalikes(accounts):
    ann = (await accounts.sign_in(ANN)).user
    await accounts.choose_username(ann.id, "robin")
    bob = (await accounts.sign_in(BOB)).user
    for name in ("robin", "ROBIN", "r0bin", "rob\u0131n", "ann", "\u0430nn", "\u00e4nn"):
        with pytest.raises(UsernameTaken):
            await accounts.choose_username(bob.id, name)
    assert (await accounts.get(bob.id)).username == "bob"
    assert await accounts.find_by_username("ann") is None


# S146 S147
async def test_a_bad_name_changes_nothing(accounts, storage):
    user = (await accounts.sign_in(ANN)).user
    before = await everything(storage)
    for name in ("ab", "a@b.c", "admin", "adm\u0131n", "a\u200bnna", "\u202eanna", ""):
        with pytest.raises(InvalidUsername):
            await accounts.choose_username(user.id, name)
    assert await everything(storage) == before


async def test_there_is_no_name_for_nobody(accounts, storage):
    with pytest.raises(InvalidValue):
        await accounts.choose_username("nobody", "anna")
    assert await storage.username_claims.find() == []


async def test_a_name_held_by_a_user_without_a_claim_is_taken(accounts, storage):
    old = User(id="old", username="bob", username_key="bob", created_at=1)
    await storage.users.insert(old)
    user = (await accounts.sign_in(ANN)).user
    with pytest.raises(UsernameTaken):
        await accounts.choose_username(user.id, "bob")
    with pytest.raises(UsernameTaken):
        await accounts.create("bob")
    assert await storage.username_claims.get(skeleton("bob")) is None


async def test_a_failed_write_can_be_repeated(accounts, storage, monkeypatch):
    user = (await accounts.sign_in(ANN)).user

    async def fail(record):
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(storage.users, "replace", fail)
        with pytest.raises(StorageUnavailable):
            await accounts.choose_username(user.id, "anna")
    assert (await accounts.choose_username(user.id, "anna")).username == "anna"


async def test_a_claim_given_back_in_the_same_moment_is_had(accounts, storage):
    user = await accounts.create("bob")
    claims, insert = storage.username_claims, storage.username_claims.insert

    async def insert_too_late(claim):
        claims.insert = insert
        raise AlreadyExists("id")

    claims.insert = insert_too_late
    assert (await accounts.create("anna")).username == "anna"
    assert (await claims.get(skeleton("anna"))).user_id != user.id


# S104
async def test_who_loses_to_the_same_name_does_not_give_the_winners_claim_back(
    accounts, storage, clock
):
    user = (await accounts.sign_in(ANN)).user
    claims, insert = storage.username_claims, storage.username_claims.insert

    async def insert_and_be_overtaken(claim):
        claims.insert = insert
        await insert(claim)
        await accounts_of(storage, clock).choose_username(user.id, "r0bin")

    claims.insert = insert_and_be_overtaken
    with pytest.raises(UsernameAlreadySet):
        await accounts.choose_username(user.id, "robin")
    assert (await accounts.get(user.id)).username == "r0bin"
    assert (await claims.get(skeleton("robin"))).user_id == user.id


# S147
async def test_who_loses_with_the_automatic_name_leaves_it_reserved(accounts, storage, clock):
    user = (await accounts.sign_in(ANN)).user
    claims, get = storage.username_claims, storage.username_claims.get

    async def get_and_be_overtaken(id):
        claims.get = get
        await accounts_of(storage, clock).choose_username(user.id, "robin")
        return await get(id)

    claims.get = get_and_be_overtaken
    with pytest.raises(UsernameAlreadySet):
        await accounts.choose_username(user.id, "ann")
    assert (await accounts.get(user.id)).username == "robin"
    assert (await claims.get(skeleton("ann"))).user_id == user.id


@pytest.mark.parametrize("name", ["", "ab", "a@b.c", "admin", "\0", "\ud800bob", "nobody1"])
async def test_nobody_is_found_under_a_name_that_nobody_can_have(accounts, name):
    assert await accounts.find_by_username(name) is None


# S146 S147
async def test_creating_by_hand_obeys_the_rules_of_names(accounts, storage):
    await accounts.create("bob")
    for name in ("bob", "B\u043eb", "b0b"):
        with pytest.raises(UsernameTaken):
            await accounts.create(name)
    with pytest.raises(InvalidUsername):
        await accounts.create("root")
    assert len(await storage.users.find()) == 1
