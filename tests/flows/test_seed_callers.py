"""Programs that were written for the older services: they ask as they always did.

`ann` came back to such a program by `?jwt=`; from then on the program speaks for her.
"""

import json
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

import pytest

from tests.flows.fixtures import MakePerson
from tests.flows.journeys import Person, Site, google_at
from tests.modules import MakeModule
from tests.providers.fakes import query_of
from tests.providers.fixtures import OIDCProvider
from tests.service import Service, ServiceFactory


@dataclass
class Caller:
    """A program with the token of a person."""

    service: Service
    person: Person
    token: str


@pytest.fixture
async def service(
    make_service: ServiceFactory,
    database_url: str,
    make_module: MakeModule,
    oidc_provider: OIDCProvider,
    site: Site,
) -> Service:
    make_module("called_files", "def get_permissions(service, userid): return {'read': True}")
    return await make_service(
        DATABASE_URL=database_url,
        ALLOWED_SERVICES="files:called_files",
        TORNADO_AUTH_ALLOWED_NEXT=f"{site.url}=query",
        **google_at(oidc_provider),
    )


@pytest.fixture
async def caller(service: Service, site: Site, make_person: MakePerson) -> Caller:
    """The program asked where its visitor can sign in, sent her there, and read its own address."""
    ann = make_person(service)
    wanted = quote(f"{site.url}/app?page=2", safe="")
    answer = await service.json(f"/auth/check?next={wanted}")
    await ann.browser.get(answer["providers"]["google"]["url"])
    await ann.approve("1001")
    (request,) = site.requests
    parameters = query_of(request.uri)
    assert list(parameters) == ["page", "jwt"]
    return Caller(service, ann, parameters["jwt"])


async def test_the_token_is_taken_as_header_and_as_parameter(caller: Caller) -> None:
    service, jwt = caller.service, urlencode({"jwt": caller.token})
    by_header = await service.json("/auth/check", headers={"Auth-Token": caller.token})
    assert by_header["authenticated"] is True
    assert await service.json(f"/auth/check?{jwt}") == by_header
    user_id = by_header["profile"]["id"]
    for path in ("/auth/authorize?service=files&", "/auth/authorize?"):
        answer = await service.json(path + jwt)
        expected = {"read": True} if "files" in path else {}
        assert answer["permissions"] == expected
        assert ("token" in answer) is bool(expected)
    assert await service.json(f"/auth/resolve?username=ann&{jwt}") == {"userid": user_id}
    found = await service.json(f"/auth/get_profile?username=ann&{jwt}")
    assert found["profile"]["id"] == user_id


@pytest.mark.parametrize("how", ["header", "query", "form"])
async def test_the_user_name_is_set_once_by_whichever_way(caller: Caller, how: str) -> None:
    update, token, service = "/auth/update", caller.token, caller.service
    jwt = {"jwt": token}
    if how == "header":
        answer = await service.json(update, token=token, form={"username": "queen"})
    elif how == "query":
        query = urlencode({**jwt, "username": "queen"})
        answer = await service.json(f"{update}?{query}", method="POST", body="")
    else:
        answer = await service.json(update, form={**jwt, "username": "queen"})
    assert answer == {"success": True}
    profile = (await service.json("/auth/check", token=token))["profile"]
    assert profile["username"] == "queen"


async def test_the_addresses_of_an_older_deployment_lead_to_a_sign_in(
    service: Service, make_person: MakePerson
) -> None:
    answer = await service.json("/auth/check?next=/auth/account")
    url = answer["providers"]["google"]["url"]
    assert urlsplit(url).path == "/auth/login/google"
    bob = make_person(service)
    await bob.browser.get(url)
    await bob.approve("1002")
    assert (await bob.profile())["username"] == "bobby"


# D27
async def test_what_went_wrong_is_said_by_status_and_word(caller: Caller) -> None:
    service, token = caller.service, caller.token

    async def ask(path: str, **arguments: object) -> tuple[int, object]:
        response = await service.fetch(path, **arguments)
        answer = json.loads(response.body)
        return response.code, answer.get("error")

    update, form = "/auth/update", {"username": "a b"}
    assert await ask(update, form=form) == (401, "No token")
    assert await ask(update, token="rubbish", form=form) == (401, "Not authenticated")
    status, error = await ask(update, token=token, form=form)
    assert (status, type(error)) == (400, str)
    assert await ask("/auth/resolve?username=ann") == (401, "login_required")
    assert await ask("/auth/get_profile?username=ann") == (401, "login_required")
    assert await ask("/auth/check?jwt=a&jwt=b") == (400, "invalid_request")
    assert await ask("/auth/token", form={"code": "x"}) == (400, "invalid_grant")
    assert await ask("/auth/check", method="DELETE") == (405, "method_not_allowed")
    # The two answers that callers read without looking at the status.
    assert await ask("/auth/check") == (200, None)
    assert await ask("/auth/authorize?service=files") == (200, "invalid_token")
    assert await ask("/auth/authorize?service=x", token=token) == (200, "access_denied")


# D9
async def test_nothing_but_a_session_token_opens_a_session(caller: Caller) -> None:
    service, person = caller.service, caller.person
    await person.begin("google")
    (attempt,) = person.attempts
    session = (await service.server.storage.sessions.find())[0]
    permitted = await service.json("/auth/authorize?service=files", token=caller.token)
    others = {
        "state": query_of(next(u for u in person.browser.history if "state=" in u))["state"],
        "sealed attempt": person.browser.cookie(attempt).value,
        "hand-over code": await service.server.sessions.hand_over(session.id),
        "permission token": permitted["token"],
        "session id": session.id,
        "user id": session.user_id,
    }
    for name, value in others.items():
        ways = [
            {"path": "/auth/check", "token": value},
            {"path": "/auth/check", "cookies": {"tornado_auth": value}},
            {"path": f"/auth/check?jwt={quote(value)}"},
        ]
        for way in ways:
            response = await service.fetch(way.pop("path"), **way)
            assert response.code == 200, name
            assert json.loads(response.body)["authenticated"] is False, name
        assert (await service.fetch("/auth/verify", token=value)).code == 401, name
        answer = await service.json("/auth/authorize?service=files", token=value)
        assert answer == {"permissions": {}, "error": "invalid_token"}, name
        response = await service.fetch("/auth/update", token=value, form={"username": "x"})
        assert response.code == 401, name
    # And a session token is no hand-over code and no state.
    assert (await service.fetch("/auth/token", form={"code": caller.token})).code == 400
    callback = f"/auth/oauth_callback?code=x&state={caller.token}"
    cookies = {"tornado_auth": caller.token, attempt: others["sealed attempt"]}
    assert (await service.fetch(callback, cookies=cookies)).code == 400


# S102 D18
async def test_no_answer_is_a_script_that_another_site_can_load(caller: Caller) -> None:
    for path in ("/auth/check", "/auth/authorize?service=files", "/auth/resolve?username=ann"):
        separator = "&" if "?" in path else "?"
        response = await caller.service.fetch(
            f"{path}{separator}callback=steal",
            token=caller.token,
            headers={"Origin": "https://evil.example"},
        )
        assert response.headers["Content-Type"] == "application/json; charset=utf-8"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert b"steal" not in response.body
        assert isinstance(json.loads(response.body), dict)
        assert not [name for name in response.headers if name.startswith("Access-Control")]
