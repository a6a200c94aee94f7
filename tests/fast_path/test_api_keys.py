"""An API key is answered alike with the fast path and without."""

import json
import secrets

import pytest

from tests.fast_path.conftest import Twins, front_of, plain
from tests.fast_path.test_answers import places
from tornado_auth.digests import digest_of_api_key


async def new_key(twins: Twins, *scopes: str, lifetime: int | None = None) -> str:
    user_id = (await twins.fast.session("ann")).user_id
    keys = twins.fast.server.api_keys
    _, key = await keys.create(user_id, name="backup", scopes=scopes, lifetime=lifetime)
    return key


async def test_a_good_one_passes_on_every_way(twins: Twins) -> None:
    key = await new_key(twins, "*")
    for line in places(key)[:2] * 2:
        answer = await twins.agree_on(plain("/auth/check", line), is_plain=True)
        assert json.loads(answer.body)["profile"]["username"] == "ann"
        answer = await twins.agree_on(plain("/auth/verify", line), is_plain=True)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.header("X-Auth-Username") == "ann"


@pytest.mark.parametrize("scopes", [["*"], ["files"], ["empty"], ["admin:read"]])
async def test_it_is_good_for_what_it_is_for_and_nothing_else(
    twins: Twins, scopes: list[str]
) -> None:
    key = await new_key(twins, *scopes)
    for _ in range(2):
        request = plain("/auth/verify?service=files&read=reader", f"auth-token: {key}")
        answer = await twins.agree_on(request, is_plain=True)
        may = scopes[0] in ("*", "files")
        assert answer.status == (200 if may else 403)
        assert bool(answer.header("X-Auth-Permissions")) is may
        request = plain("/auth/verify?service=empty", f"auth-token: {key}")
        assert (await twins.agree_on(request, is_plain=True)).status == 403


async def test_a_bad_one_is_refused_on_every_way(twins: Twins) -> None:
    key = await new_key(twins, "*")
    for bad in ("tak_" + secrets.token_urlsafe(32), key[:-1], key + "A", "tak_", key.upper()):
        for line in places(bad):
            answer = await twins.agree_on(plain("/auth/check", line), is_plain=True)
            assert json.loads(answer.body)["authenticated"] is False
            answer = await twins.agree_on(plain("/auth/verify", line), is_plain=True)
            assert answer.status == 401


# S131
async def test_a_revoked_one_is_refused_though_its_bytes_are_remembered(twins: Twins) -> None:
    key = await new_key(twins, "*")
    request = plain("/auth/verify", f"auth-token: {key}")
    for _ in range(3):
        assert (await twins.agree_on(request, is_plain=True)).status == 200
    for service in (twins.fast, twins.alone):
        # Both are told, so that they agree at once.
        await service.server.revocations.session_ended(digest_of_api_key(key) or "")
    await twins.fast.server.api_keys.revoke(digest_of_api_key(key) or "")
    assert (await twins.agree_on(request, is_plain=True)).status == 401


# S112
async def test_made_up_ones_are_not_remembered(twins: Twins) -> None:
    front = front_of(twins.fast)
    key = await new_key(twins, "*")

    def remembered() -> float | None:
        labels = {"cache": "requests"}
        registry = twins.fast.server.metrics.registry
        return registry.get_sample_value("tornado_auth_cached", labels)

    for _ in range(3):
        await twins.agree_on(plain("/auth/check", f"auth-token: {key}"), is_plain=True)
    assert remembered() == 1
    for _ in range(20):
        made_up = f"auth-token: tak_{secrets.token_urlsafe(32)}"
        front.answers.answer(plain("/auth/check", made_up), trusted=False)
    assert remembered() == 1
