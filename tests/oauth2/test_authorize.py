"""What comes next between a user, us and a client: signing in, then consent, then a code."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.oauth2.asking import (
    error_of,
    go,
    login_of,
    path_of,
    request_in,
    who,
)
from tests.oauth2.world import World, WorldFactory, answer_of, claims_of
from tornado_auth.models import TokenType
from tornado_auth.oauth2.authorize import Allowed


@pytest.fixture
async def world(make_world: WorldFactory, clock: FakeClock) -> World:
    return await make_world(now=clock)


async def id_token(world: World, **changes: Any) -> str:
    """Sign what could be an ID token of ours."""
    claims = {"iss": world.issuer, "exp": 1, "iat": 1, **changes}
    return await world.server.keys.sign(claims, typ=TokenType.ID)


class TestACode:
    async def test_is_the_answer_where_nothing_is_missing(self, world: World) -> None:
        client = await world.client()
        answer = answer_of(await world.authorize(client, await world.service.sign_in()))
        assert set(answer) == {"code", "state", "iss"}
        assert len(answer["code"]) >= 43

    async def test_stands_for_a_grant_of_what_was_asked_for(
        self, world: World, clock: FakeClock
    ) -> None:
        client = await world.client(resources=("https://api.example/", "https://b.example/"))
        session = await world.service.session(amr=("pwd",))
        code = await world.code(
            client,
            await world.server.sessions.token(session),
            scope="openid email",
            resource="https://api.example/",
            nonce="the-nonce",
            claims='{"userinfo": {"name": {"essential": true}, "shoe_size": null}}',
        )
        record = await world.server.oauth2.codes.find(code)
        assert record is not None
        assert (record.nonce, record.valid_until) == ("the-nonce", clock.now + 60)
        [grant] = await world.server.oauth2.grants.of_user(session.user_id)
        assert record.grant_id == grant.id
        assert (grant.client_id, grant.session_id) == (client.id, session.id)
        assert (grant.scope, grant.resources) == (("openid", "email"), ("https://api.example/",))
        assert (grant.auth_time, grant.amr, grant.acr) == (session.auth_time, ("pwd",), "1")
        assert grant.claims == '{"userinfo": {"name": null}}'
        clock.advance(121)
        assert await world.server.oauth2.grants.of_user(session.user_id) == []

    # O7
    async def test_is_used_by_one_of_those_who_try(self, world: World) -> None:
        codes = world.server.oauth2.codes
        record = await codes.find(
            await world.code(await world.client(), await world.service.sign_in())
        )
        assert record is not None
        used = await codes.use(record)
        assert used is not None
        assert used.used_at is not None
        assert await codes.use(record) is None
        assert await codes.use(used) is None
        assert await codes.find("tac_nothing") is None

    async def test_is_given_for_claims_that_the_scopes_of_the_client_cover(
        self, world: World
    ) -> None:
        client = await world.client(scope=("openid", "email"))
        query = world.request_of(client, claims='{"userinfo": {"name": null, "email": null}}')
        assert (await request_in(world, query)).claim_names == ("email",)

    async def test_is_given_without_offline_access_to_who_cannot_refresh(
        self, world: World
    ) -> None:
        client = await world.client(grant_types=("authorization_code",))
        query = world.request_of(client, scope="openid offline_access")
        assert (await request_in(world, query)).scope == ("openid",)

    # S039
    @pytest.mark.parametrize("scope", ["openid", "openid offline_access"])
    async def test_is_not_given_in_a_session_that_another_process_ended(
        self, world: World, scope: str
    ) -> None:
        client, session = await world.client(), await world.service.session()
        found = await who(world, await world.server.sessions.token(session))
        request = await request_in(world, world.request_of(client, scope=scope))
        await world.storage.sessions.delete(session.id)
        step = await world.server.oauth2.authorization.next_step(request, found)
        assert isinstance(step, Allowed)  # an answer, if not a code
        told = step.response.parameters
        assert (told["error"], told["state"]) == ("access_denied", "the-state")
        assert "code" not in told
        assert await world.storage.grants.find() == []

    async def test_is_not_given_to_programs(self, world: World) -> None:
        client, session = await world.client(), await world.service.session()
        _, key = await world.server.api_keys.create(session.user_id, name="robot", scopes=["*"])
        response = await world.service.fetch(
            f"/oauth2/authorize?{world.request_of(client)}", token=key
        )
        assert path_of(response) == "/auth/login"
        ours = await who(world, await world.server.sessions.token(session))
        request = await request_in(world, world.request_of(client))
        missing = world.server.oauth2.authorization.missing
        assert await missing(request, ours) is None
        robot = replace(ours.user, is_service_account=True)
        assert await missing(request, replace(ours, user=robot)) is not None


class TestSigningIn:
    async def test_comes_first_and_leads_back(self, world: World) -> None:
        client = await world.client()
        response = await world.authorize(client, nonce="n", login_hint="ann@example.org")
        assert response.code == 303
        login = login_of(response)
        assert set(login) == {"next", "login_hint"}
        assert login["next"].startswith("/oauth2/authorize?")
        assert login["login_hint"] == "ann@example.org"
        page = await go(world, response.headers["Location"])
        assert page.code == 200
        answer = answer_of(await go(world, login["next"], await world.service.sign_in()))
        assert answer["state"] == "the-state"
        record = await world.server.oauth2.codes.find(answer["code"])
        assert record is not None
        assert record.nonce == "n"

    # S084
    async def test_is_asked_for_alike_whether_or_not_the_hinted_user_exists(
        self, world: World
    ) -> None:
        await world.service.sign_in("ann")
        client = await world.client()
        pages = []
        for hint in ("ann", "nobody", '"><script>'):
            response = await world.authorize(client, login_hint=hint)
            page = await go(world, response.headers["Location"])
            assert b"<script" not in page.body
            pages.append((response.code, page.code))
        assert pages == [(303, 200)] * 3

    # S080
    async def test_is_never_asked_for_silently(self, world: World) -> None:
        client = await world.client()
        answer = answer_of(await world.authorize(client, prompt="none", state="s" * 128))
        assert (answer["error"], answer["state"]) == ("login_required", "s" * 128)

    # S081
    @pytest.mark.parametrize("prompt", ["login", "select_account", "select_account login"])
    async def test_is_asked_for_again_though_somebody_is_signed_in(
        self, world: World, clock: FakeClock, prompt: str
    ) -> None:
        client, before = await world.client(), await world.service.session()
        token = await world.server.sessions.token(before)
        clock.advance(100)
        login = login_of(await world.authorize(client, token, prompt=prompt))
        assert login["prompt"] == "login"
        # The cookie alone is not enough, however often it comes.
        assert login_of(await go(world, login["next"], token))["prompt"] == "login"
        again = await world.service.sign_in()
        tokens = await world.redeem(
            client, answer_of(await go(world, login["next"], again))["code"]
        )
        claims = claims_of(json.loads(tokens.body)["id_token"])
        assert claims["auth_time"] == clock.now > before.auth_time

    # S081
    async def test_counts_for_a_short_time(self, world: World, clock: FakeClock) -> None:
        client = await world.client()
        login = login_of(await world.authorize(client, prompt="login"))
        token = await world.service.sign_in()
        clock.advance(601)
        assert login_of(await go(world, login["next"], token))["prompt"] == "login"

    # S081
    async def test_before_we_asked_does_not_count(self, world: World, clock: FakeClock) -> None:
        client = await world.client()
        first, second = await world.service.sign_in(), await world.service.sign_in()
        clock.advance(1)
        login = login_of(await world.authorize(client, first, prompt="login"))
        assert login_of(await go(world, login["next"], second))

    # S081
    async def test_for_one_request_is_none_for_another(
        self, world: World, clock: FakeClock
    ) -> None:
        client, other = await world.client(), await world.client()
        token = await world.service.sign_in()
        clock.advance(100)
        login = login_of(await world.authorize(client, token, prompt="login"))
        seal = login["next"].partition("interaction=")[2]
        again = await world.service.sign_in()
        for query in (
            world.request_of(client, prompt="login", state="another"),
            world.request_of(other, prompt="login"),
        ):
            response = await go(world, f"/oauth2/authorize?{query}&interaction={seal}", again)
            assert path_of(response) == "/auth/login"
        for bad in ("x", seal[:-1], seal[1:], ""):
            query = world.request_of(client, prompt="login")
            response = await go(world, f"/oauth2/authorize?{query}&interaction={bad}", again)
            assert path_of(response) == "/auth/login"
        clock.advance(3601)
        assert login_of(await go(world, login["next"], again))["prompt"] == "login"

    # S081
    async def test_is_asked_for_once_it_is_older_than_max_age(
        self, world: World, clock: FakeClock
    ) -> None:
        client, token = await world.client(), await world.service.sign_in()
        clock.advance(100)
        assert "code" in answer_of(await world.authorize(client, token, max_age="100"))
        silent = await world.authorize(client, token, max_age="99", prompt="none")
        assert error_of(silent) == "login_required"
        login = login_of(await world.authorize(client, token, max_age="99"))
        again = await world.service.sign_in()
        assert "code" in answer_of(await go(world, login["next"], again))

    # S081
    async def test_is_always_asked_for_with_a_max_age_of_0(
        self, world: World, clock: FakeClock
    ) -> None:
        client, token = await world.client(), await world.service.sign_in()
        clock.advance(1)
        login = login_of(await world.authorize(client, token, max_age="0"))
        again = await world.service.sign_in()
        clock.advance(2)
        assert "code" in answer_of(await go(world, login["next"], again))

    async def test_is_asked_for_by_the_default_of_the_client(
        self, world: World, clock: FakeClock
    ) -> None:
        client, token = await world.client(default_max_age=10), await world.service.sign_in()
        clock.advance(11)
        assert login_of(await world.authorize(client, token))["prompt"] == "login"
        assert "code" in answer_of(await world.authorize(client, token, max_age="11"))


class TestAHint:
    # S082
    async def test_of_whoever_is_signed_in_changes_nothing_though_it_is_over(
        self, world: World
    ) -> None:
        client, session = await world.client(), await world.service.session()
        token = await world.server.sessions.token(session)
        hint = await id_token(world, aud=client.id, sub=session.user_id)
        response = await world.authorize(client, token, id_token_hint=hint, prompt="none")
        assert "code" in answer_of(response)

    # S082
    async def test_of_somebody_else_asks_for_another_sign_in(
        self, world: World, clock: FakeClock
    ) -> None:
        client, ann = await world.client(), await world.service.session("ann")
        bob = await world.service.sign_in("bob")
        for hint in (
            {"id_token_hint": await id_token(world, aud=client.id, sub=ann.user_id)},
            {"claims": f'{{"id_token": {{"sub": {{"value": "{ann.user_id}"}}}}}}'},
        ):
            silent = await world.authorize(client, bob, prompt="none", **hint)
            assert error_of(silent) == "login_required"
            login = login_of(await world.authorize(client, bob, **hint))
            assert login["prompt"] == "login"
            clock.advance(1)
            again = await world.service.sign_in("bob")
            assert error_of(await go(world, login["next"], again)) == "login_required"
            right = await world.server.sessions.token(ann)
            assert "code" in answer_of(await go(world, login["next"], right))

    # S082
    async def test_that_is_no_id_token_of_the_client_is_refused(self, world: World) -> None:
        client, session = await world.client(), await world.service.session()
        token = await world.server.sessions.token(session)
        good = {"aud": client.id, "sub": session.user_id}
        other_type = await world.server.keys.sign({"iss": world.issuer, **good}, typ="at+jwt")
        signed = await id_token(world, **good)
        for hint in (
            await id_token(world, **good | {"aud": "c-another"}),
            await id_token(world, **good | {"iss": "https://evil.example"}),
            await id_token(world, aud=client.id),
            other_type,
            signed[:-4] + "AAAA",
            "e30." + signed.partition(".")[2],
        ):
            response = await world.authorize(client, token, id_token_hint=hint)
            assert error_of(response) == "invalid_request"
