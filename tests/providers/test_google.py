"""What is particular to Google: Workspace domains, and Tornado's mixin beneath."""

from collections.abc import AsyncIterator

import pytest
from tornado.httpclient import HTTPClientError

from tests.providers.fake_oidc import FakeOIDC
from tests.providers.fakes import query_of
from tests.providers.sign_in import (
    BAD_ANSWERS,
    REDIRECT_URI,
    registration_for,
    sign_in,
)
from tornado_auth.errors import LoginRefused
from tornado_auth.oauth_mixins import GoogleProvider
from tornado_auth.upstream.http import UpstreamClient


class TestHostedDomains:
    @pytest.fixture
    def google(self, fake_oidc: FakeOIDC, clock) -> GoogleProvider:
        return GoogleProvider(
            registration=registration_for(fake_oidc),
            now=clock,
            issuer=fake_oidc.url,
            hosted_domains=("Corp.example",),
        )

    # S096
    async def test_the_signed_domain_lets_in(self, google, fake_oidc, attempt):
        fake_oidc.claims = {"hd": "corp.example"}
        assert (await sign_in(google, fake_oidc, attempt)).id == "google:1001"
        assert query_of(await google.authorization_url(attempt("google")))["hd"] == "corp.example"

    # S096
    @pytest.mark.parametrize("domain", [None, "evil.example", "", 5, ["corp.example"], "None"])
    async def test_any_other_or_no_domain_keeps_out(self, google, fake_oidc, attempt, domain):
        fake_oidc.claims = {"hd": domain, "email": "x@corp.example", "email_verified": True}
        fake_oidc.userinfo = {"hd": "corp.example"}  # not signed
        with pytest.raises(LoginRefused):
            await sign_in(google, fake_oidc, attempt)

    # S096
    async def test_several_domains_are_not_announced_and_each_lets_in(
        self, fake_oidc, attempt, clock
    ):
        google = GoogleProvider(
            registration=registration_for(fake_oidc),
            now=clock,
            issuer=fake_oidc.url,
            hosted_domains=("a.example", "b.example"),
        )
        fake_oidc.claims = {"hd": "b.example"}
        assert (await sign_in(google, fake_oidc, attempt)).subject == "1001"
        assert "hd" not in query_of(await google.authorization_url(attempt("google")))


class TestTornadosOwnMethods:
    """A GoogleProvider is a tornado.auth.GoogleOAuth2Mixin, and its methods obey our limits."""

    @pytest.fixture
    async def google(self, fake_oidc: FakeOIDC, attempt, clock) -> AsyncIterator[GoogleProvider]:
        fake_oidc.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
        fake_oidc.codes["code-1"] = {"redirect_uri": REDIRECT_URI, "nonce": "n"}
        provider = GoogleProvider(
            registration=registration_for(fake_oidc), now=clock, issuer=fake_oidc.url
        )
        await provider.authorization_url(attempt("google"))  # reads the configuration
        yield provider
        await provider.close()

    # S097
    async def test_they_sign_in_with_the_token_in_a_header(self, google, fake_oidc):
        answer = await google.get_authenticated_user(REDIRECT_URI, "code-1")
        userinfo = await google.oauth2_request(
            google._OAUTH_USERINFO_URL, answer["access_token"], fields="all"
        )
        assert userinfo["sub"] == "1001"
        [request] = fake_oidc.requests_to("/me")
        assert request.uri == "/me?fields=all"
        assert request.headers["Authorization"] == f"Bearer {answer['access_token']}"

    # S098 D25
    @pytest.mark.parametrize("kind", ["a redirect", "10 MB", "silence"])
    async def test_they_keep_the_limits(self, google, fake_oidc, kind):
        fake_oidc.answers["/token"] = BAD_ANSWERS[kind]
        with pytest.raises(HTTPClientError):
            await google.get_authenticated_user(REDIRECT_URI, "code-1")
        assert len(fake_oidc.requests_to("/token")) == 1

    async def test_the_client_is_its_own_and_gone_after_close(self, google):
        client = google.get_auth_http_client()
        assert client is google.get_auth_http_client()
        assert client is not UpstreamClient()
        assert UpstreamClient() is UpstreamClient()
        assert client.max_clients >= 100
        await google.close()
        assert google.get_auth_http_client() is not client
