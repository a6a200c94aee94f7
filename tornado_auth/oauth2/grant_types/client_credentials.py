"""The grant type client_credentials: a client that acts for itself (RFC 6749 §4.4).

Owns that nothing of a user comes of it: no scope of OpenID Connect, no refresh token, no ID token.
A scope is a user's to give or an operator's, so a client that registered itself has none here.
"""

from tornado_auth.oauth2.errors import UnauthorizedClient
from tornado_auth.oauth2.resources import allowed
from tornado_auth.oauth2.scopes import STANDARD_SCOPES, Scopes
from tornado_auth.oauth2.user_authorization import is_public
from tornado_auth.oauth2.values import CLIENT_CREDENTIALS, Authorization, TokenRequest


class ClientCredentialsGrant:
    """Give a confidential client an access token of its own."""

    name = CLIENT_CREDENTIALS

    def __init__(self, *, scopes: Scopes) -> None:
        self._scopes = scopes

    async def authorize(self, request: TokenRequest) -> Authorization:
        """Return what the client asks for, as far as it is registered for that."""
        if is_public(request.client):
            raise UnauthorizedClient("A public client proves nothing, so it gets no token.")
        return Authorization(
            grant_type=self.name,
            client=request.client,
            scope=self._scope(request),
            audience=allowed(request.parameters.all("resource"), request.client),
            jkt=request.jkt,
        )

    def _scope(self, request: TokenRequest) -> tuple[str, ...]:
        asked, client = request.parameters.get("scope"), request.client
        is_its_own_word = client.is_self_registered and not client.is_trusted
        without = self._scopes.supported if is_its_own_word else STANDARD_SCOPES
        if not asked and set(without).issuperset(client.scope):
            return ()  # it has none of its own: the audience alone says what the token is for
        return self._scopes.for_client(asked, client, without=without)
