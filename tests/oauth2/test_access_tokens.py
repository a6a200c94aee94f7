"""Access tokens as they come back: everything that ends one, and every door that stays shut."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.oauth2.issued import granted, issued, own_token, signed_in
from tests.oauth2.world import World, WorldFactory, claims_of, header_of
from tornado_auth.models import Client, TokenType

Ending = Callable[[World, Client], Awaitable[Any]]


@pytest.fixture(params=["jwt", "opaque"])
async def client(world: World, request: pytest.FixtureRequest) -> Client:
    return await world.client(access_token_format=request.param)


async def disable_user(world: World, client: Client) -> None:
    who = await signed_in(world)
    await world.storage.users.replace(replace(who.user, disabled_at=1))


async def delete_user(world: World, client: Client) -> None:
    await world.server.deletions.delete_user((await signed_in(world)).user.id)


async def disable_client(world: World, client: Client) -> None:
    await world.storage.clients.replace(replace(client, disabled_at=1))


async def remove_client(world: World, client: Client) -> None:
    await world.storage.clients.delete(client.id)


async def end_grants(world: World, client: Client) -> None:
    await world.server.oauth2.grants.end_consent((await signed_in(world)).user.id, client.id)


async def end_sessions(world: World, client: Client) -> None:
    user_id = (await signed_in(world)).user.id
    await world.storage.sessions.delete_where(user_id=user_id)


# S047
@pytest.mark.parametrize(
    "ending",
    [disable_user, delete_user, disable_client, remove_client, end_grants, end_sessions],
)
async def test_a_token_ends_at_once_with_what_it_hangs_on(
    world: World, client: Client, ending: Ending
) -> None:
    access_tokens = world.server.oauth2.access_tokens
    token = (await issued(world, client)).access_token
    read = await access_tokens.read(token)
    assert read is not None
    assert (read.client.id, read.sub) == (client.id, (await signed_in(world)).user.id)
    await ending(world, client)
    assert await access_tokens.read(token) is None


# S047
async def test_a_token_of_offline_access_outlives_the_session(world: World, client: Client) -> None:
    token = (await issued(world, client, scope="openid offline_access")).access_token
    await end_sessions(world, client)
    assert await world.server.oauth2.access_tokens.read(token) is not None


@pytest.mark.parametrize("ending", [disable_client, remove_client])
async def test_a_clients_own_token_ends_with_the_client(
    world: World, client: Client, ending: Ending
) -> None:
    access_tokens = world.server.oauth2.access_tokens
    token = await own_token(world, client)
    read = await access_tokens.read(token)
    assert read is not None
    assert (read.sub, read.user, read.grant, read.scope) == (
        client.id,
        None,
        None,
        ("reports:read",),
    )
    await ending(world, client)
    assert await access_tokens.read(token) is None


# S047
@pytest.mark.parametrize("access_token_format", ["jwt", "opaque"])
async def test_a_token_ends_by_itself_after_a_short_while(
    make_world: WorldFactory, clock: FakeClock, access_token_format: str
) -> None:
    world = await make_world(now=clock)
    client = await world.client(access_token_format=access_token_format)
    tokens = await issued(world, client)
    assert tokens.expires_in <= 15 * 60
    clock.advance(tokens.expires_in - 1)
    assert await world.server.oauth2.access_tokens.read(tokens.access_token) is not None
    clock.advance(1)
    assert await world.server.oauth2.access_tokens.read(tokens.access_token) is None


@pytest.mark.parametrize("ending", [disable_client, remove_client])
async def test_an_exchanged_token_ends_with_either_client(world: World, ending: Ending) -> None:
    access_tokens = world.server.oauth2.access_tokens
    for ends_first in (True, False):
        first, second = await world.client(), await world.client()
        user, grant = await granted(world, first)
        token = (await issued(world, second, user=user, grant=grant)).access_token
        read = await access_tokens.read(token)
        assert read is not None
        assert (read.client.id, read.sub) == (second.id, user.id)
        await ending(world, first if ends_first else second)
        assert await access_tokens.read(token) is None


# S044
async def test_a_jwt_says_what_the_profile_asks_for(world: World) -> None:
    client = await world.client()
    token = (await issued(world, client, scope="openid email")).access_token
    claims = claims_of(token)
    assert header_of(token)["typ"] == "at+jwt"
    assert header_of(token)["kid"] == world.server.keys.kid
    for name in ("iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope", "auth_time"):
        assert claims[name], name
    assert (claims["iss"], claims["aud"]) == (world.issuer, world.issuer)
    assert (claims["client_id"], claims["scope"]) == (client.id, "openid email")


# S044
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"exp": 1_000_000_000},
        {"iat": 4_000_000_000, "exp": 4_000_000_600},
        {"sub": "somebody-else"},
        {"client_id": "c-nobody"},
        {"gid": "no-such-grant"},
        {"gid": ""},
    ],
)
async def test_a_jwt_with_another_claim_does_not_count(
    world: World, changes: dict[str, Any]
) -> None:
    token = (await issued(world, await world.client())).access_token
    claims, keys = claims_of(token), world.server.keys
    access_tokens = world.server.oauth2.access_tokens
    again = await keys.sign(claims, typ=TokenType.ACCESS)
    assert await access_tokens.read(again) is not None
    forged = await keys.sign({**claims, **changes}, typ=TokenType.ACCESS)
    assert await access_tokens.read(forged) is None


# S044 S083
async def test_an_access_token_is_no_session_anywhere(world: World, client: Client) -> None:
    scope = "openid profile email offline_access"
    tokens = await issued(world, client, scope=scope)
    session_token = await world.service.sign_in()
    for token, is_in in (
        (session_token, True),
        (tokens.access_token, False),
        (tokens.id_token, False),
    ):
        bearer = {"Authorization": f"Bearer {token}"}
        cookies = {"tornado_auth": token}
        assert (await world.service.json("/auth/check", headers=bearer))["authenticated"] is is_in
        assert (await world.service.json(f"/auth/check?jwt={token}"))["authenticated"] is is_in
        for arguments in ({"headers": bearer}, {"cookies": cookies}, {"token": token}):
            response = await world.service.fetch("/auth/verify", **arguments)
            assert (response.code == 200) is is_in, arguments
        page = await world.service.fetch("/auth/account", cookies=cookies)
        assert (page.code == 200) is is_in
        assert (await world.service.fetch("/admin/api/users", headers=bearer)).code in (401, 403)
