"""Where clients send people to sign out (OpenID Connect RP-Initiated Logout)."""

from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPResponse

from tests.browserless import Browser
from tests.forms import Page, cookies_of, open_page
from tests.issuer import base64url, key_set
from tests.oauth2.asking import SELF_REGISTERED
from tests.oauth2.redeeming import tokens_for
from tests.oauth2.world import World, WorldFactory, claims_of
from tornado_auth.audit import SYSTEM
from tornado_auth.models import Client, Session, TokenType

PATH = "/oauth2/logout"
AFTERWARDS = "https://app.example/bye"


@pytest.fixture
async def client(world: World) -> Client:
    uris = (AFTERWARDS, "https://app.example/bye?lang=en", "com.example.app:/bye")
    return await world.client(post_logout_redirect_uris=uris)


@pytest.fixture
async def session(world: World) -> Session:
    return await world.service.session("ann")


@pytest.fixture
async def cookie(world: World, session: Session) -> str:
    return await world.server.sessions.token(session)


@pytest.fixture
async def hint(world: World, client: Client, session: Session) -> str:
    return str((await tokens_for(world, client, session=session))["id_token"])


async def visit(world: World, cookie: str = "", **parameters: str) -> HTTPResponse:
    cookies = {"tornado_auth": cookie} if cookie else None
    return await world.service.fetch(f"{PATH}?{urlencode(parameters)}", cookies=cookies)


async def is_signed_in(world: World, cookie: str) -> bool:
    return (await world.server.checks.who(cookie)) is not None


def is_question(response: HTTPResponse) -> bool:
    page = response.body.decode()
    return response.code == 200 and all(
        f'id="{name}"' in page for name in ("logout-title", "logout-confirm", "logout-cancel")
    )


class TestWithAHint:
    # S085 S086
    async def test_the_session_of_the_hint_ends_and_the_browser_goes_on(
        self, world: World, cookie: str, hint: str
    ):
        state = "s" * 128
        response = await visit(
            world, cookie, id_token_hint=hint, post_logout_redirect_uri=AFTERWARDS, state=state
        )
        assert response.code == 303
        assert response.headers["Location"] == f"{AFTERWARDS}?state={state}"
        assert cookies_of(response)["tornado_auth"].value == ""
        assert not await is_signed_in(world, cookie)

    # S085
    @pytest.mark.parametrize(
        ("uri", "state", "location"),
        [
            (AFTERWARDS, "", AFTERWARDS),
            (
                f"{AFTERWARDS}?lang=en",
                "a&b=c#d é",
                f"{AFTERWARDS}?lang=en&state=a%26b%3Dc%23d+%C3%A9",
            ),
            ("com.example.app:/bye", "x", "com.example.app:/bye?state=x"),
            ("", "x", "/oauth2/logged-out"),
        ],
    )
    async def test_the_address_stays_as_it_is_registered(
        self, world: World, cookie: str, hint: str, uri: str, state: str, location: str
    ):
        response = await visit(
            world, cookie, id_token_hint=hint, post_logout_redirect_uri=uri, state=state
        )
        assert response.headers["Location"] == location

    # S085
    async def test_a_hint_that_is_over_is_as_good(self, make_world: WorldFactory, clock: Any):
        world = await make_world(now=clock)
        session = await world.service.session()
        tokens = await tokens_for(world, await world.client(), session=session)
        clock.advance(86_400)
        cookie = await world.server.sessions.token(session)
        response = await visit(world, cookie, id_token_hint=tokens["id_token"])
        assert response.headers["Location"] == "/oauth2/logged-out"
        assert not await is_signed_in(world, cookie)

    # S086
    async def test_the_hint_of_another_session_asks(self, world: World, hint: str):
        for name in ("ann", "bob"):
            cookie = await world.service.sign_in(name)
            assert is_question(await visit(world, cookie, id_token_hint=hint))
            assert await is_signed_in(world, cookie)

    async def test_who_is_signed_out_already_just_goes_on(self, world: World, hint: str):
        response = await visit(world, id_token_hint=hint, post_logout_redirect_uri=AFTERWARDS)
        assert response.headers["Location"] == AFTERWARDS

    # S085
    async def test_a_hint_that_is_none_of_ours_is_an_error(
        self, world: World, cookie: str, hint: str, session: Session
    ):
        header, payload, signature = hint.split(".")
        none = base64url(b'{"alg":"none","typ":"JWT"}')
        foreign = await key_set("ES256", 7).sign(claims_of(hint), typ=TokenType.ID)
        other_issuer = {**claims_of(hint), "iss": "https://other.example"}
        bad = [
            f"{none}.{payload}.",
            f"{header}.{payload}.",
            f"{header}.{payload}.{signature[:-4]}AAAA",
            foreign,
            await world.server.keys.sign(other_issuer, typ=TokenType.ID),
            await world.server.sessions.token(session),
            "x",
        ]
        for token in bad:
            response = await visit(
                world, cookie, id_token_hint=token, post_logout_redirect_uri=AFTERWARDS
            )
            page = response.body.decode()
            assert response.code == 400
            assert 'id="oauth-error"' in page
            assert "invalid_request" in page
            assert "id_token_hint" in page
        assert await is_signed_in(world, cookie)

    # S085
    async def test_the_hint_and_the_client_id_must_agree(
        self, world: World, cookie: str, hint: str, client: Client
    ):
        other = await world.client()
        response = await visit(world, cookie, id_token_hint=hint, client_id=other.id)
        assert response.code == 400
        assert await is_signed_in(world, cookie)
        response = await visit(world, cookie, id_token_hint=hint, client_id=client.id)
        assert response.code == 303


