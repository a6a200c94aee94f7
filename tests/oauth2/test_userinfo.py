"""Userinfo: how an access token is shown, what is answered otherwise, and to whom what is told."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPResponse

from tests.oauth2.issued import granted, issued, own_token
from tests.oauth2.proofs import Prover
from tests.oauth2.world import World
from tornado_auth.models import TokenType

PATH = "/oauth2/userinfo"
INVALID_TOKEN = 'Bearer error="invalid_token"'
ALGORITHMS = 'algs="RS256 ES256 EdDSA"'


def bearer(token: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {token}"}


async def answer(world: World, token: str, **arguments: Any) -> dict[str, Any]:
    response = await world.service.fetch(PATH, headers=bearer(token), **arguments)
    assert response.code == 200, response.body
    return dict(json.loads(response.body))


def challenge(response: HTTPResponse) -> tuple[int, str | None]:
    return response.code, response.headers.get("WWW-Authenticate")


# S046
@pytest.mark.parametrize("access_token_format", ["jwt", "opaque"])
async def test_every_way_to_show_a_token_gets_the_same_answer(
    world: World, access_token_format: str
) -> None:
    client = await world.client(access_token_format=access_token_format)
    tokens = await issued(world, client, scope="openid email")
    token, fetch = tokens.access_token, world.service.fetch
    responses = [
        await fetch(PATH, headers=bearer(token)),
        await fetch(PATH, headers=bearer(token), form={}),
        await fetch(PATH, headers=bearer(token), method="POST", body=""),
        await fetch(PATH, form={"access_token": token}),
    ]
    assert len({response.body for response in responses}) == 1
    for response in responses:
        assert response.code == 200
        assert response.headers["Content-Type"].startswith("application/json")
        assert response.headers["Cache-Control"] == "no-store"
    user = await world.storage.users.get(json.loads(responses[0].body)["sub"])
    assert user is not None
    assert json.loads(responses[0].body) == {
        "sub": user.id,
        "email": "ann@example.org",
        "email_verified": True,
    }


# S046
async def test_the_sub_is_that_of_the_id_token(world: World) -> None:
    tokens = await issued(world, await world.client())
    id_token = world.server.keys.read(tokens.id_token, typ=TokenType.ID)
    assert (await answer(world, tokens.access_token))["sub"] == id_token["sub"]


# S041
async def test_a_token_in_the_address_is_not_looked_at(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    token = (await issued(world, await world.client())).access_token
    query = urlencode({"access_token": token})
    with caplog.at_level("DEBUG"):
        assert challenge(await world.service.fetch(f"{PATH}?{query}")) == (401, "Bearer")
        assert challenge(await world.service.fetch(f"{PATH}?{query}", form={})) == (401, "Bearer")
    assert caplog.records
    assert all(token not in str(record.__dict__) for record in caplog.records)


# S041
async def test_a_cookie_or_a_session_token_opens_nothing(world: World) -> None:
    token = await world.service.sign_in()
    cookies = {"tornado_auth": token}
    assert challenge(await world.service.fetch(PATH, cookies=cookies)) == (401, "Bearer")
    assert challenge(await world.service.fetch(PATH, token=token)) == (401, "Bearer")
    response = await world.service.fetch(PATH, headers=bearer(token))
    assert challenge(response) == (401, INVALID_TOKEN)


# S042
async def test_two_tokens_are_refused(world: World) -> None:
    token = (await issued(world, await world.client())).access_token
    responses = [
        await world.service.fetch(PATH, headers=bearer(token), form={"access_token": token}),
        await world.service.fetch(PATH, headers=bearer(f"{token},Bearer {token}")),
        await world.service.fetch(PATH, headers=bearer(f"{token}, Bearer {token}")),
    ]
    for response in responses:
        assert response.code == 400
        assert json.loads(response.body)["error"] == "invalid_request"


# S042
@pytest.mark.parametrize("body", ["access_token=a&access_token=b", "access_token=%FF"])
async def test_a_form_that_is_malformed_is_refused(world: World, body: str) -> None:
    response = await world.service.fetch(PATH, method="POST", body=body)
    assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_request")


async def test_a_body_that_is_no_form_is_refused(world: World) -> None:
    token = (await issued(world, await world.client())).access_token
    response = await world.service.fetch(
        PATH,
        method="POST",
        body=json.dumps({"access_token": token}),
        headers={"Content-Type": "application/json"},
    )
    assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_request")


# S043
async def test_without_a_token_the_challenge_tells_only_the_scheme(world: World) -> None:
    for headers in ({}, {"Authorization": "Bearer"}, {"Authorization": "Basic YTpi"}):
        response = await world.service.fetch(PATH, headers=headers)
        assert challenge(response) == (401, "Bearer")
    assert challenge(await world.service.fetch(PATH, form={})) == (401, "Bearer")


# S043
@pytest.mark.parametrize("token", ["x", "a.b.c", "tat_" + "x" * 43, "x" * 9000])
async def test_a_bad_token_is_an_invalid_token(world: World, token: str) -> None:
    response = await world.service.fetch(PATH, headers=bearer(token))
    assert challenge(response) == (401, INVALID_TOKEN)
    assert json.loads(response.body)["error"] == "invalid_token"


# S043 S046
async def test_a_token_without_openid_lacks_a_scope(world: World) -> None:
    token = (await issued(world, await world.client(), scope="profile")).access_token
    response = await world.service.fetch(PATH, headers=bearer(token))
    assert challenge(response) == (403, 'Bearer error="insufficient_scope", scope="openid"')
    assert json.loads(response.body)["error"] == "insufficient_scope"


async def test_a_token_of_a_client_itself_lacks_a_scope(world: World) -> None:
    client = await world.client()
    token = await own_token(world, client, scope=("openid",))
    assert (await world.service.fetch(PATH, headers=bearer(token))).code == 403


# S043
async def test_the_scheme_may_be_written_in_any_case(world: World) -> None:
    token = (await issued(world, await world.client())).access_token
    for scheme in ("bearer", "BEARER"):
        response = await world.service.fetch(PATH, headers=bearer(token, scheme))
        assert response.code == 200


# S044
async def test_a_token_for_another_audience_is_refused(world: World) -> None:
    client = await world.client()
    for audience in (("https://api.example",), ("https://api.example", world.issuer + "/")):
        token = (await issued(world, client, audience=audience)).access_token
        response = await world.service.fetch(PATH, headers=bearer(token))
        assert challenge(response) == (401, INVALID_TOKEN)
    both = (
        await issued(world, client, audience=("https://api.example", world.issuer))
    ).access_token
    assert (await world.service.fetch(PATH, headers=bearer(both))).code == 200


# S044
async def test_every_other_kind_of_token_is_refused(world: World) -> None:
    tokens = await issued(world, await world.client())
    claims = world.server.keys.read(tokens.access_token, typ=TokenType.ACCESS)
    others = [tokens.id_token, tokens.refresh_token]
    for kind in set(TokenType) - {TokenType.ACCESS}:
        others.append(await world.server.keys.sign(claims, typ=kind))
    for token in others:
        response = await world.service.fetch(PATH, headers=bearer(token))
        assert challenge(response) == (401, INVALID_TOKEN), token
    again = await world.server.keys.sign(claims, typ=TokenType.ACCESS)
    assert (await world.service.fetch(PATH, headers=bearer(again))).code == 200


class TestBoundTokens:
    @pytest.fixture
    def prover(self) -> Prover:
        return Prover()

    async def token(self, world: World, prover: Prover) -> str:
        return (await issued(world, await world.client(), jkt=prover.jkt)).access_token

    # S066
    async def test_one_opens_with_its_proof_alone(self, world: World, prover: Prover) -> None:
        token = await self.token(world, prover)
        url = world.issuer + PATH
        assert world.server.keys.read(token, typ=TokenType.ACCESS)["cnf"] == {"jkt": prover.jkt}
        response = await world.service.fetch(PATH, headers=prover.headers(url, token))
        assert response.code == 200
        headers = prover.headers(url, token, method="POST")
        assert (await world.service.fetch(PATH, headers=headers, form={})).code == 200

    # S066
    async def test_one_sent_without_its_proof_is_an_invalid_token(
        self, world: World, prover: Prover
    ) -> None:
        token = await self.token(world, prover)
        url = world.issuer + PATH
        proof = {"DPoP": prover.proof(url, method="GET", token=token)}
        responses = [
            await world.service.fetch(PATH, headers=bearer(token)),
            await world.service.fetch(PATH, headers=bearer(token) | proof),
            await world.service.fetch(PATH, headers=bearer(token, "DPoP")),
            await world.service.fetch(PATH, headers=Prover().headers(url, token)),
            await world.service.fetch(PATH, form={"access_token": token}, headers=proof),
        ]
        for response in responses:
            assert challenge(response) == (401, f'DPoP error="invalid_token", {ALGORITHMS}')

    # S065 S066
    async def test_one_with_a_bad_proof_is_refused(self, world: World, prover: Prover) -> None:
        token = await self.token(world, prover)
        url = world.issuer + PATH
        good = prover.headers(url, token)
        assert (await world.service.fetch(PATH, headers=good)).code == 200
        bad = [
            good,  # a second time
            prover.headers(url, token, ath="x"),
            prover.headers(url, token, ath=None),
            prover.headers("https://evil.example" + PATH, token),
            prover.headers(url, token, method="POST"),
            {**good, "DPoP": "a, b"},
        ]
        for headers in bad:
            response = await world.service.fetch(PATH, headers=headers)
            expected = f'DPoP error="invalid_dpop_proof", {ALGORITHMS}'
            assert challenge(response) == (401, expected)

    # S065
    async def test_the_host_that_was_asked_for_does_not_count(
        self, world: World, prover: Prover
    ) -> None:
        token = await self.token(world, prover)
        for url, status in ((world.issuer, 200), ("http://evil.example", 401)):
            headers = {**prover.headers(url + PATH, token), "Host": "evil.example"}
            assert (await world.service.fetch(PATH, headers=headers)).code == status

    async def test_a_token_that_is_not_bound_does_not_go_by_dpop(
        self, world: World, prover: Prover
    ) -> None:
        token = (await issued(world, await world.client())).access_token
        headers = prover.headers(world.issuer + PATH, token)
        response = await world.service.fetch(PATH, headers=headers)
        assert challenge(response) == (401, f'DPoP error="invalid_token", {ALGORITHMS}')

    # S067
    async def test_a_nonce_is_asked_for_and_taken(self, make_world: Any, prover: Prover) -> None:
        world = await make_world(TORNADO_AUTH_DPOP_NONCES="on")
        token = await self.token(world, prover)
        url = world.issuer + PATH
        response = await world.service.fetch(PATH, headers=prover.headers(url, token))
        assert challenge(response) == (401, f'DPoP error="use_dpop_nonce", {ALGORITHMS}')
        headers = prover.headers(url, token, nonce=response.headers["DPoP-Nonce"])
        assert (await world.service.fetch(PATH, headers=headers)).code == 200


async def test_what_one_client_was_allowed_by_name_is_not_told_to_another(world: World) -> None:
    first, second = await world.client(), await world.client()
    claims = json.dumps({"userinfo": {"email": None}})
    user, grant = await granted(world, first, claims=claims)
    for client, is_told in ((first, True), (second, False)):
        token = (await issued(world, client, user=user, grant=grant)).access_token
        assert ("email" in await answer(world, token)) is is_told
