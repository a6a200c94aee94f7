"""Renders a template without a handler and reads it with a real HTML parser.

`render(template, evil)` fills in what the handlers give, with `evil` wherever the text is chosen
by a person, a login provider or a browser.
"""

from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from tornado.template import Loader

from tornado_auth.pages.admin_rows import Row, Rows

PAGES = Path(__file__).parents[2] / "tornado_auth" / "pages"
# What other templates include, and no page by itself.
PARTS = [
    *(f"admin_{name}.html" for name in ("ask", "assign", "notices", "role_fields", "rows")),
    "client_links.html",
]
TEMPLATES = sorted(
    path.name for path in (PAGES / "templates").glob("*.html") if path.name not in PARTS
)
LOADER = Loader(str(PAGES / "templates"))

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
        "asks_again": False,
        "client": client(evil),
    }


def client(evil: str) -> SimpleNamespace:
    """Return an application as `shown_client` does; addresses that are not https it leaves out."""
    names = ("website", "policy", "terms", "logo")
    links = [record(id=n, label=n, url=f"https://app.example/{n}?{evil}") for n in names]
    return record(name=evil or "The app", links=links, is_unverified=True)


def consent_values(evil: str) -> dict[str, Any]:
    return {
        "client": client(evil),
        "host": evil or "app.example",
        "username": evil or "ada",
        "scopes": [record(description=evil or "See that", is_new=new) for new in (False, True)],
        "is_wider": True,
        "claims": evil or "name, email",
        "resources": [evil or "https://api.example/"],
        "action": f"/oauth2/consent?state={evil}",
        "switch_url": "/auth/login?prompt=login",
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
    keys = [
        record(
            id=evil or f"key-{number}",
            name=evil or "backup",
            scopes=evil or "every service",
            created="2024-03-14",
            last_used="never used",
            expires="no end",
            action="/auth/account/revoke-key",
        )
        for number in range(2)
    ]
    applications = [
        record(
            id=evil or f"c-{number}",
            name=evil or "The app",
            scopes=evil or "See your e-mail address",
            used="Allowed 2024-03-14",
            is_unverified=number == 0,
            action="/auth/account/revoke-application",
        )
        for number in range(2)
    ]
    choices = [record(field="scope:" + (evil or "*"), label=evil or "every service")]
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
        "applications": applications,
        "keys": keys,
        "key_form": record(
            action="/auth/account/create-key",
            name=evil,
            is_open=True,
            choices=choices,
            lifetimes=[("30", "30 days")],
        ),
        "new_key": record(name=evil or "backup", text="tak_x"),
        "can_choose_username": True,
        "username_action": "/auth/account/username",
        "logout_action": "/auth/logout",
        "message": evil,
        "error": evil,
    }


def admin_rows(name: str, evil: str, *, asks: bool = False) -> Rows:
    """Return two lines of a list; what stands in an address is tame, as it would be quoted."""
    items = [
        Row(
            label=evil or f"one {number}",
            hints=(evil or "more", evil or "and more"),
            url="/auth/admin/users/x",
            badge=evil or "Disabled",
            value="x" if asks else evil or "x",
        )
        for number in range(2)
    ]
    return Rows(
        id=name,
        items=items,
        action=f"/auth/admin/users/x/{name}",
        button="Do it",
        asks=asks,
        more=f"/auth/admin?after={quote('x')}",
    )


