"""Renders a template without a handler and reads it with a real HTML parser.

`render(template, evil)` fills in what the handlers give, with `evil` wherever the text is chosen
by a person, a login provider or a browser.
"""

from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tornado.template import Loader

PAGES = Path(__file__).parents[2] / "tornado_auth" / "pages"
TEMPLATES = sorted(path.name for path in (PAGES / "templates").glob("*.html"))

VOID = {"meta", "link", "img", "input", "br", "hr"}


class Page(HTMLParser):
    """What a page consists of: tags with their attributes and all texts with where they stand."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, tuple[str, ...]]] = []
        self.forms: list[list[tuple[str, dict[str, str]]]] = []
        self.text_of: dict[int, str] = {}
        self._open: list[tuple[str, int]] = []
        self.feed(html)
        self.close()
        assert self._open == [], "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice: {names}"
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if tag == "form":
            self.forms.append([])
        if self.forms and "form" in [name for name, _ in self._open]:
            self.forms[-1].append((tag, attributes))
        if tag not in VOID:
            self._open.append((tag, len(self.tags) - 1))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((data, tuple(name for name, _ in self._open)))
        for _, index in self._open:
            self.text_of[index] = self.text_of.get(index, "") + data

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]

    def element(self, selector: str) -> dict[str, str]:
        """Return the attributes of the one element `tag#id`; fails when there is none or many."""
        tag, _, identifier = selector.partition("#")
        (found,) = [one for name, one in self.tags if (name, one.get("id")) == (tag, identifier)]
        return found

    def text(self, selector: str) -> str:
        """Return all the text inside `tag#id`, white space collapsed."""
        tags = [index for index, (_, one) in enumerate(self.tags) if one is self.element(selector)]
        return " ".join(self.text_of.get(tags[0], "").split())


def record(**fields: Any) -> SimpleNamespace:
    return SimpleNamespace(**fields)


def login_values(evil: str) -> dict[str, Any]:
    names = ("google", "github", "acme")
    return {
        "providers": [record(name=n, label=evil or n, url=f"/auth/login/{n}?a&b") for n in names],
        "local_action": "/auth/login/local",
        "dev_action": "/auth/login/dev",
        "next": evil or "https://app.example.org/?a=1&b=2",
        "error": evil,
        "username": evil,
        "signed_in_as": evil,
    }


def account_values(evil: str) -> dict[str, Any]:
    sessions = [
        record(
            id=evil or f"s{number}",
            label=evil or "Firefox (192.0.2.1)",
            started=evil or "today",
            last_seen=evil or "now",
            current=number == 0,
            action="/auth/account/end-session",
        )
        for number in range(3)
    ]
    profile = {name: evil or name for name in ("name", "username", "email")}
    return {
        "profile": {
            **profile,
            "avatar_url": f"https://img.example.org/{evil}",
            "join_date": "2024-03-14T08:00:00Z",
        },
        "identities": [
            record(
                provider="google",
                label=evil or "Google",
                subject=evil or "1",
                last_login=evil or "now",
            )
        ],
        "linkable": [record(name="github", label=evil or "GitHub", action="/auth/account/link/x")],
        "sessions": sessions,
        "end_others_action": "/auth/account/end-other-sessions",
        "can_choose_username": True,
        "username_action": "/auth/account/username",
        "logout_action": "/auth/logout",
        "message": evil,
        "error": evil,
    }


def values(template: str, evil: str = "") -> dict[str, Any]:
    """Return what the handler gives to a template, with `evil` wherever others choose the text."""
    given: dict[str, dict[str, Any]] = {
        "login.html": login_values(evil),
        "account.html": account_values(evil),
        "logout.html": {"action": "/auth/logout", "next": evil},
        "logged_out.html": {},
        "link.html": {
            "label": evil or "GitHub",
            "username": evil or "ada",
            "url": f"https://github.example/authorize?state=1&x={evil}",
        },
        "error.html": {
            "reason": evil or "invalid_state",
            "message": evil or "This sign-in was not started in this browser.",
            "status": 400,
            "retry_url": "/auth/login?next=%2F&a=b",
        },
        "base.html": {},
    }
    return {**given[template], "user": record(username=evil) if evil else None}


def render(template: str, evil: str = "", **changes: Any) -> Page:
    namespace = {
        "app_name": "tornado_auth",
        "static_path": lambda name: f"/auth/static/{name}?v=1",
        "xsrf_form_html": lambda: '<input type="hidden" name="_xsrf" value="2|ab">',
        **values(template, evil),
        **changes,
    }
    return Page(Loader(str(PAGES / "templates")).load(template).generate(**namespace).decode())
