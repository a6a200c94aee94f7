"""How clients prove who they are at endpoints for programs."""

import base64
import json
import statistics
import time
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from tests.oauth2.world import World, WorldFactory, basic
from tornado_auth.digests import digest
from tornado_auth.oauth2.client_authentication import FAILURES, read_credentials
from tornado_auth.oauth2.errors import InvalidClient, InvalidRequest
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.oauth2.values import ClientCredentials
from tornado_auth.throttle import Limit, LoginThrottle

REVOKE = "/oauth2/revoke"
METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def header(client_id: str, secret: str) -> str:
    return basic(client_id, secret)["Authorization"]


def assertion(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJFUzI1NiJ9.{payload}.AA"  # by ES256


def read(*authorization: str, **form: str) -> ClientCredentials:
    return read_credentials(Parameters(form.items()), authorization)


def test_each_way_is_recognised() -> None:
    assert read(header("c-1", "s")) == ClientCredentials(
        client_id="c-1", method="client_secret_basic", secret="s", used_basic=True
    )
    assert read(client_id="c-1", client_secret="s") == ClientCredentials(
        client_id="c-1", method="client_secret_post", secret="s"
    )
    assert read(client_id="c-1") == ClientCredentials(client_id="c-1", method="none")
    signed = assertion(sub="c-1")
    for form in ({}, {"client_id": "c-1"}):
        assert read(
            client_assertion=signed, client_assertion_type=ASSERTION_TYPE, **form
        ) == ClientCredentials(client_id="c-1", method="private_key_jwt", secret=signed)


# S029 O15
@pytest.mark.parametrize("text", ["a:b", "a+b", "ä€", "100%", "a b"])
def test_basic_credentials_are_form_encoded_first(text: str) -> None:
    credentials = read(header(quote_plus(text), quote_plus(text)))
    assert (credentials.client_id, credentials.secret) == (text, text)


# S029 O15
@pytest.mark.parametrize(
    "value",
    [
        "",
        "!",
        "YTpi YTpi",
        "YTp",
        base64.b64encode(b"no-colon").decode(),
        base64.b64encode(b":secret").decode(),
        base64.b64encode(b"\xff:\xff").decode(),
        base64.b64encode(b"%ff:%ff").decode(),
        base64.b64encode(b"c-\x00:s").decode(),
        "ä" * 10,
    ],
)
async def test_a_malformed_header_is_a_wrong_client(world: World, value: str) -> None:
    sent = {"Authorization": f"Basic {value}".rstrip()}
    response = await world.post(REVOKE, headers=sent, token="x")
    assert response.code == 401
    assert json.loads(response.body)["error"] == "invalid_client"


# S028
@pytest.mark.parametrize(
    ("authorization", "form"),
    [
        ([header("c-1", "s")], {"client_secret": "s"}),
        ([header("c-1", "s")], {"client_assertion": "a"}),
        ([], {"client_id": "c-1", "client_secret": "s", "client_assertion": "a"}),
        ([header("c-1", "s")] * 2, {}),
        ([header("c-1", "s"), "Bearer x"], {}),
        ([header("c-1", "s") + "," + header("c-2", "s")], {}),
        ([header("c-1", "s")], {"client_id": "c-2"}),
        ([], {"client_assertion": "a"}),
        ([], {"client_assertion_type": ASSERTION_TYPE}),
        ([], {"client_assertion": "a", "client_assertion_type": "urn:other"}),
    ],
)
def test_two_ways_at_once_are_refused(authorization: list[str], form: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        read(*authorization, **form)


# S028
async def test_two_ways_at_once_are_a_400(world: World) -> None:
    client = await world.client()
    response = await world.post(REVOKE, client, client_secret=world.secrets[client.id], token="x")
    assert response.code == 400
    assert json.loads(response.body)["error"] == "invalid_request"


@pytest.mark.parametrize("authorization", [[], ["Bearer x"], ["Basic"]])
def test_no_way_at_all_is_refused(authorization: list[str]) -> None:
    with pytest.raises(InvalidClient):
        read(*authorization)


@pytest.mark.parametrize(
    "signed", ["", "a", "a.b.c", "e30.e30.AA", "e30.W10.AA", "é.é.é", assertion(), assertion(sub=7)]
)
def test_an_assertion_of_nobody_is_refused(signed: str) -> None:
    with pytest.raises((InvalidClient, InvalidRequest)):
        read(client_assertion=signed, client_assertion_type=ASSERTION_TYPE)
    with pytest.raises(InvalidClient):
        read(
            client_assertion=assertion(sub="c-1"),
            client_assertion_type=ASSERTION_TYPE,
            client_id="c-2",
        )


# S031
@pytest.mark.parametrize("registered", METHODS)
async def test_only_the_registered_way_opens(world: World, registered: str) -> None:
    secret = "tcs_secret"
    client = await world.client(
        token_endpoint_auth_method=registered, secret_digests=(digest(secret),)
    )
    authenticator = world.server.oauth2.authenticator
    good = {"client_secret_basic", "client_secret_post", "none"} & {registered}
    for method in METHODS:
        credentials = ClientCredentials(client_id=client.id, method=method, secret=secret)
        if method in good:
            assert await authenticator.authenticate(credentials) == client
        else:
            with pytest.raises(InvalidClient):
                await authenticator.authenticate(credentials)


# S027 P10 O14
async def test_unknown_wrong_and_disabled_look_the_same(world: World) -> None:
    good, disabled = await world.client(), await world.client(disabled_at=1)
    tries = [
        ("c-nobody", world.secrets[good.id]),
        (good.id, "tcs_wrong"),
        (good.id, ""),
        (disabled.id, world.secrets[disabled.id]),
        ("x" * 3000, "x"),
    ]
    answers = set()
    for client_id, secret in tries:
        response = await world.post(REVOKE, headers=basic(client_id, secret), token="x")
        answers.add((response.code, response.headers["WWW-Authenticate"], response.body))
    assert len(answers) == 1
    code, challenge, body = answers.pop()
    assert code == 401
    assert challenge.startswith("Basic ")
    assert json.loads(body)["error"] == "invalid_client"
    assert (await world.post(REVOKE, good, token="x")).code == 200


# S027
async def test_the_challenge_is_for_whoever_used_basic(world: World) -> None:
    response = await world.post(REVOKE, client_id="c-nobody", client_secret="s", token="x")
    assert response.code == 401
    assert "WWW-Authenticate" not in response.headers


# S138
async def test_an_address_that_fails_too_often_has_to_wait_and_good_clients_pass(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert FAILURES["client-failure-address"] == Limit(100, 300)
    limits = {"client-failure-address": Limit(3, 300)}
    throttle = LoginThrottle(world.storage.counted_attempts, now=world.server.now, limits=limits)
    monkeypatch.setattr(world.server.oauth2, "client_failures", throttle)
    client, public = await world.client(), await world.client(token_endpoint_auth_method="none")
    for path in ("/oauth2/token", "/oauth2/introspect", REVOKE):
        assert (await world.post(path, client, token="x")).code != 401  # counts nothing
        assert (await world.post(path, headers=basic(client.id, "tcs_wrong"))).code == 401
    for path in ("/oauth2/token", "/oauth2/introspect", REVOKE, "/oauth2/par"):
        response = await world.post(path, client_id="c-nobody", client_secret="x")
        assert response.code == 429
        assert 0 < int(response.headers["Retry-After"]) <= 300
    for one in (client, public):
        assert (await world.post(REVOKE, one, token="x")).code == 200


# S027 P3
async def test_an_unknown_client_takes_as_long_as_a_wrong_secret(
    make_world: WorldFactory, tmp_path: Path
) -> None:
    world = await make_world(DATABASE_URL=f"sqlite:///{tmp_path}/store.db")
    client = await world.client()
    authenticator = world.server.oauth2.authenticator
    taken: dict[str, list[float]] = {client.id: [], "c-nobodynobodynobodyno": []}
    for _ in range(2000):
        for client_id, times in taken.items():
            credentials = ClientCredentials(
                client_id=client_id, method="client_secret_basic", secret="tcs_wrong"
            )
            begun = time.perf_counter()
            with pytest.raises(InvalidClient):
                await authenticator.authenticate(credentials)
            times.append(time.perf_counter() - begun)
    known, unknown = map(statistics.median, taken.values())
    assert 0.75 < known / unknown < 1.33


# S030 P3 O15
async def test_the_digest_of_a_secret_is_no_secret(world: World) -> None:
    client = await world.client()
    response = await world.post(
        REVOKE, headers=basic(client.id, client.secret_digests[0]), token="x"
    )
    assert response.code == 401