def admin_values(evil: str) -> dict[str, dict[str, Any]]:
    """Return what the pages of administrators are given, by template."""
    choices = [record(field="scope:" + (evil or "*"), label=evil or "every service")]
    frame = {
        "message": "Saved.",
        "error": evil,
        "secret": "tak_x",
        "may_write": True,
        "typed": lambda field, before="": before or evil,
        "actions": defaultdict(lambda: "/auth/admin/users/x/do"),
    }
    user = record(
        id=evil or "u1",
        username=evil or "ada",
        name=evil,
        email=evil,
        is_service_account=True,
        disabled_at=1,
    )
    role = record(id=evil or "reports:reader", description=evil, permissions=(evil or "read",))
    lists = ("identities", "sessions", "applications", "keys")
    asked = {name: admin_rows(name, evil, asks=True) for name in lists}
    given = {name: admin_rows(name, evil) for name in ("groups", "roles", "inherited")}
    form = record(action="/auth/admin/users/x/create-key", choices=choices, lifetimes=[("30", "x")])
    asked_for = {
        "why_url": "/auth/admin/users/x/why",
        "asked": dict.fromkeys(("service", "permission", "resource"), evil),
    }
    question = record(title="Sure?", warning="It ends.", button="End it")
    return {
        "admin_users.html": {**frame, "search": evil, "users": admin_rows("users", evil)},
        "admin_user.html": {
            **frame,
            **asked,
            **given,
            "subject": user,
            "since": "today",
            "audit_url": "/auth/admin/audit?about=x",
            **asked_for,
            "key_form": form,
        },
        "admin_why.html": {
            **asked_for,
            **{name: admin_rows(name, evil) for name in ("answer", "sources", "providers")},
            "subject": record(username=evil or "ada"),
            "user_url": "/auth/admin/users/x",
            "verdict": evil or "read: granted.",
            "took": "1 ms",
            "cached": "No.",
        },
        "admin_groups.html": {**frame, "groups": given["groups"]},
        "admin_group.html": {
            **frame,
            "group": record(id=evil or "staff", description=evil),
            "members": admin_rows("members", evil),
            "roles": given["roles"],
            "mappings": admin_rows("mappings", evil),
        },
        "admin_roles.html": {**frame, "of": evil, "roles": given["roles"]},
        "admin_role.html": {**frame, "role": role, "holders": admin_rows("holders", evil)},
        "admin_audit.html": {
            **frame,
            "wanted": dict.fromkeys(("by", "about", "action"), evil),
            "events": admin_rows("events", evil),
        },
        "admin_confirm.html": {
            "question": question,
            "about": evil or "ada",
            "of": evil,
            "action": "/auth/admin/users/x/end-session",
            "field": "id",
            "value": evil,
            "back": "/auth/admin/users/x",
        },
        "admin_invitation.html": {"error": evil},
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
        "consent.html": consent_values(evil),
        "device.html": {"user_code": evil or "BCDF-GHJK", "error": evil},
        "device_confirm.html": {
            "client": client(evil),
            "device": record(
                user_code=evil or "BCDF-GHJK",
                scopes=[("openid", evil or "Know who you are")],
                resources=[evil or "https://api.example/"],
            ),
            "user": record(username=evil or "ada"),
        },
        "device_done.html": {"client": record(name=evil or "The app"), "is_approved": True},
        "end_session.html": {
            "action": "/oauth2/logout",
            "fields": {"state": evil or "the-state"},
            "client": record(name=evil or "The app"),
        },
        "oauth_error.html": {
            "code": evil or "invalid_request",
            "parameter": evil or "redirect_uri",
            "description": evil,
        },
        "form_post.html": {
            "action": f"https://app.example/callback?{evil}",
            "host": evil or "app.example",
            "fields": {"code": evil or "tac_x", "state": evil or "the-state"},
            "nonce": "bm9uY2U",
        },
        "base.html": {},
        **admin_values(evil),
    }
    return {"user": record(username=evil) if evil else None, **given[template]}


def render(template: str, evil: str = "", **changes: Any) -> Page:
    namespace = {
        "app_name": "tornado_auth",
        "static_path": lambda name: f"/auth/static/{name}?v=1",
        "section": "users" if template.startswith("admin_") else "",
        "administers": template.startswith("admin_"),
        "xsrf_form_html": lambda: '<input type="hidden" name="_xsrf" value="2|ab">',
        **values(template, evil),
        **changes,
    }
    return Page(LOADER.load(template).generate(**namespace).decode())