class TestWhereToGo:
    # S085
    @pytest.mark.parametrize(
        "uri",
        [
            "https://evil.example/",
            AFTERWARDS + "/",
            AFTERWARDS + "?x=1",
            AFTERWARDS + "#f",
            "https://app.example:443/bye",
            "https://APP.example/bye",
            "https://app.example/%62ye",
            "https://app.example@evil.example/bye",
            "//app.example/bye",
            "javascript:alert(1)",
        ],
    )
    async def test_nobody_is_sent_where_the_client_did_not_register(
        self, world: World, cookie: str, hint: str, uri: str
    ):
        response = await visit(
            world, cookie, id_token_hint=hint, post_logout_redirect_uri=uri, state="s"
        )
        assert response.code == 400
        assert "Location" not in response.headers
        assert 'id="oauth-error"' in response.body.decode()
        assert "post_logout_redirect_uri" in response.body.decode()
        assert await is_signed_in(world, cookie)

    # S085
    async def test_nobody_is_sent_on_for_who_does_not_say_which_client(
        self, world: World, cookie: str, client: Client
    ):
        for named in ({}, {"client_id": "c-unknown"}, {"client_id": "\U0001f600"}):
            response = await visit(world, cookie, post_logout_redirect_uri=AFTERWARDS, **named)
            assert response.code == 400
            assert "post_logout_redirect_uri" in response.body.decode()

    # S085
    async def test_a_client_that_is_disabled_has_no_address(
        self, world: World, cookie: str, hint: str, client: Client
    ):
        await world.change(client, disabled_at=world.server.now())
        response = await visit(
            world, cookie, id_token_hint=hint, post_logout_redirect_uri=AFTERWARDS
        )
        assert response.code == 400

    async def test_a_parameter_twice_is_an_error_page(self, world: World):
        response = await world.service.fetch(f"{PATH}?state=a&state=b")
        assert response.code == 400
        assert 'id="oauth-error"' in response.body.decode()


class TestAClientThatRegisteredItself:
    @pytest.fixture
    async def client(self, world: World) -> Client:
        return await world.client(**SELF_REGISTERED, post_logout_redirect_uris=(AFTERWARDS,))

    # S011 S085
    async def test_gets_no_browser_by_a_link_alone(self, world: World, client: Client, cookie: str):
        link = {"client_id": client.id, "post_logout_redirect_uri": AFTERWARDS}
        response = await visit(world, **link)
        assert response.headers["Location"] == "/oauth2/logged-out"
        assert is_question(await visit(world, cookie, **link))
        page = await open_page(world.service, PATH, tornado_auth=cookie)
        response = await page.send(PATH, decision="confirm", **link)
        assert response.headers["Location"] == AFTERWARDS

    async def test_gets_those_whom_it_knows(self, world: World, hint: str, cookie: str):
        for signed_in in (cookie, ""):
            response = await visit(
                world, signed_in, id_token_hint=hint, post_logout_redirect_uri=AFTERWARDS
            )
            assert response.headers["Location"] == AFTERWARDS

    async def test_gets_all_once_an_operator_looked_at_it(self, world: World, client: Client):
        administration = world.server.administration
        await administration.change_client(SYSTEM, client.id, {"client_name": "Looked at"})
        response = await visit(world, client_id=client.id, post_logout_redirect_uri=AFTERWARDS)
        assert response.headers["Location"] == AFTERWARDS


