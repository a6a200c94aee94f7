"""The templates by themselves, without a handler.

Every page is rendered with tame and with hostile values and read by a real HTML parser; what a
browser makes of the running service is tested elsewhere.
"""

import re
from collections import Counter
from itertools import pairwise

import pytest

from tests.pages.reader import PAGES, PARTS, TEMPLATES, account_values, record, render, values

URL_ATTRIBUTES = {"href", "src", "action", "formaction", "poster", "data", "srcset"}
HOSTILE = (
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" style="color:red',
    "x onfocus=alert(1) autofocus",
    "</title></textarea><style>*{color:red}</style>",
    "{{ 7 * 7 }}{% raw 1 %}&lt;b&gt;",
    "\u202egnp.exe\u2066\u200f",
)
# The only one that there is: nothing of it is filled in but the nonce.
SCRIPT = '<script nonce="{{ nonce }}">document.getElementById("continue").click()</script>'
every_page = pytest.mark.parametrize(
    "template", [name for name in TEMPLATES if name != "base.html"]
)


# S124
@every_page
@pytest.mark.parametrize("evil", HOSTILE)
def test_no_value_becomes_markup(template: str, evil: str) -> None:
    page = render(template, evil)

    tame = Counter(tag for tag, _ in render(template, "tame").tags)
    assert Counter(tag for tag, _ in page.tags) == tame
    scripts = {"script"} if template == "form_post.html" else set()
    assert {"script", "style", "iframe", "object", "base"} & set(tame) == scripts
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        assert "autofocus" not in attributes


# S124
@every_page
@pytest.mark.parametrize("evil", HOSTILE)
def test_a_hostile_value_is_shown_as_it_is(template: str, evil: str) -> None:
    page = render(template, evil)

    shown = [text for text, _ in page.texts if evil in text]
    filled = [v for _, attributes in page.tags for v in attributes.values() if evil in v]
    assert shown, "the header shows the user name on every page"
    assert len(shown) + len(filled) >= str(values(template, evil)).count(repr(evil)[1:-1])
    for text, path in page.texts:
        if evil in text:
            assert {"bdi", "code", "textarea"} & set(path), (
                "marks of direction must stay in their box"
            )


# S124
@every_page
def test_a_hostile_value_never_reaches_the_scheme_of_an_address(template: str) -> None:
    page = render(template, "javascript:alert(1)")

    for _, attributes in page.tags:
        for name in URL_ATTRIBUTES & attributes.keys():
            assert re.match(r"/[a-z]|https://", attributes[name]), attributes


# S124
@pytest.mark.parametrize("template", [*TEMPLATES, *PARTS])
def test_the_xsrf_field_is_the_only_thing_written_raw(template: str) -> None:
    source = (PAGES / "templates" / template).read_text()

    assert set(re.findall(r"{%\s*raw\s+(.*?)\s*%}", source)) <= {"xsrf_form_html()"}
    assert not re.search(r"{%\s*(autoescape|module|import|from)\b", source)
    if template == "form_post.html":
        source = source.replace(SCRIPT, "", 1)
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", source)


# S124
@pytest.mark.parametrize("template", [*TEMPLATES, *PARTS])
def test_every_value_in_an_attribute_is_in_double_quotes(template: str) -> None:
    source = (PAGES / "templates" / template).read_text()

    assert not re.search(r"=(?:{{|'[^\"]*{{)", re.sub(r"{%.*?%}", "", source, flags=re.DOTALL))


# S124
def test_an_avatar_is_fetched_without_a_referrer() -> None:
    avatar = render("account.html").element("img#avatar")

    assert avatar["referrerpolicy"] == "no-referrer"
    assert avatar["alt"] == ""


@pytest.mark.parametrize(
    "template", [name for name in TEMPLATES if name not in ("base.html", "form_post.html")]
)
def test_every_form_posts_and_has_the_xsrf_field(template: str) -> None:
    page = render(template)

    for attributes, fields in zip(page.named("form"), page.forms, strict=True):
        changes = attributes.get("role") != "search"
        assert attributes["method"] == ("post" if changes else "get")
        assert attributes["action"].startswith(("/auth/", "/oauth2/"))
        # In an address the token would be seen.
        assert [f["name"] for tag, f in fields if tag == "input"].count("_xsrf") == changes
        assert {f["type"] for tag, f in fields if tag == "button"} == {"submit"}


