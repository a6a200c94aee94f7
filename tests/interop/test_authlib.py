"""PyPI Authlib: its client, its checks of an ID token, and its resource server."""

import json
import time
from asyncio import to_thread
from typing import Any

import pytest
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749.requests import OAuth2Request
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from tests.interop.deployment import CALLBACK, RESOURCE, SCOPE, SIGNED_OUT, Deployment
from tornado_auth.oauth2.values import CLIENT_CREDENTIALS, DEVICE, REFRESH

VERIFIER = "a-verifier-that-is-long-enough-for-everybody"
NONCE = "a-nonce-that-nobody-guesses"


class ResourceServer(JWTBearerTokenValidator):
    """The one at RESOURCE, which has read the keys."""

    def __init__(self, issuer: str, keys: KeySet) -> None:
        self.keys = keys
        super().__init__(issuer, RESOURCE)

    def get_jwks(self) -> KeySet:
        return self.keys


class ShortLived(PrivateKeyJWT):
    """Assertions that live as long as is allowed: by itself Authlib makes that an hour."""

    def sign(self, auth: Any, token_endpoint: str) -> str:
        self.claims = {"exp": int(time.time()) + 300}
        return str(super().sign(auth, token_endpoint))


class Application:
    """A client of Authlib, and what it reads of the server."""

    def __init__(self, deployment: Deployment, client: Any, **options: Any) -> None:
        self.deployment, self.client = deployment, client
        self.session = OAuth2Session(
            client["client_id"],
            options.pop("secret", client.get("client_secret")),
            token_endpoint_auth_method=client["token_endpoint_auth_method"],
            revocation_endpoint_auth_method=client["token_endpoint_auth_method"],
            redirect_uri=CALLBACK,
            code_challenge_method="S256",
            **options,
        )
        self.session.verify, self.session.trust_env = deployment.ca_file, False
        self.server = self._read(f"{deployment.issuer}/.well-known/openid-configuration")
        self.keys = KeySet.import_key_set(self._read(self.server["jwks_uri"]))

    def _read(self, url: str) -> Any:
        answer = requests.get(url, verify=self.deployment.ca_file, timeout=10)
        answer.raise_for_status()
        return answer.json()

    async def sign_in(self, **parameters: Any) -> dict[str, Any]:
        """Walk through the code flow and return the tokens."""
        url, state = self.session.create_authorization_url(
            self.server["authorization_endpoint"],
            code_verifier=VERIFIER,
            nonce=NONCE,
            **{"scope": SCOPE, **parameters},
        )
        arrival = await self.deployment.visitor().visit(url)
        return await to_thread(
            self.session.fetch_token,
            self.server["token_endpoint"],
            authorization_response=arrival.url,
            state=state,
            code_verifier=VERIFIER,
        )

    def id_token(self, tokens: dict[str, Any]) -> CodeIDToken:
        """Return the claims of the ID token, all of which are checked."""
        algorithms = self.server["id_token_signing_alg_values_supported"]
        read = jwt.decode(tokens["id_token"], self.keys, algorithms=algorithms)
        claims = CodeIDToken(
            read.claims,
            read.header,
            options={
                "iss": {"essential": True, "value": self.deployment.issuer},
                "aud": {"essential": True, "value": self.client["client_id"]},
            },
            params={
                "client_id": self.client["client_id"],
                "nonce": NONCE,
                "max_age": 3600,
                "access_token": tokens["access_token"],
            },
        )
        claims.validate()
        return claims


async def open_application(deployment: Deployment, *, client: Any = None, **options: Any) -> Any:
    client = client or await deployment.register(
        by_operator={"resources": (RESOURCE, deployment.issuer)}
    )
    return await to_thread(Application, deployment, client, **options)


async def test_authlib_signs_in_refreshes_and_revokes(deployment: Deployment) -> None:
    app = await open_application(deployment)
    tokens = await app.sign_in(resource=[RESOURCE, deployment.issuer])
    claims = app.id_token(tokens)
    validator = ResourceServer(deployment.issuer, app.keys)
    shown = validator.authenticate_token(tokens["access_token"])
    validator.validate_token(shown, ["reports:read"], OAuth2Request("GET", RESOURCE))
    assert (shown["sub"], shown["aud"]) == (claims["sub"], [RESOURCE, deployment.issuer])
    wrong = validator.authenticate_token(tokens["id_token"])
    with pytest.raises(InvalidTokenError):
        validator.validate_token(wrong, [], OAuth2Request("GET", RESOURCE))

    fresh = await to_thread(app.session.refresh_token, app.server["token_endpoint"])
    assert fresh["refresh_token"] != tokens["refresh_token"]
    answer = await to_thread(app.session.get, app.server["userinfo_endpoint"])
    told = answer.json()
    assert (told["sub"], told["address"]["locality"]) == (claims["sub"], "Oslo")

    revoked = await to_thread(
        app.session.revoke_token,
        app.server["revocation_endpoint"],
        fresh["refresh_token"],
        token_type_hint="refresh_token",
    )
    assert revoked.status_code == 200
    answer = await to_thread(app.session.get, app.server["userinfo_endpoint"])
    assert answer.status_code == 401
    with pytest.raises(OAuthError, match="invalid_grant"):
        await to_thread(app.session.refresh_token, app.server["token_endpoint"])


