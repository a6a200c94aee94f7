"""What is typed into the pages for administrators, and what others wrote that is shown there."""

from dataclasses import replace

from tests.browserless import Browser
from tests.pages.admins import SHELL, form_to
from tests.service import Service
from tornado_auth.administration import Administration
from tornado_auth.models import User

HOSTILE = "\"'><script>alert(1)</script>{{ 1 }}"


# A page, its form, what is typed, and the status that this is answered with.
MISTAKES: list[tuple[str, str, dict[str, str], int]] = [
    ("", "create-form", {"username": "a b", "name": "The <robot>"}, 400),
    ("", "create-form", {"username": "bea", "name": "A second"}, 409),
    ("/users/anna", "add-group-form", {"group": "no-such"}, 404),
    ("/users/anna", "assign-form", {"role": "no:such", "resource": "r1"}, 404),
    ("/users/anna", "assign-form", {"role": "nonsense", "resource": "r1"}, 400),
    ("/users/anna", "assign-form", {"role": "reports:reader", "resource": "a b"}, 400),
    ("/users/backup", "key-form", {"key_name": "x", "key_days": "365"}, 400),
    ("/groups", "create-form", {"name": "a/b", "description": "Those & those"}, 400),
    ("/groups", "create-form", {"name": "finance", "description": "Others"}, 409),
    ("/groups/finance", "describe-form", {"description": "x" * 501}, 400),
    ("/groups/finance", "add-member-form", {"username": "nobody"}, 404),
    ("/groups/finance", "map-form", {"provider": "a b", "upstream": "x y"}, 400),
    (
        "/roles",
        "create-form",
        {"service": "reports", "name": "a b", "permissions": "x\ny", "description": "D"},
        400,
    ),
    (
        "/roles",
        "create-form",
        {"service": "reports", "name": "editor", "permissions": "x", "description": "D"},
        409,
    ),
    ("/roles/reports:editor", "role-form", {"permissions": "a$b\nc"}, 400),
]


class TestBadInput:
    async def test_it_is_explained_and_nothing_typed_is_lost(
        self, root: Browser, anna: User
    ) -> None:
        for path, form, fields, status in MISTAKES:
            await root.get(f"/auth/admin{path}")
            await root.submit(form, **fields)
            assert root.status == status, fields
            message = root.text.split('id="admin-error"')[1].split("</bdi>")[0]
            assert message.endswith((".", "+ -")), message
            [again] = [one for one in root.forms if one.id == form]
            assert again.fields.items() >= fields.items()

    async def test_what_is_gone_meanwhile_is_said_to_be_gone(
        self, root: Browser, admin: Administration, anna: User
    ) -> None:
        await root.get("/auth/admin/groups/finance")
        action, fields = form_to(root, "/remove-member")
        await admin.delete_group(SHELL, "finance")
        await root.post(action, fields)
        assert (root.status, 'id="error-title"' in root.text) == (404, True)

    # S145
    async def test_control_characters_are_refused(self, root: Browser, anna: User) -> None:
        await root.get("/auth/admin/roles/reports:editor")
        await root.submit("role-form", permissions="a\x00b")
        assert root.status == 400
        await root.get("/auth/admin/groups")
        await root.submit("create-form", name="x", description="a\r\nb")
        assert root.status == 400

    async def test_a_message_is_never_taken_from_the_address(self, root: Browser) -> None:
        for done in ("deleted", "You+have+won", "<b>"):
            await root.get(f"/auth/admin?done={done}")
            assert ("admin-message" in root.text) is (done == "deleted")


# S124
async def test_whatever_others_wrote_is_shown_as_text(
    root: Browser, house: Service, admin: Administration, anna: User
) -> None:
    storage = house.server.storage
    await admin.put_group(SHELL, "finance", description=HOSTILE)
    await admin.put_role(SHELL, "reports", "editor", permissions=("a",), description=HOSTILE)
    await admin.map_group(SHELL, "github", HOSTILE, "finance")
    await admin.create_key(SHELL, anna.id, name=HOSTILE, scopes=["reports"])
    await storage.users.replace(replace(anna, username=HOSTILE, name=HOSTILE, email=HOSTILE))
    [session] = await admin.sessions(anna.id)
    await storage.sessions.replace(replace(session, user_agent=HOSTILE, remote_ip=HOSTILE))
    await house.server.audit_log.record(
        "login_failed",
        actor=replace(SHELL, name=HOSTILE, remote_ip=HOSTILE),
        target=HOSTILE,
        result=HOSTILE,
        details=(f"why={HOSTILE}",),
    )
    shown = 0
    for path in (
        "",
        f"/users/{anna.id}",
        f"/users/{anna.id}/delete",
        f"/users/{anna.id}/end-session?id={session.id}",
        "/groups",
        "/groups/finance",
        "/roles",
        "/roles/reports:editor",
        "/audit",
    ):
        await root.get(f"/auth/admin{path}")
        assert root.status == 200, path
        assert "<script" not in root.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in root.text, path
        shown += root.text.count("&lt;script&gt;")
    assert shown > 15
