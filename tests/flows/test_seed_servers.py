"""What applications did with proauth2 and with python-oauth2, from their documentation, done here.

Their names of the steps are in the comments. What they left to the application, that somebody signs
in and allows it, is ours to ask.
"""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPResponse

from tests.browserless import Browser
from tests.flows.fixtures import MakePerson
from tests.oauth2.world import VERIFIER, basic, challenge_of
from tests.providers.fakes import query_of
from tests.service import Service, ServiceFactory

CALLBACK = "https://app.example/callback"
SCOPES = json.dumps([{"name": "read", "description": "Read"}, {"name": "write"}])
MONTH = 2592000


class Application:
    """An application: what it is registered with, and what it sends."""

    def __init__(self, service: Service, metadata: dict[str, Any], secret: str) -> None:
        self.service = service
        self.id: str = metadata["client_id"]
        self.secret = secret

    def authorization_url(self, **parameters: str) -> str:
        query = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": CALLBACK,
            "state": "the-state",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            **parameters,
        }
        return f"{self.service.url}/oauth2/authorize?{urlencode(query)}"

    async def post(self, path: str, **form: str) -> HTTPResponse:
        return await self.service.fetch(path, form=form, headers=basic(self.id, self.secret))

    async def told(self, path: str, **form: str) -> dict[str, Any]:
        return dict(json.loads((await self.post(path, **form)).body))

    async def redeem(self, browser: Browser) -> dict[str, Any]:
        """Exchange the code with which a browser came back."""
        answer = query_of(browser.url)
        assert answer["state"] == "the-state"
        return await self.told(
            "/oauth2/token",
            grant_type="authorization_code",
            code=answer["code"],
            redirect_uri=CALLBACK,
            code_verifier=VERIFIER,
        )


@pytest.fixture
async def service(make_service: ServiceFactory, database_url: str) -> Service:
    return await make_service(
        DATABASE_URL=database_url,
        TORNADO_AUTH_SCOPES=SCOPES,
        TORNADO_AUTH_DEFAULT_SCOPES="read",
        TORNADO_AUTH_SCOPE_SEPARATOR="comma",
    )


@pytest.fixture
async def browser(service: Service, make_person: MakePerson) -> Browser:
    """Return the browser of ann, who is signed in."""
    browser = make_person(service, stop_at=(CALLBACK,)).browser
    browser.keep_cookie(service.url, f"tornado_auth={await service.sign_in('ann')}; Path=/")
    return browser


async def register(service: Service, metadata: dict[str, Any], **operators: Any) -> Application:
    clients = service.server.oauth2.clients
    asked = {"redirect_uris": [CALLBACK], **metadata}
    registered = await clients.register(asked, by_operator=True, **operators)
    return Application(service, clients.metadata_of(registered.client), registered.secret)


# P12 P15 O7
async def test_the_example_of_proauth2_from_end_to_end(service: Service, browser: Browser) -> None:
    # register_app(name, redirect_uri)
    application = await register(
        service, {"client_name": "test_app"}, audiences=(service.settings.issuer,)
    )
    # request_authorization(client_id, user_id, "code")
    await browser.get(application.authorization_url())
    assert "test_app" in browser.text
    await browser.press("consent-approve")
    # request_access_token(client_id, client_secret, code, "authorization_code")
    answer = await application.redeem(browser)
    assert answer["token_type"] == "Bearer"
    assert answer["scope"] == "read"
    # authenticate_token(token)
    token = answer["access_token"]
    (user,) = await service.server.storage.users.find()
    told = await application.told("/oauth2/introspect", token=token)
    assert (told["active"], told["sub"], told["scope"]) == (True, user.id, "read")
    assert (await service.fetch("/oauth2/revoke", form={"token": token})).code == 401
    assert (await application.told("/oauth2/introspect", token=token))["active"] is True
    # revoke_token(token)
    assert (await application.post("/oauth2/revoke", token=token)).code == 200
    assert await application.told("/oauth2/introspect", token=token) == {"active": False}


# O3 O6 O11
async def test_the_example_of_python_oauth2_with_refresh_tokens(
    service: Service, browser: Browser
) -> None:
    # add_grant(AuthorizationCodeGrant()), add_grant(RefreshToken(expires_in=2592000))
    application = await register(
        service,
        {"grant_types": ["authorization_code", "refresh_token"]},
        access_token_lifetime=MONTH,
        audiences=(service.settings.issuer,),
    )
    # SiteAdapter.render_auth_page, then SiteAdapter.authenticate
    await browser.get(application.authorization_url(scope="write,read"))
    assert browser.form_of("consent-deny")
    await browser.press("consent-approve")
    tokens = await application.redeem(browser)
    assert (tokens["expires_in"], sorted(tokens["scope"].split())) == (MONTH, ["read", "write"])
    fresh = await application.told(
        "/oauth2/token", grant_type="refresh_token", refresh_token=tokens["refresh_token"]
    )
    assert fresh["scope"] == tokens["scope"]
    told = await application.told("/oauth2/introspect", token=fresh["access_token"])
    (user,) = await service.server.storage.users.find()
    assert told["sub"] == user.id
    wrong = await application.told(
        "/oauth2/token", grant_type="refresh_token", refresh_token=fresh["access_token"]
    )
    assert wrong["error"] == "invalid_grant"


# O13
async def test_who_denies_access_is_told_to_the_application(
    service: Service, browser: Browser
) -> None:
    application = await register(service, {})
    # SiteAdapter.user_has_denied_access
    await browser.get(application.authorization_url())
    await browser.press("consent-deny")
    answer = query_of(browser.url)
    expected = {"error": "access_denied", "state": "the-state", "iss": service.settings.issuer}
    assert answer.items() >= expected.items()


# O15
@pytest.mark.parametrize("source", ["client_secret_post", "client_secret_basic"])
async def test_two_legged_oauth_with_the_secret_in_the_body_or_the_header(
    service: Service, source: str
) -> None:
    # add_grant(ClientCredentialsGrant(default_scope="read", scopes=["read", "write"]))
    application = await register(
        service,
        {
            "grant_types": ["client_credentials"],
            "redirect_uris": [],
            "token_endpoint_auth_method": source,
            "scope": "read write",
        },
    )
    form = {"grant_type": "client_credentials"}
    if source == "client_secret_basic":
        headers = basic(application.id, application.secret)
    else:
        headers = {}
        form |= {"client_id": application.id, "client_secret": application.secret}
    for wanted, granted in (("", "read"), ("write", "write"), ("write,read", "write read")):
        sent = form | ({"scope": wanted} if wanted else {})
        answer = await service.fetch("/oauth2/token", form=sent, headers=headers)
        assert json.loads(answer.body)["scope"] == granted


# O18 O22
async def test_implicit_and_password_grants_are_not_there(
    service: Service, browser: Browser
) -> None:
    application = await register(service, {})
    # ImplicitGrant()
    await browser.get(application.authorization_url(response_type="token"))
    assert query_of(browser.url)["error"] == "unsupported_response_type"
    # ResourceOwnerGrant()
    for path in ("/oauth2/token", "/oauth2/authorize"):
        form = {"grant_type": "password", "username": "ann", "password": "secret"}
        answer = await application.post(path, **form)
        assert answer.code == 400
        assert "access_token" not in answer.body.decode()
    told = await application.told("/oauth2/token", **form)
    assert told["error"] == "unsupported_grant_type"
