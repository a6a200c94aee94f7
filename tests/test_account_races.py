"""What happens at the same moment, in one process and in two over one store."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import FakeClock
from tests.test_accounts import ANN, BOB, accounts_of, everything
from tornado_auth.accounts import Accounts
from tornado_auth.errors import (
    IdentityTaken,
    StorageUnavailable,
    UsernameAlreadySet,
    UsernameTaken,
)
from tornado_auth.models import User
from tornado_auth.storage import Storage, open_backend
from tornado_auth.usernames import skeleton

PARALLEL = 20


@pytest.fixture(params=["memory", "sqlite", "mongodb"])
async def pair(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[list[tuple[Storage, Accounts]]]:
    """Two `Accounts`, as of two processes: over one memory, or two connections to one database."""
    url = "memory://"
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/shared.db"
    elif request.param == "mongodb":
        url = request.getfixturevalue("mongo_url")
    storages = [Storage(open_backend(url, timeout=10), clock) for _ in range(2)]
    if request.param == "memory":
        storages[1] = storages[0]
    for storage in storages:
        await storage.open()
    yield [(storage, accounts_of(storage, clock)) for storage in storages]
    for storage in storages:
        await storage.close()


# D16 S094
async def test_parallel_first_sign_ins_make_one_user(pair):
    signed_in = await asyncio.gather(
        *(pair[number % 2][1].sign_in(ANN) for number in range(PARALLEL))
    )
    assert len({s.user.id for s in signed_in}) == 1
    assert [s.is_new for s in signed_in].count(True) == 1
    users, identities, claims = await everything(pair[0][0])
    assert (len(users), len(identities), len(claims)) == (1, 1, 1)
    assert users[0].username == "ann"


async def test_a_crash_between_identity_and_user_heals_at_the_next_sign_ins(pair, monkeypatch):
    storage, accounts = pair[0]

    async def fail(record):
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(storage.users, "insert", fail)
        with pytest.raises(StorageUnavailable):
            await accounts.sign_in(ANN)
    users, identities, _ = await everything(storage)
    assert (len(users), len(identities)) == (0, 1)
    signed_in = await asyncio.gather(
        *(pair[number % 2][1].sign_in(ANN) for number in range(PARALLEL))
    )
    assert {s.user.id for s in signed_in} == {identities[0].user_id}
    assert [s.is_new for s in signed_in].count(True) == 1
    users, _, claims = await everything(storage)
    assert [user.username for user in users] == ["ann"]
    assert len(claims) == 1


async def test_parallel_first_sign_ins_of_different_people_get_different_names(pair):
    people = [dataclasses.replace(BOB, subject=str(number)) for number in range(PARALLEL)]
    signed_in = await asyncio.gather(
        *(pair[int(person.subject) % 2][1].sign_in(person) for person in people)
    )
    assert len({skeleton(s.user.username) for s in signed_in}) == PARALLEL
    _, _, claims = await everything(pair[0][0])
    assert len(claims) == PARALLEL


# S104 S146 D15
async def test_parallel_claims_of_one_name_have_one_winner(pair):
    storage, accounts = pair[0]
    people = [
        (await accounts.sign_in(dataclasses.replace(ANN, subject=str(number)))).user
        for number in range(PARALLEL)
    ]
    lookalikes = ["robin", "Robin", "r0bin", "rob\u0131n"]
    results = await asyncio.gather(
        *(
            pair[number % 2][1].choose_username(user.id, lookalikes[number % 4])
            for number, user in enumerate(people)
        ),
        return_exceptions=True,
    )
    winners = [result for result in results if isinstance(result, User)]
    losers = [result for result in results if isinstance(result, UsernameTaken)]
    assert (len(winners), len(losers)) == (1, PARALLEL - 1)
    claim = await storage.username_claims.get(skeleton("robin"))
    assert claim.user_id == winners[0].id
    chosen = [user for user in await storage.users.find() if user.username_chosen]
    assert chosen == winners


# S104 D15
async def test_parallel_choices_of_one_user_have_one_success_and_lock_no_other_name(pair):
    storage, accounts = pair[0]
    user = (await accounts.sign_in(ANN)).user
    names = [f"robin-{letter}" for letter in "abcdefghijklmnopqrst"]
    results = await asyncio.gather(
        *(pair[number % 2][1].choose_username(user.id, name) for number, name in enumerate(names)),
        return_exceptions=True,
    )
    winners = [result for result in results if isinstance(result, User)]
    losers = [result for result in results if isinstance(result, UsernameAlreadySet)]
    assert (len(winners), len(losers)) == (1, PARALLEL - 1)
    stored = await accounts.get(user.id)
    assert stored == winners[0]
    claims = {claim.id for claim in await storage.username_claims.find()}
    assert claims == {skeleton("ann"), skeleton(stored.username)}


# S104
async def test_parallel_choices_of_one_name_by_one_user_keep_the_name(pair):
    storage, accounts = pair[0]
    user = (await accounts.sign_in(ANN)).user
    results = await asyncio.gather(
        *(
            pair[number % 2][1].choose_username(user.id, ["robin", "r0bin"][number % 2])
            for number in range(PARALLEL)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(result, User) for result in results) == 1
    assert sum(isinstance(result, UsernameAlreadySet) for result in results) == PARALLEL - 1
    claim = await storage.username_claims.get(skeleton("robin"))
    assert claim.user_id == user.id


# S095
async def test_parallel_links_of_one_identity_have_one_owner(pair):
    accounts = pair[0][1]
    people = [await accounts.create(f"robin-{letter}") for letter in "abcdefgh"]
    results = await asyncio.gather(
        *(pair[number % 2][1].link(user.id, ANN) for number, user in enumerate(people * 2)),
        return_exceptions=True,
    )
    linked = [result for result in results if not isinstance(result, BaseException)]
    owners = {identity.user_id for identity, _ in linked}
    assert sum(added for _, added in linked) == 1
    refused = [result for result in results if isinstance(result, IdentityTaken)]
    assert len(owners) == 1
    assert len(refused) == len(results) - 2
    assert {(await accounts.sign_in(ANN)).user.id} == owners
