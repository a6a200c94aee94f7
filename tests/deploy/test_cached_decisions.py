"""The cache of decisions that docs/forward-auth.md describes for those who must have one."""

import asyncio
import json
import re
import time
from pathlib import Path

import pytest

from tests.deploy.site import Deploy
from tests.nginx import Policy

pytestmark = pytest.mark.parametrize("deploy", ["tcp"], indirect=True)

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "forward-auth.md"


def changes(folder: Path) -> dict[str, str]:
    """Return what makes the shipped configuration one with the cache of the document."""
    section = DOCUMENT.read_text().split("### Why nginx caches no decision")[1].split("\n## ")[0]
    beside, within = re.findall(r"```nginx\n(.*?)```", section, re.DOTALL)
    assert "/run/tornado_auth_cache" in beside
    beside = beside.replace("/run/tornado_auth_cache", f"{folder}/cache")
    return {
        "upstream application {": f"{beside}upstream application {{",
        "        internal;\n": f"        internal;\n{within}",
    }


@pytest.fixture
def cached(tmp_path: Path) -> dict[str, str]:
    return changes(tmp_path)


# S131
async def test_a_cached_decision_is_never_that_of_somebody_else(
    deploy: Deploy, cached: dict[str, str], reports_service: str
) -> None:
    policy = Policy(service="reports", read="read", write="write")
    ann = await deploy(policy, changes=cached, ALLOWED_SERVICES=reports_service)
    name = "__Host-tornado_auth"
    asked = []
    for user in ("ann", "bob", "cat"):
        session = await ann.service.session(user)
        token = await ann.service.server.sessions.token(session)
        for headers in (
            {"Authorization": f"Bearer {token}"},
            {"auth-token": token},
            {"Cookie": f"{name}={token}"},
            {"auth-token": token, "Cookie": f"{name}={ann.token}"},
        ):
            asked += [("GET", headers, session.user_id), ("POST", headers, None)]
    nobody = {"Authorization": "Bearer x", "Cookie": "a=b"}
    asked += [("GET", nobody, ""), ("GET", {}, "")]

    async def ask(method: str, headers: dict[str, str]) -> str | None:
        body = "" if method == "POST" else None
        answer = await ann.site.fetch("/x", method=method, headers=headers, body=body)
        if answer.code == 200:
            return str(json.loads(answer.body)["headers"]["X-Auth-User"])
        assert answer.code == (403 if method == "POST" else 401)
        return None if method == "POST" else ""

    for _ in range(4):
        got = await asyncio.gather(*(ask(method, headers) for method, headers, _ in asked))
        assert got == [wanted for _, _, wanted in asked]


# S131
async def test_an_ended_session_leaves_the_cache_while_it_is_used(
    deploy: Deploy, cached: dict[str, str]
) -> None:
    ann = await deploy(changes=cached)
    assert (await ann.site.fetch("/x", headers=ann.cookie)).code == 200
    who = await ann.service.server.checks.who(ann.token)
    await ann.service.server.logins.sign_out(who)
    ended = time.monotonic()
    codes = []
    while time.monotonic() - ended < 3:
        codes.append((await ann.site.fetch("/x", headers=ann.cookie)).code)
        if codes[-1] == 401 and codes.count(401) == 1:
            delay = time.monotonic() - ended
        await asyncio.sleep(0.05)
    assert codes[0] == 200, "nothing was cached: this test shows nothing"
    assert codes == sorted(codes)
    assert delay < 2.2


async def test_nobody_else_can_read_the_cache(
    deploy: Deploy, cached: dict[str, str], tmp_path: Path
) -> None:
    ann = await deploy(changes=cached)
    assert (await ann.site.fetch("/x", headers=ann.cookie)).code == 200
    assert (await ann.site.fetch("/x", headers={"auth-token": "x"})).code == 401
    (entry,) = (tmp_path / "cache").iterdir()
    assert ann.token.encode() in entry.read_bytes()
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert entry.stat().st_mode & 0o077 == 0
