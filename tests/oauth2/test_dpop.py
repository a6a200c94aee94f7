"""Proofs of possession: what makes one good, and every way in which one is not."""

import asyncio
import json
from typing import Any

import jwt
import pytest

from tests.conftest import FakeClock
from tests.issuer import base64url
from tests.oauth2.proofs import Prover
from tornado_auth.oauth2.dpop import DPoP
from tornado_auth.oauth2.errors import InvalidDPoPProof, UseDPoPNonce
from tornado_auth.oauth2.values import DPoPProof
from tornado_auth.storage import Storage
from tornado_auth.storage.memory import MemoryBackend

SECRETS = ("s" * 32,)
URL = "https://auth.example.org/oauth2/token"


@pytest.fixture
async def dpop(clock: FakeClock) -> DPoP:
    storage = Storage(MemoryBackend(), clock)
    await storage.open()
    return DPoP(storage.spent_states, SECRETS, uses_nonces=False, now=clock)


@pytest.fixture
def stored_dpop(storage: Storage, clock: FakeClock) -> DPoP:
    return DPoP(storage.spent_states, SECRETS, uses_nonces=False, now=clock)


@pytest.fixture
def prover(clock: FakeClock) -> Prover:
    return Prover(now=clock)


async def check(dpop: DPoP, proof: str, *, token: str = "", url: str = URL) -> str:
    return await dpop.check(DPoPProof(proof=proof, method="POST", url=url), access_token=token)


async def is_refused(dpop: DPoP, proof: str, **arguments: Any) -> bool:
    try:
        await check(dpop, proof, **arguments)
    except InvalidDPoPProof:
        return True
    return False


@pytest.mark.parametrize("algorithm", DPoP.algorithms)
async def test_a_proof_by_each_algorithm_names_its_key(
    dpop: DPoP, clock: FakeClock, algorithm: str
) -> None:
    prover = Prover(algorithm, now=clock)
    assert await check(dpop, prover.proof(URL)) == prover.jkt


# S065
@pytest.mark.parametrize(
    "changes",
    [
        {"htm": "GET"},
        {"htm": "post"},
        {"htm": None},
        {"htu": "https://evil.example/oauth2/token"},
        {"htu": "https://auth.example.org/oauth2/userinfo"},
        {"htu": "http://auth.example.org/oauth2/token"},
        {"htu": "https://auth.example.org:444/oauth2/token"},
        {"htu": "https://user@auth.example.org/oauth2/token"},
        {"htu": "https://auth.example.org:port/oauth2/token"},
        {"htu": "/oauth2/token"},
        {"htu": ["https://auth.example.org/oauth2/token"]},
        {"htu": None},
        {"jti": None},
        {"jti": ""},
        {"jti": "j" * 513},
        {"jti": 1},
        {"iat": None},
        {"iat": True},
        {"iat": "1800000000"},
    ],
)
async def test_a_proof_with_a_wrong_or_missing_claim_is_refused(
    dpop: DPoP, prover: Prover, changes: dict[str, Any]
) -> None:
    assert await is_refused(dpop, prover.proof(URL, **changes))


# S065
@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"jwk": None},
        {"jwk": "text"},
        {"jwk": {}},
        {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
        {"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}},
        {"alg": "RS256"},
        {"alg": "ES384"},
        {"alg": None},
        {"jwk": {"kty": "EC", "crv": "P-256", "x": 1, "y": None}},
        {"crit": ["exp"]},
    ],
)
async def test_a_proof_with_a_wrong_header_is_refused(
    dpop: DPoP, prover: Prover, header: dict[str, Any]
) -> None:
    assert await is_refused(dpop, prover.proof(URL, header=header))


# S065
async def test_a_proof_that_shows_its_private_key_is_refused(dpop: DPoP, prover: Prover) -> None:
    assert await is_refused(dpop, prover.proof(URL, header={"jwk": prover.private_jwk}))


# S065
async def test_a_proof_signed_by_another_key_is_refused(dpop: DPoP, prover: Prover) -> None:
    assert await is_refused(dpop, prover.proof(URL, header={"jwk": Prover().jwk}))


