"""The document that the server describes itself with, its keys, and who may read both."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK

from tests.issuer import private_pem
from tests.oauth2.issued import issued
from tests.oauth2.world import World, WorldFactory, claims_of
from tests.service import Service, ServiceFactory
from tornado_auth.keys import KeySet

ADDRESSES = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]
ORIGIN = "https://app.example"
JWKS = "/.well-known/jwks.json"


@pytest.fixture
async def https(make_service: ServiceFactory) -> Service:
    return await make_service(EXTERNAL_ADDRESS="https://auth.example.org")


# S053
async def test_both_addresses_say_the_same(https: Service) -> None:
    responses = [await https.fetch(address) for address in ADDRESSES]
    assert {response.code for response in responses} == {200}
    assert len({response.body for response in responses}) == 1
    document = json.loads(responses[0].body)
    for response in responses:
        assert response.headers["Content-Type"].startswith("application/json")
    # S053: an origin has neither query nor fragment, so its addresses begin with it.
    assert document["issuer"] == "https://auth.example.org"
    for name, value in document.items():
        if name.endswith("_endpoint") or name.endswith("_uri"):
            assert value.startswith("https://auth.example.org/"), name


async def test_an_address_below_is_not_ours(https: Service) -> None:
    for address in ADDRESSES:
        assert (await https.fetch(f"{address}/tenant")).code == 404


# S053
async def test_the_issuer_is_the_same_everywhere(world: World) -> None:
    document = await world.service.json(ADDRESSES[0])
    tokens = await issued(world, await world.client())
    client, token = await world.client(), await world.service.sign_in()
    answer = await world.authorize(client, token)
    issuers = {
        document["issuer"],
        claims_of(tokens.id_token)["iss"],
        claims_of(tokens.access_token)["iss"],
    }
    assert issuers == {world.issuer}
    assert (
        f"iss={world.issuer.replace(':', '%3A').replace('/', '%2F')}" in answer.headers["Location"]
    )


# S054
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "evil.example"},
        {"Forwarded": "host=evil.example;proto=gopher"},
    ],
)
async def test_no_header_of_a_request_changes_an_address(
    world: World, headers: dict[str, str]
) -> None:
    for address in (*ADDRESSES, JWKS, "/oauth2/authorize?client_id=x", "/auth/login", "/"):
        expected = await world.service.fetch(address)
        response = await world.service.fetch(address, headers=headers)
        assert response.code == expected.code
        assert b"evil" not in response.body
        assert "evil" not in response.headers.get("Location", "")
    for address in ADDRESSES:
        response = await world.service.fetch(address, headers=headers)
        assert json.loads(response.body)["issuer"] == world.issuer
    client, token = await world.client(), await world.service.sign_in()
    query = world.request_of(client)
    for cookies in (None, {"tornado_auth": token}):
        response = await world.service.fetch(
            f"/oauth2/authorize?{query}", headers=headers, cookies=cookies
        )
        assert response.code in (302, 303)
        assert "evil" not in response.headers["Location"]


# S056
async def test_the_keys_are_public_and_each_has_a_name(make_service: ServiceFactory) -> None:
    older = KeySet.from_pem(private_pem("ES256"), algorithm="ES256")
    service = await make_service(
        TORNADO_AUTH_SIGNING_ALGORITHM="RS256",
        TORNADO_AUTH_VERIFICATION_KEYS=older.public_pem(),
    )
    document = await service.json(ADDRESSES[0])
    assert document["id_token_signing_alg_values_supported"] == ["RS256"]
    assert document["jwks_uri"] == service.url + JWKS
    keys = (await service.json(document["jwks_uri"]))["keys"]
    assert [key["alg"] for key in keys] == ["RS256", "ES256"]
    assert len({key["kid"] for key in keys}) == 2
    for key in keys:
        members = {"kty", "kid", "use", "alg"} | (
            {"n", "e"} if key["kty"] == "RSA" else {"crv", "x", "y"}
        )
        assert set(key) == members
        assert key["use"] == "sig"
    public = PyJWK(keys[0]).key
    assert public.key_size >= 2048
    pem = (await service.fetch("/auth/public-key")).body
    assert load_pem_public_key(pem) == public


# S013
async def test_a_listed_origin_alone_may_read_what_scripts_need(make_world: WorldFactory) -> None:
    world = await make_world(TORNADO_AUTH_CORS_ORIGINS=ORIGIN)
    addresses = [*ADDRESSES, JWKS, "/oauth2/userinfo", "/oauth2/token", "/oauth2/revoke"]
    for address in addresses:
        for method in ("OPTIONS", "POST" if address.startswith("/oauth2") else "GET"):
            body = "" if method == "POST" else None
            for origin in (ORIGIN, "https://evil.example", "null", ORIGIN + ".evil.example"):
                response = await world.service.fetch(
                    address, method=method, body=body, headers={"Origin": origin}
                )
                allowed = response.headers.get("Access-Control-Allow-Origin")
                assert allowed == (ORIGIN if origin == ORIGIN else None), (address, origin)
                assert "Access-Control-Allow-Credentials" not in response.headers
                assert "Origin" in response.headers["Vary"]


# S013
async def test_a_script_of_a_listed_origin_may_prove_a_key(make_world: WorldFactory) -> None:
    world = await make_world(TORNADO_AUTH_CORS_ORIGINS=ORIGIN)
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    for address in ("/oauth2/userinfo", "/oauth2/token"):
        response = await world.service.fetch(address, method="OPTIONS", headers=headers)
        assert response.code == 204
        allowed = response.headers["Access-Control-Allow-Headers"]
        assert {"Authorization", "Content-Type", "DPoP"} <= set(allowed.split(", "))
        exposed = response.headers["Access-Control-Expose-Headers"]
        assert {"DPoP-Nonce", "WWW-Authenticate"} <= set(exposed.split(", "))


# S013
async def test_no_page_is_opened_to_another_origin(make_world: WorldFactory) -> None:
    world = await make_world(TORNADO_AUTH_CORS_ORIGINS=ORIGIN)
    query = world.request_of(await world.client())
    addresses = [f"/oauth2/authorize?{query}", "/oauth2/consent", "/auth/login"]
    for address in [*addresses, "/oauth2/introspect", "/oauth2/register", "/oauth2/logout"]:
        for origin in (ORIGIN, "https://evil.example"):
            response = await world.service.fetch(address, headers={"Origin": origin})
            found = [name for name in response.headers if name.startswith("Access-Control-")]
            assert found == [], (address, origin)


async def test_certification_finds_what_it_asks_for(make_world: WorldFactory) -> None:
    world = await make_world(TORNADO_AUTH_SIGNING_ALGORITHM="RS256")
    document: dict[str, Any] = await world.service.json(ADDRESSES[0])
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert {"openid", "profile", "email", "address", "phone", "offline_access"} <= set(
        document["scopes_supported"]
    )
    methods = document["token_endpoint_auth_methods_supported"]
    assert {"client_secret_basic", "client_secret_post", "private_key_jwt"} <= set(methods)
    assert "refresh_token" in document["grant_types_supported"]
    assert "none" not in document.get("request_object_signing_alg_values_supported", [])
    assert {"sub", "name", "email", "phone_number"} <= set(document["claims_supported"])
