"""Administrators: the built-in roles, the one-time secret, admin tokens."""

import asyncio
from dataclasses import replace

import pytest

from tests.conftest import FakeClock
from tests.issuer import private_pem
from tornado_auth.administrators import (
    ADMINISTRATOR,
    AUDITOR,
    INVITATION_LIFETIME,
    READ,
    TOKEN_LIFETIME,
    WRITE,
    Administrators,
)
from tornado_auth.digests import digest
from tornado_auth.errors import InvalidToken, NotAllowed
from tornado_auth.keys import KeySet
from tornado_auth.metrics import Metrics
from tornado_auth.models import Session, TokenType, User
from tornado_auth.revocations import Revocations
from tornado_auth.roles import Roles
from tornado_auth.storage import Storage

ISSUER = "https://auth.example"
AUDIENCE = f"{ISSUER}/admin/api"


@pytest.fixture
def keys() -> KeySet:
    return KeySet.from_pem(private_pem("ES256"), algorithm="ES256")


@pytest.fixture
def roles(storage: Storage, clock: FakeClock) -> Roles:
    revocations = Revocations(storage.revocations, keep_for=60, metrics=Metrics(), now=clock)
    return Roles(
        storage.roles,
        storage.groups,
        storage.memberships,
        storage.assignments,
        storage.group_mappings,
        revocations=revocations,
        now=clock,
    )


@pytest.fixture
async def administrators(
    storage: Storage, roles: Roles, keys: KeySet, clock: FakeClock
) -> Administrators:
    for name in ("ann", "bob"):
        await storage.users.insert(
            User(id=name, username=name, username_key=name, created_at=clock())
        )
    made = Administrators(
        roles, storage.admin_invitations, storage.users, keys, issuer=ISSUER, now=clock
    )
    await made.ensure_roles()
    return made


def session(clock: FakeClock, *, lasts: int | None = 86_400) -> Session:
    return Session(
        id="session",
        user_id="ann",
        identity_id="github:1",
        provider="github",
        auth_time=clock(),
        created_at=clock(),
        last_seen_at=clock(),
        expires_at=None if lasts is None else clock() + lasts,
    )


class TestRoles:
    async def test_both_are_there_from_the_start(
        self, administrators: Administrators, roles: Roles
    ) -> None:
        found = {role.id: role.permissions for role in await roles.roles(service="tornado_auth")}
        assert found == {ADMINISTRATOR: (READ, WRITE), AUDITOR: (READ,)}

    async def test_a_start_changes_nothing_that_is_enough(
        self, administrators: Administrators, roles: Roles
    ) -> None:
        changed = await roles.put_role(
            "tornado_auth", "auditor", permissions=[READ, "more"], description="Ours."
        )
        await asyncio.gather(*(administrators.ensure_roles() for _ in range(3)))
        assert await roles.role(AUDITOR) == changed

    async def test_a_start_gives_back_what_was_taken(
        self, administrators: Administrators, roles: Roles
    ) -> None:
        await roles.put_role("tornado_auth", "administrator", permissions=["more"])
        await roles.delete_role(AUDITOR)
        await administrators.ensure_roles()
        assert (await roles.role(ADMINISTRATOR)).permissions == (READ, WRITE, "more")
        assert (await roles.role(AUDITOR)).permissions == (READ,)

    async def test_who_has_which_permission(
        self, administrators: Administrators, roles: Roles
    ) -> None:
        async def both(user_id: str) -> tuple[bool, bool]:
            return (
                await administrators.is_administrator(user_id, write=False),
                await administrators.is_administrator(user_id, write=True),
            )

        assert await both("ann") == (False, False)
        await roles.assign("user:ann", AUDITOR)
        assert await both("ann") == (True, False)
        await roles.put_group("staff")
        await roles.add_member("staff", "bob")
        await roles.assign("group:staff", ADMINISTRATOR)
        assert await both("bob") == (True, True)
        assert await both("nobody") == (False, False)

    async def test_a_role_in_one_resource_makes_nobody_an_administrator(
        self, administrators: Administrators, roles: Roles
    ) -> None:
        await roles.assign("user:ann", ADMINISTRATOR, resource="x")
        assert await administrators.permissions_of("ann") == ()

    async def test_a_role_of_another_service_makes_nobody_an_administrator(
        self, administrators: Administrators, roles: Roles
    ) -> None:
        await roles.put_role("wiki", "administrator", permissions=[READ, WRITE])
        await roles.assign("user:ann", "wiki:administrator")
        assert await administrators.permissions_of("ann") == ()

    # S153
    async def test_who_is_disabled_is_no_administrator(
        self, administrators: Administrators, roles: Roles, storage: Storage, clock: FakeClock
    ) -> None:
        await roles.assign("user:ann", ADMINISTRATOR)
        ann = await storage.users.get("ann")
        assert ann is not None
        await storage.users.replace(replace(ann, disabled_at=clock()))
        assert await administrators.permissions_of("ann") == ()


