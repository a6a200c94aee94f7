"""The providers that people sign in with, in the shape of Tornado's mixins.

Owns the request that a browser takes to a login provider (RFC 6749 §4.1.1 with state, PKCE S256
and, for OpenID Connect, nonce) and the way from the code that it brings back to an
`AssertedIdentity`. A provider is an object, not a handler: handlers ask it for an address and for
an identity, and it never writes to a browser, never keeps an upstream token and never decides
which user an identity belongs to.

`GitHubOAuth2Mixin` can also be mixed into an ordinary Tornado handler, as Google's can.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from tornado.auth import GoogleOAuth2Mixin
from tornado.httpclient import AsyncHTTPClient
from tornado.httputil import url_concat

from tornado_auth.errors import LoginError, LoginRefused, LoginStateInvalid
from tornado_auth.models import AssertedIdentity, LoginAttempt
from tornado_auth.upstream.claims import asserted_identity, merge_claims, verified_email
from tornado_auth.upstream.discovery import ProviderMetadata
from tornado_auth.upstream.http import (
    AUTHORIZATION_ERRORS,
    BearerOAuth2Mixin,
    Registration,
    UpstreamClient,
    access_token_of,
    bearer,
    code_challenge,
    fetch_json,
    object_of,
    same_text,
    upstream_failure,
)
from tornado_auth.upstream.relying_party import RelyingParty

if TYPE_CHECKING:
    from tornado_auth.settings import Settings

CALLBACK_PATH = "/auth/oauth_callback"

_GITHUB = "github"
_CODE = re.compile(r"[!-~]{1,2048}")


class GitHubOAuth2Mixin(BearerOAuth2Mixin):
    """Sign in with GitHub; for a provider object or, as Tornado's own mixins, for a handler.

    A handler redirects with Tornado's `authorize_redirect`, giving `state`, `code_challenge` and
    `code_challenge_method` as `extra_params`, checks `state` on the way back, and then calls
    `get_authenticated_user`.
    """

    _OAUTH_AUTHORIZE_URL = "https://github.com/login/oauth/authorize"
    _OAUTH_ACCESS_TOKEN_URL = "https://github.com/login/oauth/access_token"  # noqa: S105 - an address
    _OAUTH_USER_URL = "https://api.github.com/user"
    _OAUTH_NO_CALLBACKS = False

    async def get_authenticated_user(
        self,
        redirect_uri: str,
        code: str,
        *,
        client_id: str,
        client_secret: str,
        code_verifier: str,
    ) -> dict[str, Any]:
        """Redeem the code and return GitHub's user object.

        It gains `access_token` and `verified_emails`, the primary one first; its `id` is an int.
        Everything else is as GitHub sent it. Raises UpstreamError.
        """
        answer = await fetch_json(
            self.get_auth_http_client(),
            self._OAUTH_ACCESS_TOKEN_URL,
            provider=_GITHUB,
            form={
                "client_id": client_id,
                "client_secret": client_secret,
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": code_verifier,
            },
        )
        token = access_token_of(object_of(answer, _GITHUB), _GITHUB)
        user = object_of(await self._github_api(self._OAUTH_USER_URL, token), _GITHUB)
        if type(user.get("id")) is not int or not 0 < user["id"] < 1 << 63:
            raise upstream_failure(_GITHUB, "subject")
        emails = await self._verified_emails(token)
        return {**user, "access_token": token, "verified_emails": emails}

    async def is_active_member(self, organization: str, access_token: str) -> bool:
        """Tell whether the user belongs to an organisation; needs the scope `read:org`.

        Raises UpstreamError when GitHub does not say.
        """
        url = f"{self._OAUTH_USER_URL}/memberships/orgs/{quote(organization, safe='')}"
        answer = await self._github_api(url, access_token, absent=(403, 404))
        if answer is None:
            return False
        return object_of(answer, _GITHUB).get("state") == "active"

    async def _verified_emails(self, access_token: str) -> list[str]:
        # 403 and 404: the scope user:email was not granted. A sign-in does not need an address.
        answer = await self._github_api(
            f"{self._OAUTH_USER_URL}/emails", access_token, absent=(403, 404)
        )
        if not isinstance(answer, list | None):
            raise upstream_failure(_GITHUB, "wrong_type")
        entries = [entry for entry in answer or () if isinstance(entry, dict)]
        entries.sort(key=lambda entry: entry.get("primary") is not True)
        return [
            entry["email"]
            for entry in entries
            if verified_email(entry.get("email"), entry.get("verified"))
        ]

    async def _github_api(self, url: str, access_token: str, *, absent: Sequence[int] = ()) -> Any:
        return await fetch_json(
            self.get_auth_http_client(),
            url,
            provider=_GITHUB,
            headers={**bearer(access_token), "Accept": "application/vnd.github+json"},
            absent=absent,
        )


class LoginProvider(BearerOAuth2Mixin):
    """Somebody who vouches for people: where to send a browser, and whom it came back as.

    `name` is the key of its identities, `label` is for people.
    """

    def __init__(
        self, name: str, label: str, *, registration: Registration, scopes: Sequence[str]
    ) -> None:
        self.name = name
        self.label = label
        self.callback_path = urlsplit(registration.redirect_uri).path
        self._registration = registration
        self._scope = " ".join(scopes)
        self._client: UpstreamClient | None = None

    async def authorization_url(self, attempt: LoginAttempt) -> str:
        """Return the address to send the browser of this attempt to; raises UpstreamError."""
        metadata = await self._metadata()
        parameters = {
            "response_type": "code",
            "client_id": self._registration.client_id,
            "redirect_uri": self._registration.redirect_uri,
            "scope": self._scope,
            "state": attempt.state,
            "code_challenge": code_challenge(attempt.code_verifier),
            "code_challenge_method": "S256",
            **self._extra_parameters(attempt),
        }
        return url_concat(metadata.authorization_endpoint, parameters)

    async def fetch_identity(
        self, attempt: LoginAttempt, parameters: Mapping[str, str]
    ) -> AssertedIdentity:
        """Return who came back, by the query parameters of the callback.

        Sends the code at most once. Raises LoginStateInvalid, LoginRefused or UpstreamError.
        """
        if attempt.provider != self.name or not same_text(parameters.get("state"), attempt.state):
            raise LoginStateInvalid("This answer belongs to another sign-in. Please start again.")
        await self._check_iss(parameters.get("iss"))
        if "error" in parameters:
            raise self._refusal(parameters["error"])
        code = parameters.get("code", "")
        if not _CODE.fullmatch(code):
            raise upstream_failure(self.name, "no_code")
        return await self._identify(attempt, code)

    async def close(self) -> None:
        """Let go of the HTTP client."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def get_auth_http_client(self) -> AsyncHTTPClient:
        """Return this provider's own client, so that a slow provider holds up no other one."""
        if self._client is None:
            self._client = UpstreamClient(
                force_instance=True,
                timeout=self._registration.timeout,
                max_clients=self._registration.max_clients,
            )
        return self._client

    async def _check_iss(self, iss: str | None) -> None:
        # Before the code goes anywhere, and before an error is believed (RFC 9207 §2.4).
        metadata = await self._metadata()
        if iss is None and not metadata.sends_iss:
            return
        if not same_text(iss, metadata.issuer):
            raise upstream_failure(self.name, "iss")

    def _refusal(self, error: str) -> LoginError:
        if error == "access_denied":
            return LoginRefused(f"The sign-in was cancelled at {self.label}.")
        # The word comes from the address, so from anybody: only a known one is logged.
        known = error in AUTHORIZATION_ERRORS
        return upstream_failure(self.name, error if known else "unknown_error")

    def _extra_parameters(self, attempt: LoginAttempt) -> dict[str, str]:
        return {}

    async def _metadata(self) -> ProviderMetadata:
        raise NotImplementedError

    async def _identify(self, attempt: LoginAttempt, code: str) -> AssertedIdentity:
        raise NotImplementedError


