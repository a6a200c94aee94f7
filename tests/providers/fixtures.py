"""Login providers for tests.

oidc_provider   OpenID providers that somebody else wrote (npm oidc-provider), for the test run
fake_github     a server like GitHub, for one test
fake_oidc       an OpenID provider that can be made to lie, for one test
"""

import ctypes
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import npm
from tests.ports import free_port
from tests.providers.fake_oidc import FakeOIDC
from tests.providers.fakes import FakeGitHub

OP = Path(__file__).parent / "op"
START_LIMIT = 30.0
CALLBACK = "/auth/oauth_callback"
NAMES = ("corp", "partner", "oidc")  # what tests may call an issuer that is not Google
PR_SET_PDEATHSIG = 1

ACCOUNTS = {
    "1001": {
        "email": "ann@example.org",
        "email_verified": True,
        "name": "Ann Example",
        "picture": "https://pictures.example/ann.png",
        "hd": "example.org",
    },
    "1002": {
        "email": "bob@example.org",
        "email_verified": False,
        "name": "Bob without Domain",
        "preferred_username": "bobby",
    },
}


@dataclass(frozen=True)
class OIDCProvider:
    """Two issuers of one process: the first takes client_secret_basic, the other only _post.

    Each has one client of the same id and secret. Any port on 127.0.0.1 or localhost will do in a
    redirect_uri whose path is that of the shared callback or of a name in NAMES. At the login form
    the field `login` takes a key of ACCOUNTS, or anything else; any password passes.
    """

    issuer: str
    post_issuer: str
    client_id: str = "tornado-auth"
    client_secret: str = "a+secret/of: the tests & nobody else"


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start_oidc_provider(
    node: str, log: Path, redirect_uris: tuple[str, ...] = ()
) -> tuple["subprocess.Popen[bytes]", OIDCProvider]:
    """Start the process, and return it when it answers; `redirect_uris` are taken exactly."""
    paths = [CALLBACK, *(f"{CALLBACK}/{name}" for name in NAMES)]
    hosts = ("127.0.0.1", "localhost")
    any_port = [f"http://{host}{path}" for host in hosts for path in paths]
    basic, post = free_port(), free_port()
    provider = OIDCProvider(f"http://127.0.0.1:{basic}", f"http://127.0.0.1:{post}")
    specifications = [
        {
            "port": port,
            "authMethods": methods,
            "accounts": ACCOUNTS,
            "clients": [
                {
                    "client_id": provider.client_id,
                    "client_secret": provider.client_secret,
                    "redirect_uris": [*any_port, *redirect_uris],
                    "token_endpoint_auth_method": methods[0],
                }
            ],
        }
        for port, methods in (
            (basic, ["client_secret_basic", "client_secret_post"]),
            (post, ["client_secret_post"]),
        )
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [node, "provider.mjs", json.dumps(specifications)],
            cwd=OP,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent,
        )
    deadline = time.monotonic() + START_LIMIT
    while b"ready" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.fail(f"oidc-provider did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)
    return process, provider


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[OIDCProvider]:
    node = npm.require("node")
    npm.install(OP)
    with tempfile.TemporaryDirectory() as folder:
        process, provider = start_oidc_provider(node, Path(folder) / "log")
        yield provider
        process.kill()
        process.wait()


@pytest.fixture
async def fake_github() -> AsyncIterator[FakeGitHub]:
    fake = FakeGitHub()
    yield fake
    await fake.stop()


@pytest.fixture
async def fake_oidc(clock: Callable[[], int]) -> AsyncIterator[FakeOIDC]:
    fake = FakeOIDC(clock)
    yield fake
    await fake.stop()
