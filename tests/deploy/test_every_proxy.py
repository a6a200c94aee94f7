"""What holds behind every shipped configuration, run by the real nginx and the real Caddy."""

import json

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.deploy.site import IDENTITY_HEADERS, PAGE, SPELLINGS, SPOOFED, Deploy
from tests.nginx import Policy


async def test_the_application_learns_who_it_is(
    deploy_everywhere: Deploy, reports_service: str
) -> None:
    ann = await deploy_everywhere(Policy(service="reports"), ALLOWED_SERVICES=reports_service)
    for headers in (
        ann.cookie,
        {"Authorization": f"Bearer {ann.token}"},
        {"auth-token": ann.token},
    ):
        answer = await ann.site.fetch("/x?a=1&b=%20", headers=headers)
        assert answer.code == 200
        arrived = json.loads(answer.body)
        assert arrived["uri"] == "/x?a=1&b=%20"
        assert [arrived["headers"].get(name) for name in IDENTITY_HEADERS] == [
            ann.user_id,
            "ann",
            "ann@example.org",
            "list,read",
        ]


# S126 S129
async def test_the_service_takes_nothing_that_only_the_proxy_may_say(
    deploy_everywhere: Deploy,
) -> None:
    ann = await deploy_everywhere()
    spoofed = dict.fromkeys(SPOOFED, "/spoofed") | {"X-Forwarded-For": "203.0.113.9"}
    for path in ("/x", "/auth/verify", "/auth/check"):
        assert b"true" not in (await ann.site.fetch(path, headers=spoofed)).body
    assert ann.site.seen == []
    page = await ann.site.fetch("/auth/login", headers=spoofed | PAGE)
    assert page.code == 200
    assert b"spoofed" not in page.body


# S128
async def test_no_spelling_of_an_address_gets_past_the_question(deploy_everywhere: Deploy) -> None:
    ann = await deploy_everywhere()
    for path in SPELLINGS:
        for headers in ({}, PAGE):
            await ann.site.raw("GET", path, headers)
    assert ann.site.seen == []
    await ann.site.raw("GET", "/auth/%2e%2e/x", ann.cookie)
    assert len(ann.site.seen) == 1


# S130
async def test_reading_and_writing_need_their_own_permissions(
    deploy_everywhere: Deploy, reports_service: str
) -> None:
    policy = Policy(service="reports", read="read", write="write")
    ann = await deploy_everywhere(policy, ALLOWED_SERVICES=reports_service)
    expected = {"GET": 200, "HEAD": 200, "OPTIONS": 200, "POST": 403, "PUT": 403, "DELETE": 403}
    expected["PURGE"] = 403
    for method, code in expected.items():
        answer = await ann.site.fetch(
            "/x",
            method=method,
            headers=ann.cookie | {"X-Original-Method": "GET"},
            body="a=1" if method in ("POST", "PUT") else None,
            allow_nonstandard_methods=True,
        )
        assert (method, answer.code) == (method, code)
    assert [request.method for request in ann.site.seen] == ["GET", "HEAD", "OPTIONS"]


# S130
async def test_a_web_socket_opens_for_those_signed_in(deploy_everywhere: Deploy) -> None:
    ann = await deploy_everywhere()

    def request(headers: dict[str, str]) -> HTTPRequest:
        url = f"wss://localhost:{ann.site.proxy.port}/socket"
        return HTTPRequest(url, ca_certs=str(ann.site.proxy.certificate), headers=headers)

    with pytest.raises(Exception, match="401"):
        await websocket_connect(request({}))
    assert ann.site.seen == []
    connection = await websocket_connect(request(ann.cookie))
    await connection.write_message("hello")
    assert await connection.read_message() == "hello"
    connection.close()
    assert ann.site.seen[0].headers["X-Auth-User"] == ann.user_id


async def test_an_ended_session_is_refused(deploy_everywhere: Deploy) -> None:
    ann = await deploy_everywhere()
    assert (await ann.site.fetch("/x", headers=ann.cookie)).code == 200
    who = await ann.service.server.checks.who(ann.token)
    await ann.service.server.logins.sign_out(who)
    assert (await ann.site.fetch("/x", headers=ann.cookie)).code == 401
