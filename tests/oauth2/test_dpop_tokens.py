"""Bound tokens from end to end: asked for with a proof, refreshed with it, used with it."""

import json
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from tests.oauth2.issued import issued
from tests.oauth2.proofs import Prover
from tests.oauth2.world import World, WorldFactory, claims_of
from tornado_auth.models import Client

USERINFO = "/oauth2/userinfo"


@pytest.fixture
def prover() -> Prover:
    return Prover()


def proof_for(world: World, prover: Prover, **claims: Any) -> dict[str, str]:
    return {"DPoP": prover.proof(f"{world.issuer}/oauth2/token", **claims)}


async def ask(world: World, client: Client, headers: Any = None) -> HTTPResponse:
    code = await world.code(client, await world.service.sign_in())
    return await world.redeem(client, code, headers=headers or {})


def error_of(response: HTTPResponse) -> tuple[int, str]:
    return response.code, json.loads(response.body)["error"]


# S066
@pytest.mark.parametrize("access_token_format", ["jwt", "opaque"])
async def test_a_proof_makes_a_token_that_is_bound_to_its_key(
    world: World, prover: Prover, access_token_format: str
) -> None:
    client = await world.client(access_token_format=access_token_format)
    tokens = json.loads((await ask(world, client, proof_for(world, prover))).body)
    token = tokens["access_token"]
    assert tokens["token_type"] == "DPoP"
    if access_token_format == "jwt":
        assert claims_of(token)["cnf"] == {"jkt": prover.jkt}
    headers = prover.headers(world.issuer + USERINFO, token)
    assert (await world.service.fetch(USERINFO, headers=headers)).code == 200
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await world.service.fetch(USERINFO, headers=bearer)).code == 401


# S065
@pytest.mark.parametrize(
    "changes",
    [{"htm": "GET"}, {"htu": "https://evil.example/oauth2/token"}, {"iat": 1}, {"jti": None}],
)
async def test_a_bad_proof_gets_no_token(
    world: World, prover: Prover, changes: dict[str, Any]
) -> None:
    response = await ask(world, await world.client(), proof_for(world, prover, **changes))
    assert error_of(response) == (400, "invalid_dpop_proof")
    assert "WWW-Authenticate" not in response.headers


# S065
async def test_two_proofs_or_one_twice_get_no_token(world: World, prover: Prover) -> None:
    client = await world.client()
    good = proof_for(world, prover)
    two = {"DPoP": f"{good['DPoP']}, {prover.proof(world.issuer + '/oauth2/token')}"}
    assert error_of(await ask(world, client, two)) == (400, "invalid_dpop_proof")
    assert (await ask(world, client, good)).code == 200
    assert error_of(await ask(world, client, good)) == (400, "invalid_dpop_proof")


# S066
async def test_a_client_that_must_bind_its_tokens_gets_no_others(
    world: World, prover: Prover
) -> None:
    client = await world.client(dpop_bound_access_tokens=True)
    assert error_of(await ask(world, client)) == (400, "invalid_dpop_proof")
    assert (await ask(world, client, proof_for(world, prover))).code == 200


# S068
async def test_a_public_clients_refresh_token_stays_with_the_key(
    world: World, prover: Prover
) -> None:
    client = await world.client(token_endpoint_auth_method="none")
    first = json.loads((await ask(world, client, proof_for(world, prover))).body)
    for headers in (proof_for(world, Prover()), {}):
        response = await world.refresh(client, first["refresh_token"], headers=headers)
        assert error_of(response)[1] in ("invalid_grant", "invalid_dpop_proof")
    headers = proof_for(world, prover)
    response = await world.refresh(client, first["refresh_token"], headers=headers)
    assert json.loads(response.body)["token_type"] == "DPoP"


# S067
async def test_nonces_are_asked_for_and_taken(make_world: WorldFactory, prover: Prover) -> None:
    world = await make_world(TORNADO_AUTH_DPOP_NONCES="on")
    client = await world.client()
    response = await ask(world, client, proof_for(world, prover))
    assert error_of(response) == (400, "use_dpop_nonce")
    nonce = response.headers["DPoP-Nonce"]
    assert (await ask(world, client, proof_for(world, prover, nonce=nonce))).code == 200
    response = await ask(world, client, proof_for(world, prover, nonce="stale"))
    assert error_of(response) == (400, "use_dpop_nonce")
    assert response.headers["DPoP-Nonce"]


# S047 S050
async def test_what_ends_in_one_process_is_over_in_another(
    make_world: WorldFactory, tmp_path: Any
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    first = await make_world(DATABASE_URL=url)
    environ = {"EXTERNAL_ADDRESS": first.issuer, "DATABASE_URL": url}
    second = await make_world(**environ)
    for access_token_format in ("jwt", "opaque"):
        client = await first.client(access_token_format=access_token_format)
        second.secrets |= first.secrets
        one, other = await issued(first, client), await issued(first, client)
        for tokens, token in ((one, one.access_token), (other, other.refresh_token)):
            headers = {"Authorization": f"Bearer {tokens.access_token}"}
            assert (await second.service.fetch(USERINFO, headers=headers)).code == 200
            assert (await first.post("/oauth2/revoke", client, token=token)).code == 200
            assert (await second.service.fetch(USERINFO, headers=headers)).code == 401
