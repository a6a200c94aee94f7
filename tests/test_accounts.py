"""Who a proven identity is here: finding, creating, linking."""

import dataclasses
import logging
import re

import pytest

from tests.conftest import FakeClock
from tornado_auth.accounts import Accounts, profile
from tornado_auth.errors import (
    LoginRefused,
    StorageUnavailable,
    UsernameAlreadySet,
    UsernameTaken,
)
from tornado_auth.metrics import Metrics
from tornado_auth.models import AssertedIdentity, Identity, User, UsernameClaim
from tornado_auth.revocations import Revocations
from tornado_auth.storage import Storage
from tornado_auth.usernames import skeleton

ANN = AssertedIdentity(
    provider="github",
    subject="583231",
    username="Ann",
    name="Ann Example",
    email="ann@example.org",
    avatar_url="https://example.org/ann.png",
)
ANN_AT_GOOGLE = dataclasses.replace(ANN, provider="google", subject="1081", username="")
BOB = AssertedIdentity(provider="github", subject="7", username="bob")


def accounts_of(storage: Storage, clock: FakeClock, **options: tuple[str, ...]) -> Accounts:
    return Accounts(
        storage.users,
        storage.identities,
        storage.username_claims,
        revocations=revocations_of(storage, clock),
        now=clock,
        **options,
    )


def revocations_of(storage: Storage, clock: FakeClock) -> Revocations:
    return Revocations(storage.revocations, keep_for=60, metrics=Metrics(), now=clock)


@pytest.fixture
def accounts(storage: Storage, clock: FakeClock) -> Accounts:
    return accounts_of(storage, clock)


async def everything(storage: Storage) -> tuple[list[User], list[Identity], list[UsernameClaim]]:
    return (
        await storage.users.find(),
        await storage.identities.find(),
        await storage.username_claims.find(),
    )


class TestFirstSignIn:
    # D1 S083
    async def test_a_user_id_is_random_and_tells_nothing_of_the_person(self, accounts):
        signed_in = await accounts.sign_in(ANN)
        assert re.fullmatch(r"[0-9a-f]{32}", signed_in.user.id)
        other = await accounts.sign_in(dataclasses.replace(ANN, subject="583232"))
        assert other.user.id != signed_in.user.id

    async def test_a_new_user_has_what_the_provider_says(self, accounts, storage, clock):
        signed_in = await accounts.sign_in(ANN)
        assert signed_in.is_new
        assert signed_in.user == await accounts.get(signed_in.user.id)
        assert signed_in.user == User(
            id=signed_in.user.id,
            username="ann",
            username_key="ann",
            name="Ann Example",
            email="ann@example.org",
            avatar_url="https://example.org/ann.png",
            created_at=clock(),
        )
        assert signed_in.identity == await storage.identities.get("github:583231")
        assert signed_in.identity.user_id == signed_in.user.id

    async def test_the_second_sign_in_is_the_same_user_and_not_new(self, accounts):
        first = await accounts.sign_in(ANN)
        second = await accounts.sign_in(ANN)
        assert second.user == first.user
        assert not second.is_new

    # D2 S094
    async def test_the_same_email_from_another_provider_is_another_user(self, accounts):
        first = await accounts.sign_in(ANN)
        second = await accounts.sign_in(ANN_AT_GOOGLE)
        assert second.is_new
        assert second.user.id != first.user.id
        assert (await accounts.get(first.user.id)) == first.user

    # D3 S094 S095
    async def test_an_identity_is_found_by_its_subject_whatever_its_email(self, accounts):
        first = await accounts.sign_in(ANN)
        changed = dataclasses.replace(ANN, email="", username="anna", name="")
        assert (await accounts.sign_in(changed)).user.id == first.user.id

    async def test_a_taken_name_gets_a_number(self, accounts):
        await accounts.sign_in(ANN)
        second = await accounts.sign_in(dataclasses.replace(ANN, subject="2"))
        assert second.user.username == "ann2"

    # S146
    async def test_a_lookalike_of_a_taken_name_gets_a_number(self, accounts):
        await accounts.sign_in(BOB)
        second = await accounts.sign_in(dataclasses.replace(BOB, subject="8", username="b0b"))
        assert second.user.username == "b0b2"

    # S147
    async def test_a_reserved_name_is_not_given_to_who_has_it_elsewhere(self, accounts):
        asserted = dataclasses.replace(ANN, username="\u0430dmin")
        assert (await accounts.sign_in(asserted)).user.username == "ann"

    async def test_somebody_without_any_name_gets_a_random_one(self, accounts):
        signed_in = await accounts.sign_in(AssertedIdentity(provider="oidc", subject="x"))
        assert re.fullmatch(r"user-\d{9}", signed_in.user.username)

    async def test_a_name_held_by_a_user_without_a_claim_is_not_given_out(self, accounts, storage):
        old = User(id="old", username="bob", username_key="bob", created_at=1)
        await storage.users.insert(old)
        signed_in = await accounts.sign_in(BOB)
        assert signed_in.user.username == "bob2"
        assert await storage.username_claims.get(skeleton("bob")) is None

    async def test_a_name_is_found_even_when_all_numbers_are_taken(self, accounts):
        names = [
            (await accounts.sign_in(dataclasses.replace(BOB, subject=str(n)))).user.username
            for n in range(11)
        ]
        assert names[:9] == ["bob", *(f"bob{n}" for n in range(2, 10))]
        assert all(re.fullmatch(r"bob-\d{9}", name) for name in names[9:])

    async def test_it_ends_when_no_name_can_be_had(self, accounts, monkeypatch):
        await accounts.create("bob")
        monkeypatch.setattr("tornado_auth.accounts.suggest", lambda hints: iter(["bob", "b0b"]))
        with pytest.raises(UsernameTaken):
            await accounts.sign_in(BOB)


