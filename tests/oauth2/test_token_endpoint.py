"""The token endpoint: what holds for every grant type."""

import json
from typing import Any

import pytest

from tests.oauth2.redeeming import Holder, code_for, error_of, members_of
from tests.oauth2.world import World, basic
from tornado_auth.oauth2.token import TokenEndpoint
from tornado_auth.oauth2.values import Authorization, TokenRequest

JSON = {"Content-Type": "application/json"}


# S025
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_only_a_post_is_answered(world: World, method: str) -> None:
    body = "" if method in ("PUT", "PATCH") else None
    response = await world.service.fetch("/oauth2/token", method=method, body=body)
    assert response.code == 405
    assert "POST" in response.headers["Allow"]
    assert "GET" not in response.headers["Allow"]


# S025
async def test_nothing_is_read_from_the_address(world: World) -> None:
    client = await world.client(grant_types=("client_credentials",))
    path = f"/oauth2/token?client_id={client.id}&client_secret={world.secrets[client.id]}"
    forms: list[dict[str, Any]] = [{"grant_type": "client_credentials"}, {}]
    for form in forms:
        response = await world.post(f"{path}&grant_type=client_credentials", **form)
        assert error_of(response) == "invalid_request"
    response = await world.post("/oauth2/token?resource=a", client, grant_type="client_credentials")
    assert error_of(response) == "invalid_request"


# S025 P9
@pytest.mark.parametrize("body", ['{"grant_type": "refresh_token"}', '{"code": {"$ne": null}}'])
async def test_only_a_form_is_read(world: World, body: str) -> None:
    client = await world.client()
    headers = basic(client.id, world.secrets[client.id])
    for content_type in (JSON, {"Content-Type": "multipart/form-data; boundary=x"}):
        response = await world.service.fetch(
            "/oauth2/token", method="POST", body=body, headers=headers | content_type
        )
        assert response.code in (400, 415)
        assert json.loads(response.body)["error"] == "invalid_request"


# P9
@pytest.mark.parametrize("name", ["code[$ne]", "code"])
async def test_an_operator_in_a_form_is_a_text(world: World, name: str) -> None:
    client = await world.client()
    form: dict[str, Any] = {name: '{"$ne": null}', "grant_type": "authorization_code"}
    response = await world.post("/oauth2/token", client, **form)
    assert error_of(response) in ("invalid_request", "invalid_grant")


# S025
async def test_a_parameter_that_is_there_twice_is_refused(world: World) -> None:
    client = await world.client(grant_types=("client_credentials",))
    headers = basic(client.id, world.secrets[client.id])
    response = await world.service.fetch(
        "/oauth2/token",
        method="POST",
        body="grant_type=client_credentials&grant_type=client_credentials",
        headers=headers,
    )
    assert error_of(response) == "invalid_request"


# S026
async def test_every_answer_is_json_that_nobody_keeps(world: World) -> None:
    client = await world.client()
    good = await world.redeem(client, await code_for(world, client))
    bad = await world.redeem(client, "tac_unknown")
    unknown = await world.service.fetch("/oauth2/token", form={"grant_type": "x"})
    for response in (good, bad, unknown):
        assert response.headers["Content-Type"].startswith("application/json")
        assert response.headers["Cache-Control"] == "no-store"
    tokens = members_of(good)
    assert type(tokens["expires_in"]) is int
    assert tokens["token_type"] == "Bearer"
    assert set(tokens) == {
        "access_token",
        "token_type",
        "expires_in",
        "scope",
        "refresh_token",
        "id_token",
    }


# S033 O18
@pytest.mark.parametrize(
    "grant_type",
    ["password", "implicit", "unknown", "urn:ietf:params:oauth:grant-type:jwt-bearer", "code"],
)
async def test_other_grant_types_are_unknown(world: World, grant_type: str) -> None:
    client = await world.client(grant_types=(grant_type,))
    response = await world.token(client, grant_type=grant_type, username="ann", password="secret")
    assert error_of(response) == "unsupported_grant_type"


# S033
@pytest.mark.parametrize(
    "grant_type", ["authorization_code", "refresh_token", "client_credentials"]
)
async def test_a_grant_type_that_the_client_is_not_registered_for_is_refused(
    world: World, grant_type: str
) -> None:
    client = await world.client(grant_types=("urn:example:other",))
    response = await world.token(client, grant_type=grant_type, code="x", refresh_token="x")
    assert error_of(response) == "unauthorized_client"


# S033
async def test_a_request_without_grant_type_is_refused(world: World) -> None:
    assert error_of(await world.token(await world.client())) == "invalid_request"


async def test_a_client_that_must_prove_a_key_gets_nothing_without(world: World) -> None:
    client = await world.client(dpop_bound_access_tokens=True)
    code = await code_for(world, client)
    assert error_of(await world.redeem(client, code)) == "invalid_dpop_proof"
    assert (await world.redeem(client, code, headers=Holder(world).headers)).code == 200


async def test_a_bad_proof_spends_no_code(world: World) -> None:
    client = await world.client()
    code = await code_for(world, client)
    response = await world.redeem(client, code, headers={"DPoP": "a.b.c"})
    assert error_of(response) == "invalid_dpop_proof"
    assert (await world.redeem(client, code)).code == 200


class ByPromise:
    """A grant type of somebody else."""

    name = "urn:example:promise"

    async def authorize(self, request: TokenRequest) -> Authorization:
        request.parameters.require("promise")
        return Authorization(
            grant_type=self.name,
            client=request.client,
            scope=(),
            has_refresh_token=True,
            has_id_token=True,
        )


async def test_another_grant_type_can_be_added(world: World) -> None:
    oauth2 = world.server.oauth2
    oauth2.token_endpoint = TokenEndpoint([ByPromise()], dpop=oauth2.dpop, issuer=oauth2.issuer)
    assert oauth2.token_endpoint.grant_types == ["urn:example:promise"]
    client = await world.client(grant_types=(ByPromise.name,))
    assert error_of(await world.token(client, grant_type=ByPromise.name)) == "invalid_request"
    response = await world.token(client, grant_type=ByPromise.name, promise="I am")
    # Without a user there is nothing to refresh, and nobody for an ID token.
    assert set(members_of(response)) == {"access_token", "token_type", "expires_in"}


async def test_what_was_given_is_counted_by_grant_type(world: World) -> None:
    client = await world.client()
    tokens = await world.tokens(client, await world.service.sign_in())
    assert (await world.refresh(client, tokens["refresh_token"])).code == 200
    assert (await world.refresh(client, "trt_unknown")).code == 400
    value = world.server.metrics.registry.get_sample_value
    for grant_type in ("authorization_code", "refresh_token"):
        labels = {"grant_type": grant_type}
        assert value("tornado_auth_oauth2_tokens_total", labels) == 1
