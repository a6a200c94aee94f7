"""What the OpenID Foundation's Basic plan checks at the authorization endpoint, in its order.

Each client is that of the plan: registered by an operator, without PKCE, asked for consent.
"""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.conftest import FakeClock
from tests.oauth2.asking import agree, error_of, go, is_page, login_of, path_of
from tests.oauth2.world import ALL_SCOPES, World, WorldFactory, answer_of, claims_of
from tornado_auth.models import Client

STATE = "s" * 128


class Plan:
    """A client of the plan, and a user who has allowed it everything."""

    def __init__(self, world: World, client: Client, token: str) -> None:
        self.world, self.client, self.token = world, client, token

    def query(self, **changed: str) -> str:
        without = {"code_challenge": "", "code_challenge_method": "", "state": STATE}
        return self.world.request_of(self.client, **{**without, **changed})

    async def ask(self, **changed: str) -> Any:
        return await go(self.world, f"/oauth2/authorize?{self.query(**changed)}", self.token)

    async def answer(self, **changed: str) -> dict[str, str]:
        answer = answer_of(await self.ask(**changed))
        assert (answer["state"], answer["iss"]) == (STATE, self.world.issuer)
        return answer

    async def id_token(self, code: str) -> dict[str, Any]:
        response = await self.world.redeem(self.client, code, code_verifier="")
        assert response.code == 200, response.body
        return claims_of(json.loads(response.body)["id_token"])


@pytest.fixture
async def plan(make_world: WorldFactory, clock: FakeClock) -> Plan:
    world = await make_world(now=clock)
    client = await world.client(is_trusted=False, require_pkce=False)
    plan = Plan(world, client, await world.service.sign_in())
    everything = {"scope": " ".join(ALL_SCOPES), "claims": '{"userinfo": {"name": null}}'}
    asked = await plan.ask(**everything)
    assert "code" in answer_of(await agree(world, asked, plan.token))
    return plan


# 1 oidcc-server
async def test_a_plain_request_gives_a_code_of_enough_entropy(plan: Plan) -> None:
    codes = [(await plan.answer())["code"] for _ in range(3)]
    assert len(set(codes)) == 3
    for code in codes:
        assert len(code) >= 43
        assert len(set(code)) > 16


# 2 oidcc-response-type-missing
async def test_without_a_response_type_the_client_is_told(plan: Plan) -> None:
    answer = await plan.answer(response_type="")
    assert answer["error"] == "invalid_request"
    assert set(answer) == {"error", "error_description", "state", "iss"}
    assert not set(answer["error_description"]) & set("\r\n\t")


# 8 oidcc-ensure-request-without-nonce-succeeds-for-code-flow
async def test_a_nonce_is_optional_and_told_only_if_it_was_sent(plan: Plan) -> None:
    assert "nonce" not in await plan.id_token((await plan.answer())["code"])
    assert (await plan.id_token((await plan.answer(nonce="n"))["code"]))["nonce"] == "n"


# 9-14 oidcc-scope-*, oidcc-alternate-happy-flow
async def test_scopes_and_parameters_come_in_any_order(plan: Plan) -> None:
    scopes = [*ALL_SCOPES, "email profile openid", "openid phone address"]
    for scope in scopes:
        assert "code" in await plan.answer(scope=scope)
    backwards = "&".join(reversed(plan.query(scope="email openid").split("&")))
    response = await go(plan.world, f"/oauth2/authorize?{backwards}", plan.token)
    assert "code" in answer_of(response)


# 15-16, 22, 24-27
async def test_hints_and_what_is_unknown_change_nothing(plan: Plan) -> None:
    for hint in (
        {"display": "page"},
        {"display": "popup"},
        {"extra": "foobar"},
        {"login_hint": "buffy@localhost"},
        {"ui_locales": "se"},
        {"claims_locales": "se"},
        {"acr_values": "1 2"},
    ):
        assert "code" in await plan.answer(**hint), hint


# 27 oidcc-ensure-request-with-acr-values-succeeds
async def test_the_acr_is_one_of_those_that_were_asked_for(plan: Plan) -> None:
    claims = await plan.id_token((await plan.answer(acr_values="1 2"))["code"])
    assert claims["acr"] == "1"


# 17 oidcc-prompt-login
async def test_prompt_login_leads_to_a_later_auth_time(plan: Plan, clock: FakeClock) -> None:
    first = await plan.id_token((await plan.answer())["code"])
    clock.advance(1)
    login = login_of(await plan.ask(prompt="login"))
    assert login["prompt"] == "login"
    again = await plan.world.service.sign_in()
    answer = answer_of(await go(plan.world, login["next"], again))
    second = await plan.id_token(answer["code"])
    assert second["auth_time"] > first["auth_time"]
    assert second["sub"] == first["sub"]


# 18 oidcc-prompt-none-not-logged-in
async def test_prompt_none_without_a_sign_in_tells_so(plan: Plan) -> None:
    plan.token = ""
    assert (await plan.answer(prompt="none"))["error"] == "login_required"


# 19 oidcc-prompt-none-logged-in, 23 oidcc-id-token-hint
async def test_prompt_none_with_a_sign_in_gives_the_same_user_and_time(
    plan: Plan, clock: FakeClock
) -> None:
    response = await plan.world.redeem(plan.client, (await plan.answer())["code"], code_verifier="")
    hint = json.loads(response.body)["id_token"]
    first = claims_of(hint)
    clock.advance(2)
    for changed in ({}, {"id_token_hint": hint}):
        second = await plan.id_token((await plan.answer(prompt="none", **changed))["code"])
        assert (second["sub"], second["auth_time"]) == (first["sub"], first["auth_time"])


