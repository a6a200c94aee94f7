"""npm openid-client and oauth4webapi, with all of their checks on."""

import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.interop.deployment import CALLBACK, RESOURCE, SCOPE, SIGNED_OUT, Deployment
from tests.interop.node import run
from tornado_auth.oauth2.values import CLIENT_CREDENTIALS, DEVICE, EXCHANGE, REFRESH

FLOWS = {
    "client_credentials",
    "client_secret_post",
    "code_and_userinfo",
    "device",
    "dpop",
    "form_post",
    "introspection",
    "logout",
    "private_key_jwt",
    "pushed_request",
    "refresh",
    "refusals",
    "registration",
    "revocation",
    "token_exchange",
}


def make_key() -> dict[str, str]:
    """Return a private JWK for client assertions."""
    key = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1())))
    return {**key, "kid": "client-key", "alg": "ES256", "use": "sig"}


def public(key: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in key.items() if name not in ("d", "key_ops")}


async def register_clients(deployment: Deployment) -> dict[str, Any]:
    """Register one client of each kind; return what each knows of itself."""
    key = make_key()
    resources = {"by_operator": {"resources": (RESOURCE, deployment.issuer)}}
    web = await deployment.register(**resources)
    post = await deployment.register(
        token_endpoint_auth_method="client_secret_post",
        by_operator={"resources": (RESOURCE,), "access_token_format": "opaque"},
    )
    assertion = await deployment.register(
        token_endpoint_auth_method="private_key_jwt", jwks={"keys": [public(key)]}, **resources
    )
    public_client = await deployment.register(
        token_endpoint_auth_method="none", dpop_bound_access_tokens=True, **resources
    )
    program = await deployment.register(
        grant_types=[CLIENT_CREDENTIALS], redirect_uris=[], scope="reports:read", **resources
    )
    device = await deployment.register(
        grant_types=[DEVICE, REFRESH], redirect_uris=[], token_endpoint_auth_method="none"
    )
    api = await deployment.register(
        grant_types=[EXCHANGE],
        redirect_uris=[],
        scope="reports:read",
        by_operator={
            "audiences": (RESOURCE, deployment.issuer),
            "resources": (RESOURCE,),
            "exchanges": (web["client_id"],),
        },
    )
    return {
        "web": web,
        "post": post,
        "assertion": {**assertion, "key": key},
        "public": public_client,
        "program": program,
        "device": device,
        "api": api,
    }


@pytest.mark.gen_test(timeout=90)
@pytest.mark.parametrize("script", ["openid_client.mjs", "oauth4webapi.mjs"])
async def test_a_node_library_gets_through_every_flow(
    deployment: Deployment, node: str, script: str
) -> None:
    await deployment.set_password()
    clients = await register_clients(deployment)
    oauth2 = deployment.service.server.oauth2
    results = await run(
        node,
        script,
        deployment,
        clients=clients,
        callback=CALLBACK,
        signedOut=SIGNED_OUT,
        scope=SCOPE,
        resource=RESOURCE,
        initialAccessToken=await oauth2.clients.create_initial_access_token("tests", 3600),
    )
    went_wrong = [f"{name}: {error}" for name, error in results.items() if error]
    assert not went_wrong, "\n\n".join(went_wrong)
    assert results.keys() == FLOWS
    # S149: codes, tokens and secrets are known by their beginnings.
    assert "/oauth2/token" in deployment.nginx.logs
    assert not re.search(r"\b(ey|t[a-z][cstr]_)", deployment.nginx.logs)
