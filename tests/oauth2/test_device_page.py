"""The page at which people allow devices: what it shows, what it asks for, who may not guess."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.browserless import Browser
from tests.conftest import FakeClock
from tests.forms import open_page
from tests.oauth2 import devices
from tests.oauth2.asking import SELF_REGISTERED
from tests.oauth2.devices import answer, device_client, error_of, poll, start
from tests.oauth2.world import World, WorldFactory
from tornado_auth.models import Client, Grant
from tornado_auth.oauth2.device import GUESSES, LENGTH, LETTERS

PATH = "/oauth2/device"
WRONG = "BBBB-BBBB"


@pytest.fixture
async def world(make_world: WorldFactory, clock: FakeClock) -> World:
    return await make_world(now=clock, dev=True)


@pytest.fixture
async def client(world: World) -> Client:
    return await device_client(world)


@pytest.fixture
async def codes(world: World, client: Client) -> devices.Codes:
    return await start(world, client, scope="openid email")


@pytest.fixture
async def token(world: World) -> str:
    return await world.service.sign_in("ann")


async def guess(world: World, token: str, code: str = WRONG, **headers: str) -> int:
    page = await open_page(world.service, PATH, tornado_auth=token)
    return (await page.send(PATH, headers=headers, user_code=code)).code


class TestPage:
    async def test_nobody_needs_to_be_signed_in_already(
        self, world: World, client: Client, codes: devices.Codes
    ):
        browser = Browser()
        await browser.get(codes["verification_uri_complete"])
        await browser.submit("dev-login-form", username="ann")
        assert "Compare the code" in browser.text
        await browser.submit("device-form")
        assert codes["user_code"] in browser.text
        assert 'id="device-approve"' in browser.text
        await browser.submit("device-form", decision="approve")
        assert 'id="device-approved"' in browser.text
        assert (await poll(world, client, codes)).code == 200
        browser.close()

    async def test_the_code_can_be_typed(self, world: World, client: Client, codes: devices.Codes):
        browser = Browser()
        await browser.get(world.issuer + PATH)
        await browser.submit("dev-login-form", username="ann")
        assert browser.url == world.issuer + PATH
        await browser.submit("device-form", user_code=codes["user_code"])
        assert "The TV" in browser.text
        await browser.submit("device-form", decision="deny")
        assert 'id="device-denied"' in browser.text
        assert await error_of(world, client, codes) == "access_denied"
        browser.close()

    # S069
    @pytest.mark.parametrize("change", [str.lower, lambda c: c.replace("-", ""), " - ".join])
    async def test_case_and_punctuation_do_not_count(
        self, world: World, codes: devices.Codes, token: str, change
    ):
        page = await open_page(world.service, PATH, tornado_auth=token)
        response = await page.send(PATH, user_code=change(codes["user_code"]))
        assert response.code == 200
        assert codes["user_code"].encode() in response.body

    # S072
    async def test_a_link_with_the_code_saves_the_typing_and_allows_nothing(
        self, world: World, client: Client, codes: devices.Codes, token: str
    ):
        path = codes["verification_uri_complete"].removeprefix(world.issuer)
        for query in ("", "&decision=approve"):
            response = await world.service.fetch(path + query, cookies={"tornado_auth": token})
            page = response.body.decode()
            assert response.code == 200
            assert f'value="{codes["user_code"]}"' in page
            assert "device-approve" not in page
        form = await open_page(world.service, path, tornado_auth=token)
        page = (await form.send(PATH, user_code=codes["user_code"])).body.decode()
        assert "The TV" in page
        assert "See your e-mail address" in page
        assert 'id="device-warning"' in page
        assert await error_of(world, client, codes) == "authorization_pending"

    # S072
    async def test_an_answer_needs_the_proof_that_the_form_was_ours(
        self, world: World, client: Client, codes: devices.Codes, token: str
    ):
        response = await world.service.fetch(
            PATH,
            cookies={"tornado_auth": token},
            form={"user_code": codes["user_code"], "decision": "approve"},
        )
        assert response.code == 403
        page = await open_page(world.service, PATH, tornado_auth=token)
        response = await page.send(f"{PATH}?decision=approve", user_code=codes["user_code"])
        assert response.code == 400
        assert await error_of(world, client, codes) == "authorization_pending"

    # S039
    async def test_an_answer_in_a_session_that_another_process_ended_is_none(
        self, world: World, client: Client, codes: devices.Codes, monkeypatch: pytest.MonkeyPatch
    ):
        session = await world.service.session()
        page = await open_page(
            world.service, PATH, tornado_auth=await world.server.sessions.token(session)
        )
        grants = world.server.oauth2.grants
        start = grants.start

        async def after_the_end(*args: Any, **options: Any) -> Grant:
            await world.storage.sessions.delete(session.id)
            return await start(*args, **options)

        monkeypatch.setattr(grants, "start", after_the_end)
        response = await page.send(PATH, user_code=codes["user_code"], decision="approve")
        assert response.code == 400
        assert b">access_denied<" in response.body
        assert await error_of(world, client, codes) == "authorization_pending"
        assert await world.storage.grants.find() == []

    # S072
    async def test_an_answer_of_nobody_is_no_answer(
        self, world: World, client: Client, codes: devices.Codes
    ):
        page = await open_page(world.service)
        response = await page.send(PATH, user_code=codes["user_code"], decision="approve")
        assert response.code == 303
        assert response.headers["Location"].startswith("/auth/login?next=")
        assert await error_of(world, client, codes) == "authorization_pending"

    async def test_an_api_key_opens_nothing(self, world: World, codes: devices.Codes):
        session = await world.service.session()
        _, key = await world.server.api_keys.create(session.user_id, name="k", scopes=["*"])
        response = await world.service.fetch(PATH, headers={"Authorization": f"Bearer {key}"})
        assert response.code == 303

    # S015
    async def test_what_a_client_says_of_itself_is_text(self, world: World, token: str):
        name = '<script>alert(1)</script>"'
        client = await device_client(world, client_name=name, **SELF_REGISTERED)
        codes = await start(world, client)
        form = await open_page(world.service, PATH, tornado_auth=token)
        page = (await form.send(PATH, user_code=codes["user_code"])).body.decode()
        assert name not in page
        assert "&lt;script&gt;" in page
        assert 'id="device-unverified"' in page

    @pytest.mark.parametrize("decision", ["approve", "deny"])
    async def test_an_answer_counts_once(
        self, world: World, codes: devices.Codes, token: str, decision: str
    ):
        assert (await answer(world, token, codes["user_code"], decision)).code == 200
        for again in ("approve", "deny"):
            assert (await answer(world, token, codes["user_code"], again)).code == 404

    async def test_a_client_that_was_disabled_meanwhile_gets_nothing(
        self, world: World, client: Client, codes: devices.Codes, token: str
    ):
        await world.change(client, disabled_at=world.server.now())
        assert (await answer(world, token, codes["user_code"], "approve")).code == 404
        assert await world.storage.grants.find() == []

    async def test_of_two_who_answer_at_once_one_is_heard(
        self, world: World, client: Client, codes: devices.Codes, token: str
    ):
        found = world.server.oauth2.devices._find
        who = await world.server.checks.who(token)
        assert who is not None
        seen = await found(codes["user_code"], who, "192.0.2.1")

        async def find(*_):
            return seen

        await answer(world, token, codes["user_code"], "deny")
        world.server.oauth2.devices._find = find  # type: ignore[method-assign]
        assert (await answer(world, token, codes["user_code"], "approve")).code == 404
        assert await world.storage.grants.find() == []
        assert await error_of(world, client, codes) == "access_denied"


class TestGuessing:
    async def test_no_code_is_no_guess(self, world: World, token: str):
        assert [await guess(world, token, "") for _ in range(7)] == [200] * 7

    # S070
    async def test_the_sixth_wrong_code_of_a_session_has_to_wait(
        self, world: World, codes: devices.Codes, token: str, clock: FakeClock
    ):
        assert [await guess(world, token) for _ in range(7)] == [404] * 5 + [429] * 2
        assert await guess(world, token, codes["user_code"]) == 429
        page = await open_page(world.service, PATH, tornado_auth=token)
        response = await page.send(PATH, user_code=codes["user_code"])
        assert int(response.headers["Retry-After"]) > 0
        assert (await answer(world, token, codes["user_code"], "approve")).code == 429
        clock.advance(900)
        assert await guess(world, token) == 404

    # S070
    @pytest.mark.parametrize("code", [WRONG, "x", "BBBBBBBBB", "ÄÖÜ", "0" * 300])
    async def test_a_form_counts_and_a_link_of_anybody_does_not(
        self, world: World, codes: devices.Codes, token: str, code: str
    ):
        link = f"{PATH}?user_code={quote(code)}"
        for _ in range(6):
            response = await world.service.fetch(link, cookies={"tornado_auth": token})
            assert response.code == 200
        assert await guess(world, token, codes["user_code"]) == 200
        assert [await guess(world, token, code) for _ in range(6)] == [404] * 5 + [429]

    # S070
    async def test_right_codes_do_not_count_and_forgive_nothing(self, world: World, token: str):
        client = await device_client(world)
        for _ in range(4):
            assert await guess(world, token) == 404
        for _ in range(4):
            own = await start(world, client)
            assert await guess(world, token, own["user_code"]) == 200
        assert [await guess(world, token) for _ in range(2)] == [404, 429]

    # S070
    async def test_an_account_is_limited_over_its_sessions(self, world: World):
        for _ in range(2):
            token = await world.service.sign_in("ann")
            assert [await guess(world, token) for _ in range(5)] == [404] * 5
        assert await guess(world, await world.service.sign_in("ann")) == 429
        assert await guess(world, await world.service.sign_in("bob")) == 404

    # S070
    @pytest.mark.parametrize("scope", ["device-address", "device"])
    async def test_an_address_and_everybody_together_are_limited(
        self, world: World, token: str, scope: str, monkeypatch: pytest.MonkeyPatch
    ):
        throttle = world.server.oauth2.devices._throttle
        few = {**GUESSES, scope: type(GUESSES[scope])(2, 900)}
        monkeypatch.setattr(throttle, "_limits", few)
        tokens = [token, await world.service.sign_in("bob"), await world.service.sign_in("cleo")]
        assert [await guess(world, one) for one in tokens] == [404, 404, 429]

    # S070
    def test_guesses_hit_nothing_in_the_lifetime_of_a_code(self):
        longest = max(limit.window for limit in GUESSES.values())
        assert longest >= 900  # no code lives longer than the window
        assert GUESSES["device"].attempts / len(LETTERS) ** LENGTH < 2**-20
        assert GUESSES["device-session"].attempts == 5
