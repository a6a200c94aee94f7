"""What clients are told when a session ends (OpenID Connect Back-Channel Logout), and what ends."""

import asyncio
import time

import pytest

from tests.forms import account_page
from tests.oauth2.redeeming import grant_of, is_alive, tokens_for
from tests.oauth2.relying_parties import RelyingParties, results, told_client
from tests.oauth2.world import World, WorldFactory, answer_of, claims_of, header_of
from tornado_auth.audit import SYSTEM
from tornado_auth.errors import StorageUnavailable
from tornado_auth.models import Session
from tornado_auth.oauth2 import back_channel_logout

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture
async def world(make_world: WorldFactory, parties: RelyingParties) -> World:
    world = await make_world(TORNADO_AUTH_FETCH_ALLOWED=f"127.0.0.1:{parties.port}")
    world.server.oauth2.back_channel_logout._retry_after = (0.01, 0.02)
    return world


@pytest.fixture
async def session(world: World) -> Session:
    return await world.service.session("ann")


class TestToken:
    # S087
    async def test_it_says_which_session_of_whom_is_over(
        self, world: World, parties: RelyingParties, session: Session
    ):
        client = await told_client(world, parties, "/out")
        tokens = await tokens_for(world, client, session=session)
        before = int(time.time())
        await world.server.sessions.end(session)
        assert await results(world) == {"delivered": 1}
        (token,) = parties.tokens["/out"]
        claims = claims_of(token)
        assert header_of(token)["typ"] == "logout+jwt"
        assert header_of(token)["kid"] == world.server.keys.kid
        assert world.server.keys.verify(
            token, typ="logout+jwt", issuer=world.issuer, audience=client.id, now=before
        )
        assert set(claims) == {"iss", "aud", "sub", "sid", "iat", "exp", "jti", "events"}
        assert (claims["iss"], claims["aud"]) == (world.issuer, client.id)
        assert claims["sub"] == claims_of(tokens["id_token"])["sub"] == session.user_id
        assert claims["sid"] == claims_of(tokens["id_token"])["sid"]
        assert claims["events"] == {EVENT: {}}
        assert before <= claims["iat"] <= before + 2
        assert claims["exp"] - claims["iat"] == 120

    # S087
    async def test_no_two_tokens_are_the_same(
        self, world: World, parties: RelyingParties, session: Session
    ):
        for path in ("/one", "/two"):
            client = await told_client(world, parties, path)
            await grant_of(world, client, session)
        await world.server.sessions.end(session)
        assert await results(world) == {"delivered": 2}
        one, two = (claims_of(parties.tokens[path][0]) for path in ("/one", "/two"))
        assert one["jti"] != two["jti"]
        assert one["aud"] != two["aud"]

    # S087
    async def test_it_opens_nothing_here(
        self, world: World, parties: RelyingParties, session: Session
    ):
        client = await told_client(world, parties, "/out")
        await grant_of(world, client, session)
        await world.server.sessions.end(session)
        assert await results(world) == {"delivered": 1}
        (token,) = parties.tokens["/out"]
        assert not (await world.service.json("/auth/check", token=token))["authenticated"]
        assert not await is_alive(world, token)
        response = await world.service.fetch(f"/oauth2/logout?id_token_hint={token}")
        assert response.code == 400


