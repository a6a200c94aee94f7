"""What a client may say of itself, and what does not fit together."""

import dataclasses
import json
from typing import Any

import pytest

from tests.issuer import base64url, key_set
from tornado_auth.models import Client
from tornado_auth.oauth2.client_metadata import (
    MetadataRules,
    metadata_of,
    with_operators_fields,
)
from tornado_auth.oauth2.errors import InvalidClientMetadata, InvalidRedirectURI
from tornado_auth.oauth2.metadata_members import MEMBERS, OPERATORS_MEMBERS
from tornado_auth.oauth2.values import (
    CLIENT_CREDENTIALS,
    CODE,
    DEVICE,
    EXCHANGE,
    REFRESH,
)
from tornado_auth.outbound import Outbound

RULES = MetadataRules(
    scopes=("openid", "profile", "offline_access", "reports:read"),
    grant_types=(CODE, REFRESH, CLIENT_CREDENTIALS, DEVICE, EXCHANGE),
    id_token_algorithms=("ES256",),
    may_call=Outbound(["127.0.0.1:8080"]).may_call,
)
BLANK = Client(id="c-1", created_at=7)
URIS = {"redirect_uris": ["https://app.example/cb"]}
JWKS = key_set("ES256").jwks()
LARGE_KEY = {"kty": "RSA", "n": base64url(b"\xff" * 513), "e": "AQAB"}  # 4104 bits


def describe(**metadata: Any) -> Client:
    return RULES.describe(BLANK, {**URIS, **metadata})


# S076
def test_what_is_left_out_has_the_default_of_the_rfc() -> None:
    client = describe()
    assert client.grant_types == (CODE,)
    assert client.token_endpoint_auth_method == "client_secret_basic"
    assert client.application_type == "web"
    assert client.scope == ("openid", "profile", "reports:read")
    assert client.require_pkce
    assert not client.is_trusted


def test_a_client_that_refreshes_may_stay_while_people_are_away() -> None:
    assert "offline_access" in describe(grant_types=[CODE, REFRESH]).scope


# S076
def test_what_is_said_is_what_is_shown() -> None:
    said: dict[str, object] = {
        **URIS,
        "client_name": "Bücher",
        "client_uri": "https://app.example/",
        "logo_uri": "https://app.example/logo.png",
        "policy_uri": "https://app.example/policy",
        "tos_uri": "https://app.example/tos",
        "contacts": ["ops@app.example"],
        "application_type": "native",
        "post_logout_redirect_uris": ["com.example.app:/out"],
        "grant_types": [CODE, REFRESH],
        "response_types": ["code"],
        "scope": "openid offline_access",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": JWKS,
        "id_token_signed_response_alg": "ES256",
        "default_max_age": 0,
        "require_auth_time": True,
        "default_acr_values": ["1"],
        "backchannel_logout_uri": "https://app.example/logout",
        "backchannel_logout_session_required": True,
        "require_pushed_authorization_requests": True,
        "dpop_bound_access_tokens": True,
    }
    shown = metadata_of(RULES.describe(BLANK, said))
    assert shown == {**said, "client_id": "c-1", "client_id_issued_at": 7}
    assert json.loads(json.dumps(shown)) == shown


def test_every_field_of_a_client_is_somebodys_to_set_or_nobodys() -> None:
    nobodys = {
        "id",
        "version",
        "expires_at",
        "secret_digests",
        "is_self_registered",
        "registration_token_digest",
        "created_at",
        "disabled_at",
    }
    settable = {*MEMBERS, *OPERATORS_MEMBERS, "scope"}
    fields = {field.name for field in dataclasses.fields(Client)}
    assert settable & nobodys == set()
    assert settable | nobodys == fields


# S076
def test_unknown_members_and_nulls_count_for_nothing() -> None:
    assert describe(made_up=[{"x": 1}], client_name=None, jwks=None) == describe()


def test_an_address_can_be_taken_back() -> None:
    assert describe(client_uri="", jwks_uri="", backchannel_logout_uri="") == describe()


# S075
@pytest.mark.parametrize(
    "uris",
    [[], None, "https://app.example/cb", [1], ["http://site.example/cb"], ["javascript:alert(1)"]],
)
def test_a_bad_redirect_uri_is_named_so(uris: object) -> None:
    with pytest.raises(InvalidRedirectURI):
        describe(redirect_uris=uris)


def test_a_client_without_a_browser_needs_no_redirect_uri() -> None:
    for grant_types in ([CLIENT_CREDENTIALS], [DEVICE, REFRESH]):
        client = RULES.describe(BLANK, {"grant_types": grant_types})
        assert client.redirect_uris == ()
        assert metadata_of(client)["response_types"] == []


