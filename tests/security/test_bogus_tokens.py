"""A flood of tokens that are not ours: refused by their form, before any work is done for them."""

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from tests.issuer import forge, private_pem
from tests.security.wire import Wire
from tests.service import Service, ServiceFactory
from tornado_auth.resource_server import signed_tokens

OTHER_KEY = private_pem("RS256", 1)


@pytest.fixture(params=["on", "off"])
async def service(request: pytest.FixtureRequest, make_service: ServiceFactory) -> Service:
    return await make_service(
        TORNADO_AUTH_FAST_PATH=request.param, TORNADO_AUTH_SIGNING_ALGORITHM="RS256"
    )


class Work:
    """What was done for tokens: signatures verified, records asked for."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self.signatures = self.reads = 0
        verify = signed_tokens._verify

        def count_verify(*arguments: Any) -> None:
            self.signatures += 1
            verify(*arguments)

        monkeypatch.setattr(signed_tokens, "_verify", count_verify)
        storage = service.server.storage
        for collection in (storage.sessions, storage.users):
            for name in ("get", "get_many", "find"):
                self._count(monkeypatch, collection, name)

    def _count(self, monkeypatch: pytest.MonkeyPatch, collection: Any, name: str) -> None:
        operation = getattr(collection, name)

        def read(*args: Any, **kwargs: Any) -> Any:
            self.reads += 1
            return operation(*args, **kwargs)

        monkeypatch.setattr(collection, name, read)


@pytest.fixture
def work(service: Service, monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(service, monkeypatch)


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def wrong_in_form(token: str) -> Iterator[str]:
    """Yield tokens that differ from a good one in what can be seen before its signature."""
    header, claims, signature = token.split(".")
    good = jwt.get_unverified_header(token)
    for number in range(25):
        yield f"{header}.{claims}"
        yield f"{header}.{claims}.{signature}.{number}"
        yield f"{number}{header}.{claims}.{signature}"
        yield f"{header}.{claims}{'x' * 9000}.{signature}"
        for changed in (
            {"kid": f"kid-{number}"},
            {"kid": good["kid"] + str(number)},
            {"kid": f"http://203.0.113.1/{number}"},
            {"typ": "JWT"},
            {"typ": "permission+jwt"},
            {"typ": None},
            {"alg": "none"},
            {"alg": "HS256"},
            {"alg": "ES256"},
            {"alg": "RS512"},
            {"crit": ["b64"], "b64": False},
            {"kid": None},
        ):
            yield f"{part({**good, **changed, 'x': number})}.{claims}.{signature}"


async def refusals(service: Service, tokens: list[str]) -> set[int]:
    """Ask /auth/verify about each of them, on a few connections, and return all statuses."""

    async def ask(some: list[str]) -> set[int]:
        wire = await Wire.to(service.port)
        statuses = set()
        for token in some:
            head = f"GET /auth/verify HTTP/1.1\r\nHost: x\r\nauth-token: {token}\r\n\r\n"
            statuses.add((await wire.ask(head.encode())).status)
        wire.close()
        return statuses

    return set().union(*await asyncio.gather(*(ask(tokens[n::4]) for n in range(4))))


async def signed_in(service: Service, work: Work) -> str:
    """Return the token of somebody whose sign-in is none of the work that is counted."""
    token = await service.sign_in()
    work.signatures = work.reads = 0
    return token


# S133
async def test_what_is_wrong_in_form_costs_no_signature_and_no_question_to_the_store(
    service: Service, work: Work
) -> None:
    token = await signed_in(service, work)
    assert await refusals(service, [token]) == {200}
    signatures, reads = work.signatures, work.reads
    assert (signatures, reads > 0) == (1, True)
    bogus = list(wrong_in_form(token))
    assert len(set(bogus)) > 300
    assert await refusals(service, bogus) == {401}
    assert (work.signatures, work.reads) == (signatures, reads)
    # And who is signed in is still known, without a second look.
    assert await refusals(service, [token]) == {200}
    assert work.signatures == signatures


# S133
async def test_what_somebody_else_signed_costs_no_question_to_the_store(
    service: Service, work: Work
) -> None:
    token = await signed_in(service, work)
    header, claims, signature = token.split(".")
    good = jwt.get_unverified_header(token)
    said = jwt.decode(token, options={"verify_signature": False})
    bogus = [forge(good, {**said, "jti": str(number)}, OTHER_KEY) for number in range(50)]
    bogus += [f"{header}.{claims}.{number:04}{signature[4:]}" for number in range(50)]
    assert await refusals(service, bogus) == {401}
    assert (work.signatures, work.reads) == (100, 0)
    assert await refusals(service, [token]) == {200}


# S133
async def test_what_is_over_or_for_others_costs_no_question_to_the_store(
    service: Service, work: Work
) -> None:
    token = await signed_in(service, work)
    good = jwt.get_unverified_header(token)
    said = jwt.decode(token, options={"verify_signature": False})
    ours = service.settings.private_key
    for changed in (
        {"exp": said["iat"] - 1},
        {"iss": "https://evil.example"},
        {"aud": "files"},
        {"nbf": said["exp"]},
    ):
        assert await refusals(service, [forge(good, {**said, **changed}, ours)]) == {401}
    assert work.reads == 0


# S133
def test_a_form_is_refused_in_less_time_than_a_signature_takes() -> None:
    """A generous bound: it is one pattern, and a header that is looked at once."""
    tokens = [f"{part({'alg': 'RS256', 'kid': str(n), 'typ': 'JWT'})}.e30.AA" for n in range(5000)]
    started = time.process_time()
    for token in tokens:
        with pytest.raises(signed_tokens.TokenRejected):
            signed_tokens.read_header(token, typ="session+jwt")
    assert time.process_time() - started < 1
