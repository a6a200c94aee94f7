"""What counts as a plain request, rule by rule; `test_reader.py` holds it against Tornado's."""

import pytest

from tests.fast_path.conftest import plain
from tornado_auth.fast_path import PlainRequest, PlainRequests
from tornado_auth.fast_path.requests import MAX_LINES, MAX_SIZE

TOKEN = "eyJh.eyJz-_.c2ln"
BEARER = f"Authorization: Bearer {TOKEN}"


@pytest.fixture(autouse=True)
def never_block() -> None:
    """Watch nothing: there is no loop here that could be blocked, but many tests."""


def check(token: str = TOKEN) -> PlainRequest:
    return PlainRequest("/auth/check", token)


def with_host(*lines: str) -> bytes:
    return "\r\n".join(["GET /auth/check HTTP/1.1", *lines, "", ""]).encode("latin-1")


class TestRequestLine:
    def test_both_paths_are_plain(self, requests: PlainRequests) -> None:
        assert requests.read(plain("/auth/check")) == PlainRequest("/auth/check", "")
        assert requests.read(plain("/auth/verify")) == PlainRequest("/auth/verify", "")

    # S137
    @pytest.mark.parametrize(
        "line",
        [
            "",
            "GET /auth/check",
            "GET /auth/check HTTP/1.0",
            "GET /auth/check HTTP/1.2",
            "GET /auth/check HTTP/0.9",
            "GET /auth/check HTTP/2.0",
            "GET /auth/check http/1.1",
            "GET /auth/check HTTP/1.1 ",
            "GET  /auth/check HTTP/1.1",
            "GET /auth/check  HTTP/1.1",
            "GET\t/auth/check HTTP/1.1",
            " GET /auth/check HTTP/1.1",
            "get /auth/check HTTP/1.1",
            "HEAD /auth/check HTTP/1.1",
            "POST /auth/check HTTP/1.1",
            "OPTIONS /auth/check HTTP/1.1",
            "GET /auth/check/ HTTP/1.1",
            "GET //auth/check HTTP/1.1",
            "GET /Auth/check HTTP/1.1",
            "GET /auth/checks HTTP/1.1",
            "GET /auth/verify/ HTTP/1.1",
            "GET /auth/chec%6b HTTP/1.1",
            "GET /auth/../auth/check HTTP/1.1",
            "GET /auth/check;a=b HTTP/1.1",
            "GET /auth/check#top HTTP/1.1",
            "GET http://localhost/auth/check HTTP/1.1",
            "GET //localhost/auth/check HTTP/1.1",
            "GET * HTTP/1.1",
            "GET / HTTP/1.1",
        ],
    )
    def test_any_other_line_is_not(self, requests: PlainRequests, line: str) -> None:
        assert requests.read(f"{line}\r\nHost: localhost\r\n\r\n".encode()) is None


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "asked"),
        [
            ("service=files", ("files", "", "")),
            ("service=files&read=r&write=w", ("files", "r", "w")),
            ("write=w&service=files&read=r", ("files", "r", "w")),
            ("service=a.b-c_d~e&read=0", ("a.b-c_d~e", "0", "")),
            ("service=&read=&write=", ("", "", "")),
            ("read=r", ("", "r", "")),
            ("service=a/b", ("a/b", "", "")),
            ("service=a&permission=p:q", ("a", "p:q", "p:q")),
            ("permission=p&service=a&write=w", ("a", "p", "w")),
            ("service=a&permission=p&read=&write=", ("a", "p", "p")),
            ("service=a&resource=docs/1:x@y", ("a", "", "", "", "docs/1:x@y")),
            ("resource=", ("", "", "", "", "")),
        ],
    )
    def test_verify_is_asked_about_permissions(
        self, requests: PlainRequests, query: str, asked: tuple[str, ...]
    ) -> None:
        request = requests.read(plain(f"/auth/verify?{query}", BEARER))
        assert request == PlainRequest("/auth/verify", TOKEN, *asked)

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "&",
            "service",
            "service=a&",
            "&service=a",
            "service=a&&read=b",
            "service=a;read=b",
            "service=a&service=a",
            "read=a&read=b",
            "service==a",
            "service=a=b",
            "service=a%20b",
            "service=a+b",
            "resource=a~b",
            "resource=a+b",
            f"resource={'a' * 129}",
            "resource=a&resource=a",
            "permission=a&permission=b",
            "resources=a",
            "service=a?b",
            "%73ervice=a",
            "Service=a",
            "services=a",
            "jwt=a",
            "next=/",
            "service=\u00e9",
        ],
    )
    def test_any_other_query_of_verify_is_not_plain(
        self, requests: PlainRequests, query: str
    ) -> None:
        assert requests.read(plain(f"/auth/verify?{query}")) is None

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "jwt",
            "jwt=",
            "jwt=a&jwt=a",
            "jwt=a&next=/",
            "jwt=a%2eb",
            "jwt=a+b",
            "jwt=a=",
            "JWT=a",
            "next=/",
            "service=files",
            "jwt=a#b",
        ],
    )
    def test_any_other_query_of_check_is_not_plain(
        self, requests: PlainRequests, query: str
    ) -> None:
        assert requests.read(plain("/auth/check?jwt=a")) == check("a")
        assert requests.read(plain(f"/auth/check?{query}")) is None

    def test_the_jwt_parameter_can_be_switched_off(self) -> None:
        requests = PlainRequests("tornado_auth", jwt_parameter=False)
        assert requests.read(plain(f"/auth/check?jwt={TOKEN}")) is None
        assert requests.read(plain(f"/auth/check?jwt={TOKEN}", BEARER)) is None
        assert requests.read(plain("/auth/check", BEARER)) == check()


