import asyncio
import base64
import json
import logging
import subprocess
import threading
import traceback

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from joserfc import jwk as jose_jwk
from joserfc import jwt as jose_jwt

from tests.issuer import forge, key_set, private_pem
from tornado_auth.errors import InvalidToken, SettingsError
from tornado_auth.keys import KeySet, generate_private_pem

ALGORITHMS = ["RS256", "ES256", "EdDSA"]
ISSUER = "https://auth.example.org"


def claims_at(now, **others):
    return {"iss": ISSUER, "aud": "reports", "sub": "u1", "iat": now, "exp": now + 60, **others}


def verify(keys, token, now):
    return keys.verify(token, typ="session+jwt", issuer=ISSUER, audience="reports", now=now)


def pem_of(key, password=None):
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    ).decode()


def public_pem_of(private):
    key = serialization.load_pem_private_key(private.encode(), password=None)
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def problems_of(private, **options):
    with pytest.raises(SettingsError) as caught:
        KeySet.from_pem(private, **options)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value.problems


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_signed_token_verifies_and_gives_its_claims_back(algorithm, clock):
    keys = key_set(algorithm)
    claims = claims_at(clock(), roles=["a", "b"])
    token = await keys.sign(claims, typ="session+jwt")
    assert verify(keys, token, clock()) == claims
    assert keys.algorithm == algorithm


# D10
@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_is_text_and_its_header_says_key_algorithm_and_kind(algorithm, clock):
    keys = key_set(algorithm)
    token = await keys.sign(claims_at(clock()), typ="permission+jwt")
    assert isinstance(token, str)
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header == {"alg": algorithm, "kid": keys.kid, "typ": "permission+jwt"}


async def test_a_claim_that_json_cannot_say_is_refused_when_signing():
    with pytest.raises(ValueError, match="Out of range float"):
        await key_set().sign({"exp": float("nan")}, typ="session+jwt")


# D32
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
async def test_another_library_verifies_a_token_by_the_published_key_set(algorithm, clock):
    keys = key_set(algorithm)
    token = await keys.sign(claims_at(clock()), typ="session+jwt")
    published = jose_jwk.KeySet.import_key_set(json.loads(json.dumps(keys.jwks())))
    decoded = jose_jwt.decode(token, published, algorithms=[algorithm])
    assert decoded.claims == claims_at(clock())
    assert published.keys[0].thumbprint() == keys.kid
    assert not published.keys[0].is_private


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")
def test_a_token_that_another_library_signed_with_our_key_verifies(algorithm, clock):
    keys = key_set(algorithm)
    key = jose_jwk.import_key(
        private_pem(algorithm), {"ES256": "EC", "EdDSA": "OKP"}.get(algorithm, "RSA")
    )
    header = {"alg": algorithm, "kid": keys.kid, "typ": "session+jwt"}
    token = jose_jwt.encode(header, claims_at(clock()), key, algorithms=[algorithm])
    assert verify(keys, token, clock()) == claims_at(clock())


async def test_openssl_verifies_a_token_by_the_public_pem(tmp_path, clock):
    keys = key_set()
    token = await keys.sign(claims_at(clock()), typ="permission+jwt")
    signed, _, signature = token.rpartition(".")
    (tmp_path / "public.pem").write_text(keys.public_pem())
    (tmp_path / "signature").write_bytes(base64.urlsafe_b64decode(signature + "=="))

    def openssl(data):
        (tmp_path / "data").write_text(data)
        command = "openssl dgst -sha256 -verify public.pem -signature signature data"
        return subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True)

    assert openssl(signed).stdout == "Verified OK\n"
    assert openssl(signed + "x").returncode == 1


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_public_members_are_published(algorithm):
    (jwk,) = key_set(algorithm).jwks()["keys"]
    secret = {"d", "p", "q", "dp", "dq", "qi", "k"}
    assert not secret & set(jwk)
    assert (jwk["use"], jwk["alg"]) == ("sig", algorithm)
    pem = key_set(algorithm).public_pem()
    assert pem == public_pem_of(private_pem(algorithm))
    assert pem.startswith("-----BEGIN PUBLIC KEY-----\n")


def test_the_coordinates_of_a_curve_point_keep_their_leading_zeros():
    while True:
        key = ec.generate_private_key(ec.SECP256R1())
        if key.public_key().public_numbers().x < 1 << 248:
            break
    (jwk,) = KeySet.from_pem(pem_of(key), algorithm="ES256").jwks()["keys"]
    assert len(jwk["x"]) == 43
    imported = jose_jwk.import_key(jwk)
    assert imported.thumbprint() == jwk["kid"]


# D32
async def test_several_keys_verify_while_one_signs(clock):
    old, new = key_set("RS256"), key_set("ES256")
    token = await old.sign(claims_at(clock()), typ="session+jwt")
    rotated = key_set(
        "ES256",
        verification_pems=old.public_pem()
        + "\n"
        + key_set("EdDSA").public_pem()
        + new.public_pem(),
    )
    assert verify(rotated, token, clock())["sub"] == "u1"
    assert rotated.kid == new.kid
    assert [key["alg"] for key in rotated.jwks()["keys"]] == ["ES256", "RS256", "EdDSA"]
    with pytest.raises(InvalidToken):
        verify(new, token, clock())


