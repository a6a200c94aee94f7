"""The providers that people sign in with, in the shape of Tornado's mixins.

Owns the request that a browser takes to a login provider (RFC 6749 §4.1.1 with state, PKCE S256
and, for OpenID Connect, nonce) and the way from the code that it brings back to an
`AssertedIdentity`. A provider is an object, not a handler: handlers ask it for an address and for
an identity, and it never writes to a browser, never keeps an upstream token and never decides
which user an identity belongs to.

`GitHubOAuth2Mixin` can also be mixed into an ordinary Tornado handler, as Google's can.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tornado.auth import GoogleOAuth2Mixin
from tornado.httpclient import AsyncHTTPClient
from tornado.httputil import url_concat

from tornado_auth.errors import LoginError, LoginRefused, LoginStateInvalid, UpstreamError
from tornado_auth.models import AssertedIdentity, LoginAttempt
from tornado_auth.upstream.claims import asserted_identity, groups_of, merge_claims
from tornado_auth.upstream.discovery import ProviderMetadata
from tornado_auth.upstream.github import GitHubOAuth2Mixin
from tornado_auth.upstream.http import (
    AUTHORIZATION_ERRORS,
    BearerOAuth2Mixin,
    Registration,
    UpstreamClient,
    code_challenge,
    same_text,
    upstream_failure,
)
from tornado_auth.upstream.logout_tokens import UpstreamLogout
from tornado_auth.upstream.relying_party import RelyingParty

if TYPE_CHECKING:
    from tornado_auth.settings import Settings

__all__ = [
    "GitHubOAuth2Mixin",
    "GitHubProvider",
    "GoogleProvider",
    "LoginProvider",
    "OpenIDConnectProvider",
    "login_providers",
]

CALLBACK_PATH = "/auth/oauth_callback"

_CODE = re.compile(r"[!-~]{1,2048}")


class LoginProvider(BearerOAuth2Mixin):
    """Somebody who vouches for people: where to send a browser, and whom it came back as.

    `name` is the key of its identities, `label` is for people. `ask_again` is the `prompt` that
    keeps it from going by a session of its own.
    """

    ask_again = "select_account"

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
            **({"prompt": self.ask_again} if attempt.asks_again else {}),
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

    async def read_logout(self, token: str) -> UpstreamLogout | None:
        """Return whose session ended here; raises InvalidToken. None if it sends no such tokens."""
        return None

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

    With `organizations` only active members of one of them may sign in. With `groups`, GitHub is
    asked for the organisations and teams of whoever signs in.
    """

    def __init__(
        self,
        *,
        registration: Registration,
        url: str = "https://github.com",
        api_url: str = "https://api.github.com",
        organizations: Sequence[str] = (),
        groups: bool = False,
    ) -> None:
        needs_more = groups or organizations
        scopes = ("user:email", "read:org") if needs_more else ("user:email",)
        super().__init__("github", "GitHub", registration=registration, scopes=scopes)
        self._organizations = tuple(organizations)
        self._asks_for_groups = groups
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
        groups = await self._groups(user) if self._asks_for_groups else None
        return asserted_identity(self.name, str(user["id"]), claims, groups=groups)

    async def _groups(self, user: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the groups, or None if GitHub is out of order.

        There are two lists. Who is in no more than a page of each never takes the time of two
        requests; for whoever is in more, it is as if the pages were too many.
        """
        try:
            async with asyncio.timeout(2 * self._registration.timeout):
                return await self.get_groups(user["access_token"], user["granted_scopes"])
        except TimeoutError:
            upstream_failure(self.name, "pages")
            return ()
        except UpstreamError:
            return None  # it was logged; a sign-in needs no groups

    async def _check_organizations(self, access_token: str) -> None:
        if not self._organizations:
            return
        for organization in self._organizations:
            if await self.is_active_member(organization, access_token):
                return
        raise LoginRefused("Only members of certain GitHub organisations may sign in here.")


class OpenIDConnectProvider(LoginProvider):
    """Any issuer that has OpenID Connect Discovery; `groups_claim` is "" if none has groups."""

    ask_again = "login"

    def __init__(
        self,
        name: str,
        label: str,
        *,
        issuer: str,
        registration: Registration,
        now: Callable[[], int],
        scopes: Sequence[str] = ("openid", "email", "profile"),
        groups_claim: str = "groups",
    ) -> None:
        self._groups_claim = groups_claim
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
        merged = merge_claims(claims, userinfo)
        return asserted_identity(
            self.name, claims["sub"], merged, groups=self._groups(merged), sid=claims.get("sid")
        )

    async def read_logout(self, token: str) -> UpstreamLogout | None:
        """See LoginProvider."""
        return await self._relying_party.read_logout(token)

    def _groups(self, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
        if not self._groups_claim:
            return None
        groups = groups_of(claims, self._groups_claim)
        if groups is None:
            # Who joins a thousand groups where anybody may must not stay in ours for ever.
            upstream_failure(self.name, "groups")
            return ()
        return groups

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        """Raise LoginRefused for somebody who may not sign in, by the signed claims."""


class GoogleProvider(GoogleOAuth2Mixin, OpenIDConnectProvider):
    """Google by OpenID Connect; with `hosted_domains` only accounts of those Workspace domains.

    Tornado's own methods work on it too, within our limits, once the configuration was read.
    """

    ask_again = "select_account"  # it has no other

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
    providers: list[LoginProvider] = []
    if settings.google_key and settings.google_secret:
        google = GoogleProvider(
            registration=_registration(settings, settings.google_key, settings.google_secret),
            now=now,
            issuer=settings.google_issuer,
            hosted_domains=settings.google_hosted_domains,
        )
        providers.append(google)
    if settings.github_key and settings.github_secret:
        github = GitHubProvider(
            registration=_registration(settings, settings.github_key, settings.github_secret),
            url=settings.github_url,
            api_url=settings.github_api_url,
            organizations=settings.github_organizations,
            groups=settings.github_groups,
        )
        providers.append(github)
    for entry in settings.oidc_providers:
        issuer = OpenIDConnectProvider(
            entry.name,
            entry.label or entry.name,
            issuer=entry.issuer,
            registration=_registration(
                settings, entry.client_id, entry.client_secret, path=f"/{entry.name}"
            ),
            now=now,
            scopes=entry.scopes,
            groups_claim=entry.groups_claim,
        )
        providers.append(issuer)
    return {provider.name: provider for provider in providers}


def _registration(
    settings: "Settings", client_id: str, client_secret: str, *, path: str = ""
) -> Registration:
    return Registration(
        client_id=client_id,
        client_secret=client_secret,
        redirect_uri=f"{settings.issuer}{CALLBACK_PATH}{path}",
        timeout=settings.upstream_timeout,
    )
