"""The /auth API over real HTTP, one class a route: user names, lookups, hand-over, sign-out."""

import asyncio
import json

import pytest

from tests.conftest import FakeClock
from tests.service import Service, ServiceFactory


class TestUpdate:
    # D15
    async def test_a_user_name_is_chosen_once(self, service: Service) -> None:
        token = await service.sign_in("ann")
        response = await service.fetch("/auth/update", token=token, form={"username": "Queen.Ann"})
        assert (response.code, json.loads(response.body)) == (200, {"success": True})
        answer = await service.json("/auth/check", token=token)
        assert answer["profile"]["username"] == "queen.ann"
        response = await service.fetch("/auth/update", token=token, form={"username": "other"})
        assert response.code == 409
        assert json.loads(response.body) == {
            "success": False,
            "error": "Cannot modify username, already set",
        }

    async def test_the_parameters_may_stand_in_the_query(self, service: Service) -> None:
        token = await service.sign_in("ann")
        answer = await service.json(
            f"/auth/update?jwt={token}&username=queen", method="POST", body=""
        )
        assert answer == {"success": True}

    # S104
    async def test_twenty_parallel_choices_make_one(self, service: Service) -> None:
        token = await service.sign_in("ann")
        responses = await asyncio.gather(
            *(
                service.fetch("/auth/update", token=token, form={"username": f"name{number}"})
                for number in range(20)
            )
        )
        codes = sorted(response.code for response in responses)
        assert codes == [200] + [409] * 19
        winner = next(n for n, response in enumerate(responses) if response.code == 200)
        answer = await service.json("/auth/check", token=token)
        assert answer["profile"]["username"] == f"name{winner}"

    # S104
    async def test_no_other_field_changes(self, service: Service) -> None:
        token = await service.sign_in("ann")
        before = await service.json("/auth/check", token=token)
        form = {"id": "x", "email": "x@x.example", "role": "admin", "sub": "x", "name": "x"}
        assert await service.json("/auth/update", token=token, form=form) == {"success": True}
        assert await service.json("/auth/check", token=token) == before

    # S104
    async def test_it_takes_a_post(self, service: Service) -> None:
        token = await service.sign_in("ann")
        response = await service.fetch("/auth/update?username=queen", token=token)
        assert response.code == 405
        assert "POST" in response.headers["Allow"]
        profile = (await service.json("/auth/check", token=token))["profile"]
        assert profile["username"] == "ann"

    # S104 S119
    async def test_a_cookie_alone_changes_nothing(self, service: Service) -> None:
        token = await service.sign_in("ann")
        response = await service.fetch(
            "/auth/update", cookies={"tornado_auth": token}, form={"username": "queen"}
        )
        assert response.code == 403
        profile = (await service.json("/auth/check", token=token))["profile"]
        assert profile["username"] == "ann"

    # D27
    @pytest.mark.parametrize(
        ("token", "code", "error"),
        [("", 401, "No token"), ("rubbish", 401, "Not authenticated")],
    )
    async def test_who_is_not_signed_in_is_told_so(
        self, service: Service, token: str, code: int, error: str
    ) -> None:
        response = await service.fetch("/auth/update", token=token, form={"username": "queen"})
        assert response.code == code
        assert json.loads(response.body) == {"success": False, "error": error}

    # S147
    @pytest.mark.parametrize("username", ["ab", "a@b", "admin", "a b", "x" * 65])
    async def test_a_bad_name_is_refused_with_a_reason(
        self, service: Service, username: str
    ) -> None:
        token = await service.sign_in("ann")
        response = await service.fetch("/auth/update", token=token, form={"username": username})
        assert response.code in (400, 409)
        answer = json.loads(response.body)
        assert answer["success"] is False
        assert len(answer["error"]) > 10


