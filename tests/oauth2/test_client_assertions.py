"""Clients that sign who they are: private_key_jwt."""

import json
import secrets
from typing import Any

import jwt
import pytest

from tests.conftest import FakeClock
from tests.issuer import base64url, key_set, private_pem
from tests.oauth2.world import World, WorldFactory
from tornado_auth.models import Client
from tornado_auth.oauth2.client_authentication import ASSERTION_TYPE, read_credentials
from tornado_auth.oauth2.errors import InvalidClient
from tornado_auth.oauth2.parameters import Parameters


class Signer:
    """A client that signs, and the clock that all go by."""

    def __init__(self, world: World, client: Client, clock: FakeClock) -> None:
        self.world = world
        self.client = client
        self.clock = clock

    def claims(self, **changes: Any) -> dict[str, Any]:
        claims = {
            "iss": self.client.id,
            "sub": self.client.id,
            "aud": self.world.issuer,
            "iat": self.clock.now,
            "exp": self.clock.now + 60,
            "jti": secrets.token_urlsafe(16),
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def sign(
        self, algorithm: str = "ES256", key: Any = None, /, header: Any = None, **changes: Any
    ) -> str:
        return jwt.encode(
            self.claims(**changes), key or private_pem(algorithm), algorithm, headers=header
        )

    async def is_let_in(self, assertion: str) -> bool:
        form = {"client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
        try:
            credentials = read_credentials(Parameters(form.items()), [])
            client = await self.world.server.oauth2.authenticator.authenticate(credentials)
        except InvalidClient:
            return False
        return client == self.client


@pytest.fixture
async def signer(make_world: WorldFactory, clock: FakeClock) -> Signer:
    world = await make_world(now=clock)
    jwks = {"keys": [*key_set("ES256").jwks()["keys"], *key_set("EdDSA").jwks()["keys"]]}
    client = await world.client(token_endpoint_auth_method="private_key_jwt", jwks=json.dumps(jwks))
    return Signer(world, client, clock)


# S032
@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
async def test_a_good_assertion_opens_once(signer: Signer, algorithm: str) -> None:
    for header in ({}, {"kid": key_set(algorithm).kid}, {"typ": "client-authentication+jwt"}):
        assertion = signer.sign(algorithm, None, header=header)
        assert await signer.is_let_in(assertion)
        assert not await signer.is_let_in(assertion)


# S032
async def test_an_rsa_key_signs_by_rs256(make_world: WorldFactory, clock: FakeClock) -> None:
    world = await make_world(now=clock)
    client = await world.client(
        token_endpoint_auth_method="private_key_jwt", jwks=json.dumps(key_set("RS256").jwks())
    )
    signer = Signer(world, client, clock)
    assert await signer.is_let_in(signer.sign("RS256"))
    assert not await signer.is_let_in(signer.sign("RS512", private_pem("RS256")))
    assert not await signer.is_let_in(signer.sign("PS256", private_pem("RS256")))


# S032
async def test_it_opens_an_endpoint(signer: Signer) -> None:
    form = {"client_assertion_type": ASSERTION_TYPE, "token": "x"}
    good = await signer.world.post("/oauth2/revoke", client_assertion=signer.sign(), **form)
    assert good.code == 200, good.body
    bad = await signer.world.post("/oauth2/revoke", client_assertion=signer.sign(aud="x"), **form)
    assert (bad.code, json.loads(bad.body)["error"]) == (401, "invalid_client")


# S032
async def test_clocks_may_differ_a_little(signer: Signer) -> None:
    now = signer.clock.now
    assert await signer.is_let_in(signer.sign(nbf=now + 8))
    assert await signer.is_let_in(signer.sign(iat=now + 8, exp=now + 8 + 300))
    assert await signer.is_let_in(signer.sign(iat=None, exp=now + 300))
    assert await signer.is_let_in(signer.sign(iat=now - 200, exp=now + 100))


# S032
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": None},
        {"iss": "c-other"},
        {"aud": None},
        {"aud": ["{issuer}"]},
        {"aud": ["{issuer}", "https://other.example"]},
        {"aud": "{issuer}/"},
        {"aud": "{issuer}/oauth2/token"},
        {"aud": "{issuer}/oauth2/par"},
        {"aud": "https://other.example"},
        {"aud": {"{issuer}": 1}},
        {"exp": None},
        {"exp": 0},
        {"exp": -1},
        {"exp": 301},
        {"exp": 3600},
        {"iat": -3600},
        {"iat": 61, "exp": 100},
        {"nbf": 61},
        {"iat": "now"},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 256},
        {"jti": 7},
    ],
    ids=str,
)
async def test_a_claim_that_is_off_opens_nothing(signer: Signer, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, int) and name != "jti":
            changes = {**changes, name: signer.clock.now + value}
        elif name == "aud":
            text = json.dumps(value).replace("{issuer}", signer.world.issuer)
            changes = {**changes, name: json.loads(text)}
    assert not await signer.is_let_in(signer.sign(**changes))
    assert await signer.is_let_in(signer.sign())


