"""The grant type authorization_code: what a code is bound to, and that it counts once."""

import asyncio

import pytest

from tests.conftest import FakeClock
from tests.oauth2.redeeming import (
    Holder,
    audited,
    code_for,
    code_of,
    error_of,
    grant_of,
    is_alive,
    members_of,
    tokens_for,
)
from tests.oauth2.world import REDIRECT_URI, VERIFIER, World, WorldFactory, challenge_of
from tornado_auth.digests import digest
from tornado_auth.errors import StorageUnavailable

OTHER_VERIFIER = "another-verifier-that-is-as-long-as-the-right-one"


# P15
async def test_a_code_gives_all_tokens_and_says_what_they_are_good_for(world: World) -> None:
    client = await world.client()
    tokens = await tokens_for(world, client, scope=("openid", "email"))
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 600)
    assert tokens["scope"] == "openid email"
    assert tokens["refresh_token"].startswith("trt_")
    assert await is_alive(world, tokens["access_token"])
    assert tokens["id_token"].count(".") == 2


async def test_a_client_without_the_grant_type_refresh_token_gets_none(world: World) -> None:
    client = await world.client(grant_types=("authorization_code",))
    tokens = await tokens_for(world, client, scope=("email",))
    assert "refresh_token" not in tokens
    assert "id_token" not in tokens


# S019
@pytest.mark.parametrize("verifier", [OTHER_VERIFIER, VERIFIER + "x", VERIFIER.upper(), ""])
async def test_a_wrong_or_missing_verifier_gets_nothing(world: World, verifier: str) -> None:
    client = await world.client()
    code = await code_for(world, client)
    assert error_of(await world.redeem(client, code, code_verifier=verifier)) == "invalid_grant"
    assert (await world.redeem(client, code)).code == 200


# S019
async def test_a_verifier_for_a_code_without_challenge_is_refused(world: World) -> None:
    client = await world.client(require_pkce=False)
    code = await code_of(world, await grant_of(world, client), code_challenge="")
    assert error_of(await world.redeem(client, code)) == "invalid_grant"
    assert (await world.redeem(client, code, code_verifier="")).code == 200


# S020
@pytest.mark.parametrize("verifier", ["v" * 42, "v" * 129, "v" * 42 + "+", "v" * 42 + "ä"])
async def test_a_verifier_of_another_form_is_refused(world: World, verifier: str) -> None:
    client = await world.client()
    grant = await grant_of(world, client)
    code = await code_of(world, grant, code_challenge=digest(verifier))
    assert error_of(await world.redeem(client, code, code_verifier=verifier)) == "invalid_request"


# S020
@pytest.mark.parametrize("verifier", ["v" * 43, "-._~" * 32])
async def test_the_shortest_and_the_longest_verifier_are_good(world: World, verifier: str) -> None:
    client = await world.client()
    grant = await grant_of(world, client)
    code = await code_of(world, grant, code_challenge=challenge_of(verifier))
    assert (await world.redeem(client, code, code_verifier=verifier)).code == 200


# S021 P6 P7
@pytest.mark.parametrize(("seconds", "is_good"), [(59, True), (60, False), (61, False)])
async def test_a_code_is_over_after_a_minute(
    make_world: WorldFactory, clock: FakeClock, seconds: int, is_good: bool
) -> None:
    world = await make_world(now=clock)
    client = await world.client()
    code = await world.code(client, await world.service.sign_in())
    record = await world.storage.authorization_codes.get(digest(code))
    assert record is not None
    assert code not in repr(record)
    assert len(code) == len("tac_") + 43
    clock.advance(seconds)
    assert ((await world.redeem(client, code)).code == 200) is is_good


# S023 P5 O9
async def test_a_second_use_ends_all_that_the_first_one_gave(world: World) -> None:
    client = await world.client()
    grant = await grant_of(world, client)
    code = await code_of(world, grant)
    first = members_of(await world.redeem(client, code))
    second = members_of(await world.refresh(client, first["refresh_token"]))
    assert error_of(await world.redeem(client, code)) == "invalid_grant"
    for tokens in (first, second):
        assert not await is_alive(world, tokens["access_token"])
        assert error_of(await world.refresh(client, tokens["refresh_token"])) == "invalid_grant"
    assert await audited(world, "code_reuse") == [(grant.user_id, client.id)]


# S023
async def test_a_second_use_is_noticed_after_the_code_is_over(
    make_world: WorldFactory, clock: FakeClock
) -> None:
    world = await make_world(now=clock)
    client = await world.client()
    code = await code_for(world, client)
    tokens = members_of(await world.redeem(client, code))
    clock.advance(300)
    assert await is_alive(world, tokens["access_token"])
    assert error_of(await world.redeem(client, code)) == "invalid_grant"
    assert not await is_alive(world, tokens["access_token"])


