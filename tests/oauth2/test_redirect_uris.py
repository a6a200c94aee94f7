"""Which redirect URIs can be registered, and when one is a client's."""

import pytest

from tornado_auth.models import Client
from tornado_auth.oauth2.errors import InvalidRedirectURI
from tornado_auth.oauth2.redirect_uris import (
    RedirectKind,
    check_redirect_uri,
    kind_of,
    redirect_uri_matches,
)

CALLBACK = "https://app.example/cb"
MUTATIONS = [
    "https://app.example/cb/",
    "https://app.example/cb/more",
    "https://app.example/cb?x=1",
    "https://app.example/cb?",
    "https://app.example/cb#f",
    "https://app.example/CB",
    "https://APP.example/cb",
    "https://app.example/%63b",
    "https://app.example/x/../cb",
    "https://app.example/./cb",
    "https://app.example@evil.example/cb",
    "https://app.example.evil.example/cb",
    "https://evil.example/https://app.example/cb",
    "https://app.example\\@evil.example/cb",
    "https://app.example/cb\t",
    " https://app.example/cb",
    "https://app.example:443/cb",
    "https://app.example:8443/cb",
    "http://app.example/cb",
    "https://*.example/cb",
    "https://xn--pp-xka.example/cb",
    "https://\u0430pp.example/cb",
    "//app.example/cb",
    CALLBACK + "/" + "a" * 2048,
    "",
]


def client(*redirect_uris: str, application_type: str = "web") -> Client:
    return Client(
        id="c-1", redirect_uris=redirect_uris, application_type=application_type, created_at=1
    )


# S002
@pytest.mark.parametrize("application_type", ["web", "native"])
@pytest.mark.parametrize("uri", MUTATIONS)
def test_only_the_very_uri_matches(uri: str, application_type: str) -> None:
    app = client(CALLBACK, application_type=application_type)
    assert redirect_uri_matches(app, CALLBACK)
    assert not redirect_uri_matches(app, uri)


# S002
def test_a_query_that_was_registered_is_part_of_the_uri() -> None:
    app = client(CALLBACK + "?a=1")
    assert redirect_uri_matches(app, CALLBACK + "?a=1")
    assert not redirect_uri_matches(app, CALLBACK)
    assert not redirect_uri_matches(app, CALLBACK + "?a=1&b=2")


# S003
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_a_native_client_listens_at_any_port_of_the_loopback_address(host: str) -> None:
    for registered in (f"http://{host}/cb", f"http://{host}:80/cb"):
        app = client(registered, application_type="native")
        for port in ("", ":1", ":51004", ":65535"):
            assert redirect_uri_matches(app, f"http://{host}{port}/cb")


# S003
@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:1/cb/",
        "http://127.0.0.1:1/cb?x=1",
        "http://127.0.0.1:1/CB",
        "http://127.0.0.1:1/%63b",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:1:2/cb",
        "http://127.0.0.1:1@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.2:1/cb",
        "http://[::1]:1/cb",
        "http://localhost:1/cb",
        "https://127.0.0.1:1/cb",
        "http://user@127.0.0.1:1/cb",
    ],
)
def test_everything_but_the_port_is_exact(uri: str) -> None:
    assert not redirect_uri_matches(client("http://127.0.0.1/cb", application_type="native"), uri)


# S003
def test_the_port_counts_for_web_clients_and_for_localhost() -> None:
    assert not redirect_uri_matches(client("http://127.0.0.1:1/cb"), "http://127.0.0.1:2/cb")
    native = client("http://localhost:1/cb", application_type="native")
    assert redirect_uri_matches(native, "http://localhost:1/cb")
    assert not redirect_uri_matches(native, "http://localhost:2/cb")


# S075
@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("https://app.example", RedirectKind.WEB),
        ("https://app.example:8443/cb?x=/y", RedirectKind.WEB),
        ("https://[2001:db8::1]/cb", RedirectKind.WEB),
        ("http://127.0.0.1:3000/cb", RedirectKind.LOOPBACK),
        ("http://[::1]/cb", RedirectKind.LOOPBACK),
        ("http://localhost:8080", RedirectKind.LOOPBACK),
    ],
)
def test_web_addresses_can_be_registered_by_all(uri: str, kind: RedirectKind) -> None:
    assert kind_of(uri) is kind
    for application_type in ("web", "native"):
        check_redirect_uri(uri, application_type=application_type)


# S075
def test_a_scheme_of_its_own_is_for_native_applications() -> None:
    for uri in ("com.example.app:/cb", "com.example.app://cb"):
        assert kind_of(uri) is RedirectKind.PRIVATE
        check_redirect_uri(uri, application_type="native")
        with pytest.raises(InvalidRedirectURI):
            check_redirect_uri(uri, application_type="web")


# S075
@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example/cb#",
        "https://app.example/cb#f",
        "http://site.example/cb",
        "http://127.0.0.1.evil.example/",
        "http://localhost.evil.example/",
        "javascript:alert(1)",
        "JAVASCRIPT:/alert(1)",
        "data:text/html,x",
        "myapp:/cb",
        "myapp://cb",
        "com.example.app:cb",
        "https://*.app.example/cb",
        "https://user@app.example/cb",
        "https://user:pass@app.example/cb",
        "https://app.example\\cb",
        "https://app.example/a b",
        "https://app.example/\x00",
        "https://app.example:0/",
        "https://app.example:65536/",
        "https://app.example:x/",
        "https:///cb",
        "https:app.example/cb",
        "//app.example/cb",
        "/cb",
        "",
        "https://app.example/" + "a" * 2048,
    ],
)
def test_what_leads_nowhere_safe_cannot_be_registered(uri: str) -> None:
    for application_type in ("web", "native"):
        with pytest.raises(InvalidRedirectURI):
            check_redirect_uri(uri, application_type=application_type)