# 20 oidcc-max-age-1
async def test_max_age_1_after_2_seconds_leads_to_a_new_sign_in(
    plan: Plan, clock: FakeClock
) -> None:
    clock.advance(2)
    login = login_of(await plan.ask(max_age="1"))
    again = await plan.world.service.sign_in()
    answer = answer_of(await go(plan.world, login["next"], again))
    assert (await plan.id_token(answer["code"]))["auth_time"] == clock.now


# 21 oidcc-max-age-10000
async def test_max_age_that_is_long_leads_to_no_new_sign_in(plan: Plan, clock: FakeClock) -> None:
    times = []
    for max_age in ("15000", "10000"):
        code = (await plan.answer(max_age=max_age))["code"]
        times.append((await plan.id_token(code))["auth_time"])
        clock.advance(2)
    assert times[0] == times[1]


# 30 oidcc-ensure-registered-redirect-uri
async def test_a_redirect_uri_that_is_not_registered_leads_nowhere(plan: Plan) -> None:
    uri = plan.client.redirect_uris[0] + "xyz"
    assert is_page(await plan.ask(redirect_uri=uri), "invalid_request", "redirect_uri")


# 31 oidcc-ensure-post-request-succeeds
async def test_a_request_may_be_posted(plan: Plan) -> None:
    posted = await plan.world.service.fetch(
        "/oauth2/authorize",
        method="POST",
        body=plan.query(),
        headers={"Origin": "https://app.example"},
    )
    assert path_of(posted) == "/oauth2/authorize"
    response = await go(plan.world, posted.headers["Location"], plan.token)
    assert answer_of(response)["state"] == STATE


# 33-34, 36 oidcc-*-request-object-*
async def test_request_objects_are_refused_not_ignored(plan: Plan) -> None:
    assert (await plan.answer(request="eyJ9.e30."))["error"] == "request_not_supported"
    remote = await plan.answer(request_uri="https://app.example/request.jwt")
    assert remote["error"] == "request_uri_not_supported"
    outside = await plan.ask(request="eyJ9.e30.", redirect_uri="https://app.example/bad")
    assert is_page(outside, "invalid_request", "redirect_uri")


# 35 oidcc-claims-essential
async def test_a_claim_that_is_essential_is_granted_by_name(plan: Plan) -> None:
    claims = json.dumps({"userinfo": {"name": {"essential": True}}})
    code = (await plan.answer(claims=claims))["code"]
    response = await plan.world.redeem(plan.client, code, code_verifier="")
    access_token = json.loads(response.body)["access_token"]
    bearer = {"Authorization": f"Bearer {access_token}"}
    assert (await plan.world.service.json("/oauth2/userinfo", headers=bearer))["name"] == "Ann"


# 37 oidcc-refresh-token
async def test_offline_access_is_granted_with_prompt_consent(plan: Plan) -> None:
    other = await plan.world.client(is_trusted=False, require_pkce=False)
    for client in (plan.client, other):
        asked = Plan(plan.world, client, plan.token)
        response = await asked.ask(scope="openid offline_access", prompt="consent")
        answer = answer_of(await agree(plan.world, response, plan.token))
        redeemed = await plan.world.redeem(client, answer["code"], code_verifier="")
        assert json.loads(redeemed.body)["refresh_token"].startswith("trt_")


# 38 oidcc-ensure-request-with-valid-pkce-succeeds
async def test_pkce_is_taken_where_it_is_not_required(plan: Plan) -> None:
    query = plan.world.request_of(plan.client)
    response = await go(plan.world, f"/oauth2/authorize?{query}", plan.token)
    code = answer_of(response)["code"]
    assert (await plan.world.redeem(plan.client, code)).code == 200


# Form Post: response_mode=form_post
async def test_form_post_carries_answers_and_errors_in_a_form(plan: Plan) -> None:
    for changed, name in (({}, "code"), ({"scope": "nothing"}, "error")):
        response = await plan.ask(response_mode="form_post", **changed)
        page = response.body.decode()
        assert response.code == 200
        assert f'action="{plan.client.redirect_uris[0]}"' in page
        assert f'name="{name}"' in page
        assert f'name="state" value="{STATE}"' in page


# FAPI 2: PAR once, RFC 9207, a long state
async def test_a_pushed_request_is_answered_once(plan: Plan) -> None:
    form = {
        "response_type": "code",
        "redirect_uri": plan.client.redirect_uris[0],
        "scope": "openid",
        "state": STATE,
    }
    pushed = json.loads((await plan.world.post("/oauth2/par", plan.client, **form)).body)
    query = urlencode({"client_id": plan.client.id, "request_uri": pushed["request_uri"]})
    answer = answer_of(await go(plan.world, f"/oauth2/authorize?{query}", plan.token))
    assert (answer["state"], answer["iss"]) == (STATE, plan.world.issuer)
    again = await go(plan.world, f"/oauth2/authorize?{query}", plan.token)
    assert is_page(again, "invalid_request_uri")


async def test_a_narrow_client_is_told_that_a_scope_is_not_for_it(plan: Plan) -> None:
    narrow = await plan.world.client(scope=("openid",), require_pkce=False)
    assert error_of(await Plan(plan.world, narrow, plan.token).ask(scope="openid email")) == (
        "invalid_scope"
    )