# S076 S078
@pytest.mark.parametrize(
    "wrong",
    [
        {"response_types": ["token"]},
        {"response_types": ["code id_token"]},
        {"response_types": []},
        {"response_types": ["code"], "grant_types": [CLIENT_CREDENTIALS]},
        {"response_types": "code"},
        {"grant_types": []},
        {"grant_types": [REFRESH]},
        {"grant_types": ["password"]},
        {"grant_types": ["implicit"]},
        {"grant_types": CODE},
        {"grant_types": [CODE, CLIENT_CREDENTIALS], "token_endpoint_auth_method": "none"},
        {"grant_types": [CODE, EXCHANGE], "token_endpoint_auth_method": "none"},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": "tls_client_auth"},
        {"token_endpoint_auth_method": ["none"]},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [LARGE_KEY]}},
        {"token_endpoint_auth_signing_alg": "HS256"},
        {"jwks": JWKS, "jwks_uri": "https://app.example/jwks"},
        {"jwks": {"keys": [{**JWKS["keys"][0], "d": "AA"}]}},
        {"jwks": {"keys": [{"kty": "oct", "k": "AA"}]}},
        {"jwks": {"keys": {}}},
        {"jwks": {"keys": [1]}},
        {"jwks": {"keys": [{"kty": "RSA", "x5c": ["A" * 17_000]}]}},
        {"jwks": []},
        {"jwks": 1},
        {"jwks": "no JSON"},
        {"jwks_uri": "http://app.example/jwks"},
        {"jwks_uri": "https://app.example/jwks#x"},
        {"jwks_uri": "https://user@app.example/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"backchannel_logout_uri": "http://app.example/out"},
        {"backchannel_logout_uri": "https://app.example/out#x"},
        {"sector_identifier_uri": "http://app.example/sector"},
        {"subject_type": "pairwise"},
        {"id_token_signed_response_alg": "none"},
        {"id_token_signed_response_alg": "HS256"},
        {"id_token_signed_response_alg": "RS256"},
        {"application_type": "desktop"},
        {"post_logout_redirect_uris": ["http://site.example/"]},
        {"post_logout_redirect_uris": ["com.example.app:/out"]},
        {"scope": "openid admin"},
        {"scope": ["openid"]},
        {"client_name": "x" * 201},
        {"client_name": "line\nline"},
        {"client_name": "\u202egpj.exe"},
        {"client_name": {"$ne": ""}},
        {"contacts": ["x"] * 51},
        {"contacts": "ops@app.example"},
        {"default_max_age": -1},
        {"default_max_age": "60"},
        {"default_max_age": True},
        {"default_max_age": 1.5},
        {"require_auth_time": "true"},
        {"dpop_bound_access_tokens": 1},
        *(
            {name: address}
            for name in ("client_uri", "logo_uri", "policy_uri", "tos_uri")
            for address in (
                "http://app.example/",
                "javascript:alert(1)",
                "data:image/png;base64,AA",
                'https://app.example/"onerror="x',
                "https://app.example/<x>",
                "//app.example/",
                7,
            )
        ),
    ],
    ids=lambda wrong: ",".join(wrong),
)
def test_what_does_not_fit_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidClientMetadata) as caught:
        describe(**wrong)
    assert caught.value.description


def test_an_address_on_the_list_may_be_plain_http() -> None:
    assert describe(jwks_uri="http://127.0.0.1:8080/jwks").jwks_uri
    with pytest.raises(InvalidClientMetadata):
        describe(jwks_uri="http://127.0.0.1:8081/jwks")


def test_operators_decide_the_rest() -> None:
    decided: dict[str, object] = {
        "require_pkce": False,
        "is_trusted": True,
        "takes_endpoint_audience": True,
        "access_token_format": "opaque",
        "access_token_lifetime": 60,
        "refresh_token_lifetime": None,
        "resources": ("https://api.example/v1?x=1", "urn:example:api"),
        "audiences": ("https://api.example",),
        "exchanges": ("c-2",),
    }
    client = with_operators_fields(BLANK, decided)
    assert {name: getattr(client, name) for name in decided} == decided
    assert with_operators_fields(client, dict.fromkeys(decided)) == BLANK


@pytest.mark.parametrize(
    "wrong",
    [
        {"require_pkce": "no"},
        {"access_token_format": "saml"},
        {"access_token_lifetime": 0},
        {"refresh_token_lifetime": "60"},
        {"resources": ["https://api.example/#x"]},
        {"resources": ["api"]},
        {"resources": "https://api.example"},
        {"audiences": [""]},
        {"version": 3},
    ],
    ids=str,
)
def test_what_operators_cannot_decide_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidClientMetadata):
        with_operators_fields(BLANK, wrong)


def test_a_public_client_is_held_to_pkce_and_introspects_nothing() -> None:
    public = describe(token_endpoint_auth_method="none")
    for wrong in ({"require_pkce": False}, {"audiences": ["https://api.example"]}):
        with pytest.raises(InvalidClientMetadata):
            with_operators_fields(public, wrong)
