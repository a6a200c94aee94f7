"""Nobody can send so much, or so slowly, that others wait; with the fast path and without."""

import asyncio
import gzip
import json
import resource
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from tornado.iostream import IOStream, StreamClosedError

from tests.forms import open_page
from tests.security.wire import connect, talk
from tests.service import Service, ServiceFactory

START = b"GET /auth/check HTTP/1.1\r\nHost: localhost\r\n"
OTHER = b"GET /auth/login HTTP/1.1\r\nHost: localhost\r\n"
POST = (
    b"POST /auth/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
)


async def status_of(port: int, *parts: bytes) -> int:
    """Return the status of the answer, 0 if the connection was closed without one."""
    try:
        answer = await talk(port, *parts)
    except StreamClosedError:
        return 0
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.fixture(params=["on", "off"])
def fast_path(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture
async def service(make_service: ServiceFactory, fast_path: str) -> Service:
    return await make_service(TORNADO_AUTH_FAST_PATH=fast_path)


@pytest.fixture
async def quick(make_service: ServiceFactory, fast_path: str) -> Service:
    """A service that soon loses its patience, and sooner with headers than with bodies."""
    return await make_service(
        TORNADO_AUTH_FAST_PATH=fast_path,
        TORNADO_AUTH_HEADER_TIMEOUT="1",
        TORNADO_AUTH_BODY_TIMEOUT="2",
    )


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let both ends of thousands of connections be open in this one process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# S135
async def test_the_limits_are_ten_and_fifteen_seconds(service: Service) -> None:
    assert (service.settings.header_timeout, service.settings.body_timeout) == (10, 15)


class TestSlowness:
    # S135
    async def test_who_is_too_slow_is_cut_off(self, quick: Service) -> None:
        cases = [
            (1, [b""]),
            (1, [b"G"]),
            (1, [b"GET /auth/check HT"]),
            (1, [START + b"X-Slow: "]),
            (1, [START, *[b"X-Slow: 1\r\n"] * 20]),
            (1, [OTHER, *[b"X-Slow: 1\r\n"] * 20]),
            (1, [b"GET /auth/check HTTP/1.1\r\nX-Slow: ", *[b"a"] * 20]),
            (2, [POST + b"Content-Length: 100\r\n\r\ncode="]),
            (2, [POST + b"Content-Length: 100\r\n\r\n", *[b"a"] * 20]),
            (2, [POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\ncode=\r\n"]),
            (2, [POST + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\na\r\n"] * 20]),
            (2, [START + b"Content-Length: 9\r\n\r\n"]),
            # A connection that was used and is kept open for nothing.
            (1, [OTHER + b"\r\n"]),
        ]

        async def seconds_until_it_closes(parts: list[bytes]) -> float:
            started = time.monotonic()
            with suppress(StreamClosedError):
                await talk(quick.port, *parts, pause=0.2)
            return time.monotonic() - started

        took = await asyncio.gather(*(seconds_until_it_closes(parts) for _, parts in cases))
        # The fast path waits for up to two seconds for the rest of what may become plain.
        late = 2.5
        for (limit, parts), seconds in zip(cases, took, strict=True):
            assert limit - 0.1 < seconds < limit + late, parts[0]

    # S135
    @pytest.mark.usefixtures("many_files")
    async def test_two_thousand_that_are_stuck_do_not_stop_the_others(
        self, make_service: ServiceFactory, fast_path: str
    ) -> None:
        service = await make_service(
            TORNADO_AUTH_FAST_PATH=fast_path,
            TORNADO_AUTH_HEADER_TIMEOUT="6",
            TORNADO_AUTH_BODY_TIMEOUT="6",
        )
        token = await service.sign_in("ann")
        slow = [b"", START + b"X-Slow: ", OTHER + b"X-Slow: ", POST + b"Content-Length: 9\r\n\r\nc"]
        stuck: list[IOStream] = []
        try:
            for number in range(2000):
                stream = await connect(service.port)
                await stream.write(slow[number % 4])
                stuck.append(stream)
            started = time.monotonic()
            codes = [(await service.fetch("/auth/verify", token=token)).code for _ in range(50)]
            assert codes == [200] * 50
            assert time.monotonic() - started < 2
            assert sum(not stream.closed() for stream in stuck) > 1000
            # And none of them stays.
            async with asyncio.timeout(12):
                for stream in stuck:
                    with suppress(StreamClosedError):
                        await stream.read_until_close()
        finally:
            for stream in stuck:
                stream.close()


class TestSizes:
    # S136
    async def test_a_body_has_at_most_64_kib(self, service: Service) -> None:
        for size, status in ((65536, 400), (65537, 400)):
            head = POST + b"Content-Length: %d\r\n\r\n" % size
            answer = await talk(service.port, head, b"code=".ljust(size, b"x")[:65536])
            assert int(answer.split()[1]) == status
            # One within the limit is read, and answered for what it says.
            assert (b"invalid_grant" in answer) is (size == 65536)

    # S136
    async def test_nor_in_chunks(self, service: Service) -> None:
        head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        answer = await talk(service.port, head + chunk * 4 + b"0\r\n\r\n")
        assert b"invalid_grant" in answer
        assert await status_of(service.port, head + chunk * 4 + b"1\r\nx\r\n0\r\n\r\n") in (400, 0)

    # S136
    async def test_headers_have_at_most_16_kib(self, service: Service) -> None:
        end = b"Connection: close\r\n\r\n"
        for size, statuses in ((12_000, (200,)), (17_000, (431, 400, 0))):
            filler = b"X-Long: " + b"a" * size + b"\r\n"
            assert await status_of(service.port, START + filler + end) in statuses
            line = b"GET /auth/check?next=/" + b"a" * size + b" HTTP/1.1\r\nHost: x\r\n"
            assert await status_of(service.port, line + end) in statuses
        many = b"".join(b"X-%d: 1\r\n" % number for number in range(3000))
        assert await status_of(service.port, START + many + end) in (431, 400, 0)

    # S136
    async def test_at_most_100_parameters_are_read(self, service: Service) -> None:
        page = await open_page(service)
        for number, status in ((100, 200), (101, 400), (2000, 400)):
            query = "&".join(["a=1"] * number)
            assert (await service.fetch(f"/auth/check?{query}")).code == status
            body = "&".join(["b=1"] * (number - 2))
            response = await service.fetch(
                "/auth/logout",
                cookies=page.cookies,
                method="POST",
                body=f"_xsrf={page.token}&{body}&c=1",
            )
            assert response.code == status
        half = "&".join(["a=1"] * 60)
        response = await service.fetch(f"/auth/token?{half}", method="POST", body=half)
        assert (response.code, b"100 parameters" in response.body) == (400, True)

    # S136
    async def test_only_forms_are_read(self, service: Service) -> None:
        token = await service.sign_in("ann")
        page = await open_page(service, tornado_auth=token)
        multipart = (
            '--x\r\nContent-Disposition: form-data; name="username"\r\n\r\nqueen\r\n'
            f'--x\r\nContent-Disposition: form-data; name="_xsrf"\r\n\r\n{page.token}\r\n--x--\r\n'
        ).encode()
        form = urlencode({"username": "queen", "_xsrf": page.token}).encode()
        as_form = "application/x-www-form-urlencoded"
        for path in ("/auth/update", "/auth/account/username", "/auth/token", "/auth/logout"):
            for body, headers in (
                (multipart, {"Content-Type": "multipart/form-data; boundary=x"}),
                (multipart, {"Content-Type": "multipart/form-data"}),
                (multipart, {"Content-Type": "multipart/form-data; boundary="}),
                (gzip.compress(form), {"Content-Type": as_form, "Content-Encoding": "gzip"}),
                (form, {"Content-Type": as_form, "Content-Encoding": "identity"}),
                (form, {"Content-Type": "text/plain"}),
                (form, {"Content-Type": "application/x-www-form-urlencodedx"}),
                (json.dumps({"username": "queen"}).encode(), {"Content-Type": "application/json"}),
            ):
                response = await service.fetch(
                    path, cookies=page.cookies, method="POST", body=body, headers=headers
                )
                assert response.code in (400, 415), (path, headers)
        answer = await service.json("/auth/check", token=token)
        assert answer["profile"]["username"] == "ann"

    # S136
    async def test_a_bomb_is_not_unpacked(self, service: Service) -> None:
        bomb = gzip.compress(b"code=" + b"a" * 20_000_000)
        assert len(bomb) < 65536
        for content_type in ("application/x-www-form-urlencoded", "text/plain"):
            headers = {"Content-Encoding": "gzip", "Content-Type": content_type}
            started = time.monotonic()
            response = await service.fetch("/auth/token", method="POST", body=bomb, headers=headers)
            assert response.code in (400, 415)
            assert time.monotonic() - started < 1


class TestFraming:
    # S137
    @pytest.mark.parametrize(
        "request_",
        [
            POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
            POST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG",
            POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            POST + b"Content-Length: 6\r\nContent-Length: 5\r\n\r\ncode=x",
            POST + b"Content-Length: 6, 5\r\n\r\ncode=x",
            POST + b"Content-Length: +6\r\n\r\ncode=x",
            POST + b"Content-Length: -1\r\n\r\n",
            POST + b"Content-Length: 0x6\r\n\r\ncode=x",
            POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\ncode=x\r\n0\r\n\r\n",
            POST + b"Transfer-Encoding: chunked\r\n\r\n-6\r\ncode=x\r\n0\r\n\r\n",
            POST + b"Transfer-Encoding: chunked\r\n\r\n6\r\ncode=xx\r\n0\r\n\r\n",
            START + b"Host: evil.example\r\n\r\n",
            START + b"Host: localhost\r\n\r\n",
            START + b"host: evil.example\r\n\r\n",
            b"GET /auth/check HTTP/1.1\r\n\r\n",
            b"GET /auth/check HTTP/1.1\r\nHost: a b\r\n\r\n",
            b"GET /auth/check HTTP/1.1\r\nHost: a/b\r\n\r\n",
            START + b"X-A: a\0b\r\n\r\n",
            START + b"X-\0A: b\r\n\r\n",
            START + b"X-A: a\rb\r\n\r\n",
            b"GET /auth/check?\0 HTTP/1.1\r\nHost: x\r\n\r\n",
            START + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            START + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
            START + b": b\r\n\r\n",
            START + b"X-A : b\r\n\r\n",
            START + b" folded\r\n\r\n",
            START + b"no colon\r\n\r\n",
            b"GET /auth/check\r\n\r\n",
            b"GET /auth/check HTTP/3.0\r\nHost: x\r\n\r\n",
            b"GET  /auth/check HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        ],
    )
    async def test_what_two_servers_could_read_differently_is_refused(
        self, service: Service, request_: bytes
    ) -> None:
        answer = b""
        with suppress(StreamClosedError):
            answer = await talk(service.port, request_)
        assert answer.startswith(b"HTTP/1.1 400") or answer == b""
        assert answer.count(b"HTTP/1.1") <= 1

    # S137
    async def test_an_absolute_target_reaches_nothing_of_ours(self, service: Service) -> None:
        token = await service.sign_in("ann")
        for target in (b"http://evil.example/auth/check", b"//evil.example/auth/check", b"*"):
            head = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % target
            answer = await talk(service.port, head + f"auth-token: {token}\r\n\r\n".encode())
            assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
            assert b"ann@example.org" not in answer

    # S137
    async def test_the_host_header_is_not_believed(self, service: Service) -> None:
        for path in ("/auth/check", "/auth/account", "/"):
            response = await service.fetch(path, headers={"Host": "evil.example"})
            assert "evil" not in f"{response.headers} {response.body.decode()}"


async def test_many_at_once_are_answered(service: Service) -> None:
    token = await service.sign_in("ann")
    answers = await asyncio.gather(
        *(service.fetch("/auth/verify", token=token) for _ in range(100))
    )
    assert {answer.code for answer in answers} == {200}


# S138
async def test_sign_ins_that_are_begun_and_never_ended_leave_nothing_in_the_store(
    make_service: ServiceFactory,
) -> None:
    """The browser keeps them, a handful at most; see tests/flows/test_login_state.py."""
    service = await make_service(GITHUB_KEY="id", GITHUB_SECRET="secret")
    spent = await service.server.storage.spent_states.find()  # at the start, of the signing key
    for number in range(50):
        assert (await service.fetch("/auth/login/github")).code == 303
        forged = await service.fetch(f"/auth/oauth_callback?state=forged-{number}&code=x")
        assert forged.code == 400
    assert await service.server.storage.spent_states.find() == spent
    for kind in ("counted_attempts", "users", "identities", "sessions"):
        assert await getattr(service.server.storage, kind).find() == []
