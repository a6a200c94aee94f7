"""Tokens without the way to them: somebody is signed in, granted something, and here it is."""

from typing import Any

from tests.oauth2.world import World
from tornado_auth.models import Client, Grant, User, Who
from tornado_auth.oauth2.values import CLIENT_CREDENTIALS, CODE, Authorization, TokenResponse

CLIENT_FIELDS = {"grant_types": ("client_credentials",), "redirect_uris": ()}


async def signed_in(world: World, name: str = "ann") -> Who:
    """Sign somebody in."""
    session = await world.service.session(name, amr=("pwd",))
    user = await world.storage.users.get(session.user_id)
    assert user is not None
    return Who(user=user, session=session)


async def granted(
    world: World, client: Client, *, name: str = "ann", scope: str = "openid", **fields: Any
) -> tuple[User, Grant]:
    """Sign somebody in who grants a client something."""
    who = await signed_in(world, name)
    scopes = tuple(scope.split())
    grants = world.server.oauth2.grants
    return who.user, await grants.start(who, client, scope=scopes, lifetime=3600, **fields)


async def issued(
    world: World,
    client: Client,
    *,
    name: str = "ann",
    scope: str = "openid",
    claims: str = "",
    **fields: Any,
) -> TokenResponse:
    """Return all tokens that a client gets; `fields` are those of the Authorization."""
    user, grant = await granted(world, client, name=name, scope=scope, claims=claims)
    authorization = Authorization(
        **{
            "grant_type": CODE,
            "client": client,
            "user": user,
            "grant": grant,
            "scope": grant.scope,
            "has_id_token": True,
            "has_refresh_token": True,
            **fields,
        }
    )
    return await world.server.oauth2.issuer.issue(authorization)


async def own_token(world: World, client: Client, **fields: Any) -> str:
    """Return an access token that a client has for itself."""
    authorization = Authorization(
        grant_type=CLIENT_CREDENTIALS, client=client, **{"scope": ("reports:read",), **fields}
    )
    return (await world.server.oauth2.issuer.issue(authorization)).access_token
