"""Keys that clients publish: when they are fetched, and how long they count."""

import asyncio
import json

import pytest

from tests.conftest import FakeClock
from tests.issuer import base64url, key_set
from tornado_auth.errors import CallFailed
from tornado_auth.models import Client
from tornado_auth.oauth2.client_keys import COOLDOWN, MAX_AGE, MAX_OUTAGE, ClientKeys
from tornado_auth.outbound import Outbound

URI = "https://app.example/jwks"
FIRST, SECOND = key_set("ES256"), key_set("ES256", 1)


class Published(Outbound):
    """The far side: what it answers, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__([])
        self.answer: bytes | None = None
        self.calls = 0

    async def get(self, url: str) -> bytes:
        self.calls += 1
        await asyncio.sleep(0)
        if self.answer is None:
            raise CallFailed("status 500")
        return self.answer

    def publish(self, *keys: dict[str, str]) -> None:
        self.answer = json.dumps({"keys": keys}).encode()


@pytest.fixture
def published() -> Published:
    published = Published()
    published.publish(*FIRST.jwks()["keys"])
    return published


@pytest.fixture
def keys(published: Published, clock: FakeClock) -> ClientKeys:
    return ClientKeys(published, now=clock)


def client(**fields: str) -> Client:
    return Client(id="c-1", created_at=1, **{"jwks_uri": URI, **fields})  # type: ignore[arg-type]


async def test_keys_are_fetched_once_in_a_while(
    keys: ClientKeys, published: Published, clock: FakeClock
) -> None:
    for seconds, calls in ((0, 1), (MAX_AGE - 1, 1), (1, 2)):
        clock.advance(seconds)
        assert await keys.find(client(), FIRST.kid, "ES256") is not None
        assert published.calls == calls


async def test_many_at_once_cause_one_call(keys: ClientKeys, published: Published) -> None:
    found = await asyncio.gather(*(keys.find(client(), FIRST.kid, "ES256") for _ in range(20)))
    assert None not in found
    assert published.calls == 1


async def test_a_new_key_counts_at_once_and_unknown_ones_cause_few_calls(
    keys: ClientKeys, published: Published, clock: FakeClock
) -> None:
    assert await keys.find(client(), FIRST.kid, "ES256") is not None
    published.publish(*FIRST.jwks()["keys"], *SECOND.jwks()["keys"])
    clock.advance(COOLDOWN)
    assert await keys.find(client(), SECOND.kid, "ES256") is not None
    assert published.calls == 2
    for number in range(50):
        assert await keys.find(client(), f"made-up-{number}", "ES256") is None
    assert published.calls == 2


async def test_a_key_that_was_withdrawn_ends(
    keys: ClientKeys, published: Published, clock: FakeClock
) -> None:
    assert await keys.find(client(), FIRST.kid, "ES256") is not None
    published.publish()
    clock.advance(MAX_AGE)
    assert await keys.find(client(), FIRST.kid, "ES256") is None


@pytest.mark.parametrize("answer", [None, b"<html>", b"{}", b'{"keys": 1}'])
async def test_the_last_keys_outlive_a_short_outage(
    keys: ClientKeys, published: Published, clock: FakeClock, answer: bytes | None
) -> None:
    assert await keys.find(client(), FIRST.kid, "ES256") is not None
    published.answer = answer
    clock.advance(MAX_AGE + MAX_OUTAGE - 1)
    assert await keys.find(client(), FIRST.kid, "ES256") is not None
    assert published.calls == 2
    clock.advance(COOLDOWN)
    assert await keys.find(client(), FIRST.kid, "ES256") is None
    assert published.calls == 3


async def test_an_address_that_never_answered_has_no_keys(
    keys: ClientKeys, published: Published, clock: FakeClock
) -> None:
    published.answer = None
    for _ in range(5):
        assert await keys.find(client(), FIRST.kid, "ES256") is None
    assert published.calls == 1
    published.publish(*FIRST.jwks()["keys"])
    clock.advance(COOLDOWN)
    assert await keys.find(client(), FIRST.kid, "ES256") is not None


async def test_registered_keys_cause_no_call(keys: ClientKeys, published: Published) -> None:
    app = client(jwks_uri="", jwks=json.dumps(SECOND.jwks()))
    assert await keys.find(app, SECOND.kid, "ES256") is not None
    assert await keys.find(app, "", "ES256") is not None
    assert await keys.find(app, SECOND.kid, "RS256") is None
    assert await keys.find(client(jwks_uri=""), "", "ES256") is None
    assert published.calls == 0


async def test_a_key_that_costs_much_is_none(keys: ClientKeys, published: Published) -> None:
    for size, is_good in ((512, True), (513, False)):
        modulus = base64url(b"\xff" * size)
        jwks = {"keys": [{"kty": "RSA", "kid": f"{size}", "n": modulus, "e": "AQAB"}]}
        app = client(jwks_uri="", jwks=json.dumps(jwks))
        assert (await keys.find(app, f"{size}", "RS256") is not None) == is_good
        published.publish(*jwks["keys"])
        elsewhere = client(jwks_uri=f"{URI}/{size}")
        assert (await keys.find(elsewhere, f"{size}", "RS256") is not None) == is_good


async def test_without_a_name_only_an_only_key_is_meant(keys: ClientKeys) -> None:
    both = [*FIRST.jwks()["keys"], *SECOND.jwks()["keys"]]
    app = client(jwks_uri="", jwks=json.dumps({"keys": both}))
    assert await keys.find(app, "", "ES256") is None
    assert await keys.find(app, SECOND.kid, "ES256") is not None
