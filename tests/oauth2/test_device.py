"""Devices (RFC 8628): their codes, how they wait, and what they get."""

import asyncio
import json
import re
from dataclasses import replace

import pytest

from tests.conftest import FakeClock
from tests.oauth2.devices import answer, device_client, error_of, poll, start
from tests.oauth2.world import World, WorldFactory, claims_of
from tornado_auth.digests import digest
from tornado_auth.errors import SettingsError, StorageUnavailable
from tornado_auth.oauth2 import device
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.oauth2.values import DEVICE
from tornado_auth.settings import load_settings
from tornado_auth.throttle import Limit, LoginThrottle


@pytest.fixture
async def world(make_world: WorldFactory, clock: FakeClock) -> World:
    return await make_world(now=clock)


class TestStarting:
    # S069
    async def test_a_device_gets_two_codes_and_an_address(self, world: World, clock: FakeClock):
        codes = await start(world, await device_client(world))
        address = f"{world.issuer}/oauth2/device"
        assert re.fullmatch(r"tdc_[A-Za-z0-9_-]{43}", codes["device_code"])
        assert re.fullmatch(
            r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", codes["user_code"]
        )
        assert codes == {
            "device_code": codes["device_code"],
            "user_code": codes["user_code"],
            "verification_uri": address,
            "verification_uri_complete": f"{address}?user_code={codes['user_code']}",
            "expires_in": 600,
            "interval": 5,
        }

    # S069 S148
    async def test_only_digests_are_kept(self, world: World, clock: FakeClock):
        codes = await start(world, await device_client(world))
        letters = codes["user_code"].replace("-", "")
        record = await world.storage.device_codes.get(digest(codes["device_code"]))
        assert record is not None
        assert record.user_code == digest(letters)
        assert letters not in repr(record)
        assert record.valid_until == clock() + 600

    # S069
    async def test_no_two_devices_share_a_code(self, world: World, monkeypatch: pytest.MonkeyPatch):
        letters = iter("BBBBBBBB" * 2 + "CCCCCCCC")
        choose = device.secrets.choice
        monkeypatch.setattr(
            device.secrets,
            "choice",
            lambda those: next(letters) if those == device.LETTERS else choose(those),
        )
        client = await device_client(world)
        assert (await start(world, client))["user_code"] == "BBBB-BBBB"
        assert (await start(world, client))["user_code"] == "CCCC-CCCC"

    # S069
    def test_no_setting_lets_a_code_live_longer(self):
        with pytest.raises(SettingsError, match="TORNADO_AUTH_DEVICE_CODE_LIFETIME"):
            load_settings({"TORNADO_AUTH_DEVICE_CODE_LIFETIME": "901s"})

    async def test_a_confidential_client_proves_itself(self, world: World):
        client = await device_client(world, token_endpoint_auth_method="client_secret_basic")
        assert "user_code" in await start(world, client)
        response = await world.post("/oauth2/device_authorization", client_id=client.id)
        assert response.code == 401
        assert json.loads(response.body)["error"] == "invalid_client"

    @pytest.mark.parametrize(
        ("fields", "form", "error"),
        [
            ({"grant_types": ("authorization_code",)}, {}, "unauthorized_client"),
            ({}, {"scope": "openid nothing"}, "invalid_scope"),
            ({"scope": ("openid",)}, {"scope": "openid email"}, "invalid_scope"),
            ({}, {"scope": ""}, "invalid_scope"),
            ({}, {"resource": "https://api.example"}, "invalid_target"),
        ],
    )
    async def test_what_a_client_may_not_have_is_refused(
        self, world: World, fields: dict, form: dict, error: str
    ):
        client = await device_client(world, **fields)
        form = {"scope": "openid", **form}
        response = await world.post("/oauth2/device_authorization", client, **form)
        assert (response.code, json.loads(response.body)["error"]) == (400, error)

    async def test_scopes_are_read_as_at_the_authorization_endpoint(self, world: World):
        client = await device_client(world, grant_types=(DEVICE,), scope=("openid", "email"))
        codes = await start(world, client, scope="openid offline_access")
        record = await world.storage.device_codes.get(digest(codes["device_code"]))
        assert record is not None
        assert record.scope == ("openid",)
        response = await world.post("/oauth2/device_authorization", client, scope="offline_access")
        assert json.loads(response.body)["error"] == "invalid_scope"

    # S070 S138
    async def test_an_address_can_only_start_so_many_for_a_client_and_for_all(
        self, world: World, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ):
        limits = {"device-start-client": Limit(2, 600), "device-start-address": Limit(3, 600)}
        assert limits.keys() == device.STARTS.keys()
        devices = world.server.oauth2.devices
        throttle = LoginThrottle(world.storage.counted_attempts, now=clock, limits=limits)
        monkeypatch.setattr(devices, "_throttle", throttle)
        path, form = "/oauth2/device_authorization", {"scope": "openid"}
        one, other, third = [await device_client(world) for _ in range(3)]
        responses = [await world.post(path, client, **form) for client in (one, one, one)]
        assert [response.code for response in responses] == [200, 200, 429]
        assert 0 < int(responses[2].headers["Retry-After"]) <= 600
        responses = [await world.post(path, client, **form) for client in (other, third)]
        assert [response.code for response in responses] == [200, 429]
        assert len(await world.storage.device_codes.find()) == 3
        # Who has proven who it is may, as often as it likes.
        proven = await device_client(world, token_endpoint_auth_method="client_secret_basic")
        assert (await world.post(path, proven, **form)).code == 200
        # Elsewhere the same client may.
        await devices.start(one, Parameters(form.items()), remote_ip="192.0.2.7")
        clock.advance(600)
        assert "user_code" in await start(world, one)

    async def test_nothing_is_read_from_the_address(self, world: World):
        client = await device_client(world)
        response = await world.post("/oauth2/device_authorization?scope=openid", client)
        assert json.loads(response.body)["error"] == "invalid_request"


