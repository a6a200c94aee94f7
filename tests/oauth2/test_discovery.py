"""Discovery says exactly what works: everything that is listed does, and its like does not."""

import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.oauth2.devices import device_client, poll, start
from tests.oauth2.issued import issued, signed_in
from tests.oauth2.proofs import Prover
from tests.oauth2.world import ALL_SCOPES, World, WorldFactory, claims_of
from tests.test_user_claims import EVERYTHING
from tornado_auth.models import Client
from tornado_auth.oauth2.values import CLIENT_CREDENTIALS, CODE, DEVICE, EXCHANGE, REFRESH

SETTINGS = {
    "TORNADO_AUTH_TOKEN_EXCHANGE": "on",
    "TORNADO_AUTH_CLIENT_REGISTRATION": "open",
    "TORNADO_AUTH_SCOPES": json.dumps([{"name": "reports:read"}]),
}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

Works = Callable[[World, str], Awaitable[bool]]


# -- the authorization endpoint -----------------------------------------------------------------


async def is_answered(world: World, **parameters: str) -> bool:
    """Tell whether a client gets what it asks for, or the user a page about it."""
    client = await world.client(scope=(*ALL_SCOPES, "reports:read"))
    response = await world.authorize(client, await world.service.sign_in(), **parameters)
    address = response.headers.get("Location", "")
    if response.code == 200:
        return 'name="code"' in response.body.decode()
    return address.startswith("/") or "code=" in address.partition("?")[2]


async def response_type(world: World, value: str) -> bool:
    return await is_answered(world, response_type=value)


async def response_mode(world: World, value: str) -> bool:
    return await is_answered(world, response_mode=value)


async def code_challenge_method(world: World, value: str) -> bool:
    return await is_answered(world, code_challenge_method=value)


async def prompt(world: World, value: str) -> bool:
    return await is_answered(world, prompt=value)


async def acr(world: World, value: str) -> bool:
    claims = {"id_token": {"acr": {"essential": True, "value": value}}}
    return await is_answered(world, claims=json.dumps(claims))


async def scope(world: World, value: str) -> bool:
    return await is_answered(world, scope=value)


# -- client authentication ----------------------------------------------------------------------


async def is_authenticated(world: World, endpoint: str, method: str, algorithm: str) -> bool:
    """Tell whether a client that is registered so is known at an endpoint."""
    prover = Prover(algorithm)
    keys = json.dumps({"keys": [prover.jwk]})
    client = await world.client(token_endpoint_auth_method=method, jwks=keys)
    form = {"token": "tat_unknown", "grant_type": CODE, "code": "tac_unknown"}
    if "jwt" in method:
        form |= assertion_by(prover, world, client)
    path = {"token": "token", "revocation": "revoke", "introspection": "introspect"}[endpoint]
    response = await world.post(f"/oauth2/{path}", client, **form)
    return response.code != 401


def assertion_by(prover: Prover, world: World, client: Client) -> dict[str, str]:
    now = world.server.now()
    claims = {
        "iss": client.id,
        "sub": client.id,
        "aud": world.issuer,
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_urlsafe(16),
    }
    signed = prover.sign({"alg": prover.algorithm, "typ": "JWT"}, claims)
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}


def auth_method_at(endpoint: str) -> Works:
    async def works(world: World, value: str) -> bool:
        algorithm = "HS256" if value == "client_secret_jwt" else "ES256"
        return await is_authenticated(world, endpoint, value, algorithm)

    return works


def auth_algorithm_at(endpoint: str) -> Works:
    async def works(world: World, value: str) -> bool:
        return await is_authenticated(world, endpoint, "private_key_jwt", value)

    return works


# -- tokens -------------------------------------------------------------------------------------


