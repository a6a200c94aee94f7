import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.conftest import FakeClock
from tests.modules import forget_modules_of
from tests.permissions_world import PermissionsWorld
from tornado_auth.errors import SettingsError
from tornado_auth.extensions import HOOKS, Extensions
from tornado_auth.permissions import Permissions

EXAMPLES = Path(__file__).parent.parent / "examples"


class Chat(RequestHandler):
    def initialize(self, said: list[object]) -> None:
        self.said = said

    def post(self) -> None:
        self.said.append(json.loads(self.request.body))


class Roles(RequestHandler):
    def get(self, user_id: str) -> None:
        if user_id != "u1":
            self.send_error(404)
            return
        self.write(json.dumps(["wiki:editor", "blog:reader", "wiki:owner"]))


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    forget_modules_of(EXAMPLES)


@pytest.fixture
def said() -> list[object]:
    return []


@pytest.fixture
async def elsewhere(said: list[object]) -> AsyncIterator[str]:
    """The address of the servers that the examples talk to."""
    socket, port = bind_unused_port(address="127.0.0.1")
    server = HTTPServer(Application([("/room", Chat, {"said": said}), ("/roles/(.+)", Roles)]))
    server.add_socket(socket)
    yield f"http://127.0.0.1:{port}"
    AsyncHTTPClient().close()
    server.stop()
    await server.close_all_connections()


def load_permissions(clock: FakeClock, *entries: tuple[str, str]) -> Permissions:
    return PermissionsWorld(clock).load(entries)


async def test_the_plain_provider_reads_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: FakeClock
) -> None:
    teams = tmp_path / "teams.json"
    teams.write_text(json.dumps({"wiki": {"u1": {"pages": "edit"}}}))
    monkeypatch.setenv("TEAMS_FILE", str(teams))
    entries = [(service, "permissions_plain") for service in ("wiki", "blog")]
    permissions = load_permissions(clock, *entries)
    assert await permissions.ask("wiki", "u1") == {"pages": "edit"}
    assert await permissions.ask("wiki", "u2") == {}
    assert await permissions.ask("blog", "u1") == {}
    teams.unlink()
    assert await permissions.ask("wiki", "u3") is None


async def test_the_coroutine_provider_asks_a_directory(
    monkeypatch: pytest.MonkeyPatch, elsewhere: str, clock: FakeClock
) -> None:
    monkeypatch.setenv("DIRECTORY_URL", elsewhere)
    permissions = load_permissions(clock, ("wiki", "permissions_async"))
    assert await permissions.ask("wiki", "u1") == {"roles": ["editor", "owner"]}
    assert await permissions.ask("wiki", "nobody") is None


async def test_the_extension_announces_people(
    monkeypatch: pytest.MonkeyPatch, elsewhere: str, said: list[object]
) -> None:
    failures: list[tuple[str, str]] = []
    monkeypatch.setenv("CHAT_WEBHOOK", f"{elsewhere}/room")
    extensions = Extensions.load(
        ["extension"], timeout=5, on_failure=lambda *failure: failures.append(failure)
    )
    for hook in HOOKS:
        await extensions.fire(hook, {"id": "u1", "username": "ada"})
    assert said == [{"text": "Welcome, ada!"}, {"text": "ada signed in"}]
    assert failures == []


def test_the_extension_does_not_start_without_its_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CHAT_WEBHOOK", raising=False)
    with pytest.raises(SettingsError, match="KeyError: 'CHAT_WEBHOOK'"):
        Extensions.load(["extension"], timeout=5, on_failure=lambda _extension, _hook: None)
