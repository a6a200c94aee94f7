"""`next` addresses: what is let through, and what is added to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornado_auth.errors import NextNotAllowed
from tornado_auth.next_urls import Handover, NextURL, origin_of, resolve_next

OWN = "https://auth.example.com"
ALLOWED = {"https://app.example.com": Handover.QUERY, "http://127.0.0.1:3000": Handover.CODE}


def resolve(value: str) -> NextURL:
    return resolve_next(value, OWN, ALLOWED)


@pytest.mark.parametrize(
    ("value", "url", "handover"),
    [
        ("/", f"{OWN}/", Handover.COOKIE),
        ("/a/b?c=d#e", f"{OWN}/a/b?c=d#e", Handover.COOKIE),
        (f"{OWN}/x", f"{OWN}/x", Handover.COOKIE),
        ("https://app.example.com", "https://app.example.com", Handover.QUERY),
        ("https://app.example.com/p?q=1", "https://app.example.com/p?q=1", Handover.QUERY),
        ("HTTPS://APP.example.com:443/p", "HTTPS://APP.example.com:443/p", Handover.QUERY),
        ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3000/cb", Handover.CODE),
    ],
)
def test_a_path_or_a_listed_origin_is_let_through(value: str, url: str, handover: str) -> None:
    resolved = resolve(value)
    assert (resolved.url, resolved.handover) == (url, handover)


# S100
@pytest.mark.parametrize(
    "value",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%2f/evil.example",
        "/%2F%2Fevil.example",
        "/%5cevil.example",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "https:\\\\evil.example",
        "https://evil.example",
        "https://app.example.com@evil.example/",
        "https://user:password@app.example.com/",
        "https://app.example.com.evil.example/",
        "https://app.example.com\\@evil.example/",
        "https://app.example.com\t.evil.example/",
        "https://app.example.com:444/",
        "https://app.example.com:99999/",
        "https://app.example.com:/x",
        "https://.app.example.com/",
        "http://app.example.com/",
        "ftp://app.example.com/",
        "javascript:alert(1)",
        "data:text/html,x",
        " https://app.example.com/",
        "/a\r\nSet-Cookie: x=y",
        "/a\tb",
        '/a"b',
        "/a<b>",
        "/a\x00b",
        "https://\u0430pp.example.com/",
        "app.example.com",
        "?next=1",
        "",
        "/" + "a" * 2048,
    ],
)
def test_an_address_off_the_list_is_refused(value: str) -> None:
    with pytest.raises(NextNotAllowed):
        resolve(value)


@given(st.text(max_size=60) | st.from_regex(r"[/\\htps:@.%2fF5c]{0,12}[a-z.]{0,9}"))
def test_whatever_is_let_through_stays_on_a_known_origin(value: str) -> None:
    try:
        resolved = resolve(value)
    except NextNotAllowed:
        return
    assert resolved.origin in {OWN, *ALLOWED}
    assert origin_of(resolved.url) == resolved.origin


# D7
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.b/p", "https://a.b/p?jwt=x.y"),
        ("https://a.b/p?", "https://a.b/p?jwt=x.y"),
        ("https://a.b/p?a=1&a=2&b=", "https://a.b/p?a=1&a=2&b=&jwt=x.y"),
        ("https://a.b/p?a=%2f+c&", "https://a.b/p?a=%2f+c&jwt=x.y"),
        ("https://a.b/p?a=1#frag?x", "https://a.b/p?a=1&jwt=x.y#frag?x"),
        ("https://a.b#f", "https://a.b?jwt=x.y#f"),
    ],
)
def test_a_parameter_is_added_and_the_rest_of_the_address_kept(url: str, expected: str) -> None:
    assert NextURL(url, "https://a.b", Handover.QUERY).with_parameter("jwt", "x.y") == expected


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://Example.COM:80/x", "http://example.com"),
        ("https://example.com:443", "https://example.com"),
        ("https://example.com:8443/", "https://example.com:8443"),
        ("https://[::1]:8443/", "https://[::1]:8443"),
    ],
)
def test_an_origin_has_no_default_port_and_is_lower_case(url: str, origin: str) -> None:
    assert origin_of(url) == origin
