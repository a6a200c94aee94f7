"""Which claims of a user a scope or a name brings, where they come from, and what `sub` is."""

import json
from typing import Any

import pytest

from tests.oauth2.issued import issued, signed_in
from tests.oauth2.world import World, claims_of
from tornado_auth.models import User
from tornado_auth.oauth2.claims import SCOPE_CLAIMS, STANDARD_CLAIMS, Claims, requested_names
from tornado_auth.storage import Storage
from tornado_auth.user_claims import SETTABLE, UserClaimsStore

ADDRESS = {"locality": "Reykjavík", "country": "Iceland"}
EVERYTHING = {
    "name": "Ann Lee",
    "given_name": "Ann",
    "family_name": "Lee",
    "middle_name": "B",
    "nickname": "annie",
    "profile": "https://ann.example/",
    "picture": "https://ann.example/me.png",
    "website": "https://ann.example/",
    "email": "ann@example.org",
    "email_verified": True,
    "gender": "female",
    "birthdate": "1990-01-31",
    "zoneinfo": "Europe/Berlin",
    "locale": "de-DE",
    "phone_number": "+49 30 123456",
    "phone_number_verified": False,
    "address": ADDRESS,
}
USER = User(id="u1", username="ann", username_key="ann", created_at=5)


class TestStandardClaims:
    @pytest.fixture
    def user_claims(self, storage: Storage) -> UserClaimsStore:
        return UserClaimsStore(storage.user_claims, now=lambda: 1_800_000_000)

    @pytest.fixture
    def claims(self, user_claims: UserClaimsStore) -> Claims:
        return Claims(user_claims)

    # S046
    @pytest.mark.parametrize("scope", sorted(SCOPE_CLAIMS))
    async def test_a_scope_brings_all_of_its_claims_and_no_others(
        self, claims: Claims, user_claims: UserClaimsStore, scope: str
    ) -> None:
        await user_claims.set("u1", EVERYTHING)
        told = await claims.for_userinfo(USER, ("openid", scope), set())
        own = {"preferred_username": "ann", "updated_at": 1_800_000_000}
        expected = {n: v for n, v in (EVERYTHING | own).items() if n in SCOPE_CLAIMS[scope]}
        assert told == {"sub": "u1", **expected}
        assert len(expected) == len(SCOPE_CLAIMS[scope])

    async def test_without_a_scope_of_claims_only_the_sub_is_told(self, claims: Claims) -> None:
        told = await claims.for_userinfo(USER, ("openid", "offline_access", "reports:read"), set())
        assert told == {"sub": "u1"}

    # S046
    async def test_what_is_not_known_is_left_out(self, claims: Claims) -> None:
        told = await claims.for_userinfo(USER, SCOPE_CLAIMS, set())
        assert told == {"sub": "u1", "preferred_username": "ann", "updated_at": 5}

    async def test_an_email_of_a_login_provider_is_verified_and_an_operators_is_not(
        self, claims: Claims, user_claims: UserClaimsStore
    ) -> None:
        user = User(id="u1", username="a", username_key="a", created_at=5, email="a@b.example")
        told = await claims.for_userinfo(user, ("email",), set())
        assert told == {"sub": "u1", "email": "a@b.example", "email_verified": True}
        await user_claims.set("u1", {"email": "other@b.example"})
        told = await claims.for_userinfo(user, ("email",), set())
        assert told == {"sub": "u1", "email": "other@b.example", "email_verified": False}

    async def test_a_claim_that_is_asked_for_by_name_goes_where_it_is_asked_for(
        self, claims: Claims, user_claims: UserClaimsStore
    ) -> None:
        await user_claims.set("u1", EVERYTHING)
        request = json.dumps(
            {
                "userinfo": {"name": {"essential": True}, "sub": None, "made_up": None},
                "id_token": {"locale": None, "auth_time": {"essential": True}, "iss": None},
            }
        )
        names = {member: requested_names(request, member) for member in ("userinfo", "id_token")}
        told = await claims.for_userinfo(USER, (), names["userinfo"])
        assert told == {"sub": "u1", "name": "Ann Lee"}
        assert await claims.for_id_token(USER, names["id_token"]) == {"locale": "de-DE"}
        assert await claims.for_id_token(USER, set()) == {}


@pytest.mark.parametrize("request_", ["", "{}", '{"userinfo": null}', '{"userinfo": ["name"]}'])
def test_what_asks_for_nothing_gets_no_names(request_: str) -> None:
    assert requested_names(request_, "userinfo") == set()


def test_every_claim_that_can_be_set_is_told_with_some_scope() -> None:
    assert set(SETTABLE) == set(STANDARD_CLAIMS) - {"preferred_username", "updated_at"}


async def test_an_id_token_has_no_claims_of_scopes_but_those_asked_for_by_name(
    world: World,
) -> None:
    client = await world.client()
    scope = "openid profile email address phone"
    tokens = await issued(world, client, scope=scope)
    assert set(claims_of(tokens.id_token)).isdisjoint(STANDARD_CLAIMS)
    claims = json.dumps({"id_token": {"email": None}})
    tokens = await issued(world, client, scope="openid", claims=claims)
    assert set(claims_of(tokens.id_token)) & set(STANDARD_CLAIMS) == {"email"}


async def sub_of(world: World, client: Any, name: str = "ann") -> str:
    tokens = await issued(world, client, name=name)
    subs = {claims_of(tokens.id_token)["sub"], claims_of(tokens.access_token)["sub"]}
    assert len(subs) == 1
    return str(subs.pop())


# S083
async def test_a_sub_is_random_stable_and_of_one_person_for_ever(world: World) -> None:
    client, accounts = await world.client(), world.server.accounts
    sub = await sub_of(world, client)
    assert len(sub) >= 22
    assert sub != await sub_of(world, client, "bob")
    assert "ann" not in sub
    who = await signed_in(world)
    await accounts.choose_username(who.user.id, "annabel")
    await world.service.session("ann", email="new@example.org")
    assert await sub_of(world, await world.client()) == sub
    await world.server.deletions.delete_user(sub)
    assert await sub_of(world, client) != sub
