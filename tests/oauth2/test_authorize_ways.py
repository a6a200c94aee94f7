"""How requests come and go: by forms, by short addresses, through pages."""

from urllib.parse import urlencode

import pytest

from tests.conftest import FakeClock
from tests.oauth2.asking import (
    SELF_REGISTERED,
    agree,
    consent_query_of,
    error_of,
    go,
    is_page,
    login_of,
    path_of,
    request_in,
    view_of,
    who,
)
from tests.oauth2.world import World, WorldFactory, answer_of
from tornado_auth.audit import SYSTEM
from tornado_auth.oauth2.errors import PageError
from tornado_auth.throttle import Limit, Throttle


@pytest.fixture
async def world(make_world: WorldFactory, clock: FakeClock) -> World:
    return await make_world(now=clock)


class TestAClientThatRegisteredItself:
    # S011
    async def test_gets_no_browser_whose_user_is_not_known(self, world: World) -> None:
        client = await world.client(**SELF_REGISTERED)
        token = await world.service.sign_in()
        assert is_page(await world.authorize(client, scope="nothing"), "invalid_scope")
        query = world.request_of(client, scope="nothing")
        posted = await world.service.fetch("/oauth2/authorize", method="POST", body=query)
        assert is_page(posted, "invalid_scope")
        twice = await go(world, f"/oauth2/authorize?{query}&scope=nothing")
        assert is_page(twice, "invalid_request")
        assert error_of(await world.authorize(client, token, scope="nothing")) == "invalid_scope"
        silent = await world.authorize(client, scope="nothing", prompt="none")
        assert error_of(silent) == "invalid_scope"
        assert error_of(await world.authorize(client, prompt="none")) == "login_required"
        assert path_of(await world.authorize(client)) == "/auth/login"

    # S078
    async def test_is_like_any_other_once_an_operator_changed_it(self, world: World) -> None:
        client, token = await world.client(**SELF_REGISTERED), await world.service.sign_in()
        assert (await view_of(world, client, token)).is_unverified
        administration = world.server.administration
        await administration.change_client(SYSTEM, client.id, {"client_name": "Looked at"})
        assert not (await view_of(world, client, token)).is_unverified
        assert error_of(await world.authorize(client, scope="nothing")) == "invalid_scope"
        page = await go(world, (await world.authorize(client)).headers["Location"])
        assert "Looked at" in page.body.decode()
        assert "nobody here has checked" not in page.body.decode()


class TestAForm:
    async def test_of_another_site_is_asked_again_with_our_cookie(self, world: World) -> None:
        client = await world.client()
        response = await world.service.fetch(
            "/oauth2/authorize",
            method="POST",
            body=world.request_of(client),
            headers={"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"},
        )
        assert response.code == 303
        address = response.headers["Location"]
        assert address.startswith("/oauth2/authorize?")
        assert "code" in answer_of(await go(world, address, await world.service.sign_in()))

    async def test_that_is_long_goes_by_a_short_address(self, world: World) -> None:
        client, token = await world.client(), await world.service.sign_in()
        claims = '{"userinfo": {"name": {"essential": true, "value": "%s"}}}' % ("x" * 4000)
        body = world.request_of(client, claims=claims, state="s" * 500)
        response = await world.service.fetch("/oauth2/authorize", method="POST", body=body)
        address = response.headers["Location"]
        assert len(address) < 300
        assert answer_of(await go(world, address, token))["state"] == "s" * 500
        assert is_page(await go(world, address, token), "invalid_request_uri", "request_uri")

    async def test_that_is_none_is_refused(self, world: World) -> None:
        response = await world.service.fetch(
            "/oauth2/authorize",
            method="POST",
            body="{}",
            headers={"Content-Type": "application/json"},
        )
        assert response.code == 415


