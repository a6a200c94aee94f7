"""The templates of the authorization server by themselves; see test_templates.py."""

import pytest

from tests.pages.reader import record, render


def test_the_consent_page_has_the_stable_names() -> None:
    page = render("consent.html")

    assert page.text("h1#consent-title") == "Allow The app?"
    assert page.text("bdi#consent-host") == "app.example"
    assert page.element("form#consent-form")["action"].startswith("/oauth2/consent?")
    for name in ("approve", "deny"):
        button = page.element(f"button#consent-{name}")
        assert (button["type"], button["name"], button["value"]) == ("submit", "decision", name)
    assert page.text("ul#consent-scopes") == "See that See that New"
    assert page.text("p#consent-claims") == "It is told of you: name, email."
    assert page.text("ul#consent-resources") == "https://api.example/"
    assert render("consent.html", is_wider=False).text("ul#consent-scopes").count("New") == 0
    assert page.element("a#consent-switch")["href"] == "/auth/login?prompt=login"


def test_the_consent_page_leaves_out_what_there_is_not() -> None:
    client = record(name="The app", links=[], is_unverified=False)
    page = render("consent.html", client=client, scopes=[], claims="", resources=[])

    absent = {
        "consent-unverified",
        "consent-scopes",
        "consent-claims",
        "consent-resources",
        "client-links",
    }
    assert not absent & set(page.ids())
    assert {"consent-approve", "consent-deny"} <= set(page.ids())


# S078
@pytest.mark.parametrize("template", ["consent.html", "device_confirm.html", "login.html"])
def test_what_an_application_links_to_is_neither_loaded_nor_told_who_asks(template: str) -> None:
    page = render(template)

    for name in ("website", "policy", "terms", "logo"):
        link = page.element(f"a#client-{name}")
        assert link["href"] == f"https://app.example/{name}?"
        assert link["rel"] == "noopener noreferrer"
    assert [image["src"] for image in page.named("img")] == ["/auth/static/favicon.svg?v=1"]


def test_the_sign_in_page_names_who_waits_for_it() -> None:
    page = render("login.html")

    assert page.text("p#login-client") == (
        "From here you go on to The app, an application that nobody here has checked."
    )
    page = render("login.html", client=None)
    assert not {"login-client", "client-links"} & set(page.ids())


def test_the_sign_in_page_asks_once_more_where_that_is_wanted() -> None:
    page = render("login.html", signed_in_as="ada", username="ada", asks_again=True)

    assert "once more" in page.text("p#signed-in-as")
    username = page.element("input#username")
    assert username["value"] == "ada"
    assert "readonly" not in username


def test_the_page_of_an_error_has_the_stable_names() -> None:
    page = render("oauth_error.html", description="It is not registered.")

    assert page.element("div#oauth-error")["role"] == "alert"
    shown = page.text("div#oauth-error")
    assert "invalid_request" in shown
    assert "redirect_uri" in shown
    assert page.text("p#error-message") == "It is not registered."
    assert "error-parameter" not in render("oauth_error.html", parameter="").ids()
    assert page.forms == []


# S014
def test_the_form_that_sends_itself_has_the_answer_and_a_button() -> None:
    page = render("form_post.html")

    form = page.element("form#form-post")
    assert form["method"] == "post"
    assert form["action"] == "https://app.example/callback?"
    [fields] = page.forms
    inputs = {field["name"]: field["value"] for tag, field in fields if tag == "input"}
    assert inputs == {"code": "tac_x", "state": "the-state"}, "and no token of ours"
    button = page.element("button#continue")
    assert button["type"] == "submit"
    assert "name" not in button
    assert [script["nonce"] for script in page.named("script")] == ["bm9uY2U"]


# S072
def test_the_page_for_a_device_names_client_and_code_and_asks() -> None:
    page = render("device_confirm.html")

    assert page.text("bdi#device-client") == "The app"
    assert page.text("strong#device-code") == "BCDF-GHJK"
    assert page.text("ul#device-scopes") == "Know who you are"
    assert page.text("p#device-unverified").startswith("Unverified:")
    [fields] = page.forms
    assert [one["name"] for tag, one in fields if tag == "input"] == ["_xsrf", "user_code"]
    for name in ("approve", "deny"):
        button = page.element(f"button#device-{name}")
        assert (button["name"], button["value"]) == ("decision", name)


def test_the_sign_out_page_of_applications_has_the_stable_names() -> None:
    page = render("end_session.html")

    assert page.text("h1#logout-title") == "Sign out"
    for name in ("confirm", "cancel"):
        assert page.element(f"button#logout-{name}")["type"] == "submit"


def test_the_account_page_has_a_button_for_each_application() -> None:
    page = render("account.html")

    for number in (1, 2):
        button = page.element(f"button#revoke-application-{number}")
        assert button["aria-describedby"] == f"application-{number}"
    assert page.text("ul#applications").count("Unverified") == 1
    ids = [field["value"] for field in page.named("input") if field.get("name") == "client_id"]
    assert ids == ["c-0", "c-1"]
    assert "applications" not in render("account.html", applications=[]).ids()
