"""Somebody signs in once more where they are signed in: which session is left, with what."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import FakeClock
from tests.flows.journeys import Person, corp_at
from tests.forms import account_page, cookies_of, open_page
from tests.oauth2.redeeming import audited, grant_of, is_alive, members_of, tokens_for
from tests.oauth2.world import World, WorldFactory, claims_of
from tests.providers.fake_oidc import FakeOIDC
from tornado_auth.errors import Stale
from tornado_auth.models import API_KEY, Client, Grant, Session

LOGIN = "/auth/login/dev"


@pytest.fixture
async def world(make_world: WorldFactory) -> World:
    return await make_world(dev=True)


@pytest.fixture
def told(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The clients that were told that a session is over, with its `sid`."""
    told: list[tuple[str, str]] = []
    logout = world.server.oauth2.back_channel_logout
    monkeypatch.setattr(
        logout, "_tell_later", lambda client, user_id, sid: told.append((client.id, sid))
    )
    return told


@pytest.fixture
async def client(world: World) -> Client:
    return await world.client(backchannel_logout_uri="https://app.example/out")


async def sign_in(world: World, name: str, cookie: str = "", next: str = "") -> str:
    """Sign in by the form, in a browser with this cookie, and return its next one."""
    cookies = {"tornado_auth": cookie} if cookie else {}
    page = await open_page(world.service, **cookies)
    response = await page.send(LOGIN, username=name, next=next)
    assert response.code == 303, response.body
    return cookies_of(response)["tornado_auth"].value


async def is_signed_in(world: World, cookie: str) -> bool:
    return (await world.server.checks.who(cookie)) is not None


