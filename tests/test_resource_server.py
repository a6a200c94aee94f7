import asyncio
import inspect
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.issuer import Issuer, address_of_nobody, forge, key_set, private_pem
from tornado_auth.resource_server import KeysUnavailable, TokenRejected, TokenVerifier, Verifyer

JWKS = "/.well-known/jwks.json"
PEM = "/auth/public-key"


KEYS = key_set()


@pytest.fixture
def issuer():
    issuer = Issuer()
    issuer.publish(KEYS)
    yield issuer
    issuer.close()


def sign(keys, now, *, typ="permission+jwt", **claims):
    usual = {
        "iss": "https://auth.example.org",
        "aud": "reports",
        "service": "reports",
        "userid": "u1",
        "permissions": {"read": True},
        "iat": now,
        "exp": now + 300,
    }
    return asyncio.run(keys.sign(usual | claims, typ=typ))


# --- TokenVerifier


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_token_is_verified_by_the_keys_that_its_issuer_publishes(algorithm, issuer, clock):
    keys = key_set(algorithm)
    issuer.publish(keys)
    token = await asyncio.to_thread(sign, keys, clock(), iss=issuer.url)
    verifier = TokenVerifier(issuer.url, audience="reports", now=clock)
    assert (await verifier.verify(token))["permissions"] == {"read": True}
    assert verifier.verify_sync(token) == await verifier.verify(token)
    assert issuer.requests == [JWKS]
    with pytest.raises(TokenRejected, match="another audience"):
        await TokenVerifier(issuer.url, audience="other", now=clock).verify(token)
    clock.advance(300)
    with pytest.raises(TokenRejected, match="expired"):
        await verifier.verify(token)


def test_synchronous_code_verifies_without_a_loop(issuer, clock):
    token = sign(KEYS, clock(), iss=issuer.url)
    verifier = TokenVerifier(issuer.url, audience="reports", now=clock)
    assert verifier.verify_sync(token)["userid"] == "u1"


async def test_synchronous_code_verifies_in_a_thread_where_a_loop_runs(issuer, clock):
    token = await asyncio.to_thread(sign, KEYS, clock(), iss=issuer.url)
    verifier = TokenVerifier(issuer.url, audience="reports", now=clock)
    assert asyncio.get_running_loop().is_running()
    before = threading.active_count()
    for _ in range(20):
        assert verifier.verify_sync(token)["userid"] == "u1"
    assert threading.active_count() <= before + 1


async def test_a_token_is_verified_by_a_key_that_was_given(clock):
    token = await asyncio.to_thread(sign, KEYS, clock())
    options = {"audience": "reports", "public_key": KEYS.public_pem(), "now": clock}
    verifier = TokenVerifier("https://auth.example.org", **options)
    assert (await verifier.verify(token))["userid"] == "u1"
    session = await asyncio.to_thread(sign, KEYS, clock(), typ="session+jwt")
    with pytest.raises(TokenRejected, match="not of type"):
        await verifier.verify(session)
    sessions = TokenVerifier("https://auth.example.org", typ="session+jwt", **options)
    assert (await sessions.verify(session))["userid"] == "u1"
    foreign = await asyncio.to_thread(sign, key_set("RS256", 1), clock())
    with pytest.raises(TokenRejected, match="signature"):
        verifier.verify_sync(foreign)


async def test_the_key_set_may_be_elsewhere_than_the_issuer_says(issuer, clock):
    token = await asyncio.to_thread(sign, KEYS, clock())
    verifier = TokenVerifier(
        "https://auth.example.org", audience="reports", jwks_uri=issuer.url + JWKS, now=clock
    )
    assert (await verifier.verify(token))["userid"] == "u1"


async def test_an_unknown_key_is_a_rejection_and_unavailable_keys_are_not(issuer, clock):
    token = await asyncio.to_thread(sign, key_set("RS256", 1), clock(), iss=issuer.url)
    with pytest.raises(TokenRejected, match="unknown key"):
        await TokenVerifier(issuer.url, audience="reports", now=clock).verify(token)
    nobody = TokenVerifier(address_of_nobody(), audience="reports", now=clock)
    with pytest.raises(KeysUnavailable):
        await nobody.verify(token)
    with pytest.raises(KeysUnavailable):
        nobody.verify_sync(token)


async def test_an_algorithm_may_be_left_out(issuer, clock):
    token = await asyncio.to_thread(sign, KEYS, clock(), iss=issuer.url)
    verifier = TokenVerifier(issuer.url, audience="reports", algorithms=["ES256"], now=clock)
    with pytest.raises(TokenRejected, match="algorithm"):
        await verifier.verify(token)
    assert issuer.requests == []


@pytest.mark.parametrize("algorithms", [(), ("none",), ("HS256",), ("RS256", "HS256"), "RS256"])
def test_only_algorithms_with_a_public_key_can_be_asked_for(algorithms):
    with pytest.raises(ValueError, match="algorithms are of"):
        TokenVerifier("https://auth.example.org", audience="reports", algorithms=algorithms)


# --- Verifyer


@pytest.mark.parametrize("endpoint", ["/auth", "/auth/", "/auth/public-key", "/auth/public-key/"])
def test_the_verifyer_takes_the_address_of_the_key_or_of_the_service(endpoint, issuer, clock):
    verifyer = Verifyer(auth_endpoint=issuer.url + endpoint, now=clock, clock=clock)
    for _ in range(2):
        claims = verifyer.extract_permissions(sign(KEYS, clock()))
        assert (claims["userid"], claims["service"]) == ("u1", "reports")
        assert claims["permissions"] == {"read": True}
    assert issuer.requests == [PEM]