class TestWhoIsTold:
    async def test_every_client_of_the_session_and_no_other(
        self, world: World, parties: RelyingParties, session: Session
    ):
        client = await told_client(world, parties, "/twice")
        for _ in range(2):
            await grant_of(world, client, session)
        offline = await told_client(world, parties, "/offline")
        await grant_of(world, offline, session, scope=("openid", "offline_access"))
        other = await told_client(world, parties, "/other")
        await grant_of(world, other, await world.service.session("ann"))
        disabled = await told_client(world, parties, "/disabled", disabled_at=world.server.now())
        await grant_of(world, disabled, session)
        await grant_of(world, await world.client(), session)
        await world.server.sessions.end(session)
        assert await results(world) == {"delivered": 2}
        assert {path: len(tokens) for path, tokens in parties.tokens.items()} == {
            "/twice": 1,
            "/offline": 1,
        }

    # S086 S088
    @pytest.mark.parametrize("way", ["page", "api", "logout", "other", "disable", "delete", "all"])
    async def test_however_the_session_ends(
        self, world: World, parties: RelyingParties, session: Session, way: str
    ):
        client = await told_client(world, parties, "/out")
        await grant_of(world, client, session)
        cookie = await world.server.sessions.token(session)
        if way == "page":
            page = await account_page(world.service, cookie)
            await page.send("/auth/logout")
        elif way == "api":
            await world.service.fetch("/auth/logout", token=cookie, form={})
        elif way == "logout":
            page = await account_page(world.service, cookie)
            await page.send("/oauth2/logout", decision="confirm")
        elif way == "other":
            page = await account_page(world.service, await world.service.sign_in("ann"))
            await page.send("/auth/account/end-session", session_id=session.id)
        elif way == "all":
            await world.server.sessions.end_all(session.user_id)
        elif way == "delete":
            await world.server.deletions.delete_user(session.user_id)
        else:
            administration = world.server.administration
            await administration.set_disabled(SYSTEM, session.user_id, disabled=True)
        assert await results(world) == {"delivered": 1}
        assert claims_of(parties.tokens["/out"][0])["sid"] == session.id

    async def test_once_of_any_number_who_end_it_at_once(
        self, world: World, parties: RelyingParties, session: Session
    ):
        client = await told_client(world, parties, "/out")
        await grant_of(world, client, session, scope=("openid", "offline_access"))
        ended = await asyncio.gather(*(world.server.sessions.end(session) for _ in range(10)))
        assert sum(ended) == 1
        assert await results(world) == {"delivered": 1}

    async def test_the_end_of_an_api_key_concerns_no_client(
        self, world: World, session: Session, monkeypatch: pytest.MonkeyPatch
    ):
        key, _ = await world.server.api_keys.create(session.user_id, name="k", scopes=["*"])
        grants = world.server.oauth2.grants
        monkeypatch.setattr(grants, "of_session", lambda _: pytest.fail("looked for grants"))
        await world.server.api_keys.revoke(key.id)


class TestGrants:
    # S039
    async def test_tokens_end_with_the_session_unless_they_are_for_offline(
        self, world: World, session: Session
    ):
        client = await world.client()
        online = await tokens_for(world, client, session=session)
        offline = await tokens_for(
            world, client, session=session, scope=("openid", "offline_access")
        )
        await world.server.sessions.end(session)
        assert not await is_alive(world, online["access_token"])
        assert (await world.refresh(client, online["refresh_token"])).code == 400
        assert await is_alive(world, offline["access_token"])
        assert (await world.refresh(client, offline["refresh_token"])).code == 200
        assert await results(world) == {}
        (left,) = await world.storage.grants.find()
        assert left.is_offline

    # S039
    @pytest.mark.parametrize("call", ["of_session", "end_session"])
    async def test_they_end_though_the_store_has_no_time_for_them(
        self, world: World, session: Session, monkeypatch: pytest.MonkeyPatch, call: str
    ):
        client = await world.client()
        tokens = await tokens_for(world, client, session=session)

        async def fail(session_id: str) -> None:
            raise StorageUnavailable("away")

        monkeypatch.setattr(world.server.oauth2.grants, call, fail)
        assert await world.server.sessions.end(session)
        assert await results(world) == {}
        assert not await is_alive(world, tokens["access_token"])
        assert (await world.refresh(client, tokens["refresh_token"])).code == 400

    async def test_clients_are_told_though_other_processes_cannot_be(
        self,
        world: World,
        parties: RelyingParties,
        session: Session,
        monkeypatch: pytest.MonkeyPatch,
    ):
        await grant_of(world, await told_client(world, parties, "/out"), session)

        async def fail(session_id: str) -> None:
            raise StorageUnavailable("away")

        monkeypatch.setattr(world.server.revocations, "session_ended", fail)
        with pytest.raises(StorageUnavailable):
            await world.server.sessions.end(session)
        assert await results(world) == {"delivered": 1}

    # S086
    async def test_prompt_none_needs_a_login_afterwards(self, world: World, session: Session):
        client = await world.client()
        cookie = await world.server.sessions.token(session)
        assert "code" in answer_of(await world.authorize(client, cookie, prompt="none"))
        await world.server.sessions.end(session)
        answer = answer_of(await world.authorize(client, cookie, prompt="none"))
        assert answer["error"] == "login_required"