class TestLaterSignIns:
    # D14 S147
    async def test_a_user_name_stays_whatever_happens_at_the_provider(self, accounts):
        first = await accounts.sign_in(ANN)
        for username in ("Ann", "anna", "ann1", "Ann"):
            again = await accounts.sign_in(dataclasses.replace(ANN, username=username))
            assert again.user.username == "ann"
            assert again.identity.username == username
        assert again.user.id == first.user.id

    # S083 S147
    async def test_the_user_id_is_the_same_after_a_change_of_email_and_user_name(self, accounts):
        first = await accounts.sign_in(ANN)
        await accounts.choose_username(first.user.id, "anna")
        again = await accounts.sign_in(dataclasses.replace(ANN, email="anna@example.net"))
        assert again.user.id == first.user.id
        assert (again.user.username, again.user.email) == ("anna", "anna@example.net")

    # S083 S147
    async def test_who_comes_back_after_deletion_is_somebody_new(self, accounts, storage):
        first = await accounts.sign_in(ANN)
        await storage.identities.delete_where(user_id=first.user.id)
        await storage.users.delete(first.user.id)
        again = await accounts.sign_in(ANN)
        assert again.is_new
        assert again.user.id != first.user.id
        assert again.user.username == "ann2"

    async def test_the_identity_remembers_the_last_sign_in(self, accounts, clock):
        first = await accounts.sign_in(ANN)
        clock.advance(60)
        again = await accounts.sign_in(ANN)
        assert again.identity.last_login_at == first.identity.last_login_at + 60
        assert again.identity.created_at == first.identity.created_at
        clock.advance(-30)
        assert (await accounts.sign_in(ANN)).identity.last_login_at == clock() + 30

    async def test_a_change_at_the_provider_is_followed(self, accounts):
        await accounts.sign_in(ANN)
        changed = dataclasses.replace(ANN, name="Ann E.", email="", avatar_url="https://x.org/a")
        user = (await accounts.sign_in(changed)).user
        assert (user.name, user.email, user.avatar_url) == ("Ann E.", "", "https://x.org/a")
        user = (await accounts.sign_in(ANN)).user
        assert (user.name, user.email) == ("Ann Example", "ann@example.org")

    async def test_a_value_of_other_origin_is_kept(self, accounts, storage):
        first = await accounts.sign_in(ANN)
        await accounts.link(first.user.id, dataclasses.replace(BOB, name="B", email="b@b.org"))
        asserted = dataclasses.replace(BOB, name="Bob", email="bob@b.org")
        signed_in = await accounts.sign_in(asserted)
        assert (signed_in.user.name, signed_in.user.email) == ("Ann Example", "ann@example.org")
        assert signed_in.identity.email == "bob@b.org"

    async def test_a_change_is_not_lost_by_a_crash_before_it_was_stored_in_full(
        self, accounts, storage, monkeypatch
    ):
        await accounts.sign_in(ANN)
        changed = dataclasses.replace(ANN, email="anna@example.org")

        async def fail(record):
            raise StorageUnavailable

        for collection in (storage.users, storage.identities):
            with monkeypatch.context() as patch:
                patch.setattr(collection, "replace", fail)
                with pytest.raises(StorageUnavailable):
                    await accounts.sign_in(changed)
        assert (await accounts.sign_in(changed)).user.email == "anna@example.org"

    async def test_who_was_deleted_meanwhile_is_refused(self, accounts, storage, monkeypatch):
        await accounts.sign_in(ANN)
        get = storage.users.get

        async def get_and_delete(id):
            user = await get(id)
            await storage.users.delete(id)
            return user

        monkeypatch.setattr(storage.users, "get", get_and_delete)
        with pytest.raises(LoginRefused):
            await accounts.sign_in(ANN)