# S023 S024 O1
async def test_a_second_use_by_who_cannot_prove_all_of_it_ends_nothing(world: World) -> None:
    client, other = await world.client(), await world.client()
    code = await code_for(world, client)
    tokens = members_of(await world.redeem(client, code))
    attempts = [
        await world.redeem(other, code),
        await world.redeem(client, code, code_verifier=OTHER_VERIFIER),
        await world.redeem(client, code, code_verifier=""),
        await world.redeem(client, code, redirect_uri=REDIRECT_URI + "/"),
    ]
    assert {error_of(attempt) for attempt in attempts} == {"invalid_grant"}
    world.secrets[client.id] = "tcs_wrong"
    assert error_of(await world.redeem(client, code)) == "invalid_client"
    assert await is_alive(world, tokens["access_token"])
    assert await audited(world, "code_reuse") == []


# S024 O1
async def test_another_client_gets_nothing_for_a_code_and_does_not_spoil_it(world: World) -> None:
    client, other = await world.client(), await world.client()
    code = await code_for(world, client)
    assert error_of(await world.redeem(other, code)) == "invalid_grant"
    assert (await world.redeem(client, code)).code == 200


# S024 P4
@pytest.mark.parametrize("uri", [REDIRECT_URI + "/", REDIRECT_URI + "?a=b", "https://evil.example"])
async def test_another_redirect_uri_is_refused(world: World, uri: str) -> None:
    client = await world.client(redirect_uris=(REDIRECT_URI, uri))
    code = await code_for(world, client)
    assert error_of(await world.redeem(client, code, redirect_uri=uri)) == "invalid_grant"
    assert (await world.redeem(client, code)).code == 200


# S024 P4
async def test_the_redirect_uri_may_only_be_left_out_with_pkce(world: World) -> None:
    client = await world.client(require_pkce=False)
    grant = await grant_of(world, client)
    without = await code_of(world, grant, code_challenge="")
    refused = await world.redeem(client, without, redirect_uri="", code_verifier="")
    assert error_of(refused) == "invalid_grant"
    code = await code_of(world, grant)
    assert (await world.redeem(client, code, redirect_uri="")).code == 200


# S068
async def test_a_code_that_is_bound_to_a_key_is_for_its_holder(world: World) -> None:
    client = await world.client()
    holder, other = Holder(world), Holder(world)
    code = await code_of(world, await grant_of(world, client), dpop_jkt=holder.jkt)
    for headers in ({}, other.headers):
        assert error_of(await world.redeem(client, code, headers=headers)) == "invalid_grant"
    tokens = members_of(await world.redeem(client, code, headers=holder.headers))
    assert tokens["token_type"] == "DPoP"


async def test_a_code_ends_with_the_session_in_which_it_was_made(world: World) -> None:
    client = await world.client()
    session = await world.service.session()
    code = await code_for(world, client, session=session)
    await world.storage.sessions.delete(session.id)
    assert error_of(await world.redeem(client, code)) == "invalid_grant"


# S022 P5
async def test_of_many_redemptions_at_once_one_succeeds(world: World) -> None:
    client = await world.client()
    code = await code_for(world, client)
    responses = await asyncio.gather(*(world.redeem(client, code) for _ in range(10)))
    assert sorted(response.code for response in responses) == [200] + [400] * 9


# S023
@pytest.mark.parametrize("step", ["confirm", "use"])
async def test_a_store_that_fails_makes_no_second_use_of_who_tries_again(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    client = await world.client()
    code = await code_for(world, client)
    oauth2 = world.server.oauth2

    async def fail(_: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(oauth2.grants if step == "confirm" else oauth2.codes, step, fail)
        assert (await world.redeem(client, code)).code == 503
    tokens = members_of(await world.redeem(client, code))
    assert await is_alive(world, tokens["access_token"])
    assert await audited(world, "code_reuse") == []


async def test_the_grant_of_whoever_redeems_a_code_lives_on(world: World) -> None:
    client = await world.client()
    grant = await grant_of(world, client)
    code = await code_of(world, grant)
    await asyncio.gather(*(world.server.oauth2.grants.confirm(grant) for _ in range(10)))
    tokens = members_of(await world.redeem(client, code))
    record = await world.storage.refresh_tokens.get(digest(tokens["refresh_token"]))
    assert record is not None
    assert (record.expires_at or 0) >= grant.created_at + world.service.settings.grant_lifetime


# O3
@pytest.mark.parametrize("kind", ["access_token", "refresh_token", "id_token"])
async def test_another_kind_of_token_is_no_code(world: World, kind: str) -> None:
    client = await world.client(access_token_format="opaque")
    tokens = await tokens_for(world, client)
    assert error_of(await world.redeem(client, tokens[kind])) == "invalid_grant"


async def test_a_request_without_a_code_says_what_it_lacks(world: World) -> None:
    client = await world.client()
    response = await world.token(client, grant_type="authorization_code")
    assert error_of(response) == "invalid_request"
    assert b"code" in response.body
