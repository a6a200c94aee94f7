"""The hooks of an operator, over a whole sign-in and sign-out."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.flows.fixtures import MakePerson, Said
from tests.flows.journeys import Person, github_at
from tests.modules import MakeModule, module
from tests.providers.fakes import FakeGitHub
from tests.service import ServiceFactory

RECORDER = """
    calls = []
    async def on_new_user(user_info): calls.append(("new", user_info))
    def on_user_login(user_info): calls.append(("login", user_info))
    async def on_user_logout(user_info): calls.append(("logout", user_info))
"""

Start = Callable[..., Any]


@pytest.fixture
def start(
    make_service: ServiceFactory,
    database_url: str,
    fake_github: FakeGitHub,
    make_person: MakePerson,
    make_module: MakeModule,
) -> Start:
    """Start a service with extensions of these names and sources, and return a visitor of it."""

    async def start(**sources: str) -> Person:
        names = [make_module(name, source) for name, source in sources.items()]
        extensions = {"INSTALLED_EXTENSIONS": ";".join(names)}
        settings = github_at(fake_github, **extensions)
        return make_person(await make_service(DATABASE_URL=database_url, **settings))

    return start


async def sign_out(person: Person) -> None:
    await person.browser.get("/auth/logout")
    await person.browser.submit("logout-form")


# D22
async def test_each_hook_is_called_at_its_moment_with_the_profile(start: Start) -> None:
    ann = await start(journey_recorder=RECORDER)
    await ann.sign_in("github", "octo")
    profile = await ann.profile()
    calls = module("journey_recorder").calls
    assert calls == [("new", profile), ("login", profile)]
    await sign_out(ann)
    assert calls[2:] == [("logout", profile)]
    await ann.sign_in("github", "octo")
    assert calls[3:] == [("login", profile)]
    # A sign-out by a program counts, one of nobody does not.
    token = ann.token
    assert await ann.service.json("/auth/logout", token=token, form={}) == {"success": True}
    assert await ann.service.json("/auth/logout", token=token, form={}) == {"success": False}
    assert calls[4:] == [("logout", profile)]


# D22
async def test_a_session_ended_from_another_browser_is_a_sign_out_too(
    start: Start, make_person: MakePerson
) -> None:
    ann = await start(journey_recorder=RECORDER)
    elsewhere = make_person(ann.service)
    for person in (ann, elsewhere):
        await person.sign_in("github", "octo")
    calls = module("journey_recorder").calls
    assert [name for name, _ in calls] == ["new", "login", "login"]
    await ann.browser.get("/auth/account")
    (others,) = (f for f in ann.browser.forms if f.action.endswith("/end-other-sessions"))
    await ann.browser.post(others.action, others.fields)
    assert [name for name, _ in calls[3:]] == ["logout"]
    assert await elsewhere.is_signed_in() is False


# D20
async def test_a_failing_extension_breaks_neither_sign_in_nor_sign_out(
    start: Start, said: Said
) -> None:
    failing = "\n".join(
        f"def {hook}(user_info): user_info.no_such_attribute"
        for hook in ("on_new_user", "on_user_login", "on_user_logout")
    )
    ann = await start(journey_failing=failing, journey_recorder=RECORDER)
    await ann.sign_in("github", "octo")
    assert ann.sees_account()
    await sign_out(ann)
    assert await ann.is_signed_in() is False
    calls = module("journey_recorder").calls
    assert [name for name, _ in calls] == ["new", "login", "logout"]
    assert said().count("\nextension_failed {") == 3
    metrics = (await ann.service.fetch(f"{ann.service.ops_url}/metrics")).body.decode()
    for hook in ("on_new_user", "on_user_login", "on_user_logout"):
        counted = f'extension="journey_failing",hook="{hook}"}} 1.0'
        assert counted in metrics


# D20
async def test_a_blocking_extension_that_fails_keeps_the_visitor_out(start: Start) -> None:
    gate = """
        blocking = True
        is_open = False
        welcomed = []
        async def on_new_user(user_info):
            if not is_open:
                raise OSError("the mail server is secret-host-7")
            welcomed.append(user_info["username"])
    """
    ann = await start(journey_gate=gate)
    await ann.sign_in("github", "octo")
    assert ann.sees_error(403, "login_blocked")
    assert "secret-host-7" not in ann.browser.text
    assert ann.token == ""
    assert await ann.service.server.storage.sessions.find() == []
    # What did not happen yet for the new user happens when they come back.
    module("journey_gate").is_open = True
    for _ in range(2):
        await ann.sign_in("github", "octo")
        assert ann.sees_account()
    assert module("journey_gate").welcomed == ["octo-cat"]


# D21
async def test_a_hook_cannot_change_whom_the_token_is_made_for(start: Start) -> None:
    intruder = """
        def on_user_login(user_info):
            user_info["id"] = "root"
    """
    copier = """
        async def on_user_login(user_info):
            dict(user_info)["id"] = "root"
    """
    ann = await start(journey_intruder=intruder, journey_copier=copier)
    await ann.sign_in("github", "octo")
    profile = await ann.profile()
    (user,) = await ann.service.server.storage.users.find()
    assert profile["id"] == user.id != "root"
