"""Users who are deleted: nothing of them is left but the name, whatever happens meanwhile."""

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
from argon2 import PasswordHasher

from tests.conftest import FakeClock
from tests.issuer import private_pem
from tests.test_accounts import ANN, ANN_AT_GOOGLE, BOB, accounts_of, revocations_of
from tornado_auth.accounts import Accounts
from tornado_auth.deletions import Deletions
from tornado_auth.errors import (
    LoginRefused,
    StorageUnavailable,
    UsernameTaken,
    WrongPassword,
)
from tornado_auth.keys import KeySet
from tornado_auth.models import AssertedIdentity, Client, Consent, User, UserClaims, Who
from tornado_auth.oauth2.grants import Grants, consent_id
from tornado_auth.passwords import LocalAccounts
from tornado_auth.roles import Roles
from tornado_auth.sessions import Sessions
from tornado_auth.storage import Storage
from tornado_auth.user_claims import UserClaimsStore

KEYS = KeySet.from_pem(private_pem("ES256"), algorithm="ES256")
PASSWORD = "correct horse battery staple"


@pytest.fixture
def accounts(storage: Storage, clock: FakeClock) -> Accounts:
    return accounts_of(storage, clock)


@pytest.fixture
async def local(storage: Storage, clock: FakeClock) -> AsyncIterator[LocalAccounts]:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    local = LocalAccounts(storage.users, storage.passwords, now=clock, hasher=cheap)
    yield local
    await local.close()


@pytest.fixture
def sessions(storage: Storage, clock: FakeClock) -> Sessions:
    return Sessions(
        storage.sessions,
        storage.handover_codes,
        KEYS,
        revocations=revocations_of(storage, clock),
        issuer="https://auth.example",
        lifetime=3600,
        now=clock,
    )


@pytest.fixture
def roles(storage: Storage, clock: FakeClock) -> Roles:
    return Roles(
        storage.roles,
        storage.groups,
        storage.memberships,
        storage.assignments,
        storage.group_mappings,
        revocations=revocations_of(storage, clock),
        now=clock,
    )


@pytest.fixture
def grants(storage: Storage, clock: FakeClock) -> Grants:
    return Grants(
        storage.grants,
        storage.sessions,
        storage.users,
        storage.clients,
        lifetime=3600,
        idle_limit=3600,
        now=clock,
    )


@pytest.fixture
def deletions(
    accounts: Accounts,
    local: LocalAccounts,
    sessions: Sessions,
    roles: Roles,
    grants: Grants,
    storage: Storage,
    clock: FakeClock,
) -> Deletions:
    return Deletions(
        accounts,
        local,
        sessions=sessions,
        roles=roles,
        grants=grants,
        consents=storage.consents,
        user_claims=UserClaimsStore(storage.user_claims, now=clock),
    )


@pytest.fixture
async def app(storage: Storage) -> Client:
    client = Client(id="app", created_at=1)
    await storage.clients.insert(client)
    return client


@pytest.fixture
async def lena(
    accounts: Accounts,
    local: LocalAccounts,
    sessions: Sessions,
    roles: Roles,
    grants: Grants,
    storage: Storage,
    app: Client,
) -> User:
    """Somebody with a password, two more ways to sign in, a session of each, roles, and an app."""
    user = await accounts.create("lena")
    await local.set_password(user.id, PASSWORD)
    asserted = await local.authenticate("lena", PASSWORD)
    await sessions.start((await accounts.sign_in(asserted)).identity)
    for other in (ANN, ANN_AT_GOOGLE):
        linked, _ = await accounts.link(user.id, other)
        await sessions.start(linked)
    await roles.put_role("reports", "reader", permissions=["read"])
    await roles.put_group("staff")
    await roles.add_member("staff", user.id)
    await roles.assign(f"user:{user.id}", "reports:reader")
    await allow(user, app, grants, storage)
    await storage.user_claims.insert(UserClaims(id=user.id, updated_at=1))
    return user


async def allow(user: User, client: Client, grants: Grants, storage: Storage) -> None:
    """Let a client keep its access while the user is signed out."""
    (session, *_) = await storage.sessions.find(user_id=user.id)
    who = Who(session=session, user=user)
    await grants.start(who, client, scope=("offline_access",), lifetime=600)
    id = consent_id(user.id, client.id)
    given = {"user_id": user.id, "client_id": client.id, "created_at": 1, "confirmed_at": 1}
    await storage.consents.insert(Consent(id=id, **given))


