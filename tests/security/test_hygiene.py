"""Nothing that opens a door is written down: not in a log, not in the store, not in the metrics."""

import base64
import json
import logging
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pymongo
import pytest
from tornado.httpclient import HTTPResponse

from tests.forms import PASSWORD, Page, add_local_user, cookies_of, open_page
from tests.modules import writing_modules
from tests.providers.fakes import FakeGitHub
from tests.providers.fixtures import fake_github
from tests.service import SECRET, Service, ServiceFactory
from tornado_auth.logs import QUIET_LOGGERS, configure_logging

__all__ = ["fake_github"]

IN_ADDRESSES = ("jwt", "code", "state", "nonce", "code_challenge")
IN_FORMS = ("code", "client_secret", "code_verifier", "access_token")


class Records(logging.Handler):
    """Everything that any logger says, before anything is redacted."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        traceback = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self.texts.append(f"{record.getMessage()} {vars(record)!r} {traceback}")


@pytest.fixture
def records() -> Iterator[Records]:
    root, records = logging.getLogger(), Records()
    before = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in QUIET_LOGGERS}
    configure_logging("DEBUG", "json")
    root.addHandler(records)
    yield records
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


class Life:
    """Somebody who uses the whole service; keeps every secret that was issued on the way."""

    def __init__(self, service: Service, github: FakeGitHub) -> None:
        self.service, self.github = service, github
        self.issued: dict[str, str] = {
            "the sealing secret": SECRET,
            "the client secret": github.client_secret,
            "the password": PASSWORD,
            "a wrong password": "wrong-" + secrets.token_urlsafe(12),
        }

    async def fetch(self, path: str, **arguments: Any) -> HTTPResponse:
        response = await self.service.fetch(path, **arguments)
        for name, cookie in cookies_of(response).items():
            if cookie.value:
                self.keep(name, cookie.value)
        query = parse_qs(urlsplit(response.headers.get("Location", "")).query)
        for name in IN_ADDRESSES:
            for value in query.get(name, []):
                self.keep(name, value)
        if response.headers.get("Content-Type", "").startswith("application/json"):
            token = json.loads(response.body).get("token")
            if token:
                self.keep("token", token)
        return response

    def keep(self, name: str, value: str) -> None:
        self.issued[f"{name} {len(self.issued)}"] = value
        if value.count(".") == 2:
            self.issued[f"signature {len(self.issued)}"] = value.rpartition(".")[2]

    async def by_password(self, next: str, password: str = PASSWORD) -> HTTPResponse:
        page = await open_page(self.service)
        self.keep("XSRF", page.token)
        fields = {"_xsrf": page.token, "username": "lena", "password": password, "next": next}
        return await self.fetch("/auth/login/local", cookies=page.cookies, form=fields)

    async def by_github(self) -> str:
        """Return the session token."""
        response = await self.fetch("/auth/login/github?next=/")
        cookies = {name: cookie.value for name, cookie in cookies_of(response).items()}
        answer = self.github.approve(response.headers["Location"])
        self.keep("code of GitHub", answer["code"])
        path = f"/auth/oauth_callback?{urlencode(answer)}"
        response = await self.fetch(path, cookies=cookies)
        # Once more: the state is spent.
        assert (await self.fetch(path, cookies=cookies)).code == 400
        for request in self.github.requests:
            for name in IN_FORMS:
                if value := request.form.get(name):
                    self.keep(f"{name} to GitHub", value)
        for token in self.github.tokens:
            self.keep("token of GitHub", token)
        return cookies_of(response)["tornado_auth"].value

    async def by_api_key(self, page: Page) -> None:
        fields = {"key_name": "backup", "scope:*": "1", "key_days": "30"}
        response = await page.send("/auth/account/create-key", **fields)
        key = re.findall(r"tak_[\w-]{43}", response.body.decode())[0]
        self.keep("API key", key)
        self.keep("API key without its prefix", key[4:])
        made_up = key[:-4] + "AAAA"
        self.keep("made up API key", made_up)
        for shown in (key, made_up):
            for path in ("/auth/check", "/auth/account", "/nothing", "/auth/verify"):
                await self.fetch(path, token=shown)
                await self.fetch(f"{path}?jwt={shown}")
                await self.fetch(path, headers={"Authorization": f"Bearer {shown}"})
        answer = await self.fetch("/auth/authorize?service=wiki", token=key)
        assert json.loads(answer.body)["permissions"] == {"a": True}

    async def live(self) -> None:
        service = self.service
        await self.by_password("/", self.issued["a wrong password"])
        await self.by_password("https://old.example/")
        response = await self.by_password("https://new.example/")
        code = parse_qs(urlsplit(response.headers["Location"]).query)["code"][0]
        for _ in range(2):
            response = await self.fetch("/auth/token", form={"code": code})
        assert response.code == 400
        response = await self.by_password("https://new.example/")
        token = await self.by_github()
        answer = await self.fetch("/auth/authorize?service=wiki", token=token)
        assert "token" in json.loads(answer.body)
        for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"tornado_auth={token}"}):
            assert (await self.fetch("/auth/verify", headers=headers)).code == 200
        for path in ("/auth/check", "/auth/account", "/auth/login", "/nothing", "/auth/verify"):
            await self.fetch(f"{path}?jwt={token}&code={code}&next=/x%3Fjwt%3D{token}")
            await self.fetch(f"{path}?jwt={token}x")
        await self.fetch("/auth/authorize?service=broken", token=token)
        await self.fetch("/auth/update", token=token, form={"username": "octavia"})
        page = await open_page(service, "/auth/account", tornado_auth=token)
        self.keep("XSRF", page.token)
        assert (await page.send("/auth/account/link/github")).code in (200, 403)
        await self.by_api_key(page)
        assert (await page.send("/auth/account/end-other-sessions")).code == 303
        answer = await self.fetch("/auth/logout", token=token, form={})
        assert json.loads(answer.body) == {"success": True}

    def found_in(self, text: str) -> list[str]:
        """Return the names of the secrets that stand in a text, in whatever spelling."""
        return [
            name
            for name, secret in self.issued.items()
            for spelling in (
                secret,
                quote(secret, safe=""),
                quote(quote(secret, safe=""), safe=""),
                base64.b64encode(secret.encode()).decode().rstrip("="),
            )
            if spelling in text
        ]


@pytest.fixture
def permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    modules = writing_modules(tmp_path / "modules", monkeypatch)
    make = next(modules)
    make("permissions_of_life", "def get_permissions(service, userid):\n    return {'a': True}\n")
    make("no_permissions", "def get_permissions(service, userid):\n    raise OSError(service)\n")
    yield "wiki:permissions_of_life;broken:no_permissions"
    next(modules, None)


@pytest.fixture(params=["sqlite", "mongodb"])
async def life(
    request: pytest.FixtureRequest,
    make_service: ServiceFactory,
    records: Records,
    fake_github: FakeGitHub,
    tmp_path: Path,
    permissions: str,
) -> Life:
    is_sqlite = request.param == "sqlite"
    (tmp_path / "store").mkdir()
    service = await make_service(
        DATABASE_URL=f"sqlite:///{tmp_path}/store/auth.db"
        if is_sqlite
        else request.getfixturevalue("mongo_url"),
        ALLOWED_SERVICES=permissions,
        GITHUB_KEY=fake_github.client_id,
        GITHUB_SECRET=fake_github.client_secret,
        TORNADO_AUTH_GITHUB_URL=fake_github.url,
        TORNADO_AUTH_GITHUB_API_URL=fake_github.api_url,
        TORNADO_AUTH_ALLOWED_NEXT="https://new.example=code;https://old.example=query",
        TORNADO_AUTH_STORAGE_TIMEOUT="10",
    )
    await add_local_user(service)
    return Life(service, fake_github)


def dump(service: Service, folder: Path) -> str:
    """Return all that the store holds."""
    url = service.settings.database_url
    if url.startswith("sqlite"):
        files = [path.read_bytes() for path in (folder / "store").iterdir()]
        return b"".join(files).decode("latin-1")
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        database = client.get_default_database()
        names = database.list_collection_names()
        return "\n".join(repr(record) for name in names for record in database[name].find())


# S097 S148 S149 D19
async def test_a_whole_life_leaves_no_secret_behind(
    life: Life, records: Records, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await life.live()
    names = {name.rpartition(" ")[0] for name in life.issued}
    assert {"tornado_auth", "jwt", "code", "state", "token", "XSRF", "token of GitHub"} <= names
    assert {"API key", "API key without its prefix", "made up API key"} <= names
    assert {"code_verifier to GitHub", "client_secret to GitHub", "code of GitHub"} <= names
    written = capsys.readouterr().err
    lines = list(map(json.loads, written.splitlines()))
    assert {"audit", "login_failed", "request"} <= {line["event"] for line in lines}
    recorded = {line["action"] for line in lines if line["event"] == "audit"}
    assert {"login", "login_failed", "logout", "username_chosen"} <= recorded
    before_redaction = "\n".join(records.texts)
    assert len(before_redaction) > 10_000
    stored = dump(life.service, tmp_path)
    assert "octavia" in stored
    metrics = (await life.service.fetch(f"{life.service.ops_url}/metrics")).body.decode()
    assert "tornado_auth_logins_total" in metrics
    for text in (written, before_redaction, stored, metrics):
        assert life.found_in(text) == []
    for text in (written, before_redaction, metrics):
        assert "@example.org" not in text


# S149
async def test_the_search_finds_what_is_there(life: Life) -> None:
    password = life.issued["the password"]
    for text in (password, quote(password), base64.b64encode(password.encode()).decode()):
        assert life.found_in(f"x {text} y") == ["the password"]
    assert life.found_in("nothing") == []