# S032
async def test_a_time_that_is_no_whole_number_opens_nothing(signer: Signer) -> None:
    for name in ("exp", "iat", "nbf"):
        for value in (signer.clock.now + 0.5, str(signer.clock.now), True):
            claims = json.dumps(signer.claims(**{name: value})).encode()
            assertion = jwt.PyJWS().encode(claims, private_pem("ES256"), "ES256")
            assert not await signer.is_let_in(assertion)


# S032
async def test_one_client_does_not_sign_for_another(signer: Signer) -> None:
    other = await signer.world.client(
        token_endpoint_auth_method="private_key_jwt",
        jwks=json.dumps(key_set("ES256", 1).jwks()),
    )
    assert not await signer.is_let_in(signer.sign("ES256", private_pem("ES256", 1)))
    assert not await signer.is_let_in(signer.sign("RS256"))
    assert not await signer.is_let_in(signer.sign(sub=other.id))
    assert not await signer.is_let_in(signer.sign(iss=other.id, sub=other.id))


# S032
async def test_no_algorithm_of_the_assertions_choice(signer: Signer) -> None:
    public_pem = key_set("ES256").public_pem()
    assert not await signer.is_let_in(_unsigned(signer.claims()))
    assert not await signer.is_let_in(signer.sign("HS256", "x" * 40))
    assert not await signer.is_let_in(_hmac(signer.claims(), public_pem))
    for header in ({"crit": ["exp"]}, {"typ": "at+jwt"}, {"kid": 7}, {"b64": False}):
        assert not await signer.is_let_in(_forged(header, signer.claims()))


# S032
async def test_who_has_no_key_learns_nothing(signer: Signer) -> None:
    world, jwks = signer.world, signer.client.jwks
    method = {"token_endpoint_auth_method": "private_key_jwt"}
    others = [
        await world.client(**method, jwks=jwks, disabled_at=1),
        await world.client(),
        await world.client(**method, jwks=jwks),
    ]
    foreign = private_pem("ES256", 1)
    answers = set()
    for client_id in (signer.client.id, "c-nobody", *(client.id for client in others)):
        names = {"iss": client_id, "sub": client_id}
        for assertion in (
            signer.sign("ES256", foreign, **names),
            signer.sign("ES256", foreign, header={"kid": "other"}, **names),
            signer.sign("HS256", "x" * 40, **names),
            signer.sign("RS256", **names),
            _unsigned(signer.claims(**names)),
            signer.sign("ES256", foreign, **names)[:-4],
        ):
            answers.add(await answer_to(world, assertion))
    for malformed in ("x", "a.b.c", signer.sign(sub=None), signer.sign(sub=7)):
        answers.add(await answer_to(world, malformed))
    assert len(answers) == 1, answers
    told = await answer_to(world, signer.sign(aud="x"))
    assert told[0] == 401
    assert "aud" in told[1]


# S032
async def test_what_is_no_text_opens_nothing(signer: Signer) -> None:
    for claim in ("sub", "jti", "aud", "more"):
        assertion = signer.sign(**{claim: "\ud800"})
        assert (await answer_to(signer.world, assertion))[0] == 401, claim


async def answer_to(world: World, assertion: str) -> tuple[int, str]:
    response = await world.post(
        "/oauth2/token",
        grant_type="client_credentials",
        client_assertion_type=ASSERTION_TYPE,
        client_assertion=assertion,
    )
    return response.code, response.body.decode()


# S032
async def test_the_same_jti_is_another_clients_affair(signer: Signer) -> None:
    other = await signer.world.client(
        token_endpoint_auth_method="private_key_jwt", jwks=signer.client.jwks
    )
    assert await signer.is_let_in(signer.sign(jti="the-same"))
    others = Signer(signer.world, other, signer.clock)
    assert await others.is_let_in(others.sign(jti="the-same"))
    assert not await others.is_let_in(others.sign(jti="the-same"))


# S032
async def test_the_token_endpoint_is_an_audience_where_an_operator_says_so(
    signer: Signer,
) -> None:
    lenient = await signer.world.client(
        token_endpoint_auth_method="private_key_jwt",
        jwks=signer.client.jwks,
        takes_endpoint_audience=True,
    )
    signer = Signer(signer.world, lenient, signer.clock)
    issuer = signer.world.issuer
    token_endpoint = f"{issuer}/oauth2/token"
    for good in (issuer, token_endpoint, [token_endpoint], [issuer, token_endpoint]):
        assert await signer.is_let_in(signer.sign(aud=good))
    for bad in ([], f"{issuer}/oauth2/par", [issuer, "https://other.example"], [["x"]], None):
        assert not await signer.is_let_in(signer.sign(aud=bad))


def _unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, "none")


def _hmac(claims: dict[str, Any], key: str) -> str:
    """Sign with a public key as if it were a shared secret, which PyJWT would refuse to do."""
    hashing = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return _signed({"alg": "HS256"}, claims, hashing, key.encode())


def _forged(header: dict[str, Any], claims: dict[str, Any]) -> str:
    signing = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
    key = signing.prepare_key(private_pem("ES256"))
    return _signed({"alg": "ES256", **header}, claims, signing, key)


def _signed(header: Any, claims: Any, algorithm: Any, key: Any) -> str:
    text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{base64url(algorithm.sign(text.encode(), key))}"
