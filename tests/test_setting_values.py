"""How each kind of value is read, and the remedy for each mistake in one."""

import json
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.setting_samples import ISSUER, SECRET, load, problem, value_of
from tornado_auth.next_urls import Handover
from tornado_auth.setting_addresses import ListenAddress, listen_address
from tornado_auth.settings import OIDCProviderSettings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class TestValues:
    @pytest.mark.parametrize(
        ("variable", "text", "expected"),
        [
            ("TORNADO_AUTH_LISTEN", " LocalHost:80 ", "localhost:80"),
            ("TORNADO_AUTH_LISTEN", "unix:/run/auth.sock", None),
            ("TORNADO_AUTH_OPS_LISTEN", "OFF", "off"),
            ("TORNADO_AUTH_SELF_REGISTERED_RESOURCES", "urn:A, urn:A", ("urn:A",)),
            ("TORNADO_AUTH_OPS_LISTEN", "[::1]:9100", "[::1]:9100"),
            ("TORNADO_AUTH_STALE_LIMIT", "0", 0),
            ("TORNADO_AUTH_SESSION_LIFETIME", "90000", 90000),
            ("TORNADO_AUTH_SESSION_LIFETIME", "5400s", 5400),
            ("TORNADO_AUTH_SESSION_LIFETIME", "15m", 900),
            ("TORNADO_AUTH_SESSION_LIFETIME", "12h", 43200),
            ("TORNADO_AUTH_SESSION_LIFETIME", "30 d", 30 * 86400),
            ("TORNADO_AUTH_SESSION_IDLE_LIMIT", "5m", 300),
            ("TORNADO_AUTH_STORAGE_TIMEOUT", "0.5", 0.5),
            ("TORNADO_AUTH_HEADER_TIMEOUT", "1m", 60.0),
            ("TORNADO_AUTH_JWT_PARAMETER", "No", False),
            ("TORNADO_AUTH_PUBLIC_PROFILES", "1", True),
            ("TORNADO_AUTH_LOG_LEVEL", "debug", "DEBUG"),
            ("TORNADO_AUTH_LOG_FORMAT", "Text", "text"),
            ("TORNADO_AUTH_SIGNING_ALGORITHM", "eddsa", "EdDSA"),
            ("ALLOWED_SERVICES", "", ()),
            ("ALLOWED_SERVICES", ";world:demo.world; ;a.b;",
             (("world", "demo.world"), ("a.b", "a.b"))),
            ("INSTALLED_EXTENSIONS", "a.b;;c ;", ("a.b", "c")),
            ("TORNADO_AUTH_CORS_ORIGINS", "https://A.example:443 , http://localhost:3000",
             ("https://a.example", "http://localhost:3000")),
            ("TORNADO_AUTH_ALLOWED_NEXT",
             "https://a.example; https://b.example/=query,http://127.0.0.1:3000=COOKIE "
             "https://c.example=code",
             None),
            ("TORNADO_AUTH_TRUSTED_PROXIES", "127.0.0.1, 10.1.0.0/16 fd00::/8 unix",
             (ip_network("127.0.0.1"), ip_network("10.1.0.0/16"), ip_network("fd00::/8"), "unix")),
            ("TORNADO_AUTH_ALLOWED_EMAILS", "Ann@Example.org @example.com",
             ("ann@example.org", "@example.com")),
            ("TORNADO_AUTH_GOOGLE_HOSTED_DOMAINS", "Example.ORG", ("example.org",)),
            ("TORNADO_AUTH_GITHUB_ORGANIZATIONS", "Acme,acme-labs", ("Acme", "acme-labs")),
            ("TORNADO_AUTH_GITHUB_API_URL", "https://git.example.org/api/v3/",
             "https://git.example.org/api/v3"),
            ("TORNADO_AUTH_GITHUB_URL", "http://127.0.0.1:9999", "http://127.0.0.1:9999"),
            ("TORNADO_AUTH_GOOGLE_ISSUER", "http://[::1]:9999/a/", "http://[::1]:9999/a/"),
            ("DATABASE_URL", "sqlite:////var/lib/auth.db", "sqlite:////var/lib/auth.db"),
            ("DATABASE_URL", "mongodb://u:p@a,b/auth?replicaSet=r", "mongodb://u:p@a,b/auth?replicaSet=r"),
            ("DATABASE_URL", "mongodb+srv://db.example.org/auth", "mongodb+srv://db.example.org/auth"),
            ("DATABASE_URL", "memory://", "memory://"),
        ],
    )  # fmt: skip
    def test_a_value_is_read_and_normalised(self, variable, text, expected):
        if expected is not None:
            assert value_of(variable, text) == expected
        elif variable == "TORNADO_AUTH_LISTEN":
            settings = load({variable: text, "EXTERNAL_ADDRESS": "auth.example.org"})
            assert settings.listen == text
        else:
            settings = load({variable: text, "EXTERNAL_ADDRESS": "http://127.0.0.1"})
            assert settings.allowed_next == {
                "https://a.example": Handover.CODE,
                "https://b.example": Handover.QUERY,
                "http://127.0.0.1:3000": Handover.COOKIE,
                "https://c.example": Handover.CODE,
            }

    @pytest.mark.parametrize(
        ("variable", "text", "why"),
        [
            ("TORNADO_AUTH_LISTEN", "8080", "is not an address to listen on"),
            ("TORNADO_AUTH_LISTEN", ":8080", "is not an address to listen on"),
            ("TORNADO_AUTH_LISTEN", "::1:8080", "is not an address to listen on"),
            ("TORNADO_AUTH_LISTEN", "[1::2::3]:8080", "malformed IPv6"),
            ("TORNADO_AUTH_LISTEN", "127.0.0.1:0", "port out of range"),
            ("TORNADO_AUTH_LISTEN", "127.0.0.1:65536", "port out of range"),
            ("TORNADO_AUTH_LISTEN", "unix:run.sock", "no absolute path"),
            ("TORNADO_AUTH_LISTEN", "a\nb:80", "control characters"),
            ("TORNADO_AUTH_OPS_LISTEN", "no", "is not an address to listen on"),
            ("TORNADO_AUTH_OPS_LISTEN", "127.0.0.1:8080", "same address as TORNADO_AUTH_LISTEN"),
            ("TORNADO_AUTH_SESSION_LIFETIME", "4m", "is out of range. Give a time from 5m to 400d"),
            ("TORNADO_AUTH_SESSION_LIFETIME", "401d", "is out of range"),
            ("TORNADO_AUTH_SESSION_LIFETIME", "two weeks", "is not a time"),
            ("TORNADO_AUTH_SESSION_LIFETIME", "-1", "is not a time"),
            ("TORNADO_AUTH_SESSION_LIFETIME", "300.5", "has a fraction of a second"),
            ("TORNADO_AUTH_SESSION_IDLE_LIMIT", "299", "is out of range"),
            ("TORNADO_AUTH_SESSION_IDLE_LIMIT", "15d", "is longer than a session lives"),
            ("TORNADO_AUTH_PERMISSION_TOKEN_LIFETIME", "61m", "is out of range"),
            ("TORNADO_AUTH_PERMISSION_CACHE_SECONDS", "6m", "is out of range"),
            ("TORNADO_AUTH_STALE_LIMIT", "25h", "is out of range"),
            ("TORNADO_AUTH_SELF_REGISTERED_RESOURCES", "urn:a https://a/#b", "no absolute URI"),
            ("TORNADO_AUTH_SELF_REGISTERED_RESOURCES", "/api", "no absolute URI"),
            ("TORNADO_AUTH_PERMISSION_TIMEOUT", "0", "is out of range"),
            ("TORNADO_AUTH_EXTENSION_TIMEOUT", "61", "is out of range"),
            ("TORNADO_AUTH_UPSTREAM_TIMEOUT", "1h", "is out of range"),
            ("TORNADO_AUTH_STORAGE_TIMEOUT", "1e3", "is not a time"),
            ("TORNADO_AUTH_HEADER_TIMEOUT", "0.5", "is out of range"),
            ("TORNADO_AUTH_BODY_TIMEOUT", "10m", "is out of range"),
            ("TORNADO_AUTH_LOCAL_ACCOUNTS", "maybe", "neither true nor false"),
            ("TORNADO_AUTH_LOG_LEVEL", "TRACE", "Use DEBUG, INFO, WARNING or ERROR"),
            ("TORNADO_AUTH_LOG_FORMAT", "xml", "Use json or text"),
            ("TORNADO_AUTH_SIGNING_ALGORITHM", "HS256", "Use RS256, ES256 or EdDSA"),
            ("TORNADO_AUTH_SIGNING_ALGORITHM", "none", "Use RS256, ES256 or EdDSA"),
            ("DATABASE_URL", "postgresql://user:hidden@db/x", "names no database that we know"),
            ("DATABASE_URL", "sqlite:///", "names no database"),
            ("DATABASE_URL", "mongodb://", "names no database"),
            ("ALLOWED_SERVICES", "a.b;c d", "entry 2 is not the name of a Python module"),
            ("ALLOWED_SERVICES", "w:a:b", "entry 1 is not the name of a Python module"),
            ("ALLOWED_SERVICES", "../a", "entry 1 is not the name of a Python module"),
            ("ALLOWED_SERVICES", ":a", "entry 1 has no usable alias"),
            ("ALLOWED_SERVICES", "x y:a", "entry 1 has no usable alias"),
            ("ALLOWED_SERVICES", "w:a;w:b", "entry 2 has the name of an earlier one"),
            ("ALLOWED_SERVICES", "a;a:b", "entry 2 has the name of an earlier one"),
            ("INSTALLED_EXTENSIONS", "a;b-c", "entry 2 is not the name of a Python module"),
            ("TORNADO_AUTH_ALLOWED_NEXT", "https://a.example=frag", "no known way to hand over"),
            ("TORNADO_AUTH_ALLOWED_NEXT", "https://a.example/x=code", "entry 1 has a path"),
            ("TORNADO_AUTH_ALLOWED_NEXT", "https://*.a.example", "entry 1 is not a plain web"),
            ("TORNADO_AUTH_ALLOWED_NEXT", "https://a.example http://b.example", "entry 2 is http"),
            ("TORNADO_AUTH_ALLOWED_NEXT", "https://a.example https://a.example:443=query",
             "entry 2 has the name of an earlier one"),
            ("TORNADO_AUTH_ALLOWED_NEXT", "https://a.example=cookie", "cookie does not reach it"),
            ("TORNADO_AUTH_CORS_ORIGINS", "*", "entry 1 is not a plain web address"),
            ("TORNADO_AUTH_CORS_ORIGINS", "null", "entry 1 is not a plain web address"),
            ("TORNADO_AUTH_CORS_ORIGINS", "http://a.example", "entry 1 is http"),
            ("TORNADO_AUTH_TRUSTED_PROXIES", "proxy", "entry 1 is not a network"),
            ("TORNADO_AUTH_TRUSTED_PROXIES", "10.0.0.1/8", "entry 1 is not a network"),
            ("TORNADO_AUTH_ALLOWED_EMAILS", "", "is set but empty"),
            ("TORNADO_AUTH_ALLOWED_EMAILS", " ; ", "is set but empty"),
            ("TORNADO_AUTH_ALLOWED_EMAILS", "example.org", "entry 1 is not an e-mail address"),
            ("TORNADO_AUTH_ALLOWED_EMAILS", "a@b@example.org", "entry 1 is not an e-mail address"),
            ("TORNADO_AUTH_GOOGLE_HOSTED_DOMAINS", "", "is set but empty"),
            ("TORNADO_AUTH_GOOGLE_HOSTED_DOMAINS", "@example.org", "entry 1 is not a domain"),
            ("TORNADO_AUTH_GITHUB_ORGANIZATIONS", "", "is set but empty"),
            ("TORNADO_AUTH_GITHUB_ORGANIZATIONS", "a/b", "entry 1 is not the name of a GitHub"),
            ("TORNADO_AUTH_GITHUB_URL", "http://git.example.org", "is http"),
            ("TORNADO_AUTH_GITHUB_URL", "https://u:hidden@git.example.org", "not a plain web"),
            ("TORNADO_AUTH_GITHUB_API_URL", "https://git.example.org?x=1", "has a query"),
            ("TORNADO_AUTH_GOOGLE_ISSUER", "http://login.example.org", "is http"),
            ("TORNADO_AUTH_GOOGLE_ISSUER", "https://[1::2::3]", "is not a plain web address"),
        ],
    )  # fmt: skip
    def test_a_wrong_value_is_refused_with_a_remedy(self, variable, text, why):
        message = problem({variable: text})
        assert message.startswith(f"{variable}: ")
        assert why in message
        assert "hidden" not in message
        assert message.count(".") >= 2 or "?" in message

    # S129
    @pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
    def test_nobody_may_trust_every_address(self, network):
        text = problem({"TORNADO_AUTH_TRUSTED_PROXIES": network})
        assert "entry 1 trusts every address there is" in text

    def test_the_idle_limit_follows_a_shorter_lifetime(self):
        assert load({"TORNADO_AUTH_SESSION_LIFETIME": "1h"}).session_idle_limit == 3600
        assert load({"TORNADO_AUTH_SESSION_LIFETIME": "30d"}).session_idle_limit == 14 * 86400

    def test_a_cookie_reaches_another_port_of_our_host(self):
        settings = load(
            {
                "EXTERNAL_ADDRESS": "auth.example.org",
                "TORNADO_AUTH_ALLOWED_NEXT": "https://auth.example.org:8443=cookie",
            }
        )
        assert settings.allowed_next == {"https://auth.example.org:8443": Handover.COOKIE}


