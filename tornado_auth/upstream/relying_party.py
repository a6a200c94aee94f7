"""What one issuer says of a person, from the code that a browser brought back.

Owns the redemption of the code at the token endpoint and the request to UserInfo (OpenID Connect
Core §3.1.3 and §5.3). Never sends a browser anywhere and keeps no token.
"""

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from tornado.httpclient import AsyncHTTPClient

from tornado_auth.errors import InvalidToken
from tornado_auth.models import LoginAttempt
from tornado_auth.resource_server import KeysUnavailable, RemoteKeySet
from tornado_auth.upstream.discovery import Discovery, ProviderMetadata
from tornado_auth.upstream.http import (
    Registration,
    access_token_of,
    bearer,
    fetch_json,
    object_of,
    upstream_failure,
)
from tornado_auth.upstream.id_tokens import verify_id_token
from tornado_auth.upstream.logout_tokens import UpstreamLogout, read_logout_token


class RelyingParty:
    """Us, as one issuer knows us: what it says at its token endpoint and UserInfo, checked.

    `get_client` returns the HTTP client to use. Methods raise UpstreamError.
    """

    def __init__(
        self,
        provider: str,
        issuer: str,
        *,
        registration: Registration,
        get_client: Callable[[], AsyncHTTPClient],
        now: Callable[[], int],
    ) -> None:
        self._provider = provider
        self._registration = registration
        self._get_client = get_client
        self._now = now
        self._discovery = Discovery(issuer, get_client, provider=provider, now=now)
        self._keys: tuple[str, RemoteKeySet] | None = None

    async def metadata(self) -> ProviderMetadata:
        """Return the issuer's configuration."""
        return await self._discovery.metadata()

    async def redeem(self, attempt: LoginAttempt, code: str) -> tuple[dict[str, Any], str]:
        """Send the code, once, and return the claims of the ID token and the access token.

        `sub` among the claims is a str.
        """
        metadata = await self.metadata()
        answer = object_of(await self._request_token(metadata, attempt, code), self._provider)
        access_token = access_token_of(answer, self._provider)
        try:
            claims = await verify_id_token(
                answer.get("id_token"),
                self._key_set(metadata.jwks_uri),
                issuer=metadata.issuer,
                client_id=self._registration.client_id,
                attempt=attempt,
                now=self._now(),
            )
        except InvalidToken as error:
            raise upstream_failure(self._provider, str(error)) from None
        return claims, access_token

    async def userinfo(self, access_token: str, subject: str) -> dict[str, Any]:
        """Return the claims at UserInfo, which must be of this subject; empty if there is none."""
        url = (await self.metadata()).userinfo_endpoint
        if not url:
            return {}
        answer = await fetch_json(
            self._get_client(), url, provider=self._provider, headers=bearer(access_token)
        )
        userinfo = object_of(answer, self._provider)
        if userinfo.get("sub") != subject:
            raise upstream_failure(self._provider, "userinfo_sub")
        return userinfo

    async def read_logout(self, token: str) -> UpstreamLogout:
        """Check a logout token; raises InvalidToken, whose message names what is wrong."""
        metadata = await self.metadata()
        try:
            return await read_logout_token(
                token,
                self._key_set(metadata.jwks_uri),
                issuer=metadata.issuer,
                client_id=self._registration.client_id,
                now=self._now(),
            )
        except KeysUnavailable:
            raise upstream_failure(self._provider, "keys_unavailable") from None

    def _key_set(self, jwks_uri: str) -> RemoteKeySet:
        if self._keys is None or self._keys[0] != jwks_uri:
            timeout = self._registration.timeout
            self._keys = (jwks_uri, RemoteKeySet(jwks_uri, timeout=timeout, clock=self._now))
        return self._keys[1]

    async def _request_token(
        self, metadata: ProviderMetadata, attempt: LoginAttempt, code: str
    ) -> Any:
        client_id, secret = self._registration.client_id, self._registration.client_secret
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._registration.redirect_uri,
            "code_verifier": attempt.code_verifier,
        }
        headers = {}
        if metadata.takes_basic:
            # Form-encoded before base64 (RFC 6749 §2.3.1): a secret may hold a colon or a percent.
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form |= {"client_id": client_id, "client_secret": secret}
        return await fetch_json(
            self._get_client(),
            metadata.token_endpoint,
            provider=self._provider,
            headers=headers,
            form=form,
        )
