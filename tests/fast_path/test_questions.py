"""Permissions, resources and API keys: the fast path and Tornado say the same."""

import json

from tests.fast_path.conftest import Twins, plain
from tornado_auth.models import Session


async def key_for(twins: Twins, *scopes: str) -> tuple[Session, str]:
    session = await twins.fast.session("ann")
    return await twins.fast.server.api_keys.create(session.user_id, name="k", scopes=scopes)


async def test_a_permission_in_a_resource(twins: Twins) -> None:
    line = f"auth-token: {await twins.fast.sign_in('ann')}"
    for question, status in [
        ("service=files&permission=reader", 200),
        ("service=files&permission=nothing", 403),
        ("service=files&permission=nothing&read=nothing&write=reader", 200),
        ("service=files&permission=docs/1&resource=docs/1", 200),
        ("service=files&permission=reader&resource=docs/1", 403),
        ("service=files&resource=locked", 403),
        ("permission=reader", 403),
        ("resource=docs/1", 403),
    ]:
        for _ in range(2):  # fresh, and from memory
            answer = await twins.agree_on(plain(f"/auth/verify?{question}", line), is_plain=True)
            assert answer.status == status


async def test_a_resource_that_is_not_plain_is_left_to_tornado(twins: Twins) -> None:
    line = f"auth-token: {await twins.fast.sign_in('ann')}"
    for resource in ("a~b", "a+b", "a%2Fb", "x" * 129):
        target = f"/auth/verify?service=files&resource={resource}"
        answer = await twins.agree_on(plain(target, line), is_plain=False)
        is_one = resource == "a%2Fb"  # an unescaped "+" is a space
        assert answer.status == (200 if is_one else 403)
        assert answer.header("X-Auth-Reason") == ("" if is_one else "invalid_request")


# S105
async def test_a_permission_token_for_a_resource(twins: Twins) -> None:
    session = await twins.fast.session("ann")
    token = await twins.fast.server.tokens.permission_token(
        session, "files", {"a": True}, resource="docs/1"
    )
    line = f"Authorization: Bearer {token}"
    for resource, status in [("docs/1", 200), ("docs/2", 401), ("", 401)]:
        target = f"/auth/verify?service=files&resource={resource}"
        answer = await twins.agree_on(plain(target, line), is_plain=True)
        assert answer.status == status


async def test_a_key_opens_what_it_is_for(twins: Twins) -> None:
    for scope, target, status in [
        ("*", "/auth/verify", 200),
        ("*", "/auth/verify?service=files", 200),
        ("files", "/auth/verify?service=files&permission=reader", 200),
        ("files", "/auth/verify", 403),
        ("files", "/auth/verify?service=empty", 403),
        ("admin:write", "/auth/verify?service=files", 403),
    ]:
        _, key = await key_for(twins, scope)
        for line in (f"auth-token: {key}", f"Authorization: Bearer {key}"):
            answer = await twins.agree_on(plain(target, line), is_plain=True)
            assert answer.status == status
            assert answer.header("X-Auth-Reason") == ("" if status == 200 else "insufficient_scope")


async def test_a_key_is_told_whose_it_is_if_it_is_for_everything(twins: Twins) -> None:
    for scope, error in [("*", None), ("files", "insufficient_scope")]:
        _, key = await key_for(twins, scope)
        request = plain("/auth/check", f"auth-token: {key}")
        for _ in range(2):
            answer = json.loads((await twins.agree_on(request, is_plain=True)).body)
            assert (answer["authenticated"], answer.get("error")) == (error is None, error)
