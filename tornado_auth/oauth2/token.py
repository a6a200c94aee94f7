"""The token endpoint (RFC 6749 §3.2): what all grant types share, and which one is meant.

Owns the order: is the client registered for the grant type, is its DPoP proof good, what does the
grant type prove, and only then tokens. Never knows how a grant type proves anything.
"""

from collections.abc import Iterable

from tornado_auth.models import Client
from tornado_auth.oauth2.dpop import DPoP
from tornado_auth.oauth2.errors import InvalidDPoPProof, UnauthorizedClient, UnsupportedGrantType
from tornado_auth.oauth2.grant_types import GrantType
from tornado_auth.oauth2.issuing import TokenIssuer
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.oauth2.values import DPoPProof, TokenRequest, TokenResponse


class TokenEndpoint:
    """Exchange what clients show for tokens; of grant types with the same name the last counts."""

    def __init__(
        self, grant_types: Iterable[GrantType], *, dpop: DPoP, issuer: TokenIssuer
    ) -> None:
        self._grant_types = {grant_type.name: grant_type for grant_type in grant_types}
        self._dpop = dpop
        self._issuer = issuer

    @property
    def grant_types(self) -> list[str]:
        """The names of all grant types, for the metadata."""
        return list(self._grant_types)

    async def exchange(
        self, client: Client, parameters: Parameters, proof: DPoPProof | None
    ) -> TokenResponse:
        """Return tokens for a client that is authenticated; raises OAuth2Error kinds."""
        grant_type = self._grant_type(client, parameters)
        if proof is None and client.dpop_bound_access_tokens:
            raise InvalidDPoPProof("This client needs a DPoP proof.")
        jkt = await self._dpop.check(proof) if proof else ""
        request = TokenRequest(client=client, parameters=parameters, jkt=jkt)
        return await self._issuer.issue(await grant_type.authorize(request))

    def _grant_type(self, client: Client, parameters: Parameters) -> GrantType:
        name = parameters.require("grant_type")
        if name not in self._grant_types:
            raise UnsupportedGrantType("There is no such grant type here.")
        if name not in client.grant_types:
            raise UnauthorizedClient("The client is not registered for this grant type.")
        return self._grant_types[name]
