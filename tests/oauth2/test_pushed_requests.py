"""Pushed authorization requests (RFC 9126)."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from tornado.httpclient import HTTPResponse

from tests.conftest import FakeClock
from tests.oauth2.asking import (
    agree,
    consent_query_of,
    error_of,
    go,
    is_page,
    login_of,
)
from tests.oauth2.proofs import Prover
from tests.oauth2.world import World, WorldFactory, answer_of
from tornado_auth.models import Client

PREFIX = "urn:ietf:params:oauth:request_uri:"


@pytest.fixture
async def world(make_world: WorldFactory, clock: FakeClock) -> World:
    return await make_world(now=clock)


async def push(world: World, client: Client, /, **changed: Any) -> HTTPResponse:
    """Push a good request, as changed."""
    headers = changed.pop("headers", {})
    form: dict[str, Any] = dict(parse_qsl(world.request_of(client, **changed)))
    return await world.post("/oauth2/par", client, **form, headers=headers)


async def pushed(world: World, client: Client, /, **changed: Any) -> str:
    """Push a good request and return its request_uri."""
    response = await push(world, client, **changed)
    assert response.code == 201, response.body
    return str(json.loads(response.body)["request_uri"])


def refusal(response: HTTPResponse) -> tuple[int, str]:
    """Return status and error of an answer as JSON."""
    return response.code, json.loads(response.body)["error"]


async def authorize(
    world: World, client: Client, request_uri: str, token: str = "", **more: str
) -> HTTPResponse:
    """Send a browser with a request_uri."""
    query = urlencode({"client_id": client.id, "request_uri": request_uri, **more})
    return await go(world, f"/oauth2/authorize?{query}", token)


class TestPushing:
    # S059
    async def test_gives_a_name_that_cannot_be_guessed(self, world: World) -> None:
        for method in ("client_secret_basic", "client_secret_post", "none"):
            client = await world.client(token_endpoint_auth_method=method)
            response = await push(world, client)
            answer = json.loads(response.body)
            assert response.code == 201
            assert response.headers["Cache-Control"] == "no-store"
            assert set(answer) == {"request_uri", "expires_in"}
            assert len(answer["request_uri"].removeprefix(PREFIX)) == 43
            assert answer["request_uri"].startswith(PREFIX)
            assert 5 <= answer["expires_in"] <= 600

    # S059
    async def test_needs_a_client_that_proves_itself(self, world: World) -> None:
        client = await world.client()
        form = dict(parse_qsl(world.request_of(client)))
        assert refusal(await world.post("/oauth2/par", **form)) == (401, "invalid_client")
        world.secrets[client.id] = "wrong"
        assert refusal(await push(world, client)) == (401, "invalid_client")

    # S059
    async def test_is_done_by_post_and_not_without_measure(self, world: World) -> None:
        assert (await world.service.fetch("/oauth2/par")).code == 405
        client = await world.client()
        assert (await push(world, client, extra="x" * 33_000)).code == 413

    # S059
    async def test_refuses_what_would_be_refused_later(self, world: World) -> None:
        client = await world.client()
        for changed, error in (
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
            ({"scope": "nothing"}, "invalid_scope"),
            ({"code_challenge": ""}, "invalid_request"),
            ({"request": "e30.e30."}, "request_not_supported"),
            ({"prompt": "none login"}, "invalid_request"),
        ):
            assert refusal(await push(world, client, **changed)) == (400, error), changed
        other = await world.client()
        response = await push(world, client, client_id=other.id)
        assert refusal(response) == (400, "invalid_request")

    # S061
    async def test_takes_no_request_uri(self, world: World) -> None:
        client = await world.client()
        for request_uri in (await pushed(world, client), "https://app.example/request"):
            response = await push(world, client, request_uri=request_uri)
            assert refusal(response) == (400, "invalid_request")

    async def test_keeps_no_secret(self, world: World) -> None:
        client = await world.client(token_endpoint_auth_method="client_secret_post")
        await pushed(world, client)
        [record] = await world.storage.pushed_requests.find()
        assert "client_secret" not in record.parameters
        assert json.loads(record.parameters)["client_id"] == [client.id]


class TestAPushedRequest:
    async def test_is_answered_as_if_it_had_come_by_itself(self, world: World) -> None:
        client, token = await world.client(), await world.service.sign_in()
        response = await authorize(world, client, await pushed(world, client), token)
        answer = answer_of(response)
        assert (set(answer), answer["state"]) == ({"code", "state", "iss"}, "the-state")

    # S060
    async def test_is_for_its_client_alone(self, world: World) -> None:
        client, other = await world.client(), await world.client()
        token, request_uri = await world.service.sign_in(), await pushed(world, client)
        response = await authorize(world, other, request_uri, token)
        assert is_page(response, "invalid_request_uri", "request_uri")
        assert is_page(
            await go(world, f"/oauth2/authorize?{urlencode({'request_uri': request_uri})}", token),
            "invalid_request",
            "client_id",
        )
        assert "code" in answer_of(await authorize(world, client, request_uri, token))

    # S060
    async def test_is_answered_once(self, world: World, clock: FakeClock) -> None:
        client, token = await world.client(), await world.service.sign_in()
        clock.advance(1)
        for changed, answer in (({}, "code"), ({"prompt": "none", "max_age": "0"}, "error")):
            request_uri = await pushed(world, client, **changed)
            assert answer in answer_of(await authorize(world, client, request_uri, token))
            for _ in range(2):
                again = await authorize(world, client, request_uri, token)
                assert is_page(again, "invalid_request_uri", "request_uri")

    # S060
    async def test_is_over_if_nobody_comes_in_time(self, world: World, clock: FakeClock) -> None:
        client, token = await world.client(), await world.service.sign_in()
        request_uri = await pushed(world, client)
        clock.advance(60)
        response = await authorize(world, client, request_uri, token)
        assert is_page(response, "invalid_request_uri", "request_uri")
        assert is_page(await authorize(world, client, PREFIX + "x"), "invalid_request_uri")

    # S060
    # S138
    async def test_is_not_kept_for_ever(self, world: World, clock: FakeClock) -> None:
        client = await world.client()
        request_uri = await pushed(world, client)
        for _ in range(8):
            assert login_of(await authorize(world, client, request_uri))
            clock.advance(500)
        assert is_page(await authorize(world, client, request_uri), "invalid_request_uri")

    async def test_waits_while_its_user_signs_in_and_agrees(
        self, world: World, clock: FakeClock
    ) -> None:
        client = await world.client(is_trusted=False)
        request_uri = await pushed(world, client, prompt="login")
        for _ in range(2):  # the second time is a reload
            login = login_of(await authorize(world, client, request_uri))
            clock.advance(300)
        token = await world.service.sign_in()
        response = await go(world, login["next"], token)
        assert request_uri in dict(parse_qsl(consent_query_of(response))).values()
        clock.advance(300)
        assert "code" in answer_of(await agree(world, response, token))
        assert is_page(await go(world, login["next"], token), "invalid_request_uri")

    # S062
    async def test_cannot_be_changed_by_what_stands_beside_it(self, world: World) -> None:
        uris = ("https://app.example/a", "https://app.example/b")
        client, token = await world.client(redirect_uris=uris), await world.service.sign_in()
        response = await authorize(
            world,
            client,
            await pushed(world, client, nonce="pushed"),
            token,
            redirect_uri="https://app.example/b",
            state="beside",
            scope="openid email",
            nonce="beside",
            response_mode="form_post",
            prompt="login",
            code_challenge="x" * 43,
        )
        assert response.headers["Location"].startswith("https://app.example/a?")
        answer = answer_of(response)
        assert answer["state"] == "the-state"
        redeemed = json.loads((await world.redeem(client, answer["code"])).body)
        assert redeemed["scope"] == "openid"
        record = await world.server.oauth2.codes.find(answer["code"])
        assert record is not None
        assert record.nonce == "pushed"

    # S062
    async def test_is_the_only_kind_where_the_client_or_the_settings_say_so(
        self, world: World, make_world: WorldFactory
    ) -> None:
        client = await world.client(require_pushed_authorization_requests=True)
        strict = await make_world(TORNADO_AUTH_REQUIRE_PUSHED_AUTHORIZATION_REQUESTS="on")
        for place, one in ((world, client), (strict, await strict.client())):
            token = await place.service.sign_in()
            assert error_of(await place.authorize(one, token)) == "invalid_request"
            request_uri = await pushed(place, one)
            assert "code" in answer_of(await authorize(place, one, request_uri, token))


class TestAKey:
    # S068
    async def test_binds_the_code_by_dpop_jkt_or_by_a_proof(
        self, world: World, clock: FakeClock
    ) -> None:
        client, token, key = await world.client(), await world.service.sign_in(), Prover(now=clock)
        par = f"{world.issuer}/oauth2/par"
        by_proof = await pushed(world, client, headers={"DPoP": key.proof(par)})
        both = await pushed(world, client, dpop_jkt=key.jkt, headers={"DPoP": key.proof(par)})
        for response in (
            await world.authorize(client, token, dpop_jkt=key.jkt),
            await authorize(world, client, by_proof, token),
            await authorize(world, client, both, token),
        ):
            record = await world.server.oauth2.codes.find(answer_of(response)["code"])
            assert record is not None
            assert record.dpop_jkt == key.jkt

    # S068
    async def test_must_be_one_and_good(self, world: World, clock: FakeClock) -> None:
        client, key = await world.client(), Prover(now=clock)
        par = f"{world.issuer}/oauth2/par"
        for headers, jkt in (
            ({"DPoP": key.proof(par)}, Prover().jkt),
            ({"DPoP": key.proof(f"{world.issuer}/oauth2/token")}, ""),
            ({"DPoP": "x"}, ""),
        ):
            response = await push(world, client, dpop_jkt=jkt, headers=headers)
            assert refusal(response) == (400, "invalid_dpop_proof")
