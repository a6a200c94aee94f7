"""Revocation (RFC 7009): a client gives back a token that it no longer needs.

Owns what ends with what: a refresh token takes its grant along, and so all that was made from it;
an access token ends alone. Never lets one client end what is another's.
"""

from tornado_auth.models import Client
from tornado_auth.oauth2.access_tokens import AccessTokens
from tornado_auth.oauth2.errors import InvalidGrant
from tornado_auth.oauth2.grants import Grants
from tornado_auth.oauth2.refresh_tokens import PREFIX, RefreshTokens


class Revocation:
    """End tokens for the clients that hold them."""

    def __init__(
        self,
        refresh_tokens: RefreshTokens,
        access_tokens: AccessTokens,
        grants: Grants,
    ) -> None:
        self._refresh_tokens = refresh_tokens
        self._access_tokens = access_tokens
        self._grants = grants

    async def revoke(self, client: Client, token: str) -> None:
        """End a token, whatever it is said to be; nothing happens for one that is unknown or over.

        Raises InvalidGrant for another client's.
        """
        if token.startswith(PREFIX):
            await self._revoke_refresh_token(client, token)
            return
        access_token = await self._access_tokens.read(token)
        if access_token is not None:
            _check_owner(client, access_token.client.id)
            await self._access_tokens.end(token, access_token)

    async def _revoke_refresh_token(self, client: Client, token: str) -> None:
        # One that was used already ends its successors: they are the same authorization.
        refresh_token = await self._refresh_tokens.find(token)
        if refresh_token is not None:
            _check_owner(client, refresh_token.client_id)
            await self._grants.end(refresh_token.grant_id)


def _check_owner(client: Client, owner_id: str) -> None:
    if client.id != owner_id:
        raise InvalidGrant("The token was issued to another client.")
