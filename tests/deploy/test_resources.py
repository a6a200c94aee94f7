"""The location of docs/forward-auth.md that asks for a permission in a resource."""

import re
from pathlib import Path

import pytest

from tests.deploy.site import Deploy, Deployed

pytestmark = pytest.mark.parametrize("deploy", ["tcp"], indirect=True)

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "forward-auth.md"


@pytest.fixture
async def ann(deploy: Deploy) -> Deployed:
    """A site with the location, and Ann who may view the report `own`."""
    blocks = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (location,) = (block for block in blocks if "&resource=" in block)
    ann: Deployed = await deploy(
        changes={"    location / {\n": f"{location}\n    location / {{\n"},
        ALLOWED_SERVICES="reports:tornado_auth.roles",
    )
    roles = ann.service.server.roles
    role = await roles.put_role("reports", "viewer", permissions=["view"])
    await roles.assign(f"user:{ann.user_id}", role.id, resource="report/own")
    return ann


async def test_a_person_sees_their_own_report(ann: Deployed) -> None:
    for path, code in [("own/", 200), ("own/page?a=//b", 200), ("other/", 403), ("own2/", 403)]:
        assert (await ann.site.fetch(f"/reports/{path}", headers=ann.cookie)).code == code
    assert (await ann.site.fetch("/reports/own/")).code == 401
    assert (await ann.site.fetch("/x", headers=ann.cookie)).code == 200


async def test_a_key_needs_the_service_in_its_scopes(ann: Deployed) -> None:
    for scope, code in [("reports", 200), ("*", 200), ("wiki", 403)]:
        _, key = await ann.service.server.api_keys.create(ann.user_id, name="k", scopes=[scope])
        headers = {"Authorization": f"Bearer {key}"}
        assert (await ann.site.fetch("/reports/own/", headers=headers)).code == code
        everywhere = 200 if scope == "*" else 403
        assert (await ann.site.fetch("/x", headers=headers)).code == everywhere


# S129 S145
async def test_no_other_spelling_reaches_the_application(ann: Deployed) -> None:
    for path in (
        *("/reports/other/%2e%2e/own/x", "/reports/other/../own/x", "/reports/other%2fx/../own/x"),
        *("/reports//own/x", "//reports/own/x", "/reports/./own/x", "/reports/own/%2E./other/x"),
        *("/reports/own&resource=report/own/x", "/reports/own%26permission=/x", "/reports/own"),
        *("/reports/own%20/x", "/reports/own%00/x", "/reports/own%0d%0a/x", "/reports/"),
    ):
        answer = await ann.site.raw("GET", path, ann.cookie)
        assert answer.split()[1] in ("400", "403", "404"), path
        assert ann.site.seen == [], path