class TestLookup:
    # D17
    async def test_only_who_is_signed_in_may_look_people_up(self, service: Service) -> None:
        token = await service.sign_in("ann")
        for path, denied in (
            ("/auth/resolve", {"userid": None, "error": "login_required"}),
            ("/auth/get_profile", {"found": False, "error": "login_required"}),
        ):
            response = await service.fetch(f"{path}?username=ann")
            assert (response.code, json.loads(response.body)) == (401, denied)
            assert (await service.fetch(f"{path}?username=ann", token=token)).code == 200

    async def test_a_name_is_resolved(self, service: Service) -> None:
        token = await service.sign_in("ann")
        me = (await service.json("/auth/check", token=token))["profile"]["id"]
        answer = await service.json("/auth/resolve?username=ANN", token=token)
        assert answer == {"userid": me}
        for name in ("nobody", "", "a@b", "%F0%9F%98%80"):
            answer = await service.json(f"/auth/resolve?username={name}", token=token)
            assert answer == {"userid": None}

    # D17 S102
    async def test_a_public_profile_has_no_address_and_no_digest(self, service: Service) -> None:
        token = await service.sign_in("ann")
        answer = await service.json("/auth/get_profile?username=ann", token=token)
        assert answer["found"] is True
        profile = answer["profile"]
        assert set(profile) == {"id", "name", "join_date", "avatar_url", "gravatar"}
        assert profile["gravatar"] is None
        assert "example.org" not in json.dumps(answer)
        assert await service.json("/auth/get_profile?username=no", token=token) == {"found": False}

    async def test_an_operator_can_open_the_lookup(self, make_service: ServiceFactory) -> None:
        service = await make_service(TORNADO_AUTH_PUBLIC_PROFILES="true")
        await service.sign_in("ann")
        assert (await service.json("/auth/get_profile?username=ann"))["found"] is True

    # D17
    async def test_no_stranger_looks_up_a_whole_list(self, make_service: ServiceFactory) -> None:
        service = await make_service(TORNADO_AUTH_PUBLIC_PROFILES="true")
        token = await service.sign_in("ann")
        codes = [(await service.fetch(f"/auth/resolve?username=name{n}")).code for n in range(61)]
        assert codes == [200] * 60 + [429]
        response = await service.fetch("/auth/resolve?username=x")
        # Who is signed in has a limit of their own, and it is a higher one.
        assert (await service.fetch("/auth/resolve?username=x", token=token)).code == 200
        assert int(response.headers["Retry-After"]) > 0


class TestHandover:
    @pytest.fixture
    async def app(self, make_service: ServiceFactory, clock: FakeClock) -> Service:
        return await make_service(now=clock)

    async def test_a_code_is_exchanged_once(self, app: Service) -> None:
        session = await app.session("ann")
        code = await app.server.sessions.hand_over(session.id)
        answer = await app.json("/auth/token", form={"code": code})
        assert answer["token_type"] == "Bearer"
        assert answer["expires_in"] == 14 * 86400
        assert (await app.json("/auth/check", token=answer["token"]))["authenticated"] is True
        response = await app.fetch("/auth/token", form={"code": code})
        assert response.code == 400
        assert json.loads(response.body)["error"] == "invalid_grant"

    async def test_twenty_callers_with_one_code_get_one_token(self, app: Service) -> None:
        session = await app.session("ann")
        code = await app.server.sessions.hand_over(session.id)
        responses = await asyncio.gather(
            *(app.fetch("/auth/token", form={"code": code}) for _ in range(20))
        )
        assert sorted(r.code for r in responses) == [200] + [400] * 19

    async def test_a_code_ends_after_a_minute(self, app: Service, clock: FakeClock) -> None:
        session = await app.session("ann")
        code = await app.server.sessions.hand_over(session.id)
        clock.advance(60)
        assert (await app.fetch("/auth/token", form={"code": code})).code == 400

    async def test_a_code_of_an_ended_session_gives_nothing(self, app: Service) -> None:
        session = await app.session("ann")
        code = await app.server.sessions.hand_over(session.id)
        await app.server.sessions.end(session)
        assert (await app.fetch("/auth/token", form={"code": code})).code == 400

    async def test_a_code_stands_in_the_body(self, app: Service) -> None:
        session = await app.session("ann")
        code = await app.server.sessions.hand_over(session.id)
        response = await app.fetch(f"/auth/token?code={code}", form={})
        assert response.code == 400
        assert (await app.fetch("/auth/token", form={"code": code})).code == 200
        assert (await app.fetch("/auth/token", form={"code": ""})).code == 400


class TestCallback:
    # S090
    async def test_a_callback_of_no_attempt_is_counted(self, service: Service) -> None:
        response = await service.fetch("/auth/oauth_callback?state=x&code=y")
        assert response.code == 400
        assert b"invalid_state" in response.body
        metrics = (await service.fetch(service.ops_url + "/metrics")).body
        assert b'logins_total{provider="(unknown)",result="invalid_state"} 1.0' in metrics


class TestLogout:
    # D13
    async def test_the_token_is_dead_afterwards(self, service: Service) -> None:
        token = await service.sign_in("ann")
        other = await service.sign_in("ann")
        answer = await service.json("/auth/logout", token=token, form={})
        assert answer == {"success": True}
        assert (await service.json("/auth/check", token=token))["authenticated"] is False
        assert (await service.fetch("/auth/verify", token=token)).code == 401
        assert (await service.json("/auth/check", token=other))["authenticated"] is True
        assert (await service.json("/auth/logout", token=token, form={})) == {"success": False}

    async def test_a_link_does_not_sign_out(self, service: Service) -> None:
        token = await service.sign_in("ann")
        response = await service.fetch("/auth/logout", cookies={"tornado_auth": token})
        assert response.code == 200
        assert b'id="logout-confirm"' in response.body
        assert (await service.json("/auth/check", token=token))["authenticated"] is True
