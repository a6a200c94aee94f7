"""The consent page over plain HTTP: what it says, and what it takes for an answer."""

import json
import re
from urllib.parse import quote, urlsplit

import pytest
from tornado.httpclient import HTTPResponse

from tests.forms import open_page
from tests.oauth2.asking import SELF_REGISTERED
from tests.oauth2.world import REDIRECT_URI, World, answer_of
from tornado_auth.models import Client

HOSTILE = "</bdi><script>alert(1)</script>"


class Person:
    """Somebody who is signed in, and whom an application sends to us."""

    def __init__(self, world: World, token: str) -> None:
        self.world, self.token = world, token
        self.cookies = {"tornado_auth": token}

    async def sent(self, client: Client, **parameters: str) -> str:
        """Return where the authorization endpoint sends the browser."""
        response = await self.world.authorize(client, self.token, **parameters)
        assert response.code in (302, 303), response.body
        return response.headers["Location"]

    async def look(self, path: str) -> str:
        response = await self.world.service.fetch(path, cookies=self.cookies)
        assert response.code == 200, response.body
        return response.body.decode()

    async def answer(self, path: str, **fields: str) -> HTTPResponse:
        page = await open_page(self.world.service, path, **self.cookies)
        return await page.send(path, **fields)

    async def follow(self, response: HTTPResponse) -> HTTPResponse:
        assert response.code == 303
        location = response.headers["Location"]
        return await self.world.service.fetch(location, cookies=self.cookies)

    async def allow(self, client: Client, **parameters: str) -> None:
        """Allow a client what it asks for."""
        path = await self.sent(client, **parameters)
        answered = await self.answer(path, decision="approve")
        assert "code" in answer_of(await self.follow(answered))


@pytest.fixture
async def ann(world: World) -> Person:
    return Person(world, await world.service.sign_in("ann"))


@pytest.fixture
async def app(world: World) -> Client:
    return await world.client(is_trusted=False)


def text_of(page: str, element_id: str) -> str:
    """Return the text of an element of the page, tags left out."""
    found = re.search(rf'<(\w+)[^>]* id="{element_id}"[^>]*>(.*?)</\1>', page, re.DOTALL)
    assert found, element_id
    return " ".join(re.sub(r"<[^>]+>", "", found[2]).split())


# S015
async def test_the_page_names_client_host_user_and_each_scope(ann: Person, app: Client) -> None:
    page = await ann.look(await ann.sent(app, scope="openid email"))
    assert text_of(page, "consent-title") == "Allow The app?"
    assert text_of(page, "consent-client") == (
        "The app wants to use your account ann. From here you go on to app.example."
    )
    assert text_of(page, "consent-scopes") == "Know who you are See your e-mail address"
    assert "consent-unverified" not in page


# S015
async def test_a_wider_scope_is_asked_for_and_what_is_new_is_marked(
    ann: Person, app: Client
) -> None:
    await ann.allow(app, scope="openid")
    assert (await ann.sent(app, scope="openid")).startswith(REDIRECT_URI)
    page = await ann.look(await ann.sent(app, scope="openid email"))
    assert text_of(page, "consent-scopes") == "Know who you are See your e-mail address New"
    await ann.allow(app, scope="openid email")
    for scope in ("openid", "email openid"):
        assert (await ann.sent(app, scope=scope)).startswith(REDIRECT_URI)


# S015
async def test_it_is_asked_again_when_the_client_wants_that(ann: Person, app: Client) -> None:
    await ann.allow(app)
    path = await ann.sent(app, prompt="consent")
    assert path.startswith("/oauth2/consent?")
    assert text_of(await ann.look(path), "consent-scopes") == "Know who you are"
    answered = await ann.answer(path, decision="approve")
    assert "code" in answer_of(await ann.follow(answered)), "and only once"


# S015
async def test_what_was_allowed_one_client_or_by_one_person_counts_for_no_other(
    ann: Person, app: Client, world: World
) -> None:
    await ann.allow(app)
    other = await world.client(is_trusted=False)
    bob = Person(world, await world.service.sign_in("bob"))
    for person, client in ((ann, other), (bob, app)):
        assert (await person.sent(client)).startswith("/oauth2/consent?")


# S015 S078
async def test_a_client_that_registered_itself_is_called_unverified_whatever_its_name(
    ann: Person, world: World
) -> None:
    client = await world.client(
        **SELF_REGISTERED,
        client_name=HOSTILE,
        policy_uri="javascript:alert(1)",
        tos_uri="http://app.example/terms",
        client_uri='https://app.example/"><script>alert(1)</script>',
    )
    page = await ann.look(await ann.sent(client))
    assert text_of(page, "consent-unverified").startswith("Unverified:")
    assert "<script" not in page
    assert "&lt;/bdi&gt;&lt;script&gt;" in page
    assert "client-policy" not in page
    assert "client-terms" not in page
    assert 'href="https://app.example/&quot;&gt;&lt;script' in page
    assert len(re.findall("<img", page)) == 1, "our own"


async def test_claims_and_resources_are_named(ann: Person, world: World) -> None:
    client = await world.client(is_trusted=False, resources=("https://api.example/v1",))
    claims = json.dumps({"userinfo": {"phone_number": {"essential": True}}})
    path = await ann.sent(client, claims=claims, resource="https://api.example/v1")
    page = await ann.look(path)
    assert "phone number" in text_of(page, "consent-claims")
    assert text_of(page, "consent-resources") == "https://api.example/v1"


