"""What users and permission providers choose ends up in headers, and must stay a value there."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.deploy.site import Deploy
from tests.modules import writing_modules
from tests.nginx import Policy

NAMES = {
    "a,write": True,
    "b\r\nX-Auth-User: root": True,
    "c\0write": True,
    "d write": True,
    "é,write": True,
    "%2Cwrite": True,
    "no": False,
}
EMAIL = "ann,root@example.org"


@pytest.fixture
def odd_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    source = f"async def get_permissions(service, userid): return {NAMES!r}"
    for make_module in writing_modules(tmp_path, monkeypatch):
        yield f"odd:{make_module('odd_names', source)}"


# S132
async def test_no_name_adds_a_user_or_a_permission(
    deploy_anywhere: Deploy, odd_service: str
) -> None:
    policy = Policy(service="odd", write="write")
    ann = await deploy_anywhere(policy, ALLOWED_SERVICES=odd_service)
    session = await ann.service.session("eve", email=EMAIL)
    token = await ann.service.server.sessions.token(session)
    answer = await ann.site.fetch("/x", headers={"auth-token": token})
    arrived = json.loads(answer.body)["headers"]
    assert arrived["X-Auth-User"] == session.user_id
    assert arrived["X-Auth-Email"].count(",") == 0
    assert unquote(arrived["X-Auth-Email"]) in (EMAIL, "")
    permissions = arrived["X-Auth-Permissions"]
    assert permissions.isascii()
    assert permissions.isprintable()
    assert sorted(unquote(name) for name in permissions.split(",")) == sorted(
        name for name, value in NAMES.items() if value
    )
    changed = await ann.site.fetch("/x", method="POST", body="", headers={"auth-token": token})
    assert changed.code == 403