class TestInvitations:
    # S153
    async def test_a_secret_counts_once_however_many_try(
        self, administrators: Administrators, roles: Roles
    ) -> None:
        secret = await administrators.invite()
        outcomes = await asyncio.gather(
            *(administrators.accept(secret, ("ann", "bob")[n % 2]) for n in range(10)),
            return_exceptions=True,
        )
        refused = [one for one in outcomes if isinstance(one, NotAllowed)]
        assert len(refused) == 9
        assert len(await roles.holders_of(ADMINISTRATOR)) == 1

    async def test_a_secret_is_stored_as_its_digest(
        self, administrators: Administrators, storage: Storage, clock: FakeClock
    ) -> None:
        secret = await administrators.invite()
        (stored,) = await storage.admin_invitations.find()
        assert stored.id == digest(secret)
        assert stored.expires_at == clock() + INVITATION_LIFETIME
        assert len(secret) == 43

    # S153
    async def test_a_secret_ends_after_an_hour(
        self, administrators: Administrators, clock: FakeClock
    ) -> None:
        secret = await administrators.invite()
        clock.advance(INVITATION_LIFETIME)
        with pytest.raises(NotAllowed):
            await administrators.accept(secret, "ann")

    async def test_a_disabled_or_unknown_user_does_not_spend_it(
        self, administrators: Administrators, storage: Storage, clock: FakeClock
    ) -> None:
        secret = await administrators.invite()
        bob = await storage.users.get("bob")
        assert bob is not None
        await storage.users.replace(replace(bob, disabled_at=clock()))
        for user_id in ("bob", "nobody"):
            with pytest.raises(NotAllowed):
                await administrators.accept(secret, user_id)
        await administrators.accept(secret, "ann")
        assert await administrators.is_administrator("ann", write=True)


class TestTokens:
    async def test_what_a_token_says(
        self, administrators: Administrators, clock: FakeClock
    ) -> None:
        token, _ = await administrators.sign(session(clock), [READ])
        said = administrators.verify(token)
        assert (said.session_id, said.user_id, said.scopes) == ("session", "ann", (READ,))
        assert said.expires_at == clock() + TOKEN_LIFETIME

    @pytest.mark.parametrize(("lasts", "wanted"), [(5, 5), (None, TOKEN_LIFETIME)])
    async def test_a_token_lasts_no_longer_than_its_session(
        self, administrators: Administrators, clock: FakeClock, lasts: int | None, wanted: int
    ) -> None:
        token, lifetime = await administrators.sign(session(clock, lasts=lasts), [READ])
        assert lifetime == wanted
        assert administrators.verify(token).expires_at == clock() + lifetime

    async def test_a_token_ends(self, administrators: Administrators, clock: FakeClock) -> None:
        token, _ = await administrators.sign(session(clock), [READ])
        clock.advance(TOKEN_LIFETIME)
        with pytest.raises(InvalidToken):
            administrators.verify(token)

    # S153
    async def test_a_token_of_ours_of_another_kind_or_with_other_claims_is_refused(
        self, administrators: Administrators, keys: KeySet, clock: FakeClock
    ) -> None:
        good = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ann",
            "sid": "session",
            "scope": "admin:read",
            "iat": clock(),
            "exp": clock() + 60,
        }
        assert administrators.verify(await keys.sign(good, typ=TokenType.ADMIN))
        for typ in (TokenType.SESSION, TokenType.PERMISSION, "JWT", "at+jwt"):
            with pytest.raises(InvalidToken):
                administrators.verify(await keys.sign(good, typ=typ))
        for changed in (
            {"aud": ISSUER},
            {"aud": "tornado_auth"},
            {"iss": "https://evil.example"},
            {"sid": None},
            {"sid": 1},
            {"sub": ["ann"]},
            {"scope": ["admin:read", "admin:write"]},
            {"scope": None},
            {"exp": None},
        ):
            claims = {name: value for name, value in (good | changed).items() if value is not None}
            with pytest.raises(InvalidToken):
                administrators.verify(await keys.sign(claims, typ=TokenType.ADMIN))