class TestAsking:
    # S086
    async def test_a_link_signs_nobody_out(self, world: World, cookie: str, client: Client):
        for parameters in ({}, {"client_id": client.id}, {"state": "x"}):
            assert is_question(await visit(world, cookie, **parameters))
        assert await is_signed_in(world, cookie)

    # S085 S086
    async def test_a_yes_ends_the_session_and_goes_on(
        self, world: World, cookie: str, client: Client
    ):
        parameters = {
            "client_id": client.id,
            "post_logout_redirect_uri": AFTERWARDS,
            "state": "s",
        }
        browser = Browser(stop_at=("https://app.example",))
        browser.keep_cookie(world.issuer, f"tornado_auth={cookie}; Path=/")
        await browser.get(f"{world.issuer}{PATH}?{urlencode(parameters)}")
        assert "The app" in browser.text
        policy = browser.headers["Content-Security-Policy"]
        assert policy.endswith("form-action 'self' https:")
        await browser.submit("logout-form", decision="confirm")
        assert browser.url == f"{AFTERWARDS}?state=s"
        assert browser.cookie("tornado_auth") is None
        assert not await is_signed_in(world, cookie)
        browser.close()

    # S086
    async def test_after_a_yes_the_old_cookie_is_dead(self, world: World, cookie: str):
        page = await self.question(world, cookie)
        response = await page.send(PATH, decision="confirm")
        assert response.headers["Location"] == "/oauth2/logged-out"
        assert not (await world.service.json("/auth/check", token=cookie))["authenticated"]

    async def test_a_no_leaves_everything_as_it_is(self, world: World, cookie: str):
        page = await self.question(world, cookie)
        response = await page.send(PATH, decision="cancel")
        assert response.headers["Location"] == "/auth/account"
        assert await is_signed_in(world, cookie)

    # S086
    async def test_a_yes_needs_the_proof_that_the_form_was_ours(self, world: World, cookie: str):
        cookies = {"tornado_auth": cookie}
        response = await world.service.fetch(PATH, cookies=cookies, form={"decision": "confirm"})
        assert response.code == 403
        page = await self.question(world, cookie)
        response = await page.send(
            PATH, headers={"Origin": "https://evil.example"}, decision="confirm"
        )
        assert response.code == 403
        assert (await visit(world, cookie, decision="confirm")).code == 200
        assert await is_signed_in(world, cookie)

    # S085
    async def test_a_yes_is_no_way_around_the_checks(self, world: World, cookie: str):
        page = await self.question(world, cookie)
        response = await page.send(
            PATH, decision="confirm", post_logout_redirect_uri="https://evil.example/"
        )
        assert response.code == 400
        assert await is_signed_in(world, cookie)

    # S012 S086
    async def test_a_clients_form_starts_over_where_browsers_send_the_cookie(
        self, world: World, cookie: str, hint: str, client: Client
    ):
        form = {
            "id_token_hint": hint,
            "client_id": client.id,
            "post_logout_redirect_uri": AFTERWARDS,
            "state": "s",
            "extra": "1",
        }
        headers = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
        response = await world.service.fetch(PATH, form=form, headers=headers)
        assert response.code == 303
        location = response.headers["Location"]
        del form["extra"]
        assert location == f"{PATH}?{urlencode(form)}"
        assert await is_signed_in(world, cookie)
        response = await world.service.fetch(location, cookies={"tornado_auth": cookie})
        assert response.headers["Location"] == f"{AFTERWARDS}?state=s"

    async def test_what_is_asked_with_an_api_key_ends_nothing(self, world: World, session: Session):
        _, key = await world.server.api_keys.create(session.user_id, name="k", scopes=["*"])
        await world.service.fetch(PATH, headers={"Authorization": f"Bearer {key}"})
        assert (await world.server.checks.who(key)) is not None

    async def question(self, world: World, cookie: str) -> Page:
        return await open_page(world.service, PATH, tornado_auth=cookie)


async def test_the_last_page_says_that_it_is_over(world: World):
    response = await world.service.fetch("/oauth2/logged-out")
    assert '<p id="logged-out">You are signed out</p>' in response.body.decode()