async def left_of(user: User, storage: Storage) -> list[Any]:
    return [
        await storage.users.get(user.id),
        await storage.passwords.get(user.id),
        *await storage.identities.find(user_id=user.id),
        *await storage.sessions.find(user_id=user.id),
        *await storage.memberships.find(user_id=user.id),
        *await storage.assignments.find(holder=f"user:{user.id}"),
        *await storage.grants.find(user_id=user.id),
        *await storage.consents.find(user_id=user.id),
        *(await storage.user_claims.get_many([user.id])).values(),
    ]


async def test_everything_goes_but_the_name(
    deletions, lena, accounts, local, sessions, grants, app, storage
):
    bystander = await accounts.sign_in(BOB)
    await sessions.start(bystander.identity)
    await allow(bystander.user, app, grants, storage)
    assert await deletions.delete_user(lena.id)
    for kept in (storage.grants, storage.consents):
        assert [record.user_id for record in await kept.find()] == [bystander.user.id]
    assert await left_of(lena, storage) == [None, None]
    assert [user.id for user in await storage.users.find()] == [bystander.user.id]
    assert await storage.identities.find() == [bystander.identity]
    with pytest.raises(WrongPassword):
        await local.authenticate("lena", PASSWORD)
    for taken in ("lena", "LENA", "1ena"):
        with pytest.raises(UsernameTaken):
            await accounts.create(taken)
    assert await accounts.find_by_username("lena") is None


# S147
async def test_who_signs_in_again_is_somebody_else(deletions, lena, accounts):
    await deletions.delete_user(lena.id)
    again = await accounts.sign_in(ANN)
    assert again.is_new
    assert again.user.id != lena.id


async def test_every_process_is_told_of_the_user_and_of_each_session(deletions, lena, storage):
    sessions = {session.id for session in await storage.sessions.find()}
    before = await storage.revocations.find()
    await deletions.delete_user(lena.id)
    marks = [mark for mark in await storage.revocations.find() if mark not in before]
    assert {mark.session_id for mark in marks if mark.session_id} == sessions
    # First that nobody may come in any more, last that the user is gone.
    assert [mark.user_id for mark in marks if mark.user_id] == [lena.id] * 2


async def test_one_of_many_calls_deletes_and_the_rest_do_no_harm(deletions, lena, storage):
    assert [await deletions.delete_user(lena.id) for _ in range(3)] == [True, False, False]
    assert not await deletions.delete_user("nobody")
    assert await left_of(lena, storage) == [None, None]


class Crash(Exception):
    pass


WRITES = 17  # of a whole deletion: the user is disabled, three sessions, the rest, and the marks


@pytest.fixture
def crash_after(storage, monkeypatch):
    """Let so many writes pass and no more; returns how many were tried."""
    tried: list[str] = []

    def crash_after(number: int) -> list[str]:
        def crashing(name, operation):
            async def write(*args, **kwargs):
                tried.append(name)
                if len(tried) > number:
                    raise Crash
                return await operation(*args, **kwargs)

            return write

        for collection in vars(storage).values():
            for name in {"insert", "replace", "delete", "delete_where"} & set(dir(collection)):
                monkeypatch.setattr(collection, name, crashing(name, getattr(collection, name)))
        return tried

    return crash_after


async def test_so_many_writes_it_takes(deletions, lena, crash_after):
    tried = crash_after(100)
    await deletions.delete_user(lena.id)
    assert len(tried) == WRITES


@pytest.mark.parametrize("number", range(1, WRITES))
async def test_after_a_crash_at_any_point_the_user_is_shut_out_and_the_rest_is_repeated(
    deletions, lena, accounts, storage, monkeypatch, crash_after, number
):
    crash_after(number)
    with pytest.raises(Crash):
        await deletions.delete_user(lena.id)
    monkeypatch.undo()
    user = await accounts.find_by_username("lena")
    if user is not None:
        assert user.disabled_at is not None
        assert await deletions.delete_user(user.id)
    else:
        assert number == WRITES - 1  # only the last mark is missing, and the first said the same
    assert await left_of(lena, storage) == [None, None]