class TestWaiting:
    # S071
    async def test_it_is_pending_until_somebody_answers(self, world: World, clock: FakeClock):
        client = await device_client(world)
        codes = await start(world, client)
        for _ in range(3):
            assert await error_of(world, client, codes) == "authorization_pending"
            clock.advance(5)

    # S071
    async def test_each_hasty_request_makes_the_wait_five_seconds_longer(
        self, world: World, clock: FakeClock
    ):
        client = await device_client(world)
        codes = await start(world, client)
        assert await error_of(world, client, codes) == "authorization_pending"
        clock.advance(3)
        assert await error_of(world, client, codes) == "slow_down"
        clock.advance(8)
        assert await error_of(world, client, codes) == "slow_down"
        clock.advance(15)
        assert await error_of(world, client, codes) == "authorization_pending"

    # S071
    async def test_who_asks_twice_at_once_is_slowed_down(self, world: World):
        client = await device_client(world)
        codes = await start(world, client)
        errors = await asyncio.gather(*(error_of(world, client, codes) for _ in range(3)))
        assert sorted(errors) == ["authorization_pending", "slow_down", "slow_down"]

    # S071
    async def test_a_no_is_told(self, world: World):
        client = await device_client(world)
        codes = await start(world, client)
        await answer(world, await world.service.sign_in(), codes["user_code"], "deny")
        assert await error_of(world, client, codes) == "access_denied"

    # S069 S071
    async def test_a_code_that_is_over_says_so(self, make_world: WorldFactory, clock: FakeClock):
        world = await make_world(now=clock, TORNADO_AUTH_DEVICE_CODE_LIFETIME="15m")
        client = await device_client(world)
        codes = await start(world, client)
        assert codes["expires_in"] == 900
        token = await world.service.sign_in()
        clock.advance(900)
        assert await error_of(world, client, codes) == "expired_token"
        assert (await answer(world, token, codes["user_code"], "approve")).code == 404
        clock.advance(device.KEPT)
        assert await error_of(world, client, codes) == "invalid_grant"

    # S071
    async def test_a_yes_that_comes_too_late_for_the_device_gives_nothing(
        self, world: World, clock: FakeClock
    ):
        client = await device_client(world)
        codes = await start(world, client)
        await answer(world, await world.service.sign_in(), codes["user_code"], "approve")
        clock.advance(600)
        assert await error_of(world, client, codes) == "expired_token"