class TestWhoMayComeIn:
    async def test_a_disabled_user_is_refused_and_nothing_is_written(self, accounts, storage):
        first = await accounts.sign_in(ANN)
        await accounts.set_disabled(first.user.id, disabled=True)
        before = await everything(storage)
        with pytest.raises(LoginRefused):
            await accounts.sign_in(dataclasses.replace(ANN, name="Other"))
        assert await everything(storage) == before
        await accounts.set_disabled(first.user.id, disabled=False)
        assert (await accounts.sign_in(ANN)).user.id == first.user.id

    async def test_disabling_keeps_the_time_of_the_first_call(self, accounts, clock):
        user = await accounts.create("bob")
        first = await accounts.set_disabled(user.id, disabled=True)
        clock.advance(5)
        assert await accounts.set_disabled(user.id, disabled=True) == first
        assert first.disabled_at == clock() - 5
        assert await accounts.set_disabled("nobody", disabled=True) is None

    @pytest.mark.parametrize(
        "email", ["ann@example.org", "ANN@Example.ORG", "x@friends.example", "X@FRIENDS.example"]
    )
    async def test_an_allowed_email_comes_in(self, storage, clock, email):
        accounts = accounts_of(
            storage, clock, allowed_emails=("Ann@example.org", "@Friends.example")
        )
        assert (await accounts.sign_in(dataclasses.replace(ANN, email=email))).is_new

    @pytest.mark.parametrize(
        "email",
        [
            "",
            "@",
            "bob@example.org",
            "ann@example.org.evil.example",
            "x@sub.friends.example",
            "x@evilfriends.example",
            "x@friends.example@evil.example",
            "friends.example",
            "@friends.example",
            "@friends.example.evil",
        ],
    )
    # S094
    async def test_any_other_email_is_refused_before_anything_is_written(
        self, storage, clock, email
    ):
        accounts = accounts_of(
            storage, clock, allowed_emails=("ann@example.org", "@friends.example")
        )
        asserted = dataclasses.replace(ANN, email=email)
        with pytest.raises(LoginRefused):
            await accounts.sign_in(asserted)
        with pytest.raises(LoginRefused):
            await accounts.link("somebody", asserted)
        assert await everything(storage) == ([], [], [])

    async def test_the_allow_list_counts_at_every_sign_in(self, accounts, storage, clock):
        await accounts.sign_in(ANN)
        strict = accounts_of(storage, clock, allowed_emails=("@friends.example",))
        with pytest.raises(LoginRefused):
            await strict.sign_in(ANN)

    async def test_our_own_providers_need_no_email(self, storage, clock):
        accounts = accounts_of(storage, clock, allowed_emails=("@friends.example",))
        user = await accounts.create("bob")
        local = AssertedIdentity(provider="local", subject=user.id)
        assert (await accounts.sign_in(local)).user.id == user.id
        assert (await accounts.sign_in(AssertedIdentity(provider="dev", subject="d"))).is_new


