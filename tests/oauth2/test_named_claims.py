"""Claims that are asked for by name: in which tokens, and for how long, they count."""

import json
from typing import Any

import pytest

from tests.oauth2.redeeming import members_of
from tests.oauth2.world import World, claims_of
from tornado_auth.models import Client
from tornado_auth.oauth2.claims import STANDARD_CLAIMS


def by_name(*names: str) -> str:
    wanted = {name: {"essential": True} for name in names}
    return json.dumps({"userinfo": wanted, "id_token": wanted})


async def told(world: World, tokens: dict[str, Any]) -> set[str]:
    """Return the claims of a user that userinfo tells."""
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    userinfo = await world.service.json("/oauth2/userinfo", headers=bearer)
    return set(userinfo) - {"sub"}


def in_id_token(tokens: dict[str, Any]) -> set[str]:
    return set(claims_of(tokens["id_token"])).intersection(STANDARD_CLAIMS)


async def tokens_for(world: World, client: Client, **parameters: str) -> dict[str, Any]:
    return await world.tokens(client, await world.service.sign_in(), **parameters)


# S046
@pytest.mark.parametrize("access_token_format", ["jwt", "opaque"])
async def test_a_claim_needs_a_scope_of_the_client_and_not_of_the_request(
    world: World, access_token_format: str
) -> None:
    scope = ("openid", "profile")
    client = await world.client(scope=scope, access_token_format=access_token_format)
    tokens = await tokens_for(world, client, claims=by_name("name", "email"))
    assert await told(world, tokens) == in_id_token(tokens) == {"name"}


# S038 S046
async def test_a_scope_that_the_client_lost_takes_its_claims_along(world: World) -> None:
    client = await world.client(scope=("openid", "email", "profile"))
    claims = by_name("name", "email", "email_verified")
    tokens = await tokens_for(world, client, scope="openid email", claims=claims)
    assert await told(world, tokens) == in_id_token(tokens) == {"name", "email", "email_verified"}
    client = await world.change(client, scope=("openid", "profile"))
    refreshed = members_of(await world.refresh(client, tokens["refresh_token"]))
    assert await told(world, refreshed) == in_id_token(refreshed) == {"name"}
    # The token that is older says less from now on, too.
    assert await told(world, {**refreshed, "access_token": tokens["access_token"]}) == {"name"}


# S038 S046
async def test_a_refresh_for_less_leaves_out_the_claims_of_what_it_leaves_out(world: World) -> None:
    client = await world.client()
    claims = by_name("name", "email")
    tokens = await tokens_for(world, client, scope="openid email", claims=claims)
    response = await world.refresh(client, tokens["refresh_token"], scope="openid")
    narrow = members_of(response)
    assert await told(world, narrow) == in_id_token(narrow) == {"name"}
    whole = members_of(await world.refresh(client, narrow["refresh_token"]))
    assert in_id_token(whole) == {"name", "email"}