class TestDelivery:
    # S088
    async def test_who_signs_out_waits_for_no_client(
        self, world: World, parties: RelyingParties, session: Session
    ):
        parties.delay = 0.4
        for number in range(8):
            client = await told_client(world, parties, f"/{number}")
            await grant_of(world, client, session)
        page = await account_page(world.service, await world.server.sessions.token(session))
        began_at = time.monotonic()
        assert (await page.send("/auth/logout")).code == 200
        assert time.monotonic() - began_at < 0.3
        # Five at once: eight, one after another, would take over three seconds.
        assert await results(world) == {"delivered": 8}
        assert time.monotonic() - began_at < 1.5

    # S088
    @pytest.mark.parametrize(
        ("statuses", "tries", "result"),
        [
            ([200], 1, "delivered"),
            ([204], 1, "delivered"),
            ([503, 200], 2, "delivered"),
            ([500], 3, "failed"),
            ([400], 1, "refused"),
            ([302], 1, "refused"),
            ([307], 1, "refused"),
        ],
    )
    async def test_it_is_tried_a_few_times_and_no_redirect_is_followed(
        self,
        world: World,
        parties: RelyingParties,
        session: Session,
        statuses: list[int],
        tries: int,
        result: str,
    ):
        parties.statuses["/out"] = statuses
        await grant_of(world, await told_client(world, parties, "/out"), session)
        await world.server.sessions.end(session)
        assert await results(world) == {result: 1}
        assert {path: len(tokens) for path, tokens in parties.tokens.items()} == {"/out": tries}

    # S088 S143
    async def test_nobody_is_called_whose_address_is_private(
        self, make_world: WorldFactory, parties: RelyingParties
    ):
        world = await make_world()
        world.server.oauth2.back_channel_logout._retry_after = ()
        session = await world.service.session()
        await grant_of(world, await told_client(world, parties, "/out"), session)
        await world.server.sessions.end(session)
        assert await results(world) == {"failed": 1}
        assert parties.tokens == {}

    # S088
    async def test_a_client_that_hangs_is_left_after_five_seconds(self, world: World):
        assert world.server.oauth2.outbound._timeout == 5
        assert sum(back_channel_logout.RETRY_AFTER) + 3 * 5 < back_channel_logout.TOKEN_LIFETIME

    # S088
    async def test_no_more_than_so_many_wait(
        self,
        world: World,
        parties: RelyingParties,
        session: Session,
        monkeypatch: pytest.MonkeyPatch,
    ):
        monkeypatch.setattr(back_channel_logout, "MAX_WAITING", 2)
        for number in range(3):
            await grant_of(world, await told_client(world, parties, f"/{number}"), session)
        await world.server.sessions.end(session)
        assert await results(world) == {"delivered": 2, "dropped": 1}

    # S088
    async def test_a_server_that_stops_waits_a_little_and_no_longer(
        self,
        world: World,
        parties: RelyingParties,
        session: Session,
        monkeypatch: pytest.MonkeyPatch,
    ):
        monkeypatch.setattr(back_channel_logout, "DRAIN", 0.2)
        world.server.oauth2.back_channel_logout._retry_after = (60,)
        parties.statuses["/bad"] = [500]
        for path in ("/good", "/bad"):
            await grant_of(world, await told_client(world, parties, path), session)
        await world.server.sessions.end(session)
        began_at = time.monotonic()
        await world.server.oauth2.back_channel_logout.stop()
        assert time.monotonic() - began_at < 1
        assert await results(world) == {"delivered": 1, "dropped": 1}
