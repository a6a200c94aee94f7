import asyncio
import gzip
import json
import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwk as jose_jwk

from tests.issuer import Issuer, address_of_nobody, base64url, key_set, private_pem
from tornado_auth.resource_server import KeysUnavailable, PinnedKey, RemoteKeySet
from tornado_auth.resource_server.key_sets import jwks_keys, pem_keys

JWKS = "/.well-known/jwks.json"


KEYS = key_set()


@pytest.fixture
def issuer():
    issuer = Issuer()
    issuer.publish(KEYS)
    yield issuer
    issuer.close()


def remote(issuer, clock, **options):
    return RemoteKeySet(issuer.url + JWKS, clock=clock, **options)


def pem_numbers(pem):
    return serialization.load_pem_public_key(pem.encode()).public_numbers()


async def test_keys_are_fetched_once_and_kept(issuer, clock):
    keys = remote(issuer, clock)
    for _ in range(3):
        key = await keys.key(KEYS.kid, "RS256")
        assert key.public_numbers() == pem_numbers(KEYS.public_pem())
    assert issuer.requests == [JWKS]


async def test_any_number_of_callers_share_one_fetch(issuer, clock):
    issuer.delay = 0.1
    keys = remote(issuer, clock)
    found = await asyncio.gather(*(keys.key(KEYS.kid, "RS256") for _ in range(100)))
    assert None not in found
    assert issuer.requests == [JWKS]


async def test_threads_and_loops_share_one_fetch(issuer, clock):
    issuer.delay = 0.2
    keys = remote(issuer, clock)
    in_threads = [asyncio.to_thread(keys.key_sync, KEYS.kid, "RS256") for _ in range(4)]
    other_loop = asyncio.to_thread(lambda: asyncio.run(keys.key(KEYS.kid, "RS256")))
    found = await asyncio.gather(*in_threads, other_loop, keys.key(KEYS.kid, "RS256"))
    assert None not in found
    assert issuer.requests == [JWKS]


async def test_a_cancelled_caller_does_not_take_the_fetch_with_it(issuer, clock):
    issuer.delay = 0.2
    keys = remote(issuer, clock)
    impatient = asyncio.create_task(keys.key(KEYS.kid, "RS256"))
    patient = asyncio.create_task(keys.key(KEYS.kid, "RS256"))
    await asyncio.sleep(0.05)
    impatient.cancel()
    assert await patient is not None
    assert impatient.cancelled()
    assert issuer.requests == [JWKS]


async def test_the_loop_runs_on_while_keys_are_fetched(issuer, clock):
    issuer.delay = 0.3
    fetch = asyncio.create_task(remote(issuer, clock).key(KEYS.kid, "RS256"))
    turns = 0
    while not fetch.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 10


async def test_a_thousand_unknown_kids_cause_one_fetch(issuer, clock):
    keys = remote(issuer, clock)
    await keys.key(KEYS.kid, "RS256")
    clock.advance(60)
    found = await asyncio.gather(*(keys.key(f"kid{n}", "RS256") for n in range(1000)))
    assert set(found) == {None}
    assert len(issuer.requests) == 2
    clock.advance(59)
    assert await keys.key("another", "RS256") is None
    assert len(issuer.requests) == 2


# D32
async def test_a_new_key_is_found_after_the_cooldown(issuer, clock):
    keys = remote(issuer, clock)
    new = key_set("ES256")
    assert await keys.key(new.kid, "ES256") is None
    issuer.publish(new)
    clock.advance(59)
    assert await keys.key(new.kid, "ES256") is None
    clock.advance(1)
    assert await keys.key(new.kid, "ES256") is not None


async def test_a_withdrawn_key_is_forgotten_after_the_maximum_age(issuer, clock):
    keys = remote(issuer, clock)
    await keys.key(KEYS.kid, "RS256")
    issuer.publish(key_set("RS256", 1))
    clock.advance(599)
    assert await keys.key(KEYS.kid, "RS256") is not None
    clock.advance(1)
    assert await keys.key(KEYS.kid, "RS256") is None
    assert len(issuer.requests) == 2


