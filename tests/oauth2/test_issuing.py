"""What is in the tokens, and how long they are good."""

import base64
import hashlib
import json
from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.oauth2.redeeming import (
    code_of,
    error_of,
    grant_of,
    is_alive,
    members_of,
    tokens_for,
)
from tests.oauth2.world import World, WorldFactory, claims_of, header_of
from tornado_auth.digests import digest

FILES, REPORTS = "https://files.example/api", "urn:example:reports"


def half(token: str, algorithm: str) -> str:
    hashed = hashlib.new(algorithm, token.encode()).digest()
    return base64.urlsafe_b64encode(hashed[: len(hashed) // 2]).rstrip(b"=").decode()


async def test_an_access_token_says_what_rfc_9068_asks_for(world: World) -> None:
    client = await world.client()
    session = await world.service.session(amr=("pwd",))
    grant = await grant_of(world, client, session, scope=("openid", "email"))
    tokens = members_of(await world.redeem(client, await code_of(world, grant)))
    claims = claims_of(tokens["access_token"])
    assert header_of(tokens["access_token"])["typ"] == "at+jwt"
    iat, jti = claims.pop("iat"), claims.pop("jti")
    assert len(jti) >= 22
    assert claims == {
        "iss": world.issuer,
        "sub": session.user_id,
        "aud": world.issuer,
        "client_id": client.id,
        "exp": iat + 600,
        "scope": "openid email",
        "gid": grant.id,
        "auth_time": session.auth_time,
        "acr": "1",
        "amr": ["pwd"],
    }


async def test_an_id_token_says_who_signed_in_and_no_claims_of_scopes(world: World) -> None:
    client = await world.client()
    session = await world.service.session(amr=("pwd",))
    grant = await grant_of(world, client, session, scope=("openid", "profile", "email"))
    code = await code_of(world, grant, nonce="the nonce")
    tokens = members_of(await world.redeem(client, code))
    claims = claims_of(tokens["id_token"])
    assert header_of(tokens["id_token"]) == {
        "alg": "ES256",
        "kid": world.server.keys.kid,
        "typ": "JWT",
    }
    iat = claims.pop("iat")
    assert claims == {
        "iss": world.issuer,
        "sub": session.user_id,
        "aud": client.id,
        "exp": iat + 3600,
        "auth_time": session.auth_time,
        "acr": "1",
        "amr": ["pwd"],
        "nonce": "the nonce",
        "sid": session.id,
        "at_hash": half(tokens["access_token"], "sha256"),
    }


async def test_claims_that_were_asked_for_by_name_cannot_replace_our_own(world: World) -> None:
    client = await world.client()
    asked = {"id_token": {"email": None, "sub": None, "iss": None, "sid": {"value": "x"}}}
    tokens = await tokens_for(world, client, claims=json.dumps(asked))
    claims = claims_of(tokens["id_token"])
    assert claims["email"] == "ann@example.org"
    assert claims["iss"] == world.issuer
    assert claims["sid"] != "x"


@pytest.mark.parametrize(("algorithm", "hashed"), [("EdDSA", "sha512"), ("RS256", "sha256")])
async def test_at_hash_follows_the_algorithm(
    make_world: WorldFactory, algorithm: str, hashed: str
) -> None:
    world = await make_world(TORNADO_AUTH_SIGNING_ALGORITHM=algorithm)
    tokens = await tokens_for(world, await world.client())
    assert header_of(tokens["id_token"])["alg"] == algorithm
    assert claims_of(tokens["id_token"])["at_hash"] == half(tokens["access_token"], hashed)


async def test_an_opaque_token_is_kept_as_a_digest_with_the_same_claims(world: World) -> None:
    client = await world.client(access_token_format="opaque", resources=(FILES,))
    grant = await grant_of(world, client, scope=("openid",), resources=(FILES,))
    tokens = members_of(await world.redeem(client, await code_of(world, grant)))
    token = tokens["access_token"]
    assert token.startswith("tat_")
    assert len(token) == 47
    record = await world.storage.access_tokens.get(digest(token))
    assert record is not None
    assert (record.sub, record.client_id, record.grant_id) == (grant.user_id, client.id, grant.id)
    assert (record.scope, record.audience) == (("openid",), (FILES,))
    assert record.expires_at == record.issued_at + 600
    assert await is_alive(world, token)


# S047
async def test_an_access_token_is_good_for_fifteen_minutes_at_most_by_default(
    make_world: WorldFactory, clock: FakeClock
) -> None:
    world = await make_world(now=clock)
    assert world.service.settings.access_token_lifetime <= 900
    for token_format in ("jwt", "opaque"):
        client = await world.client(access_token_format=token_format)
        tokens = await tokens_for(world, client)
        clock.advance(tokens["expires_in"] - 1)
        assert await is_alive(world, tokens["access_token"])
        clock.advance(1)
        assert not await is_alive(world, tokens["access_token"])


# S047
async def test_lifetimes_are_those_of_the_settings_or_the_client(make_world: WorldFactory) -> None:
    world = await make_world(
        TORNADO_AUTH_ACCESS_TOKEN_LIFETIME="100", TORNADO_AUTH_ID_TOKEN_LIFETIME="200"
    )
    tokens = await tokens_for(world, await world.client())
    assert tokens["expires_in"] == 100
    claims = claims_of(tokens["id_token"])
    assert claims["exp"] - claims["iat"] == 200
    own = await tokens_for(world, await world.client(access_token_lifetime=7))
    assert own["expires_in"] == 7


async def test_no_access_token_outlives_its_grant(
    make_world: WorldFactory, clock: FakeClock
) -> None:
    world = await make_world(now=clock, TORNADO_AUTH_GRANT_LIFETIME="900")
    client = await world.client()
    tokens = await tokens_for(world, client)
    clock.advance(800)
    tokens = members_of(await world.refresh(client, tokens["refresh_token"]))
    assert tokens["expires_in"] == 100


# P6 P7 O10
async def test_everything_that_is_stored_has_an_end(world: World) -> None:
    client = await world.client(access_token_format="opaque")
    code = await world.code(client, await world.service.sign_in())
    tokens = members_of(await world.redeem(client, code))
    storage = world.storage
    records: list[Any] = [
        await storage.authorization_codes.get(digest(code)),
        await storage.refresh_tokens.get(digest(tokens["refresh_token"])),
        await storage.access_tokens.get(digest(tokens["access_token"])),
        *await storage.grants.find(client_id=client.id),
    ]
    assert len(records) == 4
    assert all(record.expires_at > world.server.now() for record in records)


# S045
@pytest.mark.parametrize(
    ("resource", "audience"), [("", [FILES, REPORTS]), (FILES, FILES), (REPORTS, REPORTS)]
)
async def test_the_resources_are_the_audience_and_can_be_narrowed(
    world: World, resource: str, audience: str | list[str]
) -> None:
    client = await world.client(resources=(FILES, REPORTS))
    grant = await grant_of(world, client, resources=(FILES, REPORTS))
    code = await code_of(world, grant)
    tokens = members_of(await world.redeem(client, code, resource=resource))
    assert claims_of(tokens["access_token"])["aud"] == audience
    again = members_of(await world.refresh(client, tokens["refresh_token"], resource=FILES))
    assert claims_of(again["access_token"])["aud"] == FILES


# S045
async def test_no_token_is_for_more_than_was_granted(world: World) -> None:
    client = await world.client(resources=(FILES, REPORTS))
    code = await code_of(world, await grant_of(world, client, resources=(FILES,)))
    assert error_of(await world.redeem(client, code, resource=REPORTS)) == "invalid_target"
    tokens = members_of(await world.redeem(client, code))
    response = await world.refresh(client, tokens["refresh_token"], resource=REPORTS)
    assert error_of(response) == "invalid_target"
    without = await code_of(world, await grant_of(world, client))
    assert error_of(await world.redeem(client, without, resource=FILES)) == "invalid_target"


# S045
async def test_a_resource_that_was_taken_from_the_client_is_not_replaced_by_us(
    world: World,
) -> None:
    client = await world.client(resources=(FILES,))
    tokens = await tokens_for(world, client, resources=(FILES,))
    await world.change(client, resources=())
    response = await world.refresh(client, tokens["refresh_token"])
    assert error_of(response) == "invalid_target"