# S065
@pytest.mark.parametrize(("algorithm", "key"), [("none", None), ("HS256", "k" * 32)])
async def test_a_proof_without_an_asymmetric_signature_is_refused(
    dpop: DPoP, prover: Prover, clock: FakeClock, algorithm: str, key: str | None
) -> None:
    claims = {"jti": "1", "htm": "POST", "htu": URL, "iat": clock()}
    header = {"typ": "dpop+jwt", "jwk": prover.jwk}
    assert await is_refused(dpop, jwt.encode(claims, key, algorithm, headers=header))


@pytest.mark.parametrize("proof", ["", "a", "a.b", "a.b.c", "..", "é.b.c", "a" * 10_000])
async def test_what_is_no_token_is_no_proof(dpop: DPoP, proof: str) -> None:
    assert await is_refused(dpop, proof)


# S065
async def test_a_proof_is_of_this_time(dpop: DPoP, prover: Prover, clock: FakeClock) -> None:
    for seconds in (-10, 10, -60, 60):
        assert await check(dpop, prover.proof(URL, iat=clock() + seconds))
    assert await check(dpop, prover.proof(URL, iat=clock() + 0.5))
    for seconds in (-600, 600, -61, 61):
        assert await is_refused(dpop, prover.proof(URL, iat=clock() + seconds))


# S065
async def test_a_proof_counts_once_for_as_long_as_it_is_of_this_time(
    stored_dpop: DPoP, prover: Prover, clock: FakeClock, storage: Storage
) -> None:
    proof = prover.proof(URL, iat=clock() + 60)
    assert await check(stored_dpop, proof)
    for _ in range(4):
        await storage.purge()
        assert await is_refused(stored_dpop, proof)
        clock.advance(40)


async def test_of_many_uses_at_once_one_succeeds(stored_dpop: DPoP, prover: Prover) -> None:
    proof = prover.proof(URL)
    outcomes = await asyncio.gather(*(is_refused(stored_dpop, proof) for _ in range(20)))
    assert outcomes.count(False) == 1


async def test_two_keys_may_use_the_same_jti(dpop: DPoP, clock: FakeClock) -> None:
    for _ in range(2):
        assert await check(dpop, Prover(now=clock).proof(URL, jti="same"))


async def test_a_jti_may_be_any_text(dpop: DPoP, prover: Prover) -> None:
    for jti in ("é", "\U0001f511"):
        assert await check(dpop, prover.proof(URL, jti=jti)) == prover.jkt


async def test_what_is_no_text_is_refused(dpop: DPoP, prover: Prover) -> None:
    for claim in ("jti", "htu", "nonce"):
        assert await is_refused(dpop, prover.proof(URL, **{claim: "\ud800"}))


