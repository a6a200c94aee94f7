"""Signing in on our own page: by user name and password, and, for developers, by name alone."""

import jwt
import pytest

from tests.flows.fixtures import MakePerson, Said, no_matter_which_store
from tests.flows.journeys import Person, nobody_came_in
from tests.forms import fail_to_sign_in
from tests.service import Service, ServiceFactory

PASSWORD = "correct horse battery staple"


@pytest.fixture
async def service(make_service: ServiceFactory, database_url: str) -> Service:
    """A service with a local account, as `tornado-auth users add` makes it."""
    service = await make_service(DATABASE_URL=database_url)
    user = await service.server.accounts.create("ann", name="Ann", email="ann@example.org")
    await service.server.local_accounts.set_password(user.id, PASSWORD)
    return service


@pytest.fixture
def ann(service: Service, make_person: MakePerson) -> Person:
    return make_person(service)


async def test_a_local_account_signs_in_by_the_form(ann: Person) -> None:
    await ann.sign_in_by_form("login-form", username="ANN", password=PASSWORD)
    assert ann.sees_account()
    profile = await ann.profile()
    assert (profile["username"], profile["name"]) == ("ann", "Ann")
    assert profile["email"] == "ann@example.org"
    assert profile["provider_id"] == f"local:{profile['id']}"
    again = (await ann.service.json("/auth/check"))["providers"]["local"]["url"]
    await ann.browser.get(again)
    assert "You are signed in as" in ann.browser.text


async def test_the_form_leads_to_the_page_that_was_wanted(ann: Person) -> None:
    wanted = "/auth/account?from=form&x="
    await ann.sign_in_by_form("login-form", next=wanted, username="ann", password=PASSWORD)
    assert ann.browser.url == ann.service.url + wanted
    assert ann.sees_account()


WRONG = [
    ("ann", "wrong-guess"),
    ("nobody", PASSWORD),
    ("a b", ""),
    ("ann", "x" * 9000),
]


@no_matter_which_store
async def test_a_wrong_password_is_told_without_saying_what_was_wrong(
    ann: Person, said: Said
) -> None:
    for username, password in WRONG:
        await ann.sign_in_by_form("login-form", username=username, password=password)
        assert ann.browser.status == 401
        assert 'id="login-error"' in ann.browser.text
        assert "The user name or the password is wrong." in ann.browser.text
        (form,) = ann.browser.forms
        assert (form.fields["username"], form.fields["password"]) == (username, "")
        assert ann.token == ""
        assert len(password) < 5 or password not in ann.browser.text + said()
    # The same form, filled in right, works.
    await ann.browser.submit("login-form", username="ann", password=PASSWORD)
    assert ann.sees_account()


# D27
@no_matter_which_store
async def test_who_guesses_too_often_has_to_wait(ann: Person) -> None:
    for _ in range(10):
        await fail_to_sign_in(ann.service, account="ann")
    await ann.sign_in_by_form("login-form", username="ann", password=PASSWORD)
    assert ann.browser.status == 429
    assert "Too many attempts." in ann.browser.text
    assert 0 < int(ann.browser.headers["Retry-After"]) <= 300
    assert ann.token == ""


# D13
async def test_a_sign_out_kills_the_token_and_one_can_sign_in_again(ann: Person) -> None:
    await ann.sign_in_by_form("login-form", username="ann", password=PASSWORD)
    before, first = await ann.profile(), ann.token
    assert (await ann.service.fetch("/auth/verify", token=first)).code == 200
    await ann.browser.get("/auth/logout")
    await ann.browser.submit("logout-form")
    assert ann.token == ""
    assert (await ann.service.json("/auth/check", token=first))["authenticated"] is False
    assert (await ann.service.fetch("/auth/verify", token=first)).code == 401
    await ann.sign_in_by_form("login-form", username="ann", password=PASSWORD)
    assert ann.token not in ("", first)
    assert await ann.profile() == before
    assert (await ann.service.fetch("/auth/verify", token=first)).code == 401


