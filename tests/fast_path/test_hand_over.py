"""Whatever is not plain goes on to Tornado with its connection: no byte lost, doubled or moved."""

import json
import re
from contextlib import suppress

import pytest

from tests.fast_path.conftest import MakeWire, Twins, front_of, plain
from tests.security.wire import Answer, Wire
from tests.service import Service

LAST = plain("/auth/nowhere", "Connection: close")
FORM = "Content-Type: application/x-www-form-urlencoded"
START = b"GET /auth/check HTTP/1.1\r\nHost: localhost\r\n"
POST = f"POST /auth/token HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\n".encode()


def post(path: str, body: str, *lines: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\nContent-Length: {len(body)}\r\n"
    return (head + "".join(f"{line}\r\n" for line in lines) + "\r\n" + body).encode()


async def transcript(service: Service, *parts: bytes, before: int = 0) -> list[Answer | bytes]:
    """Send the parts on one connection, after some plain requests; return all that comes back."""
    wire = await Wire.to(service.port)
    try:
        for _ in range(before):
            await wire.ask(plain())
        with suppress(ConnectionError):
            await wire.send(*parts)
        answers = re.split(rb"(?=HTTP/1\.1 [0-9]{3} )", await wire.rest())
        return [Answer.read(each) if b"Date:" in each else each for each in answers if each]
    finally:
        wire.close()


async def told_alike(twins: Twins, *parts: bytes, before: int = 0) -> list[Answer | bytes]:
    """Return the transcript, which is the same for both."""
    fast = await transcript(twins.fast, *parts, before=before)
    assert fast == await transcript(twins.alone, *parts, before=before)
    assert front_of(twins.fast).connections == 0
    return fast


class TestSplits:
    async def test_a_plain_request_may_come_in_two_reads(self, twins: Twins) -> None:
        data = plain("/auth/verify?service=&read=a", "auth-token: abc")
        for at in range(1, len(data)):
            # What does not look like a plain request yet is not waited for.
            stays = at >= len("GET /auth/verify")
            await twins.agree_on(data[:at], data[at:], is_plain=stays)

    async def test_or_byte_by_byte(self, service: Service, wire: MakeWire) -> None:
        token = await service.sign_in("ann")
        data = plain("/auth/check", f"auth-token: {token[:40]}")
        opened = await wire(service.port)
        expected = await opened.ask(data)
        assert await opened.ask(data[:15], *[bytes([c]) for c in data[15:]]) == expected
        assert front_of(service).connections == 1
        assert await opened.ask(*[bytes([c]) for c in data]) == expected
        assert front_of(service).connections == 0

    async def test_a_form_may_come_in_two_reads(self, service: Service, wire: MakeWire) -> None:
        token = await service.sign_in("ann")
        data = post("/auth/update", f"jwt={token}&username=queen")
        assert json.loads((await (await wire(service.port)).ask(data)).body) == {"success": True}
        # One place in the middle of the token is like another.
        for at in [*range(1, data.index(token.encode()) + 5), *range(len(data) - 20, len(data))]:
            opened = await wire(service.port)
            await opened.ask(plain())
            answer = await opened.ask(data[:at], data[at:])
            assert (answer.status, b"already" in answer.body) == (409, True), at
            assert (await opened.ask(plain())).status == 200
            opened.close()

    async def test_two_requests_may_come_in_any_two_reads(
        self, service: Service, wire: MakeWire
    ) -> None:
        data = plain("/auth/verify") + plain("/auth/check", "A: b")
        for at in range(1, len(data)):
            opened = await wire(service.port)
            await opened.send(data[:at], data[at:])
            answers = [await opened.answer(), await opened.answer()]
            assert [answer.status if answer else 0 for answer in answers] == [401, 200], at
            opened.close()


class TestKeepAlive:
    async def test_many_plain_requests_and_then_one_that_is_not(
        self, service: Service, wire: MakeWire
    ) -> None:
        token = await service.sign_in("ann")
        others = [
            plain("/auth/login"),
            plain("/auth/nowhere"),
            post("/auth/update", f"jwt={token}&username=queen"),
            plain() + plain("/auth/verify"),
            b"OPTIONS /auth/check HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ]
        for data, statuses in zip(others, ([200], [404], [200], [200, 401], [204]), strict=True):
            opened = await wire(service.port)
            for _ in range(20):
                assert (await opened.ask(plain("/auth/verify"))).status == 401
            assert front_of(service).connections == 1
            await opened.send(data)
            for status in statuses:
                answer = await opened.answer()
                assert answer is not None
                assert answer.status == status
            assert front_of(service).connections == 0
            for status in (401, 200):
                target = "/auth/verify" if status == 401 else "/auth/check"
                assert (await opened.ask(plain(target))).status == status
            opened.close()

    async def test_many_requests_in_one_read_are_answered_in_order(
        self, twins: Twins, wire: MakeWire
    ) -> None:
        for before in (0, 1):
            data = b"".join(plain("/auth/check" if n % 3 else "/auth/verify") for n in range(40))
            answers = await told_alike(twins, data + LAST, before=before)
            statuses = [answer.status for answer in answers if isinstance(answer, Answer)]
            assert statuses == [200 if n % 3 else 401 for n in range(40)] + [404]


class TestOtherForms:
    async def test_what_is_not_plain_is_answered_by_tornado(self, twins: Twins) -> None:
        token = await twins.fast.sign_in("ann")
        auth = f"auth-token: {token}\r\n\r\n".encode()
        head = b"HEAD /auth/check HTTP/1.1\r\nHost: a\r\n" + auth
        chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\ncode\r\n2\r\n=a\r\n0\r\n\r\n"
        forms = {
            head: [200],
            b"HEAD /auth/verify HTTP/1.1\r\nHost: a\r\n\r\n": [401],
            b"OPTIONS /auth/check HTTP/1.1\r\nHost: a\r\n\r\n": [204],
            b"POST /auth/check HTTP/1.1\r\nHost: a\r\n" + auth: [405],
            b"POST /auth/verify HTTP/1.1\r\nHost: a\r\n" + auth: [405],
            b"BREW /auth/verify HTTP/1.1\r\nHost: a\r\n" + auth: [405],
            chunked: [400],
            START + b"Content-Length: 5\r\n\r\nhello": [415],
            START + b"Content-Length: 0\r\n\r\n": [200],
            START + b"Upgrade: websocket\r\nConnection: Upgrade\r\n" + auth: [200],
            START + b"TE: trailers\r\n" + auth: [200],
            START + b"Expect: 100-continue\r\n" + auth: [100, 200],
            START.replace(b"\r\n", b"\n") + b"\n": [200],
            b"\r\n" + START + auth: [200],
            START + b"Cookie: tornado_auth =" + token.encode() + b"\r\n\r\n": [200],
            b"GET /auth/check?next=/a HTTP/1.1\r\nHost: a\r\n\r\n": [200],
            b"GET /auth/verify?service=a&service=a HTTP/1.1\r\nHost: a\r\n" + auth: [403],
        }
        for data, statuses in forms.items():
            for before in (0, 1):
                answers = await told_alike(twins, data + LAST, before=before)
                found = [a.status if isinstance(a, Answer) else int(a[9:12]) for a in answers]
                assert found == [*statuses, 404], data

    async def test_an_old_client_is_answered_and_closed(self, twins: Twins) -> None:
        for line in (b"", b"Host: a\r\n"):
            data = b"GET /auth/check HTTP/1.0\r\n" + line + b"\r\n"
            (answer,) = await told_alike(twins, data)
            assert isinstance(answer, Answer)
            assert answer.status == 200
        data = b"GET /auth/check HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        first, second = await told_alike(twins, data + LAST)
        assert isinstance(first, Answer)
        assert first.header("Connection") == "Keep-Alive"
        assert isinstance(second, Answer)

    async def test_who_asks_to_close_is_closed(self, twins: Twins) -> None:
        (answer,) = await told_alike(twins, plain("/auth/check", "Connection: close"), before=2)
        assert isinstance(answer, Answer)
        assert answer.header("Connection") == "close"


class TestRefusals:
    # S137
    async def test_what_tornado_refuses_is_refused(self, twins: Twins) -> None:
        token = await twins.fast.sign_in("ann")
        auth = f"auth-token: {token}\r\n".encode()
        length, chunked = b"Content-Length: %d\r\n", b"Transfer-Encoding: chunked\r\n"
        refused = [
            START + auth + length % 5 + chunked + b"\r\n0\r\n\r\n",
            START + auth + chunked + length % 5 + b"\r\n0\r\n\r\n",
            START + auth + length % 5 + length % 6 + b"\r\nhello!",
            START + auth + b"Content-Length: +5\r\n\r\nhello",
            START + auth + b"Content-Length: 5, 6\r\n\r\nhello!",
            START + auth + b"Content-Length: \r\n\r\n",
            START + auth + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            START
            + auth
            + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            START + auth + chunked + b"\r\nz\r\nhello\r\n0\r\n\r\n",
            START + auth + chunked + b"\r\n5 \r\nhello\r\n0\r\n\r\n",
            START + auth + chunked + b"\r\n5\r\nhelloX0\r\n\r\n",
            START + b"Host: b\r\n" + auth + b"\r\n",
            START + b"Host: localhost\r\n" + auth + b"\r\n",
            b"GET /auth/check HTTP/1.1\r\n" + auth + b"\r\n",
            b"GET /auth/check HTTP/1.1\r\nHost: a b\r\n" + auth + b"\r\n",
            b"GET /auth/check HTTP/1.1\r\nHost: a, b\r\n" + auth + b"\r\n",
            START + b"X-A: \x00\r\n" + auth + b"\r\n",
            START + b"X-A: a\rb\r\n" + auth + b"\r\n",
            START + b"X-A : b\r\n" + auth + b"\r\n",
            START + b" folded\r\n" + auth + b"\r\n",
            START + b"X-A\r\n" + auth + b"\r\n",
            START + b": a\r\n" + auth + b"\r\n",
            b"GET /auth/check\r\n" + auth + b"\r\n",
            b"GET /auth/check\r\n\r\n",
            b"GET /auth/check HTTP/2.0\r\nHost: a\r\n" + auth + b"\r\n",
            b"GET /auth/check HTTP/1.1 x\r\nHost: a\r\n" + auth + b"\r\n",
            b"GET  /auth/check HTTP/1.1\r\nHost: a\r\n" + auth + b"\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ]
        for data in refused:
            for before in (0, 1):
                # Nothing that follows is ever read as a request of its own.
                smuggled = plain("/auth/verify", auth.decode().strip())
                answers = await told_alike(twins, data + smuggled, before=before)
                assert answers == [b"HTTP/1.1 400 Bad Request\r\n\r\n"], data

    # S137
    async def test_another_target_is_another_page(self, twins: Twins) -> None:
        token = await twins.fast.sign_in("ann")
        for target in (
            "http://localhost/auth/check",
            "//localhost/auth/check",
            "*",
            "/auth/check#",
        ):
            (answer,) = await told_alike(
                twins, plain(target, f"auth-token: {token}", "Connection: close")
            )
            assert isinstance(answer, Answer)
            assert answer.status == 404
            assert b"ann@" not in answer.body

    # S136
    @pytest.mark.parametrize("size", [8191, 8192, 8193, 16_000])
    async def test_a_long_request_is_still_read(self, twins: Twins, size: int) -> None:
        for before in (0, 1):
            data = plain("/auth/check", "X-Long: ")
            data = data.replace(b"X-Long: ", b"X-Long: ".ljust(8 + size - len(data), b"a"))
            for parts in ([data], [data[:100], data[100:]], [data[:8000], data[8000:]]):
                first, last = (await told_alike(twins, *parts, LAST, before=before))[-2:]
                assert isinstance(first, Answer)
                assert isinstance(last, Answer)
                assert (first.status, last.status) == (200, 404)

    # S136
    async def test_one_that_is_too_long_is_not(self, twins: Twins) -> None:
        for before in (0, 1):
            data = START + b"X-Long: ".ljust(17_000, b"a") + b"\r\n\r\n"
            for parts in ([data], [data[:100], data[100:]], [data[:8000], data[8000:]]):
                assert await transcript(twins.fast, *parts, before=before) == []
                assert front_of(twins.fast).connections == 0