# S065
async def test_only_a_proof_that_is_right_costs_a_signature(
    dpop: DPoP, prover: Prover, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = []
    monkeypatch.setattr(
        "tornado_auth.oauth2.dpop.read_claims", lambda *arguments: verified.append(arguments)
    )
    monkeypatch.setattr(
        "tornado_auth.oauth2.dpop.jwk_key", lambda *arguments: verified.append(arguments)
    )
    for changes in ({"htm": "GET"}, {"htu": "https://evil.example/"}, {"iat": 1}, {"jti": None}):
        assert await is_refused(dpop, prover.proof(URL, **changes))
    assert await is_refused(dpop, prover.proof(URL, header={"typ": "JWT"}))
    assert await is_refused(dpop, prover.proof(URL, token="tat_2"), token="tat_1")
    assert verified == []


# S065
async def test_a_key_that_costs_much_proves_nothing(
    dpop: DPoP, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it signed: only the keys differ here."""
    monkeypatch.setattr("tornado_auth.oauth2.dpop.read_claims", lambda *arguments: {})
    prover = Prover("RS256", now=clock)
    for member, value, is_good in (
        ("n", b"\xff" * 512, True),
        ("n", b"\xff" * 513, False),
        ("n", b"\xff" * 255, False),
        ("e", b"\xff" * 4, True),
        ("e", b"\x01" + b"\xff" * 4, False),
        ("e", b"\x01\x00\x00", False),
        ("e", b"\x01", False),
    ):
        jwk = {**prover.jwk, member: base64url(value)}
        proof = prover.proof(URL, header={"jwk": jwk})
        assert await is_refused(dpop, proof) is not is_good, (member, value)


@pytest.mark.parametrize(
    "htu",
    [
        f"{URL}?query=1#fragment",
        "HTTPS://AUTH.example.org/oauth2/token",
        "https://auth.example.org:443/oauth2/token",
    ],
)
async def test_an_address_may_be_written_otherwise(dpop: DPoP, prover: Prover, htu: str) -> None:
    assert await check(dpop, prover.proof(URL, htu=htu)) == prover.jkt


# S066
async def test_a_proof_for_a_resource_names_its_token(dpop: DPoP, prover: Prover) -> None:
    assert await check(dpop, prover.proof(URL, token="tat_1"), token="tat_1") == prover.jkt
    assert await is_refused(dpop, prover.proof(URL, token="tat_2"), token="tat_1")
    assert await is_refused(dpop, prover.proof(URL), token="tat_1")


class TestNonces:
    @pytest.fixture
    async def storage(self, clock: FakeClock) -> Storage:
        storage = Storage(MemoryBackend(), clock)
        await storage.open()
        return storage

    @pytest.fixture
    def dpop(self, storage: Storage, clock: FakeClock) -> DPoP:
        return DPoP(storage.spent_states, SECRETS, uses_nonces=True, now=clock)

    async def challenge(self, dpop: DPoP, proof: str) -> str:
        with pytest.raises(UseDPoPNonce) as caught:
            await check(dpop, proof)
        return caught.value.nonce

    # S067
    async def test_a_proof_without_one_is_challenged_and_then_accepted(
        self, dpop: DPoP, prover: Prover
    ) -> None:
        nonce = await self.challenge(dpop, prover.proof(URL))
        assert await check(dpop, prover.proof(URL, nonce=nonce)) == prover.jkt

    # S067
    async def test_one_that_is_too_old_is_replaced(
        self, dpop: DPoP, prover: Prover, clock: FakeClock
    ) -> None:
        nonce = await self.challenge(dpop, prover.proof(URL))
        clock.advance(299)
        assert await check(dpop, prover.proof(URL, nonce=nonce)) == prover.jkt
        clock.advance(2)
        newer = await self.challenge(dpop, prover.proof(URL, nonce=nonce))
        assert await check(dpop, prover.proof(URL, nonce=newer)) == prover.jkt

    # S067
    @pytest.mark.parametrize("nonce", ["", "made-up", "é", 1, ["a"]])
    async def test_one_that_is_not_ours_is_replaced(
        self, dpop: DPoP, prover: Prover, nonce: object
    ) -> None:
        assert await self.challenge(dpop, prover.proof(URL, nonce=nonce))

    async def test_one_counts_in_every_process_until_the_secret_is_gone(
        self, dpop: DPoP, prover: Prover, storage: Storage, clock: FakeClock
    ) -> None:
        proof = prover.proof(URL, nonce=dpop.nonce())
        new = DPoP(storage.spent_states, ("n" * 32, *SECRETS), uses_nonces=True, now=clock)
        assert await check(new, proof) == prover.jkt
        gone = DPoP(storage.spent_states, ("n" * 32,), uses_nonces=True, now=clock)
        await self.challenge(gone, prover.proof(URL, nonce=dpop.nonce()))

    async def test_a_challenge_does_not_spend_the_proof(self, dpop: DPoP, prover: Prover) -> None:
        jti = json.dumps("same")
        nonce = await self.challenge(dpop, prover.proof(URL, jti=jti))
        assert await check(dpop, prover.proof(URL, jti=jti, nonce=nonce)) == prover.jkt

    async def test_a_bad_proof_is_not_challenged(self, dpop: DPoP, prover: Prover) -> None:
        assert await is_refused(dpop, prover.proof(URL, htm="GET"))