class TestHost:
    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "auth.example.org",
            "127.0.0.1:8080",
            "[::1]:80",
            "[::ffff:127.0.0.1]",
            "A-b",
        ],
    )
    def test_one_host_is_plain(self, requests: PlainRequests, host: str) -> None:
        assert requests.read(with_host(f"Host: {host}")) == check("")
        assert requests.read(with_host(f"hOST:{host} ")) == check("")

    # S137
    @pytest.mark.parametrize(
        "lines",
        [
            [],
            ["Host:"],
            ["Host: "],
            ["Host: a", "Host: a"],
            ["Host: a", "HOST: b"],
            ["Host: a, b"],
            ["Host: a b"],
            ["Host: a/b"],
            ["Host: user@a"],
            ["Host: a:b"],
            ["Host: a:"],
            ["Host: a:123456"],
            ["Host: a:1:2"],
            ["Host: a%2e"],
            ["Host: [::1"],
            ["Host: ::1"],
            ["Host: \u00e9"],
            ["Host: a\x00"],
            ["Host : a"],
            ["Host\t: a"],
            [" Host: a"],
        ],
    )
    def test_anything_else_is_not(self, requests: PlainRequests, lines: list[str]) -> None:
        assert requests.read(with_host(*lines)) is None


class TestLines:
    def test_headers_of_no_meaning_may_say_what_they_like(self, requests: PlainRequests) -> None:
        lines = ["X-Any: a\tb ~!", "X-Any: again", "X-Empty:", "!#$%&'*+-.^_`|~: 1", "Accept:*/*"]
        assert requests.read(plain("/auth/check", *lines, BEARER)) == check()
        # Twice, for the spellings of names are remembered.
        assert requests.read(plain("/auth/check", *lines, BEARER)) == check()

    # S137
    @pytest.mark.parametrize(
        "line",
        [
            "X-A : b",
            "X-A\t: b",
            " X-A: b",
            "\tX-A: b",
            "X A: b",
            "X-A",
            "Host",
            ": b",
            "",
            "X-(A): b",
            'X-"A": b',
            "X-A: \x00",
            "X-A: \x0b",
            "X-A: \x1b",
            "X-A: \x7f",
            "X-A: \u00e9",
            "X-\u00e9: b",
            "X-A: b\nX-B: c",
            "X-A: b\rX-B: c",
            "X-A: b\n",
            "X-A: b\r",
            "\rX-A: b",
            "X-A: b\r\n folded",
            "X-A: b\r\n\r\nX-B: c",
        ],
    )
    def test_what_can_be_read_differently_is_not_plain(
        self, requests: PlainRequests, line: str
    ) -> None:
        lines = f"GET /auth/check HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n"
        for _ in range(2):
            assert requests.read(lines.encode("latin-1")) is None

    # S137
    @pytest.mark.parametrize(
        "name",
        [
            "Content-Length",
            "content-type",
            "Content-Encoding",
            "TRANSFER-ENCODING",
            "Expect",
            "Upgrade",
            "TE",
            "Trailer",
            "Origin",
            "Keep-Alive",
            "Proxy-Connection",
            "HTTP2-Settings",
        ],
    )
    def test_headers_that_change_the_reading_or_the_answer_are_not(
        self, requests: PlainRequests, name: str
    ) -> None:
        for value in ("0", "", "chunked"):
            for _ in range(2):
                assert requests.read(plain("/auth/check", f"{name}: {value}")) is None

    @pytest.mark.parametrize(
        ("lines", "is_plain"),
        [
            (["Connection: keep-alive"], True),
            (["connection:Keep-Alive"], True),
            (["Connection: close"], False),
            (["Connection: Upgrade"], False),
            (["Connection: keep-alive, TE"], False),
            (["Connection: keep-alive", "Connection: keep-alive"], False),
            (["Connection:"], False),
        ],
    )
    def test_the_connection_must_stay(
        self, requests: PlainRequests, lines: list[str], *, is_plain: bool
    ) -> None:
        assert (requests.read(plain("/auth/check", *lines)) is not None) is is_plain

    @pytest.mark.parametrize("name", ["Authorization", "auth-token", "Cookie", "X-Original-Method"])
    @pytest.mark.parametrize("values", [["", ""], [""], [" \t "], ["Bearer a", "Bearer a"]])
    def test_headers_that_matter_are_there_once_and_say_something(
        self, requests: PlainRequests, name: str, values: list[str]
    ) -> None:
        lines = [f"{name}: {value}" for value in values]
        for path in ("/auth/check", "/auth/verify"):
            assert requests.read(plain(path, *lines)) is None