# D13
async def test_one_session_of_several_is_ended_from_the_account_page(
    ann: Person, make_person: MakePerson
) -> None:
    at_work, on_the_train = make_person(ann.service), make_person(ann.service)
    people = (ann, at_work, on_the_train)
    for person in people:
        await person.sign_in_by_form("login-form", username="ann", password=PASSWORD)
    await ann.browser.get("/auth/account")
    forms = [form for form in ann.browser.forms if form.action.endswith("/end-session")]
    assert len(forms) == 3
    current = jwt.decode(on_the_train.token, options={"verify_signature": False})["sid"]
    (form,) = (form for form in forms if form.fields["session_id"] == current)
    await ann.browser.post(form.action, form.fields)
    assert ann.sees_account()
    assert [await person.is_signed_in() for person in people] == [True, True, False]
    (others,) = (form for form in ann.browser.forms if form.action.endswith("/end-other-sessions"))
    await ann.browser.post(others.action, others.fields)
    assert ann.sees_account()
    assert [await person.is_signed_in() for person in people] == [True, False, False]


# S119
@no_matter_which_store
async def test_a_form_without_our_proof_signs_nobody_in(ann: Person) -> None:
    """Login CSRF by form: a foreign page would sign its visitor in as somebody of its choice."""
    fields = {"username": "ann", "password": PASSWORD}
    await ann.browser.post(f"{ann.service.url}/auth/login/local", fields)
    assert ann.browser.status == 403
    await ann.browser.get("/auth/login")
    xsrf = ann.browser.forms[0].fields["_xsrf"]
    await ann.browser.post(
        "/auth/login/local", {**fields, "_xsrf": xsrf}, headers={"Origin": "https://evil.example"}
    )
    assert ann.browser.status == 403
    assert ann.token == ""
    assert await ann.service.server.storage.sessions.find() == []


@no_matter_which_store
async def test_a_password_in_an_address_is_refused(ann: Person) -> None:
    await ann.browser.get(f"{ann.service.url}/auth/login")
    xsrf = ann.browser.forms[0].fields["_xsrf"]
    address = f"/auth/login/local?username=ann&password={PASSWORD.replace(' ', '+')}"
    await ann.browser.post(address, {"_xsrf": xsrf})
    assert ann.sees_error(400, "invalid_request")
    assert ann.token == ""


async def test_a_disabled_account_stays_out(ann: Person) -> None:
    accounts = ann.service.server.accounts
    user = await accounts.find_by_username("ann")
    assert user is not None
    await accounts.set_disabled(user.id, disabled=True)
    await ann.sign_in_by_form("login-form", username="ann", password=PASSWORD)
    assert ann.browser.status == 403
    assert ann.token == ""
    await accounts.set_disabled(user.id, disabled=False)
    await ann.sign_in_by_form("login-form", username="ann", password=PASSWORD)
    assert ann.sees_account()


# S103
async def test_a_developer_signs_in_as_anybody(
    make_service: ServiceFactory, database_url: str, make_person: MakePerson
) -> None:
    service = await make_service(DATABASE_URL=database_url, dev=True)
    assert set((await service.json("/auth/check"))["providers"]) == {"local", "dev"}
    person = make_person(service)
    wanted = "/auth/account?dev"
    await person.sign_in_by_form("dev-login-form", next=wanted, username="grace")
    assert person.browser.url == service.url + wanted
    grace = await person.profile()
    assert (grace["username"], grace["provider_id"]) == ("grace", "dev:grace")
    await person.sign_in_by_form("dev-login-form", username="ada")
    assert (await person.profile())["username"] == "ada"
    await person.sign_in_by_form("dev-login-form", username="GRACE")
    assert await person.profile() == {**grace, "name": "GRACE"}
    await person.sign_in_by_form("dev-login-form", username="a b")
    assert person.browser.status == 400
    assert 'id="login-error"' in person.browser.text


# S103 D28
async def test_without_the_flag_there_is_no_development_login(
    make_service: ServiceFactory, database_url: str, make_person: MakePerson
) -> None:
    service = await make_service(DATABASE_URL=database_url, TORNADO_AUTH_LOCAL_ACCOUNTS="false")
    assert await service.json("/auth/check") == {"authenticated": False, "providers": {}}
    person = make_person(service)
    await person.browser.get(f"{service.url}/auth/login")
    assert 'id="no-login-way"' in person.browser.text
    assert person.browser.forms == []
    for name in ("dev", "local", "google", "github"):
        await person.browser.get(f"/auth/login/{name}")
        assert person.sees_error(404, "not_found")
        await person.browser.post(f"/auth/login/{name}", {"username": "grace", "password": "x"})
        assert person.browser.status in (403, 404, 405)
    assert person.token == ""
    assert await nobody_came_in(service)