@every_page
def test_every_field_has_a_label_and_every_reference_a_target(template: str) -> None:
    page = render(template, "evil")
    ids = page.ids()

    assert len(ids) == len(set(ids))
    assert not [one for one in ids if re.search(r"\s", one)]
    fields = page.named("input") + page.named("select") + page.named("textarea")
    visible = [field["id"] for field in fields if field.get("type") != "hidden"]
    assert sorted(visible) == sorted(label["for"] for label in page.named("label"))
    for _, attributes in page.tags:
        for name in {"aria-describedby", "aria-labelledby"} & attributes.keys():
            assert attributes[name] in ids


@every_page
def test_a_page_has_its_landmarks_and_one_heading_of_the_first_level(template: str) -> None:
    page = render(template, "evil")

    tags = Counter(tag for tag, _ in page.tags)
    assert [tags[name] for name in ("header", "main", "footer", "h1", "title")] == [1] * 5
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(next_ <= level + 1 for level, next_ in pairwise(levels))
    assert all("alt" in image for image in page.named("img"))
    assert page.named("html") == [{"lang": "en"}]


@every_page
def test_a_page_tells_robots_and_other_sites_nothing(template: str) -> None:
    page = render(template)

    meta = {one["name"]: one["content"] for one in page.named("meta") if "name" in one}
    assert meta["robots"] == "noindex"
    assert meta["referrer"] == "no-referrer"
    assert meta["color-scheme"] == "light dark"
    assert [one["href"] for one in page.named("link")] == [
        "/auth/static/favicon.svg?v=1",
        "/auth/static/style.css?v=1",
    ]


def test_the_title_names_the_page_and_nobody() -> None:
    titles = {render(name, "ada").html.split("<title>")[1].split("<")[0] for name in TEMPLATES}

    assert len(titles) == len(TEMPLATES)
    assert all(title.endswith(" · tornado_auth") for title in titles)
    assert not [title for title in titles if "ada" in title]


def test_the_header_leads_to_the_account_of_who_is_signed_in() -> None:
    page = render("error.html", user=record(username="ada"))

    assert page.element("a#header-account")["href"] == "/auth/account"
    assert page.text("a#header-account") == "Account: ada"
    assert "header-account" not in render("error.html").ids()


def test_the_sign_in_page_has_the_stable_names() -> None:
    page = render("login.html", error="No.", username="ada")

    assert page.text("h1#login-title") == "Sign in"
    assert page.element("form#login-form")["action"] == "/auth/login/local"
    username, password = page.element("input#username"), page.element("input#password")
    assert (username["name"], username["autocomplete"]) == ("username", "username")
    assert username["value"] == "ada"
    assert (password["name"], password["type"]) == ("password", "password")
    assert password["autocomplete"] == "current-password"
    assert "value" not in password
    assert page.element("button#login-submit")["type"] == "submit"
    assert page.element("p#login-error")["role"] == "alert"
    assert page.text("p#login-error") == "No."
    assert page.element("a#provider-google")["href"] == "/auth/login/google?a&b"
    assert page.text("a#provider-acme") == "Continue with acme"


def test_both_forms_of_the_sign_in_page_carry_next() -> None:
    page = render("login.html", "https://app.example.org/?a=1&b=2")

    assert len(page.forms) == 2
    for fields in page.forms:
        (found,) = [field for _, field in fields if field.get("name") == "next"]
        assert (found["type"], found["value"]) == ("hidden", "https://app.example.org/?a=1&b=2")


def test_the_development_login_warns() -> None:
    page = render("login.html")

    assert page.element("input#dev-username")["name"] == "username"
    assert page.element("button#dev-login-submit")["type"] == "submit"
    warning = "Development login: anybody can be anyone. Never on a public address."
    assert warning in page.text("form#dev-login-form")


def test_a_way_in_that_is_off_is_not_on_the_page() -> None:
    page = render("login.html", providers=[], local_action="", dev_action="/auth/login/dev")

    assert "dev-login-form" in page.ids()
    assert not {"login-form", "login-error", "signed-in-as", "no-login-way"} & set(page.ids())
    assert not [one for one in page.ids() if one.startswith("provider-")]