class TestExternalAddress:
    @pytest.mark.parametrize(
        ("text", "origin"),
        [
            ("auth.example.org", "https://auth.example.org"),
            ("Auth.Example.org:8443", "https://auth.example.org:8443"),
            ("https://auth.example.org/", "https://auth.example.org"),
            ("https://auth.example.org:443", "https://auth.example.org"),
            ("localhost:8080", "https://localhost:8080"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://127.1.2.3", "http://127.1.2.3"),
            ("http://[::1]:80", "http://[::1]"),
        ],
    )
    def test_it_is_an_origin_and_https_by_default(self, text, origin):
        settings = load({"EXTERNAL_ADDRESS": text})
        assert settings.external_address == origin
        assert settings.issuer == origin

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("http://auth.example.org", "is http"),
            ("http://localhost.example.org", "is http"),
            ("http://10.0.0.1", "is http"),
            ("auth.example.org/auth", "has a path"),
            ("https://auth.example.org/?a", "has a query"),
            ("https://auth.example.org#a", "has a query or fragment"),
            ("user:hidden@auth.example.org", "is not a plain web address"),
            ("https://auth.example.org:99999", "is not a plain web address"),
            ("ftp://auth.example.org", "is not a plain web address"),
            ("https://bücher.example", "is not a plain web address"),
            ("https:/auth.example.org", "is not a plain web address"),
        ],
    )
    def test_anything_else_is_refused(self, text, why):
        message = problem({"EXTERNAL_ADDRESS": text})
        assert message.startswith("EXTERNAL_ADDRESS: ")
        assert why in message
        assert "hidden" not in message

    @pytest.mark.parametrize(
        ("listen", "origin"),
        [
            ("127.0.0.1:8080", "http://localhost:8080"),
            ("[::1]:9000", "http://localhost:9000"),
            ("localhost:80", "http://localhost"),
        ],
    )
    def test_on_loopback_it_has_a_default(self, listen, origin):
        assert load({"TORNADO_AUTH_LISTEN": listen}).external_address == origin

    # D29
    @pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "auth:80", "unix:/run/x"])
    def test_elsewhere_it_is_required(self, listen):
        text = problem({"TORNADO_AUTH_LISTEN": listen})
        assert text.startswith("EXTERNAL_ADDRESS: missing, and the service listens on more than")