BAD_ANSWERS = {
    "error": {"body": b"down", "status": 500},
    "not found": {"body": b"{}", "status": 404},
    "created": {"body": json.dumps(KEYS.jwks()).encode(), "status": 201},
    "error page": {"body": b"<html>sorry</html>"},
    "error in JSON": {"body": b'{"error":"sorry"}'},
    "keys no list": {"body": b'{"keys":{"a":1}}'},
    "twice": {"body": json.dumps(KEYS.jwks()).encode()[:-1] + b',"keys":[]}'},
    "list": {"body": b"[]"},
    "not UTF-8": {"body": b"\xff\xfe{}"},
    "empty": {"body": b""},
    "deep": {"body": b"[" * 100_000},
    "compressed": {"body": gzip.compress(b"{}"), "headers": {"Content-Encoding": "gzip"}},
    "too long": {"body": json.dumps(KEYS.jwks() | {"x": "a" * 262_144}).encode()},
    "redirect": {"body": b"", "status": 302, "headers": {"Location": "/elsewhere"}},
}


@pytest.mark.parametrize("bad", BAD_ANSWERS)
async def test_a_bad_answer_is_no_key_set_and_the_last_good_keys_stay(bad, issuer, clock, caplog):
    keys = remote(issuer, clock)
    good = await keys.key(KEYS.kid, "RS256")
    issuer.answer("/elsewhere", json.dumps(key_set("RS256", 1).jwks()).encode())
    issuer.answer(JWKS, **BAD_ANSWERS[bad])
    clock.advance(600)
    assert await keys.key(KEYS.kid, "RS256") == good
    assert issuer.requests == [JWKS, JWKS]
    assert [
        record.message for record in caplog.records if record.name.startswith("tornado_auth")
    ] == ["keys_fetch_failed"]

    with pytest.raises(KeysUnavailable):
        await remote(issuer, clock).key(KEYS.kid, "RS256")
    assert "/elsewhere" not in issuer.requests


async def test_keys_that_never_came_are_asked_for_again_soon(issuer, clock):
    issuer.answer(JWKS, b"", status=503)
    keys = remote(issuer, clock)
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await keys.key(KEYS.kid, "RS256")
    assert len(issuer.requests) == 1
    issuer.publish(KEYS)
    clock.advance(5)
    assert await keys.key(KEYS.kid, "RS256") is not None


async def test_an_issuer_that_answers_too_late_is_not_waited_for(issuer, clock):
    issuer.delay = 1
    started = time.perf_counter()
    with pytest.raises(KeysUnavailable):
        await remote(issuer, clock, timeout=0.1).key(KEYS.kid, "RS256")
    assert time.perf_counter() - started < 0.9


async def test_an_issuer_that_is_not_there_makes_the_keys_unavailable(clock):
    with pytest.raises(KeysUnavailable):
        await RemoteKeySet(address_of_nobody(), clock=clock).key("a", "RS256")


async def test_an_empty_key_set_is_believed(issuer, clock):
    keys = remote(issuer, clock)
    await keys.key(KEYS.kid, "RS256")
    issuer.answer(JWKS, b'{"keys":[]}')
    clock.advance(600)
    assert await keys.key(KEYS.kid, "RS256") is None


@pytest.mark.parametrize("address", ["", "auth.example.org", "file:///etc/passwd", "https://"])
def test_an_address_that_is_none_is_refused_at_once(address):
    with pytest.raises(ValueError, match="not an http or https address"):
        RemoteKeySet(address)


def jose_public(kind, parameter):
    return jose_jwk.generate_key(kind, parameter, auto_kid=True).as_dict(private=False)


@pytest.mark.parametrize(
    ("kind", "parameter", "algorithm"),
    [("RSA", 2048, "RS256"), ("EC", "P-256", "ES256"), ("OKP", "Ed25519", "EdDSA")],
)
def test_a_key_that_another_library_published_is_read(kind, parameter, algorithm):
    jwk = jose_public(kind, parameter)
    for told in ({}, {"use": "sig"}, {"alg": algorithm}, {"key_ops": ["verify"]}):
        keys = jwks_keys(json.dumps({"keys": [jwk | told]}).encode())
        assert set(keys) == {(jwk["kid"], algorithm), ("", algorithm)}