class GitHubProvider(GitHubOAuth2Mixin, LoginProvider):
    """GitHub, or a GitHub Enterprise server at `url` with its API at `api_url`.

    With `organizations` only active members of one of them may sign in.
    """

    def __init__(
        self,
        *,
        registration: Registration,
        url: str = "https://github.com",
        api_url: str = "https://api.github.com",
        organizations: Sequence[str] = (),
    ) -> None:
        scopes = ("user:email", "read:org") if organizations else ("user:email",)
        super().__init__("github", "GitHub", registration=registration, scopes=scopes)
        self._organizations = tuple(organizations)
        self._issuer = f"{url.rstrip('/')}/login/oauth"
        self._OAUTH_AUTHORIZE_URL = f"{self._issuer}/authorize"
        self._OAUTH_ACCESS_TOKEN_URL = f"{self._issuer}/access_token"
        self._OAUTH_USER_URL = f"{api_url.rstrip('/')}/user"

    async def _metadata(self) -> ProviderMetadata:
        return ProviderMetadata(
            issuer=self._issuer,
            authorization_endpoint=self._OAUTH_AUTHORIZE_URL,
            token_endpoint=self._OAUTH_ACCESS_TOKEN_URL,
        )

    async def _identify(self, attempt: LoginAttempt, code: str) -> AssertedIdentity:
        user = await self.get_authenticated_user(
            self._registration.redirect_uri,
            code,
            client_id=self._registration.client_id,
            client_secret=self._registration.client_secret,
            code_verifier=attempt.code_verifier,
        )
        await self._check_organizations(user["access_token"])
        claims = {
            "preferred_username": user.get("login"),
            "name": user.get("name"),
            "picture": user.get("avatar_url"),
            "email": next(iter(user["verified_emails"]), None),
            "email_verified": True,
        }
        return asserted_identity(self.name, str(user["id"]), claims)

    async def _check_organizations(self, access_token: str) -> None:
        if not self._organizations:
            return
        for organization in self._organizations:
            if await self.is_active_member(organization, access_token):
                return
        raise LoginRefused("Only members of certain GitHub organisations may sign in here.")


