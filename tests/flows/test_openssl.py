"""A permission token, verified by programs that share no code with the service, and by our own."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from tests.flows.fixtures import MakePerson
from tests.flows.journeys import Person, google_at
from tests.issuer import private_pem
from tests.modules import MakeModule
from tests.providers.fixtures import OIDCProvider
from tests.service import ServiceFactory
from tornado_auth.resource_server import TokenRejected, TokenVerifier, Verifyer

ALGORITHMS = ("RS256", "ES256", "EdDSA")


@pytest.fixture
def openssl() -> str:
    path = shutil.which("openssl")
    if path is None and "CI" not in os.environ:
        pytest.skip("There is no openssl.")
    return path or pytest.fail("There is no openssl.")


@pytest.fixture
async def ann(
    make_service: ServiceFactory,
    database_url: str,
    make_module: MakeModule,
    make_person: MakePerson,
    oidc_provider: OIDCProvider,
) -> Person:
    """Somebody who signed in, and may read files."""
    make_module("signed_files", "def get_permissions(service, userid): return {'read': True}")
    service = await make_service(
        DATABASE_URL=database_url,
        ALLOWED_SERVICES="files:signed_files;wiki:signed_files",
        TORNADO_AUTH_SIGNING_ALGORITHM="RS256",
        **google_at(oidc_provider),
    )
    ann = make_person(service)
    await ann.sign_in("google", "1001")
    return ann


async def permission_token(person: Person) -> str:
    answer = await person.service.json("/auth/authorize?service=files", token=person.token)
    return str(answer["token"])


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


# S105 D10
async def test_openssl_verifies_it_with_the_published_key(
    ann: Person, openssl: str, tmp_path: Path
) -> None:
    token = await permission_token(ann)
    signed, _, signature = token.rpartition(".")
    pem = (await ann.service.fetch("/auth/public-key")).body
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "signature").write_bytes(decoded(signature))

    def verify(data: str) -> str:
        command = [openssl, "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature"]
        done = subprocess.run(
            command, input=data.encode(), cwd=tmp_path, capture_output=True, timeout=10, check=False
        )
        return done.stdout.decode().strip()

    assert await asyncio.to_thread(verify, signed) == "Verified OK"
    assert await asyncio.to_thread(verify, signed + "x") == "Verification failure"
    header, claims = (json.loads(decoded(part)) for part in signed.split("."))
    assert (header["alg"], header["typ"]) == ("RS256", "permission+jwt")
    assert claims["permissions"] == {"read": True}


# S105 D11 D32
async def test_another_library_verifies_it_with_the_key_set(ann: Person) -> None:
    keys = KeySet.import_key_set(await ann.service.json("/.well-known/jwks.json"))
    token = jwt.decode(await permission_token(ann), keys, algorithms=["RS256"])
    expected = {
        "iss": {"essential": True, "value": ann.service.url},
        "aud": {"essential": True, "value": "files"},
        "exp": {"essential": True},
    }
    jwt.JWTClaimsRegistry(**expected).validate(token.claims)
    assert token.header["kid"] == ann.service.server.keys.kid
    assert token.claims["sub"] == token.claims["userid"] == (await ann.profile())["id"]
    assert token.claims["exp"] - time.time() <= 300
    head, claims, signature = (await permission_token(ann)).split(".")
    forged = base64.urlsafe_b64encode(decoded(claims).replace(b'"files"', b'"bank"')).decode()
    with pytest.raises(BadSignatureError):
        jwt.decode(f"{head}.{forged.rstrip('=')}.{signature}", keys, algorithms=["RS256"])


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_each_algorithm_is_understood_by_another_library(
    make_service: ServiceFactory, algorithm: str
) -> None:
    service = await make_service(
        PRIVATE_KEY=private_pem(algorithm), TORNADO_AUTH_SIGNING_ALGORITHM=algorithm
    )
    keys = KeySet.import_key_set(await service.json("/.well-known/jwks.json"))
    await service.sign_in("ann")
    [session] = await service.server.storage.sessions.find()
    token = await service.server.tokens.permission_token(session, "files", {"read": True})
    assert jwt.decode(token, keys, algorithms=[algorithm]).claims["userid"] == session.user_id


# D31
async def test_the_old_verifyer_reads_it_from_the_address_of_the_service(ann: Person) -> None:
    for endpoint in ("/auth/public-key", "/auth"):
        verifyer = Verifyer(auth_endpoint=ann.service.url + endpoint)
        token = await permission_token(ann)
        claims = await asyncio.to_thread(verifyer.extract_permissions, token)
        assert claims
        assert claims["userid"] == (await ann.profile())["id"]
        assert (claims["service"], claims["permissions"]) == ("files", {"read": True})
        assert verifyer.extract_permissions(token, service="files") == claims
        assert verifyer.extract_permissions(token, service="wiki") is False
        assert verifyer.extract_permissions(ann.token) is False
        assert verifyer.extract_permissions(None) is False
    pem = (await ann.service.fetch("/auth/public-key")).body.decode()
    assert Verifyer(public_key=pem).extract_permissions(token) == claims


# S105 D11
async def test_the_verifier_takes_it_for_its_own_service_only(ann: Person) -> None:
    token = await permission_token(ann)
    files = TokenVerifier(ann.service.url, audience="files")
    claims = await files.verify(token)
    assert claims["permissions"] == {"read": True}
    with pytest.raises(TokenRejected):
        await TokenVerifier(ann.service.url, audience="wiki").verify(token)
    with pytest.raises(TokenRejected):
        await files.verify(ann.token)
