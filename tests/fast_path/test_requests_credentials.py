"""Whose request it is, as far as that is plain to see: tokens, their places, and methods."""

import pytest

from tests.fast_path.conftest import plain
from tornado_auth.fast_path import PlainRequest, PlainRequests

TOKEN = "eyJh.eyJz-_.c2ln"
BEARER = f"Authorization: Bearer {TOKEN}"
COOKIE = f"tornado_auth={TOKEN}"


@pytest.fixture(autouse=True)
def never_block() -> None:
    """Watch nothing: there is no loop here that could be blocked, but many tests."""


def check(token: str = TOKEN) -> PlainRequest:
    return PlainRequest("/auth/check", token)


class TestToken:
    @pytest.mark.parametrize(
        ("lines", "token"),
        [
            ([BEARER], TOKEN),
            ([f"authorization:Bearer {TOKEN}\t "], TOKEN),
            (["Authorization: Bearer abc+/=~"], "abc+/=~"),
            (["auth-token: abc+/=~"], "abc+/=~"),
            (["Auth-Token:a"], "a"),
            ([f"Cookie: {COOKIE}"], TOKEN),
            ([], ""),
        ],
    )
    def test_it_is_taken_from_each_of_its_places(
        self, requests: PlainRequests, lines: list[str], token: str
    ) -> None:
        assert requests.read(plain("/auth/check", *lines)) == check(token)
        assert requests.read(plain("/auth/verify", *lines)) == PlainRequest("/auth/verify", token)

    @pytest.mark.parametrize(
        "line",
        [
            "Authorization: Bearer",
            "Authorization: Bearer  a",
            "Authorization: Bearer\ta",
            "Authorization: bearer a",
            "Authorization: Basic YTpi",
            "Authorization: a",
            "Authorization: Bearer a b",
            "Authorization: Bearer a,b",
            'Authorization: Bearer "a"',
            "auth-token: a b",
            "auth-token: a,b",
            "auth-token: Bearer a",
        ],
    )
    def test_what_is_not_plainly_a_token_is_not_plain(
        self, requests: PlainRequests, line: str
    ) -> None:
        assert requests.read(plain("/auth/check", line)) is None

    def test_the_first_place_that_has_one_counts(self, requests: PlainRequests) -> None:
        places = ["Authorization: Bearer a", "auth-token: b", "", "Cookie: tornado_auth=d"]
        tokens = ["a", "b", "c", "d"]
        for missing in range(4):
            target = "/auth/check?jwt=c" if missing < 3 else "/auth/check"
            lines = [line for line in places[missing:] if line]
            assert requests.read(plain(target, *lines)) == check(tokens[missing])
            # Whatever stands in a later place does not matter.
            assert requests.read(plain(target, *reversed(lines))) == check(tokens[missing])
        lines = ["Authorization: Bearer a", "auth-token: not a token", "Cookie: tornado_auth='"]
        assert requests.read(plain("/auth/check", *lines)) == check("a")


class TestCookie:
    @pytest.mark.parametrize(
        ("cookie", "token"),
        [
            ("tornado_auth=a.b-c_d", "a.b-c_d"),
            ("a=b; tornado_auth=t; c=d", "t"),
            ("a=b;tornado_auth=t;c=d", "t"),
            ("tornado_auth_xsrf=x; tornado_auth_login_1=y; tornado_auth=t", "t"),
            ('a="b"; tornado_auth=t; junk', "t"),
            ("a=b", ""),
            ("tornado_auth_xsrf=x", ""),
            ("tornado_authx=x; tornado=auth", ""),
            ("tornado_auth", ""),
            ("TORNADO_AUTH=x", ""),
            ("tornado_auth;=x", ""),
        ],
    )
    def test_it_is_found_among_others(
        self, requests: PlainRequests, cookie: str, token: str
    ) -> None:
        assert requests.read(plain("/auth/check", f"Cookie: {cookie}")) == check(token)

    # Tornado takes the spaces around a name away, and the last of several.
    @pytest.mark.parametrize(
        "cookie",
        [
            "tornado_auth=",
            "tornado_auth=a; tornado_auth=b",
            "tornado_auth=a;tornado_auth=",
            "tornado_auth =a",
            "tornado_auth\t =a",
            "tornado_auth=a; tornado_auth =b",
            "a=b;  tornado_auth=a",
            "a=b;\ttornado_auth=a",
            "tornado_auth= a",
            "tornado_auth=a b",
            "tornado_auth=a ; c=d",
            'tornado_auth="a"',
            'tornado_auth="\\141"',
            "tornado_auth=a=",
            "tornado_auth=a,b",
            "tornado_auth=a%62",
            "tornado_auth==a",
            "xtornado_auth=a",
            "__Host-tornado_auth=a",
            "a=tornado_auth=b",
            "a=b, tornado_auth=c",
            '"tornado_auth=a"',
        ],
    )
    def test_what_looks_like_it_is_not_plain(self, requests: PlainRequests, cookie: str) -> None:
        assert requests.read(plain("/auth/check", f"Cookie: {cookie}")) is None

    def test_over_https_its_name_has_a_prefix(self) -> None:
        requests = PlainRequests("__Host-tornado_auth", jwt_parameter=True)
        for cookie, token in (
            ("__Host-tornado_auth=a", "a"),
            ("tornado_auth=b; __Host-tornado_auth=a", "a"),
            ("tornado_auth=b", ""),
        ):
            assert requests.read(plain("/auth/check", f"Cookie: {cookie}")) == check(token)
        for cookie in ("x__Host-tornado_auth=a", "__Host-tornado_auth =a"):
            assert requests.read(plain("/auth/check", f"Cookie: {cookie}")) is None

    def test_a_name_is_taken_literally(self) -> None:
        requests = PlainRequests("a.c", jwt_parameter=True)
        assert requests.read(plain("/auth/check", "Cookie: abc=x")) == check("")
        assert requests.read(plain("/auth/check", "Cookie: a.c=x")) == check("x")


class TestOriginalMethod:
    def test_a_method_is_taken_along(self, requests: PlainRequests) -> None:
        for method in ("GET", "POST", "patch", "Anything"):
            request = requests.read(plain("/auth/verify", f"X-Original-Method: {method}"))
            assert request == PlainRequest("/auth/verify", "", original_method=method)

    @pytest.mark.parametrize("method", ["G ET", "M-SEARCH", "GET,POST", "GET/", "1"])
    def test_what_is_none_is_not_plain(self, requests: PlainRequests, method: str) -> None:
        assert requests.read(plain("/auth/verify", f"X-Original-Method: {method}")) is None
