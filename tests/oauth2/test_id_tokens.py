"""ID tokens, as verifiers that others wrote see them."""

import base64
import hashlib
import json
import time
from typing import Any

import jwt
import pytest
from authlib.oidc.core import CodeIDToken
from joserfc import jwt as jose
from joserfc.jwk import KeySet as JoseKeys

from tests.oauth2.issued import granted, issued
from tests.oauth2.world import World, WorldFactory, claims_of, header_of
from tornado_auth.settings import Settings

ALGORITHMS = ["RS256", "ES256", "EdDSA"]


async def keys_of(world: World) -> Any:
    return await world.service.json("/.well-known/jwks.json")


# S079
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_others_verifiers_accept_it(make_world: WorldFactory, algorithm: str) -> None:
    world = await make_world(TORNADO_AUTH_SIGNING_ALGORITHM=algorithm)
    client = await world.client()
    tokens = await issued(world, client, nonce="the-nonce")
    published = await keys_of(world)

    [key] = published["keys"]
    by_pyjwt = jwt.decode(
        tokens.id_token,
        jwt.PyJWK(key).key,
        algorithms=[algorithm],
        audience=client.id,
        issuer=world.issuer,
        options={"require": ["exp", "iat", "sub", "iss", "aud", "auth_time"]},
    )
    by_jose = jose.decode(
        tokens.id_token, JoseKeys.import_key_set(published), algorithms=[algorithm]
    )
    assert by_jose.claims == by_pyjwt
    CodeIDToken(
        by_jose.claims,
        by_jose.header,
        options={"iss": {"value": world.issuer}, "aud": {"value": client.id}},
        params={"nonce": "the-nonce", "client_id": client.id, "access_token": tokens.access_token},
    ).validate(now=int(time.time()))


# S079
async def test_it_says_what_the_profile_asks_for_and_nothing_that_was_not_asked_for(
    world: World,
) -> None:
    client = await world.client()
    user, grant = await granted(world, client)
    token = (await issued(world, client, user=user, grant=grant, nonce="n")).id_token
    claims = claims_of(token)
    assert header_of(token) == {"alg": "ES256", "kid": world.server.keys.kid, "typ": "JWT"}
    assert set(claims) == {
        *("iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "amr", "at_hash", "sid", "nonce")
    }
    assert (claims["sub"], claims["aud"]) == (user.id, client.id)
    assert (claims["auth_time"], claims["nonce"]) == (grant.auth_time, "n")
    assert "azp" not in claims  # there is one audience
    without = claims_of((await issued(world, client)).id_token)
    assert "nonce" not in without


# S079
@pytest.mark.parametrize(
    ("algorithm", "function"), [("ES256", hashlib.sha256), ("EdDSA", hashlib.sha512)]
)
async def test_at_hash_is_half_of_the_hash_of_the_access_token(
    make_world: WorldFactory, algorithm: str, function: Any
) -> None:
    world = await make_world(TORNADO_AUTH_SIGNING_ALGORITHM=algorithm)
    tokens = await issued(world, await world.client())
    hashed = function(tokens.access_token.encode()).digest()
    half = base64.urlsafe_b64encode(hashed[: len(hashed) // 2]).rstrip(b"=").decode()
    assert claims_of(tokens.id_token)["at_hash"] == half


# S079
def test_the_algorithm_is_rs256_by_default() -> None:
    assert Settings.model_fields["signing_algorithm"].default == "RS256"


# S079
async def test_it_is_signed_by_a_key_that_is_published(world: World) -> None:
    token = (await issued(world, await world.client())).id_token
    assert header_of(token)["kid"] in {key["kid"] for key in (await keys_of(world))["keys"]}
    payload = json.dumps({**claims_of(token), "sub": "somebody-else"}).encode()
    parts = token.split(".")
    parts[1] = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(
            ".".join(parts),
            jwt.PyJWK((await keys_of(world))["keys"][0]).key,
            algorithms=["ES256"],
            options={"verify_aud": False},
        )