class TestLocalUsers:
    async def test_a_local_identity_is_the_user_that_it_names(self, accounts):
        user = await accounts.create("bob", name="Bob", email="bob@example.org")
        asserted = AssertedIdentity(provider="local", subject=user.id, name="Bob")
        signed_in = await accounts.sign_in(asserted)
        assert signed_in.user == user
        assert not signed_in.is_new
        assert [i.id for i in await accounts.identities_of(user.id)] == [f"local:{user.id}"]

    async def test_a_local_identity_never_makes_a_user(self, accounts, storage):
        with pytest.raises(LoginRefused):
            await accounts.sign_in(AssertedIdentity(provider="local", subject="gone"))
        assert await storage.users.find() == []

    async def test_a_user_created_by_hand_has_chosen_the_name(self, accounts):
        user = await accounts.create("Bob", name="Bob", email="bob@example.org")
        assert user == await accounts.find_by_username("BOB")
        assert (user.username, user.username_chosen) == ("bob", True)
        with pytest.raises(UsernameAlreadySet):
            await accounts.choose_username(user.id, "bobby")

    async def test_users_are_welcomed_once(self, accounts, clock):
        user = (await accounts.sign_in(ANN)).user
        assert user.welcomed_at is None
        await accounts.mark_welcomed(user.id)
        clock.advance(5)
        await accounts.mark_welcomed(user.id)
        assert (await accounts.get(user.id)).welcomed_at == clock() - 5


class TestWhatIsTold:
    async def test_the_profile_has_the_fields_of_the_predecessors(self, accounts, clock):
        clock.now = 1_800_000_000
        signed_in = await accounts.sign_in(ANN)
        assert profile(signed_in.user, signed_in.identity.id) == {
            "id": signed_in.user.id,
            "idhash": signed_in.user.id,
            "provider_id": "github:583231",
            "username": "ann",
            "name": "Ann Example",
            "email": "ann@example.org",
            "avatar_url": "https://example.org/ann.png",
            "join_date": "2027-01-15T08:00:00Z",
        }

    # S149
    async def test_the_log_tells_what_happened_and_names_nobody(self, storage, clock, caplog):
        caplog.set_level(logging.DEBUG)
        accounts = accounts_of(storage, clock, allowed_emails=("@example.org",))
        user = (await accounts.sign_in(ANN)).user
        await accounts.link(user.id, ANN_AT_GOOGLE)
        await accounts.choose_username(user.id, "anna")
        await accounts.set_disabled(user.id, disabled=True)
        with pytest.raises(LoginRefused):
            await accounts.sign_in(ANN)
        with pytest.raises(LoginRefused):
            await accounts.sign_in(dataclasses.replace(ANN, email="ann@example.net"))
        records = [r for r in caplog.records if r.name == "tornado_auth.accounts"]
        assert [record.getMessage() for record in records] == [
            "user_created",
            "user_disabled",
            "login_refused",
            "login_refused",
        ]
        assert [record.user_id for record in records] == [user.id] * 3 + [""]
        assert [record.reason for record in records[2:]] == ["disabled", "email_not_allowed"]
        written = repr([vars(record) for record in records]).lower()
        assert not re.search(r"ann\b|anna|example\.(org|net)", written)
