"""The userinfo endpoint (OpenID Connect Core §5.3): what an access token may learn of its user.

Owns which token opens it. Never decides which claims there are: `claims` does.
"""

from tornado_auth.oauth2.access_tokens import AccessTokens
from tornado_auth.oauth2.claims import Claims, named_claims
from tornado_auth.oauth2.errors import InsufficientScope
from tornado_auth.oauth2.scopes import OPENID
from tornado_auth.oauth2.values import DPoPProof


class Userinfo:
    """Tell clients of users."""

    def __init__(self, access_tokens: AccessTokens, claims: Claims) -> None:
        self._access_tokens = access_tokens
        self._claims = claims

    async def answer(
        self, token: str, *, scheme: str, proof: DPoPProof | None
    ) -> dict[str, object]:
        """Return `sub` and the claims that were allowed; `scheme` is "bearer" or "dpop".

        Raises InvalidBearerToken, InsufficientScope; InvalidDPoPProof, UseDPoPNonce.
        """
        access_token = await self._access_tokens.admit(token, scheme=scheme, proof=proof)
        user, grant, client = access_token.user, access_token.grant, access_token.client
        if user is None or grant is None or OPENID not in access_token.scope:
            raise InsufficientScope(OPENID)
        # What the user allowed by name was allowed to one client, not to who exchanged its token.
        is_own = grant.client_id == client.id
        names = named_claims(grant, client, access_token.scope, "userinfo") if is_own else set()
        scope = set(client.scope).intersection(access_token.scope)
        return await self._claims.for_userinfo(user, scope, names)
