"""What the shipped configurations pass on to the authorization server, and what they write down."""

from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPResponse

from tests.deploy.site import Deploy, Deployed
from tests.oauth2.world import VERIFIER, challenge_of
from tornado_auth.oauth2.request_checks import MAX_LENGTHS

REDIRECT_URI = "https://app.example/callback?" + "r" * 1900
CADDY_ACCESS_LOG = {"\troute {\n": "\tlog\n\troute {\n"}


async def authorize(deployed: Deployed, **parameters: str) -> HTTPResponse:
    """Send a browser in which ann is signed in, from a client that nobody is asked about."""
    clients = deployed.service.server.oauth2.clients
    metadata: dict[str, Any] = {"redirect_uris": [REDIRECT_URI]}
    registered = await clients.register(metadata, by_operator=True, is_trusted=True)
    query = {
        "client_id": registered.client.id,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": "openid",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **parameters,
    }
    return await deployed.site.fetch(
        f"/oauth2/authorize?{urlencode(query)}", headers=deployed.cookie
    )


async def test_clients_reach_the_authorization_server(deploy_anywhere: Deploy) -> None:
    ann = await deploy_anywhere()
    for path in (
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/jwks.json",
        "/oauth2/userinfo",
        "/oauth2/nowhere",
    ):
        answer = await ann.site.fetch(path)
        assert "Content-Security-Policy" in answer.headers, f"{path} is not answered by the service"
    assert ann.site.seen == []


async def test_the_rest_of_well_known_is_the_applications(deploy_anywhere: Deploy) -> None:
    ann = await deploy_anywhere()
    paths = [
        "/.well-known/security.txt",
        "/.well-known/openid-configuration/x",
        "/.well-known/openid-configurationx",
    ]
    for path in paths:
        assert (await ann.site.fetch(path, headers=ann.cookie)).code == 200
    assert [request.uri for request in ann.site.seen] == paths


async def test_a_client_may_make_the_way_back_long(deploy_anywhere: Deploy) -> None:
    ann = await deploy_anywhere()
    answer = await authorize(ann, state="é" * (MAX_LENGTHS["state"] // 4))
    assert answer.code == 302
    # As much as nginx takes by itself, of all headers together.
    assert len(answer.headers["Location"]) > 4096


async def test_the_service_is_sent_no_more_than_it_takes(deploy_anywhere: Deploy) -> None:
    ann = await deploy_anywhere()
    answer = await ann.site.fetch("/oauth2/token", method="POST", body="a" * 70_000)
    assert answer.code in (400, 413)


# S149
@pytest.mark.parametrize("log", [{}, CADDY_ACCESS_LOG], ids=["", "access_log"])
async def test_no_code_stands_in_the_log_of_caddy(
    deploy_caddy: Deploy, log: dict[str, str]
) -> None:
    ann = await deploy_caddy(changes=log)
    answer = await authorize(ann, state="the-state")
    assert "code=tac_" in answer.headers["Location"]
    assert ("/oauth2/authorize" in ann.site.proxy.logs) is bool(log)
    assert "tac_" not in ann.site.proxy.logs
    assert "the-state" not in ann.site.proxy.logs


# S149
async def test_no_code_stands_in_the_log_of_nginx(deploy: Deploy) -> None:
    ann = await deploy()
    await authorize(ann, state="the-state")
    assert "/oauth2/authorize" in ann.site.proxy.logs
    assert "tac_" not in ann.site.proxy.logs
    assert "the-state" not in ann.site.proxy.logs