class TestSize:
    # S136
    def test_a_request_has_a_size(self, requests: PlainRequests) -> None:
        for size, is_plain in ((MAX_SIZE, True), (MAX_SIZE + 1, False)):
            data = plain("/auth/check", "X-Long: ")
            data = data.replace(b"X-Long: ", b"X-Long: ".ljust(8 + size - len(data), b"a"))
            assert len(data) == size
            assert (requests.read(data) is not None) is is_plain

    # S136
    def test_a_request_has_a_number_of_lines(self, requests: PlainRequests) -> None:
        # The first one, the Host and the empty one count.
        for number, is_plain in ((MAX_LINES - 3, True), (MAX_LINES - 2, False)):
            data = plain("/auth/check", *["A: b"] * number)
            assert (requests.read(data) is not None) is is_plain

    @pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n", b"\r\n" * 3, b"GET", b"\x00" * 99])
    def test_nothing_much_is_not_plain(self, requests: PlainRequests, data: bytes) -> None:
        assert requests.read(data) is None

    # S137
    def test_nothing_may_come_before_or_after(self, requests: PlainRequests) -> None:
        data = plain()
        assert requests.read(data) is not None
        for other in (data + data, data + b"x", data + b"\r\n", b"\r\n" + data, b" " + data):
            assert requests.read(other) is None
        for end in range(len(data)):
            assert requests.read(data[:end]) is None

    def test_names_are_remembered_up_to_a_number(self, requests: PlainRequests) -> None:
        for number in range(600):
            assert requests.read(plain("/auth/check", f"X-{number}: a")) is not None
        assert len(requests._spellings) <= 512
        # Nobody can fill it for good.
        assert b"X-599" in requests._spellings


class TestBeginnings:
    def test_each_beginning_of_a_plain_request_may_become_one(self) -> None:
        data = plain("/auth/verify?service=a", BEARER)
        for end in range(len(b"GET /auth/verify"), len(data)):
            assert PlainRequests.may_become_plain(data[:end])

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"G",
            b"GET /auth/chec",
            b"GET /auth/login HTTP/1.1\r\n",
            b"POST /auth/check",
            b"\r\nGET /auth/check",
            plain(),
            plain() + b"GET /auth/check",
            b"GET /auth/check HTTP/1.1\nHost: a",
            b"GET /auth/check HTTP/1.1\r\nHost: a\n\n",
            b"GET /auth/check HTTP/1.1\r\nHost: a\r\n\n",
            b"GET /auth/check".ljust(MAX_SIZE, b"a"),
        ],
    )
    def test_what_cannot_is_not_waited_for(self, data: bytes) -> None:
        assert not PlainRequests.may_become_plain(data)
