"""PyPI requests-oauthlib: people who sign in, tokens that renew themselves, programs, devices."""

from asyncio import to_thread
from typing import Any

import pytest
import requests
from oauthlib.oauth2 import BackendApplicationClient, DeviceClient, InvalidGrantError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from tests.interop.deployment import CALLBACK, SCOPE, Deployment
from tornado_auth.oauth2.values import CLIENT_CREDENTIALS, DEVICE, REFRESH


def session_at(deployment: Deployment, **options: Any) -> OAuth2Session:
    session = OAuth2Session(**options)
    session.verify, session.trust_env = deployment.ca_file, False
    return session


def basic_of(client: Any) -> HTTPBasicAuth:
    return HTTPBasicAuth(client["client_id"], client["client_secret"])


async def sign_in(deployment: Deployment, session: OAuth2Session, **proof: Any) -> dict[str, Any]:
    """Walk through the code flow; the library compares state, and the scope that it gets."""
    endpoint = f"{deployment.issuer}/oauth2"
    url, _ = session.authorization_url(f"{endpoint}/authorize")
    arrival = await deployment.visitor().visit(url)
    response = {"authorization_response": arrival.url}
    return dict(await to_thread(session.fetch_token, f"{endpoint}/token", **response, **proof))


async def test_requests_oauthlib_signs_in_refreshes_and_revokes(deployment: Deployment) -> None:
    client = await deployment.register()
    endpoint, basic = f"{deployment.issuer}/oauth2", basic_of(client)
    options = {"redirect_uri": CALLBACK, "scope": SCOPE.split(), "pkce": "S256"}
    session = session_at(deployment, client_id=client["client_id"], **options)
    tokens = await sign_in(deployment, session, auth=basic)
    answer = await to_thread(session.get, f"{endpoint}/userinfo")
    assert answer.json()["given_name"] == "Alice"
    fresh = await to_thread(session.refresh_token, f"{endpoint}/token", auth=basic)
    assert fresh["refresh_token"] != tokens["refresh_token"]
    url, headers, body = session._client.prepare_token_revocation_request(
        f"{endpoint}/revoke", fresh["refresh_token"], "refresh_token"
    )
    known = {"headers": headers, "auth": basic, "verify": deployment.ca_file, "timeout": 10}
    assert (await to_thread(requests.post, url, body, **known)).status_code == 200
    assert (await to_thread(session.get, f"{endpoint}/userinfo")).status_code == 401
    with pytest.raises(InvalidGrantError):
        await to_thread(session.refresh_token, f"{endpoint}/token", auth=basic)


async def test_requests_oauthlib_renews_a_token_by_itself(deployment: Deployment) -> None:
    client = await deployment.register(token_endpoint_auth_method="client_secret_post")
    proof = {name: client[name] for name in ("client_id", "client_secret")}
    renewed: list[dict[str, Any]] = []
    session = session_at(
        deployment,
        client_id=client["client_id"],
        redirect_uri=CALLBACK,
        scope=["openid", "profile"],
        pkce="S256",
        auto_refresh_url=f"{deployment.issuer}/oauth2/token",
        auto_refresh_kwargs=proof,
        token_updater=renewed.append,
    )
    secret = {"client_secret": client["client_secret"], "include_client_id": True}
    tokens = await sign_in(deployment, session, **secret)
    session.token = {**tokens, "expires_at": 1, "expires_in": -1}
    answer = await to_thread(session.get, f"{deployment.issuer}/oauth2/userinfo")
    assert answer.json()["preferred_username"] == "alice"
    assert renewed[0]["access_token"] != tokens["access_token"]


async def test_requests_oauthlib_gets_a_token_for_a_program(deployment: Deployment) -> None:
    program = await deployment.register(
        grant_types=[CLIENT_CREDENTIALS],
        redirect_uris=[],
        scope="reports:read",
        by_operator={"audiences": (deployment.issuer,)},
    )
    endpoint, basic = f"{deployment.issuer}/oauth2", basic_of(program)
    client = BackendApplicationClient(program["client_id"], scope=["reports:read"])
    session = session_at(deployment, client=client)
    tokens = await to_thread(session.fetch_token, f"{endpoint}/token", auth=basic)
    assert "refresh_token" not in tokens
    shown = {"token": tokens["access_token"]}
    told = await to_thread(
        requests.post,
        f"{endpoint}/introspect",
        shown,
        auth=basic,
        verify=deployment.ca_file,
        timeout=10,
    )
    assert told.json()["scope"] == "reports:read"


async def test_requests_oauthlib_gets_a_token_for_a_device(deployment: Deployment) -> None:
    device = await deployment.register(
        grant_types=[DEVICE, REFRESH], redirect_uris=[], token_endpoint_auth_method="none"
    )
    client = DeviceClient(device["client_id"], scope=["openid", "profile"])
    session = session_at(deployment, client=client)
    endpoint = f"{deployment.issuer}/oauth2"
    url = client.prepare_request_uri(f"{endpoint}/device_authorization")
    address, _, form = url.partition("?")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await to_thread(
        session.post, address, form, headers=headers, withhold_token=True, timeout=10
    )
    started = answer.json()
    await deployment.visitor().visit(started["verification_uri_complete"])
    code = {"device_code": started["device_code"], "include_client_id": True}
    await to_thread(session.fetch_token, f"{endpoint}/token", **code)
    answer = await to_thread(session.get, f"{endpoint}/userinfo")
    assert answer.json()["preferred_username"] == "alice"
