"""How a grant is redeemed: one module for each grant type.

Each only proves what a client may have, as an `Authorization`; `token.py` does what all share.
"""

from typing import Protocol

from tornado_auth.oauth2.values import Authorization, TokenRequest


class GrantType(Protocol):
    """One way to get tokens; `name` is the value of the parameter `grant_type`.

    The client is authenticated and registered for it, and its DPoP proof, if any, is good.
    """

    @property
    def name(self) -> str:
        """The value of `grant_type`: an own one is an absolute URI (RFC 6749 §4.5)."""

    async def authorize(self, request: TokenRequest) -> Authorization:
        """Spend what the client shows and return what it may have; raises OAuth2Error kinds."""