def test_the_verifyer_takes_a_public_key(clock):
    verifyer = Verifyer(public_key=KEYS.public_pem(), now=clock)
    assert verifyer.extract_permissions(sign(KEYS, clock()))["userid"] == "u1"
    assert verifyer.extract_permissions(sign(key_set("RS256", 1), clock())) is False
    assert verifyer.extract_permissions(sign(key_set("ES256"), clock())) is False


@pytest.mark.parametrize("nothing", [None, "", "x", "a.b.c", "é"])
def test_the_verifyer_says_false_to_what_is_no_token(nothing, clock):
    assert Verifyer(public_key=KEYS.public_pem()).extract_permissions(nothing) is False


def test_a_verifyer_without_any_key_is_refused():
    with pytest.raises(ValueError, match="auth_endpoint or public_key"):
        Verifyer()


# D11 D31
def test_the_verifyer_checks_the_service_and_the_expiry(clock):
    verifyer = Verifyer(public_key=KEYS.public_pem(), now=clock)
    token = sign(KEYS, clock())
    assert verifyer.extract_permissions(token, service="reports")["userid"] == "u1"
    assert verifyer.extract_permissions(token, service="other") is False
    for claims in ({"aud": "other"}, {"service": "other"}, {"aud": None}, {"service": None}):
        assert (
            verifyer.extract_permissions(sign(KEYS, clock(), **claims), service="reports") is False
        )
    endless = sign(KEYS, clock(), exp=None)
    assert verifyer.extract_permissions(endless) is False
    clock.advance(300)
    assert verifyer.extract_permissions(token) is False


# D31
@pytest.mark.parametrize(
    "bad",
    [
        {"body": b"<html>502</html>", "status": 502},
        {"body": b"<html>sorry</html>"},
        {"body": b""},
        {"body": private_pem().encode()},
        {"body": KEYS.public_pem().encode(), "status": 404},
    ],
)
def test_an_error_page_is_never_kept_as_a_key(bad, issuer, clock):
    verifyer = Verifyer(auth_endpoint=issuer.url + "/auth/", now=clock, clock=clock)
    token = sign(KEYS, clock())
    issuer.answer(PEM, **bad)
    assert verifyer.extract_permissions(token) is False
    issuer.publish(KEYS)
    clock.advance(5)
    assert verifyer.extract_permissions(token)["userid"] == "u1"
    issuer.answer(PEM, **bad)
    clock.advance(1000)
    assert verifyer.extract_permissions(sign(KEYS, clock()))["userid"] == "u1"


# D31
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_the_verifyer_follows_a_new_key_and_is_not_driven_by_forgeries(algorithm, issuer, clock):
    verifyer = Verifyer(auth_endpoint=issuer.url + "/auth/", now=clock, clock=clock)
    assert verifyer.extract_permissions(sign(KEYS, clock()))["userid"] == "u1"
    new = key_set(algorithm, 1)
    issuer.publish(new)
    token = sign(new, clock())
    for _ in range(100):
        assert verifyer.extract_permissions(token) is False
    assert len(issuer.requests) == 1
    clock.advance(60)
    assert verifyer.extract_permissions(token)["userid"] == "u1"
    header = {"alg": "RS256", "kid": KEYS.kid, "typ": "permission+jwt"}
    forged = forge(header, {"exp": clock() + 9, "iat": clock()}, private_pem("RS256", 2))
    for _ in range(100):
        assert verifyer.extract_permissions(forged) is False
    assert len(issuer.requests) == 2


def test_the_verifyer_takes_no_token_of_another_kind(clock):
    verifyer = Verifyer(public_key=KEYS.public_pem(), now=clock)
    assert verifyer.extract_permissions(sign(KEYS, clock(), typ="session+jwt")) is False


GUIDE = (Path(__file__).parent.parent / "docs" / "resource-servers.md").read_text("utf-8")


ACCESS_TOKEN, *EXAMPLES = sorted(
    re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL), key=lambda text: "at+jwt" not in text
)


def names_of(example, issuer):
    names = {}
    exec(example.replace("https://auth.example.org", issuer.url), names)
    return names


@pytest.mark.parametrize("example", EXAMPLES, ids=["tornado", "plain", "verifyer"])
def test_the_examples_of_the_guide_work(example, issuer):
    permissions_of = names_of(example, issuer)["permissions_of"]
    answer = permissions_of(sign(KEYS, int(time.time()), iss=issuer.url))
    assert (asyncio.run(answer) if inspect.isawaitable(answer) else answer) == {"read": True}


def test_the_example_for_access_tokens_works(issuer):
    user_of = names_of(ACCESS_TOKEN, issuer)["user_who_lets_read_reports"]
    claims = {"iss": issuer.url, "aud": "https://api.example.org/", "sub": "ann"}

    def ask(**more):
        return asyncio.run(user_of(sign(KEYS, int(time.time()), typ="at+jwt", **claims, **more)))

    assert ask(scope="openid reports:read") == "ann"
    assert ask(scope="openid") is None
    with pytest.raises(TokenRejected):
        ask(scope="reports:read", cnf={"jkt": "x"})


def test_openssl_verifies_a_token_as_the_guide_says(tmp_path, clock):
    (script,) = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "public.pem").write_text(KEYS.public_pem())
    token = sign(KEYS, clock())
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env={**os.environ, "token": token}, capture_output=True
    )
    assert done.stdout == b"Verified OK\n"


def test_nothing_else_of_the_package_is_imported():
    program = (
        "import sys, tornado_auth.resource_server\n"
        "print(*sorted(name for name in sys.modules if name.startswith('tornado_auth.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [
        "tornado_auth.resource_server",
        "tornado_auth.resource_server.key_sets",
        "tornado_auth.resource_server.signed_tokens",
        "tornado_auth.resource_server.verifiers",
    ]