class TestSignInsUnderWay:
    """The sign-in stands still at one of its reads while the user is deleted."""

    @pytest.fixture
    def delete_after(self, deletions, lena, storage, monkeypatch):
        def delete_after(collection, name="get", *, times=1):
            operation, calls = getattr(collection, name), 0

            async def call(*args, **kwargs):
                nonlocal calls
                answer = await operation(*args, **kwargs)
                calls += 1
                if calls == times:
                    await deletions.delete_user(lena.id)
                return answer

            monkeypatch.setattr(collection, name, call)

        return delete_after

    async def test_nobody_comes_back_who_had_found_the_identity(
        self, delete_after, lena, accounts, storage
    ):
        delete_after(storage.identities)
        with pytest.raises(LoginRefused):
            await accounts.sign_in(ANN)
        assert await left_of(lena, storage) == [None, None]

    async def test_nobody_comes_back_who_had_found_the_user(
        self, delete_after, lena, accounts, storage
    ):
        delete_after(storage.users)
        with pytest.raises(LoginRefused):
            await accounts.sign_in(ANN)
        assert await left_of(lena, storage) == [None, None]

    async def test_a_local_sign_in_leaves_no_identity_behind(
        self, delete_after, lena, accounts, storage
    ):
        await storage.identities.delete(f"local:{lena.id}")
        delete_after(storage.identities)
        with pytest.raises(LoginRefused):
            await accounts.sign_in(AssertedIdentity(provider="local", subject=lena.id))
        assert await left_of(lena, storage) == [None, None]

    async def test_an_identity_that_is_being_linked_goes_too(
        self, delete_after, lena, accounts, storage
    ):
        delete_after(storage.users)
        with pytest.raises(LoginRefused):
            await accounts.link(lena.id, BOB)
        assert await left_of(lena, storage) == [None, None]
        assert (await accounts.sign_in(BOB)).user.id != lena.id

    async def test_an_identity_that_is_somebody_elses_by_now_makes_nobody_come_back(
        self, lena, deletions, accounts, storage, monkeypatch
    ):
        get = storage.identities.get

        async def get_and_move(id):
            identity = await get(id)
            if identity and identity.user_id == lena.id:
                await deletions.delete_user(lena.id)
                await storage.identities.insert(dataclasses.replace(identity, user_id="another"))
            return identity

        monkeypatch.setattr(storage.identities, "get", get_and_move)
        with pytest.raises(LoginRefused):
            await accounts.sign_in(ANN)
        assert await storage.users.find() == []


class TestOtherChanges:
    """What else others may remember of a user, and are told of."""

    @pytest.fixture
    def told(self, storage):
        async def told():
            return [mark.user_id for mark in await storage.revocations.find()]

        return told

    async def test_disabling_and_enabling_are_told_even_if_they_change_nothing(
        self, accounts, told
    ):
        user = await accounts.create("ann")
        for number, disabled in enumerate([True, True, False, False], 1):
            await accounts.set_disabled(user.id, disabled=disabled)
            assert await told() == [user.id] * number
        await accounts.set_disabled("nobody", disabled=True)
        assert len(await told()) == 4

    async def test_a_chosen_name_is_told(self, accounts, told):
        user = (await accounts.sign_in(ANN)).user
        assert await told() == []
        await accounts.choose_username(user.id, "queen")
        assert await told() == [user.id]

    async def test_a_change_at_the_provider_is_told_once(self, accounts, told):
        user = (await accounts.sign_in(ANN)).user
        await accounts.sign_in(ANN)
        assert await told() == []
        for _ in range(2):
            await accounts.sign_in(dataclasses.replace(ANN, name="Anna"))
        assert await told() == [user.id]

    async def test_who_shuts_somebody_out_hears_that_others_learn_of_it_late(
        self, accounts, storage, monkeypatch
    ):
        user = (await accounts.sign_in(ANN)).user

        async def fail(record):
            raise StorageUnavailable

        monkeypatch.setattr(storage.revocations, "insert", fail)
        with pytest.raises(StorageUnavailable):
            await accounts.set_disabled(user.id, disabled=True)
        # It is done all the same, and a choice or a sign-in is not lost by it.
        assert (await accounts.get(user.id)).disabled_at is not None
        with pytest.raises(StorageUnavailable):
            await accounts.set_disabled(user.id, disabled=False)
        assert (await accounts.choose_username(user.id, "queen")).username == "queen"
        await accounts.sign_in(dataclasses.replace(ANN, name="Anna"))
