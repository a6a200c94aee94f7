"""What protects us from a login provider, whatever it is: limits, claims, the settings."""

import asyncio
from types import SimpleNamespace

import pytest

from tests.providers.fakes import Answer
from tornado_auth.oauth_mixins import (
    GitHubProvider,
    GoogleProvider,
    LoginProvider,
    OpenIDConnectProvider,
    login_providers,
)
from tornado_auth.upstream.claims import asserted_identity, avatar_url, plain_text, verified_email
from tornado_auth.upstream.discovery import is_secure_endpoint
from tornado_auth.upstream.http import Registration, UpstreamClient, fetch_json


# S144
@pytest.mark.parametrize(
    "value",
    [
        "file:///etc/passwd",
        "http://pictures.example/1",
        "javascript:alert(1)",
        "data:image/png;base64,AA",
        "//pictures.example/1",
        "https://",
        "https:pictures.example",
        "https://user@pictures.example/1",
        "https://pictures.example/1 2",
        'https://pictures.example/"onerror=',
        "https://pictures.example/'",
        "https://pictures.example/<b>",
        "https://pictures.example/\n",
        "https://pictures.example\\@evil",
        "https://pictures.example:99999/",
        "https://bücher.example/",
        "https://pictures.example/" + "x" * 1000,
        7,
        None,
        ["https://pictures.example/1"],
    ],
)
def test_an_avatar_that_is_no_plain_https_address_is_dropped(value):
    assert avatar_url(value) == ""


# S144
async def test_an_avatar_is_kept_as_text_and_never_fetched(fake_github):
    url = "https://pictures.example:8443/u/1?size=40&v=4#face"
    assert avatar_url(url) == url
    secure = fake_github.url.replace("http:", "https:") + "/a.png"
    assert asserted_identity("x", "1", {"picture": secure}).avatar_url == secure
    await asyncio.sleep(0.05)
    assert fake_github.requests == []


# D26
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Ann Example", "Ann Example"),
        ("  Ann\tEx\x00ample\u202e\ud800 ", "AnnExample"),
        ("\u5b89 \u00e9", "\u5b89 \u00e9"),
        ("x" * 5000, "x" * 200),
        (5, ""),
        (None, ""),
        ({"a": 1}, ""),
    ],
)
def test_a_text_comes_without_what_nobody_sees_and_not_endless(value, expected):
    assert plain_text(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "ann", "ann@", "@x", "a@b@c", "a b@c", "a\x00@b", "a\u202e@b", "x" * 65 + "@b", 5, None],
)
def test_what_is_no_address_is_dropped(value):
    assert verified_email(value, verified=True) == ""


def test_an_endpoint_is_https_or_on_loopback():
    for url in ("https://a.example/x", "http://127.0.0.1:1/", "http://localhost/", "http://[::1]/"):
        assert is_secure_endpoint(url)
    for url in ("http://a.example/", "http://127.0.0.1.example/", "ftp://localhost/", "", None, 5):
        assert not is_secure_endpoint(url)


# D25
async def test_many_people_may_wait_for_a_slow_provider_at_once(fake_github):
    fake_github.answers["/api/v3/user"] = Answer(hang=True)
    client = UpstreamClient(force_instance=True, timeout=5)
    waiting = [
        asyncio.ensure_future(
            fetch_json(client, f"{fake_github.api_url}/user", provider="x", absent=(200,))
        )
        for _ in range(50)
    ]
    async with asyncio.timeout(4):
        await fake_github.arrived(50)
    fake_github.stopped.set()
    assert await asyncio.gather(*waiting) == [None] * 50
    client.close()


def test_a_secret_is_not_in_what_a_registration_prints():
    registration = Registration(client_id="a", client_secret="hush", redirect_uri="https://a/b")
    assert "hush" not in repr(registration)


async def test_a_provider_says_what_its_subclass_has_to_write(attempt):
    registration = Registration(client_id="a", client_secret="b", redirect_uri="https://a/b")
    provider = LoginProvider("x", "X", registration=registration, scopes=())
    with pytest.raises(NotImplementedError):
        await provider.authorization_url(attempt("x"))
    with pytest.raises(NotImplementedError):
        await provider._identify(attempt("x"), "code")
    await provider.close()


def settings(**changes) -> SimpleNamespace:
    values = {
        "issuer": "https://auth.example",
        "google_key": "",
        "google_secret": "",
        "google_issuer": "https://accounts.google.com",
        "google_hosted_domains": (),
        "github_key": "",
        "github_secret": "",
        "github_url": "https://github.com",
        "github_api_url": "https://api.github.com",
        "github_organizations": (),
        "github_groups": False,
        "oidc_providers": (),
        "upstream_timeout": 10.0,
    }
    return SimpleNamespace(**values | changes)


# D28
@pytest.mark.parametrize(
    "half",
    [{}, {"google_key": "k"}, {"google_secret": "s"}, {"github_key": "k"}, {"github_secret": "s"}],
    ids=str,
)
def test_a_provider_without_key_and_secret_is_off(clock, half):
    assert login_providers(settings(**half), now=clock) == {}


async def test_each_provider_that_is_on_has_its_callback_address(clock, attempt):
    corp = SimpleNamespace(
        name="corp",
        label="",
        issuer="https://corp.example",
        client_id="c",
        client_secret="d",
        scopes=("openid",),
        groups_claim="groups",
    )
    on = {"google_key": "a", "google_secret": "b", "github_key": "c", "github_secret": "d"}
    providers = login_providers(settings(**on, oidc_providers=(corp,)), now=clock)
    assert {name: (type(one), one.label, one.callback_path) for name, one in providers.items()} == {
        "google": (GoogleProvider, "Google", "/auth/oauth_callback"),
        "github": (GitHubProvider, "GitHub", "/auth/oauth_callback"),
        "corp": (OpenIDConnectProvider, "corp", "/auth/oauth_callback/corp"),
    }
    url = await providers["github"].authorization_url(attempt("github"))
    assert url.startswith("https://github.com/login/oauth/authorize?")
    assert providers["google"].get_google_oauth_settings() == {"key": "a", "secret": "b"}
