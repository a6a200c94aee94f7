"""Consent: when it is asked for, what is remembered, and how it is taken back."""

import asyncio
import json
from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.oauth2.asking import (
    NATIVE,
    agree,
    consent_query_of,
    error_of,
    go,
    login_of,
    path_of,
    request_in,
    view_of,
    who,
)
from tests.oauth2.world import World, WorldFactory, answer_of
from tornado_auth.errors import Stale
from tornado_auth.models import Actor, Consent, Grant


@pytest.fixture
async def world(make_world: WorldFactory, clock: FakeClock) -> World:
    return await make_world(
        now=clock,
        TORNADO_AUTH_SCOPES=json.dumps([{"name": "reports:read", "description": "Read reports"}]),
    )


class TestConsent:
    # S015
    async def test_is_asked_for_once_for_the_same(self, world: World) -> None:
        client, token = await world.client(is_trusted=False), await world.service.sign_in()
        response = await world.authorize(client, token, scope="openid email")
        assert response.code == 303
        assert "code" in answer_of(await agree(world, response, token))
        for scope in ("openid email", "openid", "email"):
            for prompt in ("", "none"):
                again = await world.authorize(client, token, scope=scope, prompt=prompt)
                assert "code" in answer_of(again), scope

    # S015
    async def test_is_asked_for_again_for_more(self, world: World) -> None:
        resource = "https://api.example/"
        client = await world.client(is_trusted=False, resources=(resource,))
        token = await world.service.sign_in()
        await agree(world, await world.authorize(client, token), token)
        for more in (
            {"scope": "openid email"},
            {"resource": resource},
            {"claims": '{"id_token": {"email": null}}'},
            {"claims": '{"userinfo": {"name": {"essential": true}}}'},
        ):
            silent = await world.authorize(client, token, prompt="none", **more)
            assert error_of(silent) == "consent_required"
            response = await world.authorize(client, token, **more)
            assert "code" in answer_of(await agree(world, response, token))
            assert "code" in answer_of(await world.authorize(client, token, **more))
        # What was allowed before is still there.
        assert "code" in answer_of(await world.authorize(client, token))

    # S015
    async def test_of_one_user_or_client_is_none_of_another(self, world: World) -> None:
        client, other = [await world.client(is_trusted=False) for _ in range(2)]
        ann, bob = await world.service.sign_in("ann"), await world.service.sign_in("bob")
        await agree(world, await world.authorize(client, ann), ann)
        assert consent_query_of(await world.authorize(client, bob))
        assert consent_query_of(await world.authorize(other, ann))

    # S015
    async def test_is_asked_for_each_time_that_the_client_wants_it(self, world: World) -> None:
        client, token = await world.client(is_trusted=False), await world.service.sign_in()
        for _ in range(3):
            response = await world.authorize(client, token, prompt="consent")
            query = consent_query_of(response)
            # Coming back is not enough.
            back = await go(world, f"/oauth2/authorize?{query}", token)
            assert path_of(back) == "/oauth2/consent"
            assert "code" in answer_of(await agree(world, response, token))

    # S015
    async def test_of_another_user_since_we_asked_does_not_count(
        self, world: World, clock: FakeClock
    ) -> None:
        client = await world.client(is_trusted=False)
        ann, bob = await world.service.sign_in("ann"), await world.service.sign_in("bob")
        for _ in range(3):
            await agree(world, await world.authorize(client, bob, prompt="consent"), bob)
        query = consent_query_of(await world.authorize(client, ann, prompt="consent"))
        assert consent_query_of(await go(world, f"/oauth2/authorize?{query}", bob))

    async def test_comes_after_a_sign_in_that_was_asked_for_and_keeps_it(
        self, world: World, clock: FakeClock
    ) -> None:
        client, token = await world.client(is_trusted=False), await world.service.sign_in()
        clock.advance(60)
        login = login_of(await world.authorize(client, token, prompt="login consent", max_age="5"))
        again = await world.service.sign_in()
        response = await go(world, login["next"], again)
        clock.advance(60)
        assert "code" in answer_of(await agree(world, response, again))

    async def test_before_a_sign_in_that_became_due_is_kept(
        self, world: World, clock: FakeClock
    ) -> None:
        client, token = await world.client(is_trusted=False), await world.service.sign_in()
        response = await world.authorize(client, token, prompt="consent", max_age="5")
        clock.advance(60)
        login = login_of(await agree(world, response, token))
        assert "code" in answer_of(await go(world, login["next"], await world.service.sign_in()))

    # S016
    async def test_given_to_one_request_counts_for_no_other_that_waits(self, world: World) -> None:
        client, token = await world.client(**NATIVE), await world.service.sign_in()
        other = await world.authorize(client, token, redirect_uri="http://127.0.0.1:6666/cb")
        mine = await world.authorize(client, token, redirect_uri="http://127.0.0.1:1111/cb")
        assert "code" in answer_of(await agree(world, mine, token))
        again = f"/oauth2/authorize?{consent_query_of(other)}"
        assert path_of(await go(world, again, token)) == "/oauth2/consent"

    async def test_to_a_request_counts_for_a_short_time(
        self, world: World, clock: FakeClock
    ) -> None:
        client, token = await world.client(**NATIVE), await world.service.sign_in()
        request = await request_in(world, world.request_of(client))
        url = await world.server.oauth2.authorization.agree(request, await who(world, token))
        clock.advance(601)
        assert path_of(await go(world, url, token)) == "/oauth2/consent"

    async def test_is_asked_for_trusted_clients_only_if_they_want_it(self, world: World) -> None:
        client, token = await world.client(), await world.service.sign_in()
        assert "code" in answer_of(await world.authorize(client, token))
        response = await world.authorize(client, token, prompt="consent")
        assert "code" in answer_of(await agree(world, response, token))

    # S039
    async def test_that_is_withdrawn_while_a_code_is_made_gives_none(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client, token = await world.client(is_trusted=False), await world.service.sign_in()
        answer_of(await agree(world, await world.authorize(client, token), token))
        oauth2, user = world.server.oauth2, (await world.storage.users.find())[0]
        start = oauth2.grants.start

        async def withdrawn_first(*args: Any, **options: Any) -> Grant:
            await oauth2.consents.withdraw(user.id, client.id)
            return await start(*args, **options)

        monkeypatch.setattr(oauth2.grants, "start", withdrawn_first)
        assert error_of(await world.authorize(client, token)) == "access_denied"
        assert await world.storage.grants.find() == []

    # S016
    @pytest.mark.parametrize("is_trusted", [False, True])
    @pytest.mark.parametrize("uri", ["http://127.0.0.1/cb", "com.example.app:/cb"])
    async def test_is_asked_for_each_time_where_any_program_may_be_the_client(
        self, world: World, uri: str, is_trusted: bool
    ) -> None:
        fields = NATIVE | {"redirect_uris": (uri,), "is_trusted": is_trusted}
        client, token = await world.client(**fields), await world.service.sign_in()
        assert error_of(await world.authorize(client, token, prompt="none")) == "consent_required"
        for _ in range(2):
            response = await world.authorize(client, token)
            assert "code" in answer_of(await agree(world, response, token))
        silent = await world.authorize(client, token, prompt="none")
        assert error_of(silent) == "interaction_required"

    # S016
    async def test_is_remembered_where_the_answer_goes_to_a_host_or_a_proven_client(
        self, world: World
    ) -> None:
        token = await world.service.sign_in()
        for fields in (
            NATIVE | {"redirect_uris": ("https://app.example/cb",)},
            NATIVE | {"token_endpoint_auth_method": "client_secret_basic"},
        ):
            client = await world.client(**fields)
            await agree(world, await world.authorize(client, token), token)
            assert "code" in answer_of(await world.authorize(client, token, prompt="none"))


class TestTheView:
    # S015
    async def test_names_client_host_and_what_is_new(self, world: World) -> None:
        client = await world.client(
            is_trusted=False,
            registration_token_digest="d",
            is_self_registered=True,
            scope=("openid", "email", "reports:read"),
            resources=("https://api.example/",),
        )
        token = await world.service.sign_in()
        await agree(world, await world.authorize(client, token), token)
        view = await view_of(
            world,
            client,
            token,
            scope="openid reports:read",
            claims='{"userinfo": {"email": null, "<b>": null}}',
            resource="https://api.example/",
        )
        assert view.client == client
        assert view.redirect_host == "app.example"
        assert view.is_unverified
        assert view.scopes == (
            ("openid", "Know who you are", False),
            ("reports:read", "Read reports", True),
        )
        assert (view.claims, view.resources) == (("email",), ("https://api.example/",))

    async def test_names_the_app_whose_own_scheme_it_is(self, world: World) -> None:
        client = await world.client(**NATIVE | {"redirect_uris": ("com.example.app:/cb",)})
        view = await view_of(world, client, await world.service.sign_in())
        assert (view.redirect_host, view.is_unverified) == ("com.example.app", False)


class TestARecordedConsent:
    async def test_is_audited_with_who_gave_and_who_took_it(self, world: World) -> None:
        client, token = await world.client(is_trusted=False), await world.service.sign_in()
        user = (await who(world, token)).user
        consents, find = world.server.oauth2.consents, world.server.audit_log.find
        request = await request_in(world, world.request_of(client, scope="openid email"))
        await consents.approve(user, request, remote_ip="192.0.2.1")
        [given] = await find(action="consent_given")
        assert (given.actor, given.subject, given.target) == (user.id, user.id, client.id)
        assert (given.remote_ip, given.details) == ("192.0.2.1", ("scope=openid email",))
        assert await consents.withdraw(user.id, client.id)
        assert not await consents.withdraw(user.id, client.id)
        [withdrawn] = await find(action="consent_withdrawn")
        assert (withdrawn.actor, withdrawn.subject, withdrawn.target) == (
            user.id,
            user.id,
            client.id,
        )

    async def test_gets_all_that_is_given_at_once(self, world: World) -> None:
        client, token = await world.client(is_trusted=False), await world.service.sign_in()
        user, consents = (await who(world, token)).user, world.server.oauth2.consents
        scopes = ("openid", "email", "profile", "phone", "address")
        requests = [await request_in(world, world.request_of(client, scope=s)) for s in scopes]
        await asyncio.gather(*(consents.approve(user, request) for request in requests))
        consent = await consents.get(user.id, client.id)
        assert consent is not None
        assert set(consent.scope) == set(scopes)
        assert consent.version == len(scopes) - 1

    async def test_is_not_claimed_to_be_kept_while_others_are_always_first(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client, token = await world.client(is_trusted=False), await world.service.sign_in()
        user, consents = (await who(world, token)).user, world.server.oauth2.consents
        request = await request_in(world, world.request_of(client))
        await consents.approve(user, request)

        async def replace(record: Consent) -> Consent:
            raise Stale

        monkeypatch.setattr(world.storage.consents, "replace", replace)
        with pytest.raises(Stale):
            await consents.approve(user, request)

    async def test_taken_back_ends_what_the_client_has(self, world: World) -> None:
        client = await world.client(is_trusted=False)
        session = await world.service.session()
        token = await world.server.sessions.token(session)
        answer = answer_of(await agree(world, await world.authorize(client, token), token))
        operator = Actor(name="operator", via="shell")
        assert await world.server.oauth2.consents.withdraw(
            session.user_id, client.id, actor=operator
        )
        assert (await world.redeem(client, answer["code"])).code == 400
        assert consent_query_of(await world.authorize(client, token))
        [event] = await world.server.audit_log.find(action="consent_withdrawn")
        assert event.via == "shell"


class TestConnectedApplications:
    async def test_are_those_with_consent_or_grants_by_name(
        self, world: World, clock: FakeClock
    ) -> None:
        session = await world.service.session()
        token = await world.server.sessions.token(session)
        asked = await world.client(is_trusted=False, client_name="b asked")
        trusted = await world.client(client_name="A trusted")
        await world.client(client_name="never used")
        await agree(world, await world.authorize(asked, token, scope="openid email"), token)
        clock.advance(1000)
        for scope in ("openid", "profile"):
            await world.tokens(trusted, token, scope=scope)
        consents = world.server.oauth2.consents
        first, second = await consents.of_user(session.user_id)
        assert (first.client, first.consent, first.last_granted_at) == (trusted, None, clock.now)
        assert set(first.scope) == {"openid", "profile"}
        assert second.client == asked
        assert second.consent is not None
        # The code was not redeemed, so only the consent is left.
        assert (second.scope, second.last_granted_at) == (("openid", "email"), None)
        assert await consents.withdraw(session.user_id, trusted.id)
        assert [one.client for one in await consents.of_user(session.user_id)] == [asked]
        assert await consents.of_user("somebody-else") == []
