"""Several identities of one user."""

import dataclasses

import pytest

from tests.conftest import FakeClock
from tests.test_accounts import ANN, ANN_AT_GOOGLE, BOB, accounts_of
from tornado_auth.accounts import Accounts
from tornado_auth.errors import IdentityTaken, LoginRefused
from tornado_auth.storage import Storage


@pytest.fixture
def accounts(storage: Storage, clock: FakeClock) -> Accounts:
    return accounts_of(storage, clock)


# S095 D2
async def test_a_linked_identity_signs_in_as_the_user(accounts):
    user = (await accounts.sign_in(ANN)).user
    linked, added = await accounts.link(user.id, ANN_AT_GOOGLE)
    assert added
    assert await accounts.link(user.id, ANN_AT_GOOGLE) == (linked, False)
    signed_in = await accounts.sign_in(ANN_AT_GOOGLE)
    assert signed_in.user.id == user.id
    assert not signed_in.is_new
    ids = [identity.id for identity in await accounts.identities_of(user.id)]
    assert ids == ["github:583231", "google:1081"]


# S095
async def test_the_identity_of_somebody_else_cannot_be_linked(accounts):
    user = (await accounts.sign_in(ANN)).user
    owner = (await accounts.sign_in(BOB)).user
    with pytest.raises(IdentityTaken):
        await accounts.link(user.id, BOB)
    assert (await accounts.sign_in(BOB)).user.id == owner.id


async def test_nothing_can_be_linked_to_who_is_disabled_or_gone(accounts, storage):
    user = await accounts.create("bob")
    await accounts.set_disabled(user.id, disabled=True)
    for user_id in (user.id, "gone"):
        with pytest.raises(LoginRefused):
            await accounts.link(user_id, ANN)
    assert await storage.identities.find() == []


async def test_all_identities_are_listed_however_many(accounts):
    user = await accounts.create("bob")
    for number in range(101):
        await accounts.link(user.id, dataclasses.replace(ANN, subject=f"{number:03}"))
    ids = [identity.id for identity in await accounts.identities_of(user.id)]
    assert ids == [f"github:{number:03}" for number in range(101)]