async def test_a_key_verifies_by_its_own_algorithm_only(clock):
    keys = key_set("ES256", verification_pems=key_set("RS256").public_pem())
    header = {"alg": "RS256", "kid": keys.kid, "typ": "session+jwt"}
    with pytest.raises(InvalidToken, match="not its algorithm"):
        verify(keys, forge(header, claims_at(clock()), private_pem("RS256")), clock())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_line_breaks_may_be_written_out_as_env_files_have_them(algorithm):
    private, public = private_pem(algorithm), public_pem_of(private_pem(algorithm))
    plain = key_set(algorithm)
    for one_line in (
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: pem.replace("\n", "\\r\\n"),
        lambda pem: '"' + pem.replace("\n", "\\n") + '"',
        lambda pem: "\n  " + pem.replace("\n", "\r\n"),
    ):
        keys = KeySet.from_pem(
            one_line(private),
            public_pem=one_line(public),
            algorithm=algorithm,
            verification_pems=one_line(key_set("EdDSA", 1).public_pem()),
        )
        assert keys.kid == plain.kid
        assert len(keys.jwks()["keys"]) == 2


# D34
def test_without_a_private_key_there_is_no_key_set():
    (problem,) = problems_of("")
    assert problem.startswith("PRIVATE_KEY: is not set.")
    assert "tornado-auth keys generate" in problem


# S058
@pytest.mark.parametrize(
    ("private", "algorithm", "told"),
    [
        (
            "-----BEGIN PRIVATE KEY-----\nTUlJ\n-----END PRIVATE KEY-----",
            "RS256",
            "not a private key",
        ),
        ("garbage \ud800 \x00", "RS256", "not a private key"),
        (public_pem_of(private_pem("ES256")), "ES256", "not a private key"),
        (pem_of(ec.generate_private_key(ec.SECP256R1()), b"secret"), "ES256", "is encrypted"),
        (pem_of(rsa.generate_private_key(65537, 1024)), "RS256", "1024 bits, 2048 are the least"),
        (pem_of(ec.generate_private_key(ec.SECP384R1())), "ES256", "neither an RSA nor"),
        (pem_of(x25519.X25519PrivateKey.generate()), "EdDSA", "neither an RSA nor"),
        (private_pem("ES256"), "RS256", "TORNADO_AUTH_SIGNING_ALGORITHM=ES256"),
        (private_pem("RS256"), "EdDSA", "signs by RS256, not by EdDSA"),
    ],
)
def test_a_private_key_that_cannot_serve_is_refused_with_a_remedy(private, algorithm, told):
    (problem,) = problems_of(private, algorithm=algorithm)
    assert problem.startswith("PRIVATE_KEY: ")
    assert told in problem
    for line in private.splitlines():
        assert line not in problem


def test_a_public_key_of_another_private_key_is_refused():
    (problem,) = problems_of(private_pem(), public_pem=public_pem_of(private_pem("RS256", 1)))
    assert problem.startswith("PUBLIC_KEY: does not belong to PRIVATE_KEY")


@pytest.mark.parametrize(
    ("pems", "told"),
    [
        (private_pem("EdDSA"), "key 1: is not a public key"),
        (public_pem_of(private_pem()) + private_pem("EdDSA"), "key 2: is not a public key"),
        (
            public_pem_of(pem_of(rsa.generate_private_key(65537, 1024))),
            "key 1: is an RSA key of 1024",
        ),
        (public_pem_of(private_pem()) + "see above", "something else than PEM"),
    ],
)
def test_a_verification_key_that_cannot_serve_is_refused(pems, told):
    (problem,) = problems_of(private_pem(), verification_pems=pems)
    assert problem.startswith("TORNADO_AUTH_VERIFICATION_KEYS: ")
    assert told in problem


def test_all_problems_are_told_at_once():
    problems = problems_of("x", public_pem="y", algorithm="HS256", verification_pems="z")
    assert [problem.partition(":")[0] for problem in problems] == [
        "TORNADO_AUTH_SIGNING_ALGORITHM",
        "PRIVATE_KEY",
        "PUBLIC_KEY",
        "TORNADO_AUTH_VERIFICATION_KEYS",
    ]


def report_of_a_failure_with_all_variables(keys):
    try:
        asyncio.run(keys.sign({"x": object()}, typ="session+jwt"))
    except TypeError as error:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(report.format())


# S058
def test_the_private_key_is_in_no_repr_log_or_traceback(caplog):
    keys = key_set()
    logging.getLogger("tests").warning("%r %s", keys, vars(keys))
    told = report_of_a_failure_with_all_variables(keys) + caplog.text + repr(keys) + str(keys)
    assert told.count(keys.kid) > 3
    assert not [line for line in private_pem().splitlines()[1:-1] if line in told]


@pytest.fixture
def signing_threads(monkeypatch):
    """Record which thread makes each signature."""
    threads = []
    sign = KeySet._sign

    def recorded(self, payload, typ):
        threads.append(threading.current_thread() is threading.main_thread())
        return sign(self, payload, typ)

    monkeypatch.setattr(KeySet, "_sign", recorded)
    return threads


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
async def test_quick_signatures_never_leave_the_loop(algorithm, signing_threads):
    keys = key_set(algorithm)
    await asyncio.gather(*(keys.sign({}, typ="session+jwt") for _ in range(10)))
    assert signing_threads == [True] * 10


async def test_rsa_signatures_never_hold_up_the_loop(signing_threads, clock):
    keys = key_set()
    tokens = await asyncio.gather(
        *(keys.sign(claims_at(clock(), n=n), typ="session+jwt") for n in range(10))
    )
    assert signing_threads == [False] * 10
    assert [verify(keys, token, clock())["n"] for token in tokens] == list(range(10))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_generated_key_is_new_and_serves(algorithm):
    pem = generate_private_pem(algorithm)
    assert pem.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert KeySet.from_pem(pem, algorithm=algorithm).kid != key_set(algorithm).kid


def test_no_key_is_generated_for_an_unknown_algorithm():
    with pytest.raises(ValueError, match="HS256 is none of"):
        generate_private_pem("HS256")