class TestAsTheSameUser:
    # S086
    async def test_the_one_session_left_has_all_that_the_old_one_had(
        self, world: World, client: Client, told: list[tuple[str, str]]
    ) -> None:
        old = await sign_in(world, "ann")
        tokens = await world.tokens(client, old)
        new = await sign_in(world, "ann", old)
        assert not await is_signed_in(world, old)
        assert told == []
        assert await is_alive(world, tokens["access_token"])
        tokens |= members_of(await world.refresh(client, tokens["refresh_token"]))
        sid = claims_of(tokens["id_token"])["sid"]
        assert sid == claims_of(old)["sid"], "clients know the session by it"
        again = await world.tokens(client, new)

        await (await account_page(world.service, new)).send("/auth/logout")
        assert sorted(told) == sorted([(client.id, sid), (client.id, claims_of(new)["sid"])])
        for ended in (tokens, again):
            assert not await is_alive(world, ended["access_token"])
            assert (await world.refresh(client, ended["refresh_token"])).code == 400

    # S085
    async def test_a_client_that_knows_the_old_one_may_sign_out_of_the_new_one(
        self, world: World
    ) -> None:
        old, client = await sign_in(world, "ann"), await world.client()
        hint = (await world.tokens(client, old))["id_token"]
        new = await sign_in(world, "ann", old)
        path = f"/oauth2/logout?id_token_hint={hint}"
        elsewhere = await sign_in(world, "ann")
        asked = await world.service.fetch(path, cookies={"tornado_auth": elsewhere})
        assert (asked.code, await is_signed_in(world, elsewhere)) == (200, True)
        done = await world.service.fetch(path, cookies={"tornado_auth": new})
        assert (done.code, await is_signed_in(world, new)) == (303, False)

    @pytest.mark.parametrize("handover", ["query", "code"])
    async def test_a_token_that_another_site_was_handed_stays_good(
        self, make_world: WorldFactory, handover: str
    ) -> None:
        sites = f"https://one.example={handover} https://two.example={handover}"
        world = await make_world(dev=True, TORNADO_AUTH_ALLOWED_NEXT=sites)
        client = await world.client()
        first = await sign_in(world, "ann", next="https://one.example/")
        tokens = await world.tokens(client, first)
        second = await sign_in(world, "ann", first, next="https://two.example/")
        third = await sign_in(world, "ann", second)
        assert [await is_signed_in(world, one) for one in (first, second, third)] == [True] * 3
        assert await is_alive(world, tokens["access_token"])
        await (await account_page(world.service, third)).send("/auth/logout")
        assert not await is_alive(world, tokens["access_token"])
        assert [await is_signed_in(world, one) for one in (first, second, third)] == [False] * 3

    async def test_it_is_no_sign_out(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        old = await sign_in(world, "ann")
        monkeypatch.setattr(world.server.extensions, "fire", _unless_logout)
        new = await sign_in(world, "ann", old)
        [event] = await world.server.audit_log.find(action="session_ended")
        assert event.target == claims_of(old)["sid"]
        assert event.details == (f"replaced_by={claims_of(new)['sid']}",)
        assert await audited(world, "logout") == []


async def _unless_logout(hook: str, user_info: object) -> None:
    assert hook != "on_user_logout"


class TestAsSomebodyElse:
    # S086
    async def test_the_old_session_ends_as_by_a_sign_out(
        self, world: World, client: Client, told: list[tuple[str, str]]
    ) -> None:
        old = await sign_in(world, "ann")
        tokens = await world.tokens(client, old)
        new = await sign_in(world, "bob", old)
        ann, sid = claims_of(old)["sub"], claims_of(old)["sid"]
        assert (await is_signed_in(world, old), await is_signed_in(world, new)) == (False, True)
        assert not await is_alive(world, tokens["access_token"])
        assert (await world.refresh(client, tokens["refresh_token"])).code == 400
        assert told == [(client.id, sid)]
        assert await audited(world, "logout") == [(ann, sid)]


class TestTheOldSession:
    async def test_stays_where_the_sign_in_fails(self, world: World) -> None:
        old = await sign_in(world, "ann")
        page = await open_page(world.service, tornado_auth=old)
        assert (await page.send(LOGIN, username="")).code == 400
        assert await is_signed_in(world, old)

    async def test_stays_if_it_is_another_browsers(self, world: World) -> None:
        old = await sign_in(world, "ann")
        await sign_in(world, "ann")
        await sign_in(world, "bob", "no.such.token")
        assert await is_signed_in(world, old)

    async def test_stays_where_a_caller_shows_a_token_of_its_own(self, world: World) -> None:
        old, own = await sign_in(world, "ann"), await world.service.sign_in("cleo")
        page = await open_page(world.service, tornado_auth=old)
        headers = {"Authorization": f"Bearer {own}"}
        assert (await page.send(LOGIN, headers=headers, username="bob")).code == 303
        assert (await is_signed_in(world, old), await is_signed_in(world, own)) == (True, True)

    async def test_is_never_an_api_key(self, world: World) -> None:
        session = await world.service.session("ann")
        record, key = await world.server.api_keys.create(session.user_id, name="k", scopes=["*"])
        assert record.provider == API_KEY
        await sign_in(world, "bob", key)
        assert await is_signed_in(world, key)


class TestByALoginProvider:
    @pytest.fixture
    async def world(self, make_world: WorldFactory, fake_oidc: FakeOIDC, clock: FakeClock) -> World:
        corp = corp_at(fake_oidc.url, fake_oidc.client_id, fake_oidc.client_secret)
        return await make_world(dev=True, now=clock, **corp)

    @pytest.fixture
    async def person(self, world: World) -> AsyncIterator[Person]:
        person = Person(world.service)
        yield person
        person.browser.close()

    async def come_back(self, world: World, person: Person, fake_oidc: FakeOIDC, path: str) -> None:
        """Start at an address of ours, and bring the answer of the provider."""
        person.browser.stop_at = (fake_oidc.url,)
        await person.browser.get(world.issuer + path)
        parameters = fake_oidc.approve(person.browser.url)
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        await person.browser.get(f"{world.issuer}/auth/oauth_callback/corp?{query}")

    @pytest.mark.parametrize("is_same", [True, False])
    async def test_the_old_session_ends(
        self, world: World, person: Person, fake_oidc: FakeOIDC, is_same: bool
    ) -> None:
        path = "/auth/login/corp"
        if is_same:
            await self.come_back(world, person, fake_oidc, path)
        else:
            await person.sign_in_by_form("dev-login-form", username="ann")
        old = person.token
        tokens = await world.tokens(client := await world.client(), old)
        await self.come_back(world, person, fake_oidc, path)
        assert person.token != old
        assert not await is_signed_in(world, old)
        assert await is_signed_in(world, person.token)
        refreshed = await world.refresh(client, tokens["refresh_token"])
        assert refreshed.code == (200 if is_same else 400)


class TestGrants:
    async def test_that_ended_meanwhile_or_keep_changing_are_left_behind(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client, session = await world.client(), await world.service.session("ann")
        gone, busy, kept = [await grant_of(world, client, session) for _ in range(3)]
        collection = world.server.oauth2.grants._grants
        get, stored = collection.get, collection.replace

        async def read(id: str) -> Grant | None:
            return None if id == gone.id else await get(id)

        async def write(grant: Grant) -> Grant:
            if grant.id == busy.id:
                raise Stale("it changed")
            return await stored(grant)

        monkeypatch.setattr(collection, "get", read)
        monkeypatch.setattr(collection, "replace", write)
        await world.server.oauth2.grants.move(session.id, "next")
        [moved] = await world.server.oauth2.grants.of_session("next")
        assert (moved.id, moved.sid) == (kept.id, session.id)

    async def test_hold_while_they_move(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client, old = await world.client(), await world.service.session("ann")
        new = await world.service.session("ann")
        tokens = await tokens_for(world, client, session=old)
        get = world.storage.sessions.get
        collection = world.server.oauth2.grants._sessions

        async def moved_meanwhile(id: str) -> Session | None:
            if id == old.id:
                monkeypatch.setattr(collection, "get", get)
                await world.server.sessions.replace(old, new)
            return await get(id)

        monkeypatch.setattr(collection, "get", moved_meanwhile)
        assert await is_alive(world, tokens["access_token"])
        await world.server.sessions.end(new)
        assert not await is_alive(world, tokens["access_token"])