class OpenIDConnectProvider(LoginProvider):
    """Any issuer that has OpenID Connect Discovery."""

    def __init__(
        self,
        name: str,
        label: str,
        *,
        issuer: str,
        registration: Registration,
        now: Callable[[], int],
        scopes: Sequence[str] = ("openid", "email", "profile"),
    ) -> None:
        scopes = tuple(dict.fromkeys(("openid", *scopes)))
        super().__init__(name, label, registration=registration, scopes=scopes)
        self._relying_party = RelyingParty(
            name,
            issuer,
            registration=registration,
            get_client=self.get_auth_http_client,
            now=now,
        )

    def _extra_parameters(self, attempt: LoginAttempt) -> dict[str, str]:
        return {"nonce": attempt.nonce}

    async def _metadata(self) -> ProviderMetadata:
        return await self._relying_party.metadata()

    async def _identify(self, attempt: LoginAttempt, code: str) -> AssertedIdentity:
        claims, access_token = await self._relying_party.redeem(attempt, code)
        self._check_claims(claims)
        userinfo = await self._relying_party.userinfo(access_token, claims["sub"])
        return asserted_identity(self.name, claims["sub"], merge_claims(claims, userinfo))

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        """Raise LoginRefused for somebody who may not sign in, by the signed claims."""


class GoogleProvider(GoogleOAuth2Mixin, OpenIDConnectProvider):
    """Google by OpenID Connect; with `hosted_domains` only accounts of those Workspace domains.

    Tornado's own methods work on it too, within our limits, once the configuration was read.
    """

    def __init__(
        self,
        *,
        registration: Registration,
        now: Callable[[], int],
        issuer: str = "https://accounts.google.com",
        hosted_domains: Sequence[str] = (),
    ) -> None:
        super().__init__("google", "Google", issuer=issuer, registration=registration, now=now)
        self._hosted_domains = frozenset(domain.lower() for domain in hosted_domains)

    def get_google_oauth_settings(self) -> dict[str, str]:
        """Return our credentials, which Tornado's mixin looks up in a handler's settings."""
        return {"key": self._registration.client_id, "secret": self._registration.client_secret}

    async def _metadata(self) -> ProviderMetadata:
        metadata = await super()._metadata()
        self._OAUTH_AUTHORIZE_URL = metadata.authorization_endpoint
        self._OAUTH_ACCESS_TOKEN_URL = metadata.token_endpoint
        self._OAUTH_USERINFO_URL = metadata.userinfo_endpoint
        return metadata

    def _extra_parameters(self, attempt: LoginAttempt) -> dict[str, str]:
        extra = super()._extra_parameters(attempt)
        if len(self._hosted_domains) == 1:
            extra["hd"] = next(iter(self._hosted_domains))  # what Google's page offers; no check
        return extra

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        # `hd` is Google's word that the domain manages the account. An e-mail address is not.
        domain = claims.get("hd")
        if self._hosted_domains and str(domain).lower() not in self._hosted_domains:
            raise LoginRefused("Only Google accounts of certain organisations may sign in here.")


def login_providers(settings: "Settings", *, now: Callable[[], int]) -> dict[str, LoginProvider]:
    """Build the providers that are on, by name: those with both a key and a secret."""

    def registration(client_id: str, client_secret: str, path: str = "") -> Registration:
        return Registration(
            client_id=client_id,
            client_secret=client_secret,
            redirect_uri=f"{settings.issuer}{CALLBACK_PATH}{path}",
            timeout=settings.upstream_timeout,
        )

    providers: list[LoginProvider] = []
    if settings.google_key and settings.google_secret:
        google = GoogleProvider(
            registration=registration(settings.google_key, settings.google_secret),
            now=now,
            issuer=settings.google_issuer,
            hosted_domains=settings.google_hosted_domains,
        )
        providers.append(google)
    if settings.github_key and settings.github_secret:
        github = GitHubProvider(
            registration=registration(settings.github_key, settings.github_secret),
            url=settings.github_url,
            api_url=settings.github_api_url,
            organizations=settings.github_organizations,
        )
        providers.append(github)
    for entry in settings.oidc_providers:
        issuer = OpenIDConnectProvider(
            entry.name,
            entry.label or entry.name,
            issuer=entry.issuer,
            registration=registration(entry.client_id, entry.client_secret, f"/{entry.name}"),
            now=now,
            scopes=entry.scopes,
        )
        providers.append(issuer)
    return {provider.name: provider for provider in providers}
