"""What a client may have of a grant: shared by all grant types in which a user is involved.

Owns which scopes, resources and kinds of token follow from a grant. Never spends anything.
"""

from tornado_auth.models import Client
from tornado_auth.oauth2.errors import InvalidScope, InvalidTarget
from tornado_auth.oauth2.grants import LiveGrant
from tornado_auth.oauth2.resources import narrowed
from tornado_auth.oauth2.scopes import OPENID
from tornado_auth.oauth2.values import NO_AUTHENTICATION, REFRESH, Authorization, TokenRequest


def authorization_of(
    live: LiveGrant, request: TokenRequest, *, grant_type: str, scope: tuple[str, ...] = ()
) -> Authorization:
    """Return what a grant gives; `scope` and the parameter `resource` can only narrow it.

    What the client may no longer ask for is left out. Raises InvalidScope or InvalidTarget for
    more than was granted.
    """
    grant, client = live.grant, live.client
    granted = tuple(name for name in grant.scope if name in client.scope)
    if not set(granted).issuperset(scope):
        raise InvalidScope("The scope is more than was granted.")
    resources = tuple(name for name in grant.resources if name in client.resources)
    if grant.resources and not resources:
        raise InvalidTarget("No resource that was granted is for this client any more.")
    given = tuple(name for name in granted if not scope or name in scope)
    return Authorization(
        grant_type=grant_type,
        client=client,
        user=live.user,
        grant=grant,
        scope=given,
        audience=narrowed(request.parameters.all("resource"), resources),
        jkt=request.jkt,
        has_refresh_token=REFRESH in client.grant_types,
        refresh_jkt=request.jkt if is_public(client) else "",
        has_id_token=OPENID in given,
    )


def is_public(client: Client) -> bool:
    """Tell whether a client has nothing to prove itself with (RFC 6749 §2.1)."""
    return client.token_endpoint_auth_method == NO_AUTHENTICATION