async def test_authlib_introspects_what_a_program_got(deployment: Deployment) -> None:
    program = await deployment.register(
        grant_types=[CLIENT_CREDENTIALS],
        redirect_uris=[],
        scope="reports:read",
        token_endpoint_auth_method="client_secret_post",
        by_operator={"resources": (RESOURCE,), "audiences": (RESOURCE,)},
    )
    app = await open_application(deployment, client=program)
    tokens = await to_thread(
        app.session.fetch_token,
        app.server["token_endpoint"],
        grant_type="client_credentials",
        scope="reports:read",
        resource=RESOURCE,
    )
    told = await to_thread(
        app.session.introspect_token, app.server["introspection_endpoint"], tokens["access_token"]
    )
    assert told.json().items() >= {"active": True, "sub": program["client_id"]}.items()
    revoked = await to_thread(
        app.session.revoke_token, app.server["revocation_endpoint"], tokens["access_token"]
    )
    assert (revoked.status_code, revoked.content) == (200, b"")
    told = await to_thread(
        app.session.introspect_token, app.server["introspection_endpoint"], tokens["access_token"]
    )
    assert told.json() == {"active": False}


async def test_authlib_proves_itself_with_a_key(deployment: Deployment) -> None:
    key = ECKey.generate_key("P-256", {"kid": "own", "use": "sig", "alg": "ES256"})
    client = await deployment.register(
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [key.as_dict(private=False)]},
        # What it calls the audience of its assertions is the endpoint, not the issuer.
        by_operator={"takes_endpoint_audience": True},
    )
    app = await open_application(deployment, client=client, secret=key)
    app.session.register_client_auth_method(ShortLived(alg="ES256", headers={"kid": "own"}))
    tokens = await app.sign_in()
    app.id_token(tokens)
    await to_thread(app.session.refresh_token, app.server["token_endpoint"])


async def test_authlib_allows_a_device(deployment: Deployment) -> None:
    device = await deployment.register(
        grant_types=[DEVICE, REFRESH], redirect_uris=[], token_endpoint_auth_method="none"
    )
    app = await open_application(deployment, client=device)
    asked = {"client_id": device["client_id"], "scope": "openid profile"}
    url = app.server["device_authorization_endpoint"]
    answer = await to_thread(requests.post, url, data=asked, verify=deployment.ca_file, timeout=10)
    started = answer.json()
    redeem = {"grant_type": DEVICE, "device_code": started["device_code"]}
    with pytest.raises(OAuthError, match="authorization_pending"):
        await to_thread(app.session.fetch_token, app.server["token_endpoint"], **redeem)
    await deployment.visitor().visit(started["verification_uri_complete"])
    await to_thread(app.session.fetch_token, app.server["token_endpoint"], **redeem)
    answer = await to_thread(app.session.get, app.server["userinfo_endpoint"])
    assert answer.json()["preferred_username"] == "alice"


async def test_authlib_registers_itself_and_signs_out(deployment: Deployment) -> None:
    oauth2 = deployment.service.server.oauth2
    token = await oauth2.clients.create_initial_access_token("tests", 3600)
    reader = await open_application(deployment)
    registrar = OAuth2Session(token={"access_token": token, "token_type": "Bearer"})
    registrar.verify, registrar.trust_env = deployment.ca_file, False
    asked = {"redirect_uris": [CALLBACK], "post_logout_redirect_uris": [SIGNED_OUT]}
    answer = await to_thread(
        registrar.post,
        reader.server["registration_endpoint"],
        data=json.dumps(asked),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 201
    app = await open_application(deployment, client=answer.json())
    tokens = await app.sign_in(scope="openid profile")
    arrival = await deployment.visitor().visit(
        f"{app.server['end_session_endpoint']}?id_token_hint={tokens['id_token']}"
        f"&post_logout_redirect_uri={SIGNED_OUT}&state=the-state"
    )
    assert arrival.url == f"{SIGNED_OUT}?state=the-state"
    answer = await to_thread(app.session.get, app.server["userinfo_endpoint"])
    assert answer.status_code == 401