def test_without_any_way_in_the_page_says_what_to_set() -> None:
    page = render("login.html", providers=[], local_action="", dev_action="")

    sentence = page.text("div#no-login-way")
    for name in ("GOOGLE_KEY", "GITHUB_KEY", "TORNADO_AUTH_OIDC_PROVIDERS"):
        assert name in sentence
    assert "tornado-auth users add" in sentence
    assert page.forms == []


def test_who_is_signed_in_already_is_told_so() -> None:
    page = render("login.html", signed_in_as="ada")

    assert "You are signed in as ada." in page.text("p#signed-in-as")
    assert "/auth/account" in [link["href"] for link in page.named("a")]


def test_the_account_page_has_the_stable_names() -> None:
    page = render("account.html", "evil")

    assert page.text("h1#account-title") == "Your account"
    assert page.element("p#account-message")["role"] == "status"
    assert page.element("p#account-error")["role"] == "alert"
    assert page.element("input#new-username")["name"] == "username"
    assert page.text("p#username-hint").startswith("It can be chosen once")
    buttons = ("logout", "username-submit", "link-github", "end-other-sessions")
    for name in (*buttons, "end-session-1", "end-session-2", "end-session-3"):
        assert page.element(f"button#{name}")["type"] == "submit"


def test_every_session_is_ended_by_a_form_of_its_own() -> None:
    page = render("account.html")

    ends = [
        fields for fields in page.forms if any(f.get("name") == "session_id" for _, f in fields)
    ]
    ids = [f["value"] for fields in ends for _, f in fields if f.get("name") == "session_id"]
    assert ids == ["s0", "s1", "s2"]
    assert page.html.count("This session") == 1


def test_the_only_session_has_no_others_to_end() -> None:
    sessions = account_values("")["sessions"][:1]

    assert "end-other-sessions" not in render("account.html", sessions=sessions).ids()


def test_the_account_page_leaves_out_what_there_is_not() -> None:
    profile = {"name": "", "username": "ada", "email": "", "avatar_url": "", "join_date": "2024"}
    page = render("account.html", profile=profile, linkable=[], can_choose_username=False)

    assert page.text("dd#profile-username") == "ada"
    absent = {"avatar", "profile-name", "profile-email", "new-username", "account-message"}
    assert not absent & set(page.ids())


def test_the_sign_out_pages_have_the_stable_names() -> None:
    page = render("logout.html", next="https://app.example.org/")

    assert page.text("h1#logout-title") == "Sign out"
    assert page.element("button#logout-confirm")["type"] == "submit"
    assert page.element("a#logout-cancel")["href"] == "/auth/account"
    assert {"type": "hidden", "name": "next", "value": "https://app.example.org/"} in page.named(
        "input"
    )
    assert render("logged_out.html").text("p#logged-out") == "You are signed out"


def test_the_link_page_says_what_is_linked_with_whom() -> None:
    page = render("link.html", username="ada", url="https://github.example/?a=1&b=2")

    assert page.text("h1#link-title") == "Link GitHub"
    assert "GitHub will be linked to the account ada." in " ".join(
        "".join(text for text, _ in page.texts).split()
    )
    assert page.element("a#continue")["href"] == "https://github.example/?a=1&b=2"
    assert page.text("a#continue") == "Continue to GitHub"
    assert page.element("a#link-cancel")["href"] == "/auth/account"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 418, 429, 500, 503])
@pytest.mark.parametrize("reason", ["invalid_state", "storage_unavailable", "never_heard_of"])
def test_the_error_page_tells_the_reason_and_what_to_do(status: int, reason: str) -> None:
    page = render("error.html", status=status, reason=reason, message="Sorry.")

    assert page.element("div#oauth-error")["role"] == "alert"
    assert page.text("code#error-reason") == reason
    assert page.text("p#error-message") == "Sorry."
    assert page.text("span#error-status") == str(status)
    assert page.text("h1#error-title")
    assert page.text("p#error-hint").endswith(".")


def test_the_error_page_leads_on() -> None:
    assert render("error.html").element("a#error-retry")["href"] == "/auth/login?next=%2F&a=b"
    assert "error-login" in render("error.html", retry_url=None).ids()
    someone = render("error.html", retry_url="", user=record(username="ada"))
    assert someone.element("a#error-account")["href"] == "/auth/account"
