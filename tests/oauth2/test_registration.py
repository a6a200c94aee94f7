"""Dynamic registration over HTTP: who may, what is answered, and what a client may do later."""

import json
from typing import Any

import pytest

from tests.conftest import FakeClock
from tests.issuer import key_set
from tests.oauth2.registrar import METADATA, REGISTER, Registrar, make_registrar, path_of
from tests.oauth2.world import World, WorldFactory, basic
from tornado_auth.errors import TooManyAttempts
from tornado_auth.models import Actor
from tornado_auth.oauth2.registration import REGISTRATION_LIMITS


@pytest.fixture
async def registrar(world: World) -> Registrar:
    return await make_registrar(world)


# S076 S030
async def test_a_client_is_told_all_of_itself_once(registrar: Registrar) -> None:
    response = await registrar.register(made_up="member")
    assert response.code == 201
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"].startswith("application/json")
    answer = json.loads(response.body)
    client_id = answer["client_id"]
    assert answer["client_secret_expires_at"] == 0
    assert answer["registration_client_uri"] == f"{registrar.world.issuer}{REGISTER}/{client_id}"
    assert answer["redirect_uris"] == METADATA["redirect_uris"]
    assert "made_up" not in answer
    revoked = await registrar.service.fetch(
        "/oauth2/revoke", form={"token": "x"}, headers=basic(client_id, answer["client_secret"])
    )
    assert revoked.code == 200
    shown = await registrar.send("GET", path_of(answer), answer["registration_access_token"])
    assert shown.code == 200
    secret = answer.pop("client_secret")
    assert json.loads(shown.body) == answer
    assert secret not in str(await registrar.world.storage.clients.get(client_id))


# S074
@pytest.mark.parametrize("token", ["", "wrong", "tia_" + "x" * 43])
async def test_registration_is_closed_without_a_token(registrar: Registrar, token: str) -> None:
    response = await registrar.send("POST", REGISTER, token, METADATA)
    assert response.code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert json.loads(response.body)["error"] == "invalid_token"
    assert await registrar.world.server.oauth2.clients.all() == []


# S074
async def test_a_session_opens_no_registration(registrar: Registrar) -> None:
    session_token = await registrar.service.sign_in()
    response = await registrar.send("POST", REGISTER, session_token, METADATA)
    assert response.code == 401


# S074
async def test_registration_can_be_open_or_off(make_world: WorldFactory) -> None:
    opened = Registrar(await make_world(TORNADO_AUTH_CLIENT_REGISTRATION="open"), "")
    client = await opened.registered()
    stored = await opened.world.storage.clients.get(client["client_id"])
    assert stored is not None
    assert (stored.is_self_registered, stored.is_trusted, stored.require_pkce) == (
        True,
        False,
        True,
    )
    assert (await opened.send("POST", REGISTER, "wrong", METADATA)).code == 401
    off = Registrar(await make_world(TORNADO_AUTH_CLIENT_REGISTRATION="off"), "")
    token = await off.world.server.oauth2.clients.create_initial_access_token("team", 600)
    assert (await off.send("POST", REGISTER, token, METADATA)).code == 404


# S074
async def test_who_registers_alone_acts_for_people_alone(make_world: WorldFactory) -> None:
    world = await make_world(
        TORNADO_AUTH_CLIENT_REGISTRATION="open", TORNADO_AUTH_TOKEN_EXCHANGE="on"
    )
    token = await world.server.oauth2.clients.create_initial_access_token("team", 600)
    stranger, member = Registrar(world, ""), Registrar(world, token)
    alone = {"grant_types": ["authorization_code", "client_credentials"]}
    exchange = {"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]}
    for registrar, wanted, code in (
        (stranger, alone, 400),
        (member, alone, 201),
        (stranger, exchange, 400),
        (member, exchange, 400),
    ):
        assert (await registrar.register(**wanted)).code == code
    client = await member.registered()
    response = await member.send(
        "PUT",
        path_of(client),
        client["registration_access_token"],
        {**METADATA, **alone, "client_id": client["client_id"]},
    )
    assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_client_metadata")


# S074
async def test_nobody_makes_himself_trusted(registrar: Registrar) -> None:
    client = await registrar.registered(
        is_trusted=True,
        require_pkce=False,
        access_token_lifetime=86400,
        resources=["https://api.example"],
        audiences=["https://api.example"],
        is_self_registered=False,
        client_id="admin",
        client_secret="chosen",
        secret_digests=["x"],
    )
    assert client["client_id"] != "admin"
    assert client["client_secret"] != "chosen"
    stored = await registrar.world.storage.clients.get(client["client_id"])
    assert stored is not None
    assert stored.is_self_registered
    assert not stored.is_trusted
    assert stored.require_pkce
    assert (stored.resources, stored.audiences, stored.access_token_lifetime) == ((), (), None)


# S074
@pytest.mark.parametrize("limited", ["registration-address", "registration-token"])
async def test_there_is_a_quota(make_world: WorldFactory, clock: FakeClock, limited: str) -> None:
    world = await make_world(now=clock)
    token = await world.server.oauth2.clients.create_initial_access_token("team", 86400)
    limit = REGISTRATION_LIMITS[limited]

    async def register(number: int) -> None:
        address = f"10.0.{number % 250}.1" if limited == "registration-token" else "10.9.9.9"
        actor = Actor(via="client", remote_ip=address)
        await world.server.oauth2.registration.register(token, METADATA, actor=actor)

    for number in range(limit.attempts):
        await register(number)
    with pytest.raises(TooManyAttempts):
        await register(limit.attempts)
    clock.advance(limit.window)
    await register(0)


# S074
async def test_more_than_the_quota_is_a_429(registrar: Registrar) -> None:
    registration = registrar.world.server.oauth2.registration
    for _ in range(REGISTRATION_LIMITS["registration-address"].attempts):
        await registration.register(
            registrar.token, METADATA, actor=Actor(via="client", remote_ip="127.0.0.1")
        )
    refused = await registrar.register()
    assert refused.code == 429
    assert int(refused.headers["Retry-After"]) > 0


# S075 S076
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": ["https://app.example/cb#f"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://app.example/cb"}, "invalid_redirect_uri"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"jwks_uri": "http://app.example/jwks"}, "invalid_client_metadata"),
        ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
    ],
    ids=str,
)
async def test_bad_metadata_is_a_400(
    registrar: Registrar, changes: dict[str, Any], error: str
) -> None:
    response = await registrar.register(**changes)
    assert (response.code, json.loads(response.body)["error"]) == (400, error)
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a": 1, "a": 2}', b"\xff", b"1"])
async def test_a_body_that_is_no_object_is_a_400(registrar: Registrar, body: bytes) -> None:
    response = await registrar.send("POST", REGISTER, registrar.token, body)
    assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_client_metadata")