class TestRedeeming:
    async def approved(self, world: World, **form: str):
        client = await device_client(world)
        codes = await start(world, client, **form)
        session = await world.service.session()
        token = await world.server.sessions.token(session)
        response = await answer(world, token, codes["user_code"], "approve")
        assert b"device-approved" in response.body
        return client, codes, session

    # S069
    async def test_an_approved_device_gets_tokens(self, world: World):
        client, codes, session = await self.approved(world, scope="openid profile")
        response = await poll(world, client, codes)
        assert response.code == 200
        tokens = json.loads(response.body)
        id_token = claims_of(tokens["id_token"])
        assert id_token["sub"] == session.user_id
        assert (id_token["sid"], id_token["aud"]) == (session.id, client.id)
        assert id_token["auth_time"] == session.auth_time
        userinfo = await world.service.json(
            "/oauth2/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}
        )
        assert (userinfo["sub"], userinfo["name"]) == (session.user_id, "Ann")
        assert (await world.refresh(client, tokens["refresh_token"])).code == 200

    # S069 S072
    async def test_the_yes_is_in_the_audit_log(self, world: World):
        client, _, session = await self.approved(world)
        (event,) = await world.server.audit_log.find(action="device_approved")
        assert (event.subject, event.target) == (session.user_id, client.id)
        assert event.details == ("scope=openid",)

    # S069
    async def test_a_device_code_is_good_once(self, world: World):
        client, codes, _ = await self.approved(world)
        responses = await asyncio.gather(*(poll(world, client, codes) for _ in range(10)))
        assert sorted(response.code for response in responses) == [200] + [400] * 9
        assert await error_of(world, client, codes) == "invalid_grant"

    # S069
    async def test_a_bad_request_spends_nothing(self, world: World):
        client, codes, _ = await self.approved(world)
        (before,) = await world.storage.grants.find()
        response = await poll(world, client, codes, resource="https://x.example")
        assert json.loads(response.body)["error"] == "invalid_target"
        assert await world.storage.grants.find() == [before]
        assert (await poll(world, client, codes)).code == 200

    async def test_a_store_that_fails_spends_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ):
        client, codes, _ = await self.approved(world)

        async def fail(_):
            raise StorageUnavailable

        with monkeypatch.context() as broken:
            broken.setattr(world.server.oauth2.grants, "confirm", fail)
            assert (await poll(world, client, codes)).code == 503
        assert (await poll(world, client, codes)).code == 200

    # S069
    async def test_a_device_code_is_its_clients_alone(self, world: World):
        client, codes, _ = await self.approved(world)
        other = await device_client(world)
        assert await error_of(world, other, codes) == "invalid_grant"
        assert (await poll(world, client, codes)).code == 200

    # S069
    @pytest.mark.parametrize("device_code", ["tdc_" + "A" * 43, "x", "é"])
    async def test_an_unknown_device_code_is_refused(self, world: World, device_code: str):
        client = await device_client(world)
        assert await error_of(world, client, {"device_code": device_code}) == "invalid_grant"

    async def test_the_user_code_opens_nothing_at_the_token_endpoint(self, world: World):
        client, codes, _ = await self.approved(world)
        assert await error_of(world, client, {"device_code": codes["user_code"]}) == "invalid_grant"

    # S039
    async def test_who_signs_out_before_the_device_asks_takes_it_back(self, world: World):
        client, codes, session = await self.approved(world)
        await world.server.sessions.end(session)
        assert await error_of(world, client, codes) == "invalid_grant"

    # S039
    async def test_offline_access_outlives_the_session(self, world: World):
        client, codes, session = await self.approved(world, scope="openid offline_access")
        await world.server.sessions.end(session)
        tokens = json.loads((await poll(world, client, codes)).body)
        assert (await world.refresh(client, tokens["refresh_token"])).code == 200

    async def test_offline_access_is_nothing_without_refresh_tokens(self, world: World):
        client = await device_client(world, grant_types=(DEVICE,))
        codes = await start(world, client, scope="openid offline_access")
        await answer(world, await world.service.sign_in(), codes["user_code"], "approve")
        tokens = json.loads((await poll(world, client, codes)).body)
        assert claims_of(tokens["access_token"])["scope"] == "openid"
        assert "refresh_token" not in tokens

    async def test_a_resource_can_be_chosen_among_those_that_were_allowed(self, world: World):
        one, two = "https://one.example", "https://two.example"
        client = await device_client(world, resources=(one, two))
        response = await world.service.fetch(
            "/oauth2/device_authorization",
            method="POST",
            body=f"client_id={client.id}&scope=openid&resource={one}&resource={two}",
        )
        codes = json.loads(response.body)
        await answer(world, await world.service.sign_in(), codes["user_code"], "approve")
        tokens = json.loads((await poll(world, client, codes, resource=two)).body)
        assert claims_of(tokens["access_token"])["aud"] == two

    async def test_a_yes_lands_though_the_device_asks_meanwhile(self, world: World):
        client = await device_client(world)
        codes = await start(world, client)
        collection = world.storage.device_codes
        record = await collection.get(digest(codes["device_code"]))
        assert record is not None
        token = await world.service.sign_in()
        find = world.server.oauth2.devices._codes.find

        async def find_and_let_it_ask(**arguments):
            found = await find(**arguments)
            await collection.replace(replace(found[0], polled_at=world.server.now()))
            return found

        world.server.oauth2.devices._codes.find = find_and_let_it_ask  # type: ignore[method-assign]
        await answer(world, token, codes["user_code"], "approve")
        assert (await poll(world, client, codes)).code == 200
