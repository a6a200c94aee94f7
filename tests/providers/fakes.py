"""Login providers that misbehave on demand: what they share, and one like GitHub.

Real HTTP servers on loopback. Each records every request, and gives, for a path in `answers`, that
answer instead of its own. `approve` is the person who says yes at the provider's page.
"""

import asyncio
import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tornado.escape import xhtml_escape
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler


@dataclass
class Answer:
    """What to say instead of the truth; `hang` says nothing at all, `chunked` gives no length."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    chunked: bool = False
    times: int = 1_000_000


def json_answer(value: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


@dataclass
class Recorded:
    """A request that arrived."""

    method: str
    uri: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def s256(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Fake:
    """A server with memory; `start` inside a running loop, `stop` to let go of the port."""

    def __init__(self, routes: list[tuple[str, type["FakeHandler"]]]) -> None:
        socket, port = bind_unused_port()
        self.url = f"http://127.0.0.1:{port}"
        self.requests: list[Recorded] = []
        self.answers: dict[str, Answer] = {}
        self.stopped = asyncio.Event()
        self.news = asyncio.Condition()
        application = Application(
            [(path, kind, {"fake": self}) for path, kind in routes],
            default_handler_class=FakeHandler,
            default_handler_args={"fake": self},
            log_function=lambda handler: None,
        )
        self._server = HTTPServer(application)
        self._server.add_socket(socket)

    async def stop(self) -> None:
        self.stopped.set()
        self._server.stop()
        await self._server.close_all_connections()

    async def arrived(self, count: int) -> None:
        """Wait until so many requests have arrived."""
        async with self.news:
            await self.news.wait_for(lambda: len(self.requests) >= count)

    def requests_to(self, path: str) -> list[Recorded]:
        return [request for request in self.requests if request.path == path]


class FakeHandler(RequestHandler):
    def initialize(self, fake: Any) -> None:
        self.fake = fake

    async def prepare(self) -> None:
        request = self.request
        form = dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
        self.fake.requests.append(
            Recorded(request.method, request.uri, request.path, dict(request.headers), form)
        )
        self.form = form
        async with self.fake.news:
            self.fake.news.notify_all()
        answer = self.fake.answers.get(request.path)
        if answer is None or answer.times == 0:
            return
        answer.times -= 1
        await self._give(answer)

    async def _give(self, answer: Answer) -> None:
        if answer.hang:
            await self.fake.stopped.wait()
        self.set_status(answer.status)
        for name, value in answer.headers.items():
            self.set_header(name, value)
        self.write(answer.body)
        if answer.chunked:
            await self.flush()
        self.finish()

    def bearer_token(self) -> str:
        kind, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return token if kind.lower() == "bearer" else ""

    def check_xsrf_cookie(self) -> None:
        pass


@dataclass
class GitHubUser:
    login: str
    id: int
    name: str | None = None
    email: str | None = None  # what the public profile shows
    avatar_url: str = "https://avatars.example/u/1"
    emails: list[dict[str, Any]] = field(default_factory=list)
    organizations: dict[str, str] = field(default_factory=dict)  # name: active or pending
    teams: list[str] = field(default_factory=list)  # "organisation/team"


def octo() -> GitHubUser:
    """One verified address that is primary, one that anybody could have typed in."""
    return GitHubUser(
        login="Octo-Cat",
        id=583231,
        emails=[
            {"email": "victim@example.org", "primary": False, "verified": False},
            {"email": "second@example.org", "primary": False, "verified": True},
            {"email": "octo@example.org", "primary": True, "verified": True},
        ],
        organizations={"the-guild": "active", "waiting-room": "pending"},
    )


class FakeGitHub(Fake):
    """As GitHub: errors of the token endpoint have status 200, scopes are joined by commas,
    memberships need read:org, addresses need user:email, and a request without User-Agent is 403.
    """

    def __init__(self, client_id: str = "gh-client", client_secret: str = "gh-secret") -> None:
        super().__init__(
            [
                ("/login/oauth/authorize", _GitHubAuthorize),
                ("/login/oauth/access_token", _GitHubToken),
                ("/api/v3/user", _GitHubUser),
                ("/api/v3/user/emails", _GitHubEmails),
                ("/api/v3/user/memberships/orgs/([^/]+)", _GitHubMembership),
                ("/api/v3/user/memberships/orgs", _GitHubMemberships),
                ("/api/v3/user/teams", _GitHubTeams),
            ]
        )
        self.api_url = f"{self.url}/api/v3"
        self.client_id, self.client_secret = client_id, client_secret
        self.users = {"octo": octo()}
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, dict[str, str]] = {}

    def approve(self, url: str, login: str = "octo") -> dict[str, str]:
        """Let somebody authorize us, and return the parameters of the callback."""
        request = query_of(url)
        code = secrets.token_hex(10)
        self.codes[code] = {**request, "login": login}
        return {"code": code, "state": request["state"]}


class _GitHubAuthorize(FakeHandler):
    def get(self) -> None:
        names = "".join(f"<option>{xhtml_escape(login)}</option>" for login in self.fake.users)
        self.write(
            "<form method=post><input name=login>"
            "<button name=authorize value=1>Authorize</button>"
            f"<button name=authorize value=0>Cancel</button></form><ul>{names}</ul>"
        )

    def post(self) -> None:
        request = query_of(self.request.uri)
        if self.form.get("authorize") == "1":
            answer = self.fake.approve(self.request.uri, self.form["login"])
        else:
            answer = {
                "error": "access_denied",
                "error_description": "The user has denied your application access.",
                "state": request["state"],
            }
        self.redirect(request["redirect_uri"] + "?" + urlencode(answer))


class _GitHubToken(FakeHandler):
    def post(self) -> None:
        code = self.fake.codes.get(self.form.get("code", ""))
        if (self.form.get("client_id"), self.form.get("client_secret")) != (
            self.fake.client_id,
            self.fake.client_secret,
        ):
            answer = {"error": "incorrect_client_credentials"}
        elif code is None or s256(self.form.get("code_verifier", "")) != code["code_challenge"]:
            answer = {"error": "bad_verification_code", "error_description": "Very secret."}
        elif self.form.get("redirect_uri") != code["redirect_uri"]:
            answer = {"error": "redirect_uri_mismatch"}
        else:
            del self.fake.codes[self.form["code"]]
            token = "gho_" + secrets.token_hex(18)
            self.fake.tokens[token] = code
            scope = ",".join(code["scope"].split())
            answer = {"access_token": token, "scope": scope, "token_type": "bearer"}
        if self.request.headers.get("Accept") == "application/json":
            self.finish(answer)
        else:
            self.finish(urlencode(answer))


class _GitHubAPIHandler(FakeHandler):
    def user(self, scope: str = "") -> GitHubUser | None:
        """Return whose token it is, or answer as GitHub does to a token that does not do."""
        authorization = self.fake.tokens.get(self.bearer_token())
        if not self.request.headers.get("User-Agent"):
            self.set_status(403)
        elif authorization is None:
            self.set_status(401)
        elif scope and scope not in authorization["scope"].split():
            self.set_status(404)
        else:
            return self.fake.users[authorization["login"]]
        self.finish({"message": "No."})
        return None


class _GitHubUser(_GitHubAPIHandler):
    def get(self) -> None:
        if user := self.user():
            names = ("login", "id", "name", "email", "avatar_url")
            self.finish({name: getattr(user, name) for name in names})


class _GitHubEmails(_GitHubAPIHandler):
    def get(self) -> None:
        if user := self.user("user:email"):
            self.set_header("Content-Type", "application/json; charset=utf-8")
            self.finish(json.dumps(user.emails))


class _GitHubMembership(_GitHubAPIHandler):
    def get(self, organization: str) -> None:
        user = self.user("read:org")
        if user and organization in user.organizations:
            self.finish(
                {
                    "state": user.organizations[organization],
                    "role": "member",
                    "organization": {"login": organization},
                }
            )
        elif user:
            self.set_status(404)
            self.finish({"message": "Not Found"})


class _GitHubPages(_GitHubAPIHandler):
    """A list in pages, with the links that GitHub gives: prev, next, last and first."""

    def get(self) -> None:
        user = self.user("read:org")
        if user is None:
            return
        number, size = int(self.get_argument("page", "1")), int(self.get_argument("per_page", "30"))
        entries = self.entries(user)
        last = max(1, -(-len(entries) // size))
        pages = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        links = [
            f'<{self.fake.api_url}/{self.path}?per_page={size}&page={page}>; rel="{name}"'
            for name, page in pages.items()
            if 1 <= page <= last and (page != number or name in ("last", "first"))
        ]
        if last > 1:
            self.set_header("Link", ", ".join(links))
        self.finish(json.dumps(entries[(number - 1) * size : number * size]))

    def entries(self, user: GitHubUser) -> list[dict[str, Any]]:
        raise NotImplementedError


class _GitHubMemberships(_GitHubPages):
    path = "user/memberships/orgs"

    def entries(self, user: GitHubUser) -> list[dict[str, Any]]:
        wanted = self.get_argument("state", "")
        return [
            {"state": state, "organization": {"login": name}}
            for name, state in user.organizations.items()
            if wanted in ("", state)
        ]


class _GitHubTeams(_GitHubPages):
    path = "user/teams"

    def entries(self, user: GitHubUser) -> list[dict[str, Any]]:
        pairs = [team.split("/") for team in user.teams]
        return [{"slug": slug, "organization": {"login": login}} for login, slug in pairs]