GOOD = KEYS.jwks()["keys"][0]


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        "key",
        {},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"},
        {"kty": ["RSA"]},
        GOOD | {"use": "enc"},
        GOOD | {"key_ops": ["encrypt"]},
        GOOD | {"key_ops": "verify"},
        GOOD | {"alg": "HS256"},
        GOOD | {"alg": "RS512"},
        GOOD | {"alg": ["RS256"]},
        GOOD | {"kid": 1},
        GOOD | {"kid": ["a"]},
        GOOD | {"kty": "EC"},
        GOOD | {"d": "AQAB"},
        GOOD | {"n": 1},
        GOOD | {"n": "!"},
        GOOD | {"n": None, "e": None},
        GOOD | {"e": "AQ"},
        {"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "kid": "a", "x": "AQ", "y": "AQ"},
        {"kty": "OKP", "crv": "X25519", "kid": "a", "x": "A" * 43},
        jose_public("EC", "P-384"),
        jose_public("EC", "secp256k1"),
        jose_public("OKP", "Ed448"),
        jose_public("OKP", "X25519"),
        jose_jwk.generate_key("OKP", "Ed25519").as_dict(private=True),
    ],
)
def test_a_key_that_is_not_for_verifying_is_skipped(jwk):
    other = key_set("EdDSA").jwks()["keys"][0]
    keys = jwks_keys(json.dumps({"keys": [jwk, other]}).encode())
    assert set(keys) == {(other["kid"], "EdDSA"), ("", "EdDSA")}


def public_pem_of(private_key):
    return private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_a_weak_rsa_key_is_skipped():
    for bits, found in ((1024, 0), (2048, 2)):
        numbers = rsa.generate_private_key(65537, bits).public_key().public_numbers()
        modulus = base64url(numbers.n.to_bytes(bits // 8, "big"))
        jwk = {"kty": "RSA", "kid": "a", "n": modulus, "e": "AQAB"}
        assert len(jwks_keys(json.dumps({"keys": [jwk]}).encode())) == found


def test_without_a_kid_only_a_lone_key_of_its_algorithm_is_found():
    one, two = (key_set("ES256", number).jwks()["keys"][0] for number in (0, 1))
    both = jwks_keys(json.dumps({"keys": [one, two]}).encode())
    assert set(both) == {(one["kid"], "ES256"), (two["kid"], "ES256")}
    del one["kid"]
    assert ("", "ES256") not in jwks_keys(json.dumps({"keys": [one, two]}).encode())
    assert set(jwks_keys(json.dumps({"keys": [one]}).encode())) == {("", "ES256")}


async def test_fetched_keys_cannot_be_changed(issuer, clock):
    keys = jwks_keys(json.dumps(KEYS.jwks()).encode())
    with pytest.raises(TypeError):
        keys["evil", "RS256"] = next(iter(keys.values()))


@pytest.mark.parametrize(
    "pem",
    [
        "<html>",
        private_pem(),
        public_pem_of(rsa.generate_private_key(65537, 1024)).decode(),
        public_pem_of(ec.generate_private_key(ec.SECP384R1())).decode(),
    ],
)
def test_a_pinned_key_that_is_not_fit_is_refused_at_once(pem):
    with pytest.raises(ValueError, match=r"^not an? (RSA|public key)"):
        PinnedKey(pem)


def test_a_public_key_in_pem_is_found_by_its_algorithm_only():
    key = ed25519.Ed25519PrivateKey.generate()
    assert set(pem_keys(public_pem_of(key))) == {("", "EdDSA")}
    pinned = PinnedKey(public_pem_of(key).decode().replace("\n", "\\n"))
    assert pinned.key_sync("any", "EdDSA") == key.public_key()
    assert pinned.key_sync("any", "RS256") is None
