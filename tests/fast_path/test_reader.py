"""Whatever the strict reader takes for plain, Tornado's own parser takes and reads the same."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders, HTTPServerRequest, parse_request_start_line
from tornado.web import Application

from tests.fast_path.conftest import plain
from tests.fast_path.generator import (
    BAD_SEPARATORS,
    BYTES,
    IGNORED,
    MEANINGFUL,
    NAMES,
    ODD_TARGETS,
    SEPARATORS,
    Generator,
)
from tests.issuer import private_pem
from tests.service import SECRET
from tornado_auth.app import ROUTES, make_app
from tornado_auth.fast_path import PlainRequest, PlainRequests
from tornado_auth.role_names import check_resource
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings
from tornado_auth.web import BaseHandler

CASES = 15_000
TOKENS = ["eyJh.eyJz-_.c2ln", "a.b.c", "a", "a+/=~", ""]
HANDLERS = dict(ROUTES)


class Connection:
    """As much of a connection as a request and a handler look at."""

    context = None

    def set_close_callback(self, callback: Callable[[], None]) -> None:
        pass


@pytest.fixture(scope="module", params=[True, False], ids=["jwt", "no-jwt"])
def app(request: pytest.FixtureRequest) -> Application:
    return make_app(
        AuthServer(
            load_settings(
                {
                    "PRIVATE_KEY": private_pem(),
                    "TORNADO_AUTH_SECRET": SECRET,
                    "DATABASE_URL": "memory://",
                    "TORNADO_AUTH_JWT_PARAMETER": str(request.param),
                }
            )
        )
    )


def server_of(app: Application) -> AuthServer:
    return app.default_router.rules[0].target.rules[0].target_kwargs["server"]


def reader_for(app: Application) -> PlainRequests:
    allowed = server_of(app).settings.jwt_parameter
    return PlainRequests("tornado_auth", jwt_parameter=allowed)


def read_by_tornado(app: Application, data: bytes) -> PlainRequest:
    """Read a request without a body as Tornado and our handlers do; raises if they refuse it."""
    head, _, rest = data.partition(b"\r\n\r\n")
    assert not rest
    line, _, lines = head.decode("latin-1").partition("\n")
    start_line = parse_request_start_line(line.rstrip("\r"))
    headers = HTTPHeaders.parse(lines)
    assert start_line.method == "GET"
    assert start_line.version == "HTTP/1.1"
    assert headers.get("Connection", "").lower() in ("", "keep-alive")
    for name in ("Content-Length", "Transfer-Encoding", "Content-Type", "Expect", "Origin"):
        assert name not in headers
    request = HTTPServerRequest(start_line=start_line, headers=headers, connection=Connection())
    handler = HANDLERS[request.path](app, request, server=server_of(app))
    assert isinstance(handler, BaseHandler)
    handler.check_form()
    return request_of(handler)


def request_of(handler: BaseHandler) -> PlainRequest:
    credential = handler.credential()
    token = credential.token if credential else ""
    assert handler.request.path is not None
    if handler.request.path == "/auth/check":
        assert handler.parameter("next") == ""
        return PlainRequest(handler.request.path, token)
    permission = handler.parameter("permission")
    return PlainRequest(
        handler.request.path,
        token,
        handler.parameter("service"),
        handler.parameter("read") or permission,
        handler.parameter("write") or permission,
        handler.request.headers.get("X-Original-Method", ""),
        check_resource(handler.parameter("resource")),
    )


# S137
def test_what_is_taken_is_what_tornado_reads(app: Application) -> None:
    reader = reader_for(app)
    generator = Generator("reader", TOKENS, cookie_name="tornado_auth")
    taken = 0
    for _ in range(CASES):
        data = generator.case().data
        request = reader.read(data)
        if request is not None:
            taken += 1
            assert read_by_tornado(app, data) == request, data
    assert 0.3 < taken / CASES < 0.8


# S137
def test_no_single_byte_makes_a_difference(app: Application) -> None:
    reader = reader_for(app)
    cookie = "Cookie: a=b; tornado_auth=t; c=d"
    places = ("Authorization: Bearer t", "auth-token: t", cookie)
    questions = ("/auth/verify?service=a&read=b", "/auth/verify?resource=a/b:c&permission=d")
    for target in ("/auth/check?jwt=q", "/auth/check", *questions):
        for line in places:
            data = plain(target, line, "X-Original-Method: GET", "Connection: keep-alive")
            for at in range(len(data)):
                some = random.Random(at).sample(BYTES, 8)
                for other in (b"", *some):
                    for changed in (
                        data[:at] + other + data[at:],
                        data[:at] + other + data[at + 1 :],
                    ):
                        request = reader.read(changed)
                        if request is not None:
                            assert read_by_tornado(app, changed) == request, changed


names = st.sampled_from([*NAMES, *[name for name, _ in IGNORED + MEANINGFUL]]) | st.text(max_size=8)
values = st.sampled_from(
    [
        "Bearer t",
        "t",
        "tornado_auth=t",
        "a=b; tornado_auth=t",
        "tornado_auth =t",
        "keep-alive",
        "GET",
    ]
) | st.text(max_size=20)
separators = st.sampled_from(SEPARATORS) | st.sampled_from(BAD_SEPARATORS)
lines = st.builds("{}{}{}".format, names, separators, values)
targets = st.sampled_from(
    [
        *("/auth/check", "/auth/verify", "/auth/check?jwt=t", "/auth/verify?service=a&read=b"),
        "/auth/verify?service=a&permission=b&resource=c",
    ]
) | st.sampled_from(ODD_TARGETS)


# S137
@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    target=targets,
    lines=st.lists(lines, max_size=5),
    insert=st.text(max_size=2),
    at=st.floats(0, 1),
)
def test_nor_does_anything_else(
    app: Application, target: str, lines: list[str], insert: str, at: float
) -> None:
    text = "\r\n".join([f"GET {target} HTTP/1.1", "Host: a", *lines, "", ""])
    where = int(at * len(text))
    data = (text[:where] + insert + text[where:]).encode("latin-1", "replace")
    request = reader_for(app).read(data)
    if request is not None:
        assert read_by_tornado(app, data) == request