# S012
async def test_after_a_yes_the_browser_goes_on_by_a_303_and_then_a_302(
    ann: Person, app: Client
) -> None:
    path = await ann.sent(app)
    answered = await ann.answer(path, decision="approve")
    assert answered.code == 303
    assert answered.headers["Location"].startswith("/oauth2/authorize?")
    assert "code=" not in answered.headers["Location"]
    response = await ann.follow(answered)
    assert response.code == 302
    assert response.headers["Location"].startswith(f"{REDIRECT_URI}?")
    [event] = await ann.world.storage.audit_events.find(action="consent_given")
    assert (event.actor_name, event.target, event.via) == ("ann", app.id, "page")
    assert event.remote_ip == "127.0.0.1"


# S012
async def test_a_no_is_brought_to_the_client_by_a_303(ann: Person, app: Client) -> None:
    answered = await ann.answer(await ann.sent(app), decision="deny")
    assert answered.code == 303
    assert answer_of(answered) == {
        "error": "access_denied",
        "error_description": answer_of(answered)["error_description"],
        "state": "the-state",
        "iss": ann.world.issuer,
    }
    assert (await ann.sent(app)).startswith("/oauth2/consent?")


# S014
async def test_a_no_can_be_brought_by_a_form(ann: Person, app: Client) -> None:
    path = await ann.sent(app, response_mode="form_post", state='"><script>alert(1)</script>')
    response = await ann.answer(path, decision="deny")
    page, policy = response.body.decode(), response.headers["Content-Security-Policy"]
    [nonce] = re.findall(r'<script nonce="([\w-]{22})">', page)
    assert f"script-src 'nonce-{nonce}';" in policy
    assert policy.endswith("form-action 'self' https:")
    assert response.headers["Cache-Control"] == "no-store"
    assert f'method="post" action="{REDIRECT_URI}"' in page
    assert 'name="state" value="&quot;&gt;&lt;script&gt;' in page
    assert 'name="error" value="access_denied"' in page
    again = await ann.answer(path, decision="deny")
    assert nonce not in again.body.decode()


# O17
async def test_nothing_is_allowed_by_a_link_or_by_a_form_of_another_site(
    ann: Person, app: Client
) -> None:
    path = await ann.sent(app)
    for extra in ("&decision=approve", "&confirm=1"):
        assert 'id="consent-form"' in await ann.look(path + extra)
    page = await open_page(ann.world.service, path, **ann.cookies)
    for response in (
        await ann.world.service.fetch(path, cookies=ann.cookies, form={"decision": "approve"}),
        await page.send(path, decision="approve", headers={"Origin": "https://evil.example"}),
    ):
        assert response.code == 403
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert (await ann.sent(app)).startswith("/oauth2/consent?")


# O17
@pytest.mark.parametrize("fields", [{}, {"decision": ""}, {"decision": "yes"}])
async def test_only_the_two_buttons_are_answers(
    ann: Person, app: Client, fields: dict[str, str]
) -> None:
    path = await ann.sent(app, decision="approve")
    assert (await ann.answer(path, **fields)).code == 400
    assert (await ann.sent(app)).startswith("/oauth2/consent?")


async def test_parameters_of_the_request_do_not_get_into_the_form(ann: Person, app: Client) -> None:
    path = await ann.sent(app, decision="deny", _xsrf="theirs")
    answered = await ann.answer(path, decision="approve")
    assert "code" in answer_of(await ann.follow(answered))


async def test_without_a_session_the_page_leads_back_and_keeps_nothing(
    ann: Person, app: Client
) -> None:
    path = await ann.sent(app)
    page = await open_page(ann.world.service, path, **ann.cookies)
    del page.cookies["tornado_auth"]
    for response in (
        await ann.world.service.fetch(path),
        await page.send(path, decision="approve"),
        await page.send(path, decision="deny"),
    ):
        assert response.code == 303
        assert response.headers["Location"] == path.replace("consent", "authorize", 1)
    assert (await ann.sent(app)).startswith("/oauth2/consent?")


async def test_an_address_that_was_tampered_with_shows_the_error(ann: Person, app: Client) -> None:
    path = await ann.sent(app)
    wrong = path.replace(quote(REDIRECT_URI, safe=""), quote("https://evil.example/", safe=""))
    assert wrong != path
    response = await ann.world.service.fetch(wrong, cookies=ann.cookies)
    assert response.code == 400
    page = response.body.decode()
    assert text_of(page, "error-reason") == "invalid_request"
    assert text_of(page, "error-parameter") == "redirect_uri"


async def test_where_the_client_forbids_to_ask_nobody_is_asked(ann: Person, app: Client) -> None:
    path = f"/oauth2/consent?{ann.world.request_of(app, prompt='none')}"
    response = await ann.world.service.fetch(path, cookies=ann.cookies)
    assert answer_of(await ann.follow(response))["error"] == "consent_required"


async def test_what_the_client_did_wrong_the_client_is_told(ann: Person, app: Client) -> None:
    path = await ann.sent(app)
    response = await ann.world.service.fetch(
        path.replace("response_type=code", "response_type=token"), cookies=ann.cookies
    )
    response = await ann.follow(response)
    assert answer_of(response)["error"] == "unsupported_response_type"
    assert urlsplit(response.headers["Location"]).netloc == "app.example"
