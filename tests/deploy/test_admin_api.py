"""The location of docs/admin-api.md that lets some networks through to the admin API."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.deploy.site import Deploy, Deployed
from tornado_auth.administrators import ADMINISTRATOR

pytestmark = pytest.mark.parametrize("deploy", ["tcp"], indirect=True)

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "admin-api.md"


async def open_to(deploy: Deploy, network: str) -> tuple[Deployed, dict[str, str]]:
    """Return a site whose admin API is open to a network, and what an administrator sends."""
    (location,) = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert "allow 10.0.0.0/8;" in location
    location = location.replace("10.0.0.0/8", network)
    ann: Deployed = await deploy(changes={"    location / {\n": f"{location}\n    location / {{\n"})
    server = ann.service.server
    await server.roles.assign(f"user:{ann.user_id}", ADMINISTRATOR)
    _, key = await server.api_keys.create(
        ann.user_id, name="k", scopes=["admin:read", "admin:write"]
    )
    return ann, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


async def test_a_slash_in_an_id_gets_through(deploy: Deploy) -> None:
    ann, headers = await open_to(deploy, "127.0.0.1")
    roles = ann.service.server.roles
    await roles.put_role("wiki", "editor", permissions=["edit"])
    path = "/admin/api/assignments"
    sent = {"holder": f"user:{ann.user_id}", "role_id": "wiki:editor", "resource": "a/b"}
    response = await ann.site.fetch(path, method="POST", body=json.dumps(sent), headers=headers)
    assert response.code == 201
    given = json.loads(response.body)["id"]
    assert "/" in given
    response = await ann.site.fetch(
        f"{path}/{quote(given, safe='')}", method="DELETE", headers=headers
    )
    assert response.code == 204
    assert [one.role_id for one in await roles.assignments_of(f"user:{ann.user_id}")] == [
        ADMINISTRATOR
    ]


# S153
async def test_other_networks_do_not_get_through(deploy: Deploy) -> None:
    ann, headers = await open_to(deploy, "192.0.2.0/24")
    response = await ann.site.fetch("/admin/api/users", headers=headers)
    assert response.code == 403
    assert b"insufficient" not in response.body


# S153
async def test_the_shipped_configuration_passes_nothing_on(deploy: Deploy) -> None:
    ann = await deploy()
    path = "/admin/api/openapi.json"
    assert (await ann.site.fetch(path)).code == 401
    # With a cookie, it is an address of the application's.
    assert json.loads((await ann.site.fetch(path, headers=ann.cookie)).body)["uri"] == path