class TestALongRequest:
    async def test_gets_through_sign_in_and_consent(self, world: World, clock: FakeClock) -> None:
        client = await world.client(is_trusted=False)
        asked = {"state": "\u00fc" * 500, "prompt": "login consent", "nonce": "n" * 500}
        login = login_of(await world.authorize(client, **asked))
        assert len(login["next"]) < 600
        clock.advance(500)
        token = await world.service.sign_in()
        consent = await go(world, login["next"], token)
        clock.advance(500)
        answer = answer_of(await agree(world, consent, token))
        assert answer["state"] == asked["state"]

    # S138
    async def test_that_is_kept_has_nothing_in_it_that_we_do_not_know(self, world: World) -> None:
        client = await world.client()
        junk = {"junk": "x" * 8000, "client_secret": "s", "state": "\u00e4" * 400}
        login = login_of(await world.authorize(client, **junk))
        assert "request_uri" in login["next"]
        [kept] = await world.storage.pushed_requests.find()
        assert "xx" not in kept.parameters
        assert "client_secret" not in kept.parameters
        short = login_of(await world.authorize(client, junk="x" * 8000))
        assert len(short["next"]) < 600
        assert len(await world.storage.pushed_requests.find()) == 1

    # S138
    async def test_that_is_kept_counts_for_its_address(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits = {"parked-requests": Limit(1, 60), "pushed-requests": Limit(1, 60)}
        throttle = Throttle(world.server.now, limits=limits)
        for endpoint in (world.server.oauth2.authorization, world.server.oauth2.push_endpoint):
            monkeypatch.setattr(endpoint, "_throttle", throttle)
        client = await world.client(token_endpoint_auth_method="none")
        query = world.request_of(client, state="\u00e4" * 400)
        assert login_of(await world.service.fetch(f"/oauth2/authorize?{query}"))
        assert (await world.service.fetch("/oauth2/par", method="POST", body=query)).code == 201
        for path, body in (("/oauth2/authorize", query), ("/oauth2/par", query)):
            refused = await world.service.fetch(path, method="POST", body=body)
            assert (refused.code, int(refused.headers["Retry-After"]) > 0) == (429, True)
        signed_in = await world.authorize(
            client, await world.service.sign_in(), state="\u00e4" * 400
        )
        assert "code" in answer_of(signed_in)
        assert login_of(await world.authorize(client))

    async def test_that_is_longer_than_anybody_needs_is_refused(self, world: World) -> None:
        client = await world.client(scope=("openid",))
        body = world.request_of(client, scope="openid " * 4000)
        response = await world.service.fetch("/oauth2/authorize", method="POST", body=body)
        assert error_of(response) == "invalid_request"
        assert await world.storage.pushed_requests.find() == []

    async def test_that_just_fits_leaves_room_for_what_we_add(self, world: World) -> None:
        client = await world.client()
        for size in range(0, 512, 73):
            response = await world.authorize(client, state="\u00e4" * 100, nonce="n" * size)
            page = await go(world, response.headers["Location"])
            assert page.code == 200, size


class TestWhereAFormMayEnd:
    async def test_is_the_scheme_of_the_client(self, world: World) -> None:
        authorization = world.server.oauth2.authorization
        native = {"application_type": "native", "token_endpoint_auth_method": "none"}
        for uri, target in (
            ("https://app.example/cb", "https:"),
            ("http://127.0.0.1/cb", "http:"),
            ("com.example.App:/cb", "com.example.app:"),
        ):
            client = await world.client(redirect_uris=(uri,), **native)
            query = world.request_of(client)
            assert await authorization.waiting(query) == (client, target, False)

    async def test_is_nowhere_for_what_is_no_request(self, world: World) -> None:
        authorization = world.server.oauth2.authorization
        client = await world.client()
        for query in ("", "client_id=c-nobody", world.request_of(client, scope="x"), "a=b&a=b"):
            assert await authorization.waiting(query) is None


class TestAPage:
    async def test_learns_what_is_missing_and_changes_nothing(self, world: World) -> None:
        client, token = await world.client(), await world.service.sign_in()
        request = await request_in(world, world.request_of(client))
        ann = await who(world, token)
        assert await world.server.oauth2.authorization.missing(request, ann) is None
        assert await world.server.oauth2.grants.of_user(ann.user.id) == []

    async def test_brings_a_no(self, world: World) -> None:
        client = await world.client(is_trusted=False)
        response = await world.authorize(client, await world.service.sign_in())
        request = await request_in(world, consent_query_of(response))
        denied = await world.server.oauth2.authorization.deny(request)
        assert denied.parameters == {
            "error": "access_denied",
            "error_description": "The user said no.",
            "state": "the-state",
            "iss": world.issuer,
        }

    async def test_cannot_answer_a_pushed_request_twice(self, world: World) -> None:
        client = await world.client()
        request_uri, _ = await world.server.oauth2.push_endpoint.push(
            client, (await request_in(world, world.request_of(client))).parameters, None
        )
        query = urlencode({"client_id": client.id, "request_uri": request_uri})
        request = await request_in(world, query)
        await world.server.oauth2.authorization.deny(request)
        with pytest.raises(PageError):
            await world.server.oauth2.authorization.deny(request)