async def test_a_form_is_no_metadata(registrar: Registrar) -> None:
    response = await registrar.service.fetch(
        REGISTER, form={"x": "y"}, headers={"Authorization": f"Bearer {registrar.token}"}
    )
    assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_request")


# S078
async def test_addresses_for_people_are_never_called(registrar: Registrar) -> None:
    called: list[str] = []

    async def get(url: str) -> bytes:
        called.append(url)
        return b"[]"

    registrar.world.server.oauth2.registration_outbound.get = get  # type: ignore[method-assign]
    await registrar.registered(
        **{
            name: f"https://app.example/{name}"
            for name in ("logo_uri", "client_uri", "policy_uri", "tos_uri", "jwks_uri")
        }
    )
    assert called == []


# S076
@pytest.mark.parametrize(
    ("listed", "code"),
    [
        (b'["https://app.example/cb", "https://other.example/"]', 201),
        (b'["https://other.example/"]', 400),
        (b'{"https://app.example/cb": 1}', 400),
        (b"<html>", 400),
        (b"[" * 100_000, 400),
    ],
)
async def test_a_sector_lists_all_redirect_uris(
    registrar: Registrar, listed: bytes, code: int
) -> None:
    async def get(url: str) -> bytes:
        return listed

    registrar.world.server.oauth2.registration_outbound.get = get  # type: ignore[method-assign]
    response = await registrar.register(sector_identifier_uri="https://app.example/sector")
    assert response.code == code


# S076
async def test_a_sector_that_cannot_be_reached_is_refused(registrar: Registrar) -> None:
    response = await registrar.register(sector_identifier_uri="https://127.0.0.1:1/sector")
    assert (response.code, json.loads(response.body)["error"]) == (400, "invalid_client_metadata")


async def test_a_client_can_sign_from_the_start(registrar: Registrar) -> None:
    client = await registrar.registered(
        token_endpoint_auth_method="private_key_jwt", jwks=key_set("ES256").jwks()
    )
    assert client["jwks"] == key_set("ES256").jwks()
    assert "client_secret" not in client


async def test_what_happens_is_in_the_audit_log(registrar: Registrar) -> None:
    client = await registrar.registered()
    token = client["registration_access_token"]
    metadata = {**METADATA, "client_id": client["client_id"]}
    await registrar.send("PUT", path_of(client), token, metadata)
    await registrar.send("DELETE", path_of(client), token)
    events = await registrar.world.server.audit_log.find()
    recorded = [(event.action, event.target, event.via) for event in events]
    for action in ("client_registered", "client_changed", "client_removed"):
        assert (action, client["client_id"], "client") in recorded
    text = str(events)
    assert "opened_by=team" in text
    for secret in (token, client["client_secret"], registrar.token):
        assert secret not in text


# S013
async def test_no_other_origin_may_read_it(make_world: WorldFactory) -> None:
    world = await make_world(TORNADO_AUTH_CORS_ORIGINS="https://spa.example")
    for method in ("OPTIONS", "POST"):
        response = await world.service.fetch(
            REGISTER,
            method=method,
            headers={"Origin": "https://spa.example"},
            body=b"" if method == "POST" else None,
        )
        assert "Access-Control-Allow-Origin" not in response.headers


# S074
async def test_calls_for_registration_have_few_places_of_their_own(world: World) -> None:
    oauth2 = world.server.oauth2
    assert oauth2.clients._outbound is oauth2.registration_outbound is not oauth2.outbound
    assert oauth2.registration_outbound._at_once == 5


# S076
@pytest.mark.parametrize(
    "member",
    [
        {"client_secret": "\ud800"},
        {"client_name": "\udfff"},
        {"made_up": {"\ud800": 1}},
        {"jwks": {"keys": [{"kty": "RSA", "n": "\ud800", "e": "AQAB"}]}},
        {"jwks": '{"keys": [{"kty": "RSA", "n": "\\ud800", "e": "AQAB"}]}'},
    ],
    ids=str,
)
async def test_what_is_no_text_is_a_400(registrar: Registrar, member: dict[str, Any]) -> None:
    client = await registrar.registered(client_name="An emoji: \U0001f511")
    token, method = client["registration_access_token"], "private_key_jwt"
    metadata = {**METADATA, "client_id": client["client_id"], **member}
    metadata["token_endpoint_auth_method"] = method if "jwks" in member else "none"
    for response in (
        await registrar.register(**metadata),
        await registrar.send("PUT", path_of(client), token, metadata),
    ):
        assert response.code == 400
        assert json.loads(response.body)["error"] == "invalid_client_metadata"
