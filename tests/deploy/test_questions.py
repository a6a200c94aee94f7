"""What the service is asked by nginx and by Caddy, byte for byte, and over which connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tornado.httpclient import HTTPResponse

from tests.deploy.recorder import YES, Answer, Recorder
from tests.deploy.site import PAGE, MakeSite, Site
from tests.nginx import Policy
from tornado_auth.fast_path import PlainRequest, PlainRequests

MakeRecorder = Callable[..., Awaitable[Recorder]]
COOKIE = "__Host-tornado_auth"
# Nothing of it may reach the service with the question.
ODD = {
    "Connection": "close, Upgrade",
    "Upgrade": "websocket",
    "Expect": "100-continue",
    "Content-Type": "text/plain",
    "Content-Encoding": "br",
    "Origin": "https://elsewhere.example",
    "TE": "trailers",
    "Trailer": "X-Late",
    "Keep-Alive": "timeout=5",
    "Proxy-Connection": "keep-alive",
    "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA",
    "X-Original-Method": "GET",
}


@pytest.fixture
async def make_recorder() -> AsyncIterator[MakeRecorder]:
    recorders: list[Recorder] = []

    async def make(answer: Answer = lambda request, before: YES) -> tuple[Recorder, str]:
        recorder = Recorder(answer)
        recorders.append(recorder)
        return recorder, await recorder.start()

    yield make
    for recorder in recorders:
        await recorder.stop()


def read_by_the_fast_path(request: bytes) -> PlainRequest | None:
    return PlainRequests(COOKIE, jwt_parameter=True).read(request)


def lines_of(request: bytes) -> list[str]:
    return request.decode().split("\r\n")


async def post(site: Site, headers: dict[str, str]) -> HTTPResponse:
    return await site.fetch("/x?a=1", method="POST", headers=headers, body="jwt=1")


async def post_in_chunks(site: Site) -> str:
    return await site.raw(
        "POST",
        "/x",
        {"Transfer-Encoding": "chunked", "auth-token": "T"},
        body="5\r\nabcde\r\n0\r\n\r\n",
    )


async def test_nginx_asks_with_what_matters_and_nothing_else(
    make_site: MakeSite, make_recorder: MakeRecorder
) -> None:
    recorder, address = await make_recorder()
    site = make_site(address)
    await post(site, ODD | {"Cookie": f"{COOKIE}=T; a=b", "auth-token": "U", "Referer": "/"})
    assert (await post_in_chunks(site)).split()[1] == "200"
    first, second = recorder.requests
    assert lines_of(first) == [
        "GET /auth/verify HTTP/1.1",
        "Host: localhost",
        "auth-token: U",
        f"Cookie: {COOKIE}=T; a=b",
        "X-Original-Method: POST",
        "",
        "",
    ]
    assert lines_of(second) == [
        "GET /auth/verify HTTP/1.1",
        "Host: localhost",
        "auth-token: T",
        "X-Original-Method: POST",
        "",
        "",
    ]


async def test_every_question_is_one_for_the_fast_path(
    make_any_site: MakeSite, make_recorder: MakeRecorder
) -> None:
    recorder, address = await make_recorder()
    site = make_any_site(address, policy=Policy("reports", read="view", write="edit"))
    for headers in (
        {"Cookie": f"a=b; {COOKIE}=T"},
        {"Authorization": "Bearer T"},
        {"auth-token": "T"},
        ODD | PAGE | {"auth-token": "T", "Referer": "/x"},
    ):
        assert (await post(site, headers)).code == 200
    assert (await post_in_chunks(site)).split()[1] == "200"
    plain = [read_by_the_fast_path(question) for question in recorder.requests]
    wanted = PlainRequest("/auth/verify", "T", "reports", "view", "edit", "POST")
    assert plain == [wanted] * 5, recorder.requests


async def test_questions_share_few_connections_and_with_nothing_else(
    make_any_site: MakeSite, make_recorder: MakeRecorder
) -> None:
    recorder, address = await make_recorder()
    site = make_any_site(address)
    for _ in range(5):
        await asyncio.gather(*(site.fetch("/x", headers={"auth-token": "T"}) for _ in range(5)))
        await site.fetch("/auth/login", headers=PAGE)
        await site.fetch("/auth/update", method="POST", body="username=ann")
    asked = [c for c in recorder.connections if any(b" /auth/verify " in r for r in c)]
    assert sum(map(len, asked)) == 25
    assert all(b" /auth/verify " in question for c in asked for question in c)
    assert len(asked) <= 6
    assert len(recorder.connections) - len(asked) <= 2


async def test_only_a_plain_check_goes_where_questions_go(
    make_site: MakeSite, make_recorder: MakeRecorder
) -> None:
    recorder, address = await make_recorder()
    site = make_site(address)
    plain: list[tuple[str, dict[str, str]]] = [
        ("/auth/check", {"auth-token": "T"}),
        ("/auth/check?jwt=a.b-c_d.e", {}),
        ("/auth//./check", {"Upgrade": "websocket", "Connection": "close, Upgrade"}),
        ("/x", {"auth-token": "T"}),
    ]
    for path, headers in plain:
        await site.raw("GET", path, headers)
    (connection,) = recorder.connections
    assert None not in [read_by_the_fast_path(question) for question in connection]
    odd = [
        ("GET", "/auth/check?next=/x", {}),
        ("GET", "/auth/check?jwt=%61", {}),
        ("GET", "/auth/check", {"Origin": "https://app.example"}),
        ("HEAD", "/auth/check", {}),
        ("OPTIONS", "/auth/check", {"Origin": "https://app.example"}),
        ("POST", "/auth/check", {}),
    ]
    for method, path, headers in odd:
        await site.raw(method, path, headers)
    assert len(recorder.connections[0]) == len(plain)
    assert [lines_of(request)[0] for c in recorder.connections[1:] for request in c] == [
        f"{method} {path} HTTP/1.1" for method, path, _ in odd
    ]


async def test_a_question_whose_connection_breaks_is_asked_again(
    make_site: MakeSite, make_recorder: MakeRecorder
) -> None:
    recorder, address = await make_recorder(lambda request, before: None if before else YES)
    site = make_site(address)
    for _ in range(4):
        assert (await site.fetch("/x", headers={"auth-token": "T"})).code == 200
    assert [len(connection) for connection in recorder.connections] == [2, 2, 2, 1]


async def test_a_change_whose_connection_breaks_is_not_sent_again(
    make_site: MakeSite, make_recorder: MakeRecorder
) -> None:
    recorder, address = await make_recorder(lambda request, before: None if before else YES)
    site = make_site(address)
    update = {"method": "POST", "body": "username=ann"}
    assert (await site.fetch("/auth/update", **update)).code == 200
    assert (await site.fetch("/auth/update", **update)).code == 502
    assert [len(connection) for connection in recorder.connections] == [2]


async def test_another_process_is_asked_while_one_is_away(
    make_site: MakeSite, make_recorder: MakeRecorder
) -> None:
    recorder, address = await make_recorder()
    away, away_address = await make_recorder()
    await away.stop()
    site = make_site((away_address, address))
    for _ in range(4):
        assert (await site.fetch("/x", headers={"auth-token": "T"})).code == 200
    assert len(recorder.requests) == 4