class TestProviders:
    @pytest.mark.parametrize("provider", ["GOOGLE", "GITHUB"])
    def test_a_key_and_its_secret_come_together(self, provider):
        key, secret = f"{provider}_KEY", f"{provider}_SECRET"
        assert problem({key: "k"}).startswith(f"{secret}: missing, while {key} is set.")
        assert problem({secret: SECRET}).startswith(f"{key}: missing, while {secret} is set.")
        settings = load({key: "k", secret: "s"})
        assert getattr(settings, key.lower()) == "k"
        assert getattr(settings, secret.lower()) == "s"

    def test_issuers_are_a_json_list_in_the_variable(self):
        (provider,) = value_of("TORNADO_AUTH_OIDC_PROVIDERS", json.dumps([ISSUER]))
        assert provider == OIDCProviderSettings(**ISSUER)
        assert provider.issuer == "https://login.example.org/realm/"
        assert provider.label == ""
        assert provider.scopes == ("openid", "email", "profile")

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"name": name}, "entry 1: 'name' is taken")
            for name in ("google", "github", "local", "dev")
        ]
        + [
            ({"name": name}, "entry 1: 'name' is not usable as a name")
            for name in ("", "Work", "1x", "a/b", "x" * 33)
        ]
        + [
            ({"issuer": "http://login.example.org"}, "entry 1: 'issuer' is http"),
            ({"issuer": "login.example.org"}, "entry 1: 'issuer' is not a plain web address"),
            ({"issuer": "https://login.example.org?a"}, "entry 1: 'issuer' has a query"),
            ({"client_id": " "}, "entry 1: 'client_id' is empty"),
            ({"client_secret": ""}, "entry 1: 'client_secret' is empty"),
            ({"client_secret": 7}, "entry 1: 'client_secret' is not text"),
            ({"label": "a\x1bb"}, "entry 1: 'label' has line breaks or control characters"),
            ({"scopes": ["email"]}, "entry 1: 'scopes' does not have the scope openid"),
            ({"clientsecret": SECRET}, "entry 1: 'clientsecret' is unknown"),
        ],
    )
    def test_a_mistake_in_an_issuer_is_told_with_its_place(self, changes, why):
        text = problem({"TORNADO_AUTH_OIDC_PROVIDERS": json.dumps([{**ISSUER, **changes}])})
        assert text.startswith(f"TORNADO_AUTH_OIDC_PROVIDERS: {why}")

    @pytest.mark.parametrize("field", ["name", "issuer", "client_id", "client_secret"])
    def test_what_an_issuer_lacks_is_told(self, field):
        entry = {key: value for key, value in ISSUER.items() if key != field}
        text = problem({"TORNADO_AUTH_OIDC_PROVIDERS": json.dumps([ISSUER | {"name": "a"}, entry])})
        assert text == f"TORNADO_AUTH_OIDC_PROVIDERS: entry 2: {field!r} is missing. Add it."

    def test_two_issuers_have_two_names(self):
        text = problem({"TORNADO_AUTH_OIDC_PROVIDERS": json.dumps([ISSUER, ISSUER])})
        assert text.startswith("TORNADO_AUTH_OIDC_PROVIDERS: entry 2: 'name' is that of an earlier")

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            (f"[{{{SECRET}", "is not JSON"),
            ('{"name": "x"}', "is not a list of tables"),
            ("[1]", "is not a list of tables"),
        ],
    )
    def test_other_json_is_refused(self, text, why):
        message = problem({"TORNADO_AUTH_OIDC_PROVIDERS": text})
        assert why in message
        assert SECRET not in message


class TestListenAddress:
    @pytest.mark.parametrize(
        ("text", "address", "is_loopback"),
        [
            ("127.0.0.1:80", ListenAddress(host="127.0.0.1", port=80), True),
            ("[::1]:80", ListenAddress(host="::1", port=80), True),
            ("0.0.0.0:80", ListenAddress(host="0.0.0.0", port=80), False),
            ("unix:/run/a b", ListenAddress(path="/run/a b"), False),
        ],
    )
    def test_it_is_taken_apart_and_put_together(self, text, address, is_loopback):
        assert listen_address(text) == address
        assert str(address) == text
        assert address.is_loopback is is_loopback