async def grant_type(world: World, value: str) -> bool:
    client = await world.client(grant_types=(value, CODE, REFRESH))
    form = {"grant_type": value, "scope": "openid"}
    if value == CODE:
        return bool(await world.tokens(client, await world.service.sign_in()))
    if value == DEVICE:
        device = await device_client(world)
        response = await poll(world, device, await start(world, device))
        return bool(json.loads(response.body)["error"] == "authorization_pending")
    if value == REFRESH:
        form["refresh_token"] = (await issued(world, client)).refresh_token
    elif value == CLIENT_CREDENTIALS:
        client = await reporter(world)
        form["scope"] = "reports:read"
    else:
        other = await world.client()
        client = await world.client(grant_types=(value,), exchanges=(other.id,))
        form |= {"assertion": "x", "username": "ann", "password": "p", "code": "x"}
        form["subject_token"] = (await issued(world, other)).access_token
        form["subject_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
    return (await world.token(client, **form)).code == 200


async def reporter(world: World) -> Client:
    """Make a client that works for itself."""
    return await world.client(grant_types=(CLIENT_CREDENTIALS,), scope=("reports:read",))


async def dpop_algorithm(world: World, value: str) -> bool:
    form = {"grant_type": CLIENT_CREDENTIALS, "scope": "reports:read"}
    proof = Prover(value).proof(f"{world.issuer}/oauth2/token")
    response = await world.token(await reporter(world), headers={"DPoP": proof}, **form)
    return response.code == 200 and json.loads(response.body)["token_type"] == "DPoP"


async def claim(world: World, value: str) -> bool:
    """Tell whether a claim is told to who asks for it by name."""
    who = await signed_in(world, "ann")
    await world.server.oauth2.user_claims.set(who.user.id, EVERYTHING)
    claims = json.dumps({"userinfo": {value: None}})
    tokens = await issued(world, await world.client(), claims=claims, nonce="n")
    headers = {"Authorization": f"Bearer {tokens.access_token}"}
    told = await world.service.json("/oauth2/userinfo", headers=headers)
    return value in told or value in claims_of(tokens.id_token)


# -- registration -------------------------------------------------------------------------------


def registered_with(member: str) -> Works:
    async def works(world: World, value: str) -> bool:
        metadata = {"redirect_uris": ["https://app.example/callback"], member: value}
        response = await world.service.fetch(
            "/oauth2/register",
            method="POST",
            body=json.dumps(metadata),
            headers={"Content-Type": "application/json"},
        )
        return response.code == 201

    return works


ALGORITHMS = ("HS256", "PS256", "ES384")
AUTH_METHODS = ("client_secret_jwt", "tls_client_auth", "self_signed_tls_client_auth")
# Each list of the document: what tells whether a value works, and some that are not in it.
LISTS: dict[str, tuple[Works, tuple[str, ...]]] = {
    "response_types_supported": (
        response_type,
        ("token", "id_token", "id_token token", "code id_token", "code token", "none"),
    ),
    "response_modes_supported": (response_mode, ("fragment", "jwt", "web_message")),
    "code_challenge_methods_supported": (code_challenge_method, ("plain", "S512")),
    "prompt_values_supported": (prompt, ("create", "LOGIN")),
    "acr_values_supported": (acr, ("0", "2", "urn:mace:incommon:iap:silver")),
    "scopes_supported": (scope, ("admin", "reports:write", "OPENID")),
    "grant_types_supported": (
        grant_type,
        ("password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
    ),
    "dpop_signing_alg_values_supported": (dpop_algorithm, ALGORITHMS),
    "claims_supported": (claim, ("made_up", "client_id", "gid", "jti")),
    "subject_types_supported": (registered_with("subject_type"), ("pairwise",)),
    "id_token_signing_alg_values_supported": (
        registered_with("id_token_signed_response_alg"),
        ("none", "RS256", "EdDSA", *ALGORITHMS),
    ),
    **{
        f"{endpoint}_endpoint_auth_methods_supported": (auth_method_at(endpoint), AUTH_METHODS)
        for endpoint in ("token", "revocation", "introspection")
    },
    **{
        f"{endpoint}_endpoint_auth_signing_alg_values_supported": (
            auth_algorithm_at(endpoint),
            ALGORITHMS,
        )
        for endpoint in ("token", "revocation", "introspection")
    },
}
LISTS["introspection_endpoint_auth_methods_supported"] = (
    auth_method_at("introspection"),
    (*AUTH_METHODS, "none"),
)
METHODS = {
    "authorization_endpoint": ("GET", "POST"),
    "token_endpoint": ("POST",),
    "userinfo_endpoint": ("GET", "POST"),
    "jwks_uri": ("GET",),
    "introspection_endpoint": ("POST",),
    "revocation_endpoint": ("POST",),
    "pushed_authorization_request_endpoint": ("POST",),
    "device_authorization_endpoint": ("POST",),
    "end_session_endpoint": ("GET", "POST"),
    "registration_endpoint": ("POST",),
}


@pytest.fixture
async def world(make_world: WorldFactory) -> World:
    return await make_world(**SETTINGS)


async def document(world: World) -> dict[str, Any]:
    return dict(await world.service.json("/.well-known/openid-configuration"))


# S055
@pytest.mark.parametrize("member", LISTS)
async def test_what_is_listed_works_and_its_like_does_not(world: World, member: str) -> None:
    works, others = LISTS[member]
    listed = (await document(world))[member]
    assert listed
    assert [value for value in listed if not await works(world, value)] == []
    assert not set(others) & set(listed)
    assert [value for value in others if await works(world, value)] == []


# S055
async def test_each_endpoint_answers_at_its_address(world: World) -> None:
    found = await document(world)
    for member, methods in METHODS.items():
        for method in ("GET", "POST"):
            response = await world.service.fetch(
                found[member], method=method, body="" if method == "POST" else None
            )
            if method in methods:
                assert response.code not in (404, 405, 500), (member, method)
            else:
                assert response.code == 405, (member, method)


# S055
async def test_what_is_switched_off_is_not_offered(make_world: WorldFactory) -> None:
    world = await make_world(TORNADO_AUTH_CLIENT_REGISTRATION="off")
    found = await document(world)
    assert "registration_endpoint" not in found
    assert not await registered_with("client_name")(world, "The app")
    assert EXCHANGE not in found["grant_types_supported"]
    assert not await grant_type(world, EXCHANGE)
    assert found["scopes_supported"] == list(ALL_SCOPES)


# S055
async def test_every_flag_tells_what_happens(world: World) -> None:
    found = await document(world)
    client, token = await world.client(), await world.service.sign_in()
    flags = {name for name, value in found.items() if isinstance(value, bool)}
    assert {name for name in flags if found[name]} == {
        "claims_parameter_supported",
        "authorization_response_iss_parameter_supported",
        "backchannel_logout_supported",
        "backchannel_logout_session_supported",
    }
    for parameter, flag in (
        ("request", "request_parameter_supported"),
        ("request_uri", "request_uri_parameter_supported"),
    ):
        assert found[flag] is False
        answer = await world.authorize(client, token, **{parameter: "https://app.example/r"})
        assert f"error={parameter}_not_supported" in answer.headers["Location"]
    assert found["require_pushed_authorization_requests"] is False
    answer = await world.authorize(client, token)
    assert "iss=" in answer.headers["Location"]


# S055
async def test_that_requests_must_be_pushed_is_told(make_world: WorldFactory) -> None:
    world = await make_world(TORNADO_AUTH_REQUIRE_PUSHED_AUTHORIZATION_REQUESTS="on")
    assert (await document(world))["require_pushed_authorization_requests"] is True
    assert not await is_answered(world)


async def test_nothing_else_is_said(world: World) -> None:
    found = await document(world)
    rest = found.keys() - LISTS.keys() - METHODS.keys()
    assert {name for name in rest if not isinstance(found[name], bool)} == {
        "issuer",
        "claim_types_supported",
    }
    assert found["claim_types_supported"] == ["normal"]
