"""Two processes on one store that are shown one code, or one refresh token, at the same moment."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from tests.flows.processes import Client as Browser
from tests.flows.processes import MakeCluster
from tests.oauth2.world import REDIRECT_URI, VERIFIER, challenge_of, claims_of
from tornado_auth.digests import digest
from tornado_auth.models import AuthorizationCode, Client, Grant
from tornado_auth.server import clock
from tornado_auth.storage import Storage, open_backend

REPEATS = 20

pytestmark = pytest.mark.long


@pytest.fixture(params=["sqlite", "mongodb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue("mongo_url")
    return url


@dataclass
class Racers:
    """Two processes, and a public client whom somebody allows something."""

    urls: list[str]
    browser: Browser
    storage: Storage
    session: dict[str, Any]
    client: Client = field(
        default_factory=lambda: Client(
            id="c-" + token_urlsafe(16),
            redirect_uris=(REDIRECT_URI,),
            grant_types=("authorization_code", "refresh_token"),
            scope=("openid",),
            token_endpoint_auth_method="none",
            created_at=clock(),
        )
    )

    async def code(self) -> str:
        """Let the user allow the client to know them, and return the code for it."""
        now, code, grant_id = clock(), "tac_" + token_urlsafe(32), token_urlsafe(32)
        user_id, session_id = self.session["sub"], self.session["sid"]
        await self.storage.grants.insert(
            Grant(
                id=grant_id,
                user_id=user_id,
                client_id=self.client.id,
                session_id=session_id,
                sid=session_id,
                consent_id=f"{user_id}:{self.client.id}",
                scope=("openid",),
                auth_time=now,
                created_at=now,
                expires_at=now + 600,
            )
        )
        await self.storage.authorization_codes.insert(
            AuthorizationCode(
                id=digest(code),
                grant_id=grant_id,
                client_id=self.client.id,
                redirect_uri=REDIRECT_URI,
                code_challenge=challenge_of(VERIFIER),
                valid_until=now + 60,
                expires_at=now + 600,
            )
        )
        return code

    async def post(self, number: int, **form: str) -> list[HTTPResponse]:
        """Send one token request many times at once, by turns to both processes."""
        sent = {"client_id": self.client.id, **form}
        urls = islice(cycle(self.urls), number)
        return await asyncio.gather(
            *(self.browser.fetch(f"{url}/oauth2/token", form=sent) for url in urls)
        )

    async def redeem(self, number: int) -> list[HTTPResponse]:
        return await self.post(
            number,
            grant_type="authorization_code",
            code=await self.code(),
            redirect_uri=REDIRECT_URI,
            code_verifier=VERIFIER,
        )

    async def refresh(self, number: int, refresh_token: str) -> list[HTTPResponse]:
        return await self.post(number, grant_type="refresh_token", refresh_token=refresh_token)


@pytest.fixture(params=["0", "10"])
def grace(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def racers(
    cluster: MakeCluster, client: Browser, database_url: str, grace: str
) -> AsyncIterator[Racers]:
    made = cluster(DATABASE_URL=database_url, TORNADO_AUTH_REFRESH_TOKEN_GRACE=grace)
    urls = [process.url for process in made.start(2)]
    session = claims_of(await client.sign_in(urls[0], "ann"))
    storage = Storage(open_backend(database_url, timeout=5), clock)
    await storage.open()
    racers = Racers(urls, client, storage, session)
    await storage.clients.insert(racers.client)
    yield racers
    await storage.close()


def good(responses: list[HTTPResponse]) -> list[dict[str, Any]]:
    """Return the tokens of those that succeeded; all others must say `invalid_grant`."""
    answers = [(response.code, json.loads(response.body)) for response in responses]
    refused = {(code, answer["error"]) for code, answer in answers if code != 200}
    assert refused <= {(400, "invalid_grant")}
    return [answer for code, answer in answers if code == 200]


# S022
@pytest.mark.gen_test(timeout=120)
@pytest.mark.parametrize("grace", ["10"], indirect=True)
async def test_of_fifty_redemptions_at_two_processes_one_succeeds(racers: Racers) -> None:
    for _ in range(REPEATS):
        assert len(good(await racers.redeem(50))) == 1


# S036
@pytest.mark.gen_test(timeout=120)
async def test_twenty_refreshes_at_two_processes_leave_at_most_one_live_line(
    racers: Racers, grace: str
) -> None:
    for _ in range(REPEATS):
        (tokens,) = good(await racers.redeem(1))
        new = good(await racers.refresh(20, tokens["refresh_token"]))
        assert len(new) == (1 if grace == "0" else 20)
        assert len({one["refresh_token"] for one in new}) == 1
        again = good(await racers.refresh(1, new[0]["refresh_token"]))
        assert len(again) == (0 if grace == "0" else 1)
