"""What administrators see and do on their pages, over plain HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browserless import Browser
from tests.modules import MakeModule, writing_modules
from tests.pages.admins import SHELL, admin_page, form_to, say_yes
from tests.service import Service, ServiceFactory
from tornado_auth.administration import Administration
from tornado_auth.errors import NotFound
from tornado_auth.models import User, Who
from tornado_auth.pages.admin_rows import PAGE_SIZE


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path, monkeypatch)


class TestUsers:
    async def test_they_are_found_by_the_beginning_of_the_name_or_the_address(
        self, root: Browser, anna: User
    ) -> None:
        await root.get("/auth/admin")
        assert all(f">{name}</bdi>" in root.text for name in ("anna", "bea", "backup"))
        for search in ("an", "AN", "anna@example.org"):
            await root.submit("search-form", search=search)
            assert ">anna</bdi>" in root.text
            assert ">bea</bdi>" not in root.text
            assert f'value="{search}"' in root.text
        await root.submit("search-form", search="nobody")
        assert "There is no such user." in root.text

    async def test_they_come_in_pages(self, house: Service, root: Browser, anna: User) -> None:
        for number in range(PAGE_SIZE):
            name = f"u{number:03}"
            await house.server.storage.users.insert(
                replace(anna, id=name, username=name, username_key=name, version=0)
            )
        await root.get("/auth/admin?search=u0")
        assert ">u049</bdi>" in root.text
        assert "users-more" not in root.text
        await root.get("/auth/admin?search=")
        seen = root.text.count('class="what"')
        assert seen == PAGE_SIZE
        [more] = [part for part in root.text.split('"') if "after=" in part]
        await root.get(more)
        assert ">u049</bdi>" in root.text
        assert ">anna</bdi>" not in root.text
        assert "users-more" not in root.text

    async def test_one_shows_everything_that_is_theirs(self, root: Browser, anna: User) -> None:
        for name in (anna.id, "anna"):
            await root.get(f"/auth/admin/users/{name}")
            for text in (
                "anna@example.org",
                "reports:editor",
                "only in 2027/q1",
                "through the group finance",
                "github",
                "Nightly export",
                "Unknown browser",
            ):
                assert text in root.text

    async def test_nobody_is_a_404(self, root: Browser) -> None:
        for path in ("users/nobody", "groups/nobody", "roles/no:body", "groups/a%2Fb", "roles/x"):
            await root.get(f"/auth/admin/{path}")
            assert root.status in (400, 404)
            assert 'id="error-title"' in root.text
        await root.get("/auth/admin/groups/finance/nothing")
        assert root.status == 404

    async def test_disabling_asks_first_and_can_be_taken_back(
        self, root: Browser, admin: Administration, house: Service, anna: User
    ) -> None:
        await root.get(f"/auth/admin/users/{anna.id}/disable")
        assert (await admin.user(anna.id)).disabled_at is None
        await say_yes(root)
        assert urlsplit(root.url).path == f"/auth/admin/users/{anna.id}"
        assert "The user is shut out" in root.text
        assert (await admin.user(anna.id)).disabled_at
        assert await admin.sessions(anna.id) == []
        await root.post(*form_to(root, "/enable"))
        assert "The user may sign in again." in root.text
        assert (await admin.user(anna.id)).disabled_at is None

    async def test_deleting_asks_first(
        self, root: Browser, admin: Administration, anna: User
    ) -> None:
        await root.get(f"/auth/admin/users/{anna.id}/delete")
        assert '<bdi class="name">anna</bdi>' in root.text
        await say_yes(root)
        assert urlsplit(root.url).path == "/auth/admin"
        assert "It is deleted." in root.text
        with pytest.raises(NotFound):
            await admin.user(anna.id)
        [event] = await admin.audit(action="user_deleted")
        assert (event.subject, event.via, event.remote_ip) == (anna.id, "page", "127.0.0.1")
        assert event.actor_name

    async def test_a_session_an_identity_and_a_key_end_after_a_question(
        self, root: Browser, admin: Administration, anna: User
    ) -> None:
        [session], [key] = await admin.sessions(anna.id), await admin.keys(anna.id)
        [identity] = await admin.identities(anna.id)
        for action, value, about in (
            ("end-session", session.id, "Unknown browser (no address)"),
            ("revoke-key", key.id, "Nightly export"),
            ("unlink", identity.id, "github"),
        ):
            await root.get(f"/auth/admin/users/{anna.id}/{action}?id={value}")
            assert f'{about}</bdi>, of <bdi class="name">anna' in root.text
            await say_yes(root)
            assert root.url.startswith(root.url.split("/auth/")[0] + "/auth/admin/users/")
            await root.get(f"/auth/admin/users/{anna.id}/{action}?id={value}")
            assert (root.status, "It is not there any more." in root.text) == (404, True)
        assert await admin.sessions(anna.id) == []
        assert await admin.keys(anna.id) == []
        assert await admin.identities(anna.id) == []

    async def test_an_application_ends_after_a_question(
        self, root: Browser, admin: Administration, house: Service, anna: User
    ) -> None:
        fields = {"client_name": "The <b>wiki", "redirect_uris": ["https://wiki.example/cb"]}
        client = (await admin.register_client(SHELL, fields)).client
        (session, *_) = await house.server.storage.sessions.find(user_id=anna.id)
        who = Who(user=anna, session=session)
        await house.server.oauth2.grants.start(who, client, scope=("openid",), lifetime=600)
        await root.get(f"/auth/admin/users/{anna.id}")
        assert "The &lt;b&gt;wiki" in root.text
        assert "for openid" in root.text
        await root.get(f"/auth/admin/users/{anna.id}/withdraw?id={client.id}")
        assert "The &lt;b&gt;wiki" in root.text
        assert len(await admin.applications(anna.id)) == 1
        await say_yes(root)
        assert await admin.applications(anna.id) == []
        assert "wiki" not in root.text

    async def test_every_session_ends_after_a_question_and_keys_stay(
        self, root: Browser, admin: Administration, anna: User
    ) -> None:
        await root.get("/auth/admin/users/ANNA/end-sessions")  # the name will do
        await say_yes(root)
        assert await admin.sessions(anna.id) == []
        assert len(await admin.keys(anna.id)) == 1

    async def test_a_program_gets_an_account_and_a_key_that_is_shown_once(
        self, root: Browser, house: Service, anna: User
    ) -> None:
        await root.submit("create-form", username="Robot", name="The robot")
        assert "The service account is there." in root.text
        path = urlsplit(root.url).path
        await root.submit("key-form", key_name="Night", **{"scope:reports": "1"}, key_days="90")
        assert root.status == 200
        key = root.text.split('id="admin-secret-text">')[1].split("<")[0]
        assert (await house.fetch("/auth/authorize?service=reports", token=key)).code == 200
        await root.get(path)
        assert key not in root.text
        assert "Night" in root.text
        assert all(key not in str(one) for one in await house.server.storage.sessions.find())

    async def test_people_make_their_keys_themselves(self, root: Browser, anna: User) -> None:
        await root.get(f"/auth/admin/users/{anna.id}")
        assert "key-form" not in root.text
        fields = {**form_to(root, "/assign")[1], "key_name": "x", "scope:reports": "1"}
        await root.post(f"/auth/admin/users/{anna.id}/create-key", fields)
        assert root.status == 400
        assert "People make their keys on their own account page." in root.text


class TestGroupsAndRoles:
    async def test_from_nothing_to_a_permission_and_back(
        self, root: Browser, house: Service
    ) -> None:
        token = await house.sign_in("zoe")
        await root.get("/auth/admin/roles")
        await root.submit(
            "create-form",
            service="reports",
            name="reader",
            permissions="reports:read\r\nreports:list reports:read",
            description="Reads",
        )
        assert urlsplit(root.url).path == "/auth/admin/roles/reports%3Areader"
        await root.get("/auth/admin/groups")
        await root.submit("create-form", name="staff", description="All of us")
        assert urlsplit(root.url).path == "/auth/admin/groups/staff"
        await root.submit("assign-form", role="reports:reader")
        await root.submit("add-member-form", username="Zoe")
        assert ">zoe</bdi>" in root.text

        answer = await house.json("/auth/authorize?service=reports", token=token)
        assert answer["permissions"] == {"reports:list": True, "reports:read": True}
        await root.post(*form_to(root, "/remove-member"))
        answer = await house.json("/auth/authorize?service=reports", token=token)
        assert answer["permissions"] == {}

    async def test_a_user_gets_and_loses_groups_and_roles(
        self, root: Browser, admin: Administration, anna: User
    ) -> None:
        await root.get(f"/auth/admin/users/{anna.id}")
        await root.submit("add-group-form", group="staff")
        await root.submit("assign-form", role="reports:reader", resource="2028")
        assert {one.group for one in await admin.groups_of(anna.id)} == {"finance", "staff"}
        assert "only in 2028" in root.text
        await root.post(*form_to(root, "/remove-group", id="finance"))
        await root.post(*form_to(root, "/unassign", id=f"user:{anna.id}|reports:reader|2028"))
        assert [one.group for one in await admin.groups_of(anna.id)] == ["staff"]
        [held] = await admin.assignments_of(f"user:{anna.id}")
        assert held.role_id == "reports:editor"

    async def test_a_group_is_described_mapped_and_deleted(
        self, root: Browser, admin: Administration, anna: User
    ) -> None:
        await root.get("/auth/admin/groups/finance")
        await root.submit("describe-form", description="Money")
        assert (await admin.group("finance")).description == "Money"
        await root.submit("map-form", provider="google", upstream="money@example.org")
        assert "money@example.org" in root.text
        await root.post(*form_to(root, "/unmap", id="github:acme/finance-team"))
        assert [one.upstream for one in await admin.mappings()] == ["money@example.org"]
        await root.get("/auth/admin/groups/finance/delete")
        await say_yes(root)
        assert urlsplit(root.url).path == "/auth/admin/groups"
        with pytest.raises(NotFound):
            await admin.group("finance")

    async def test_a_role_is_changed_taken_away_and_deleted(
        self, root: Browser, admin: Administration, anna: User
    ) -> None:
        await root.get("/auth/admin/roles/reports:editor")
        assert "reports:read\nreports:write</textarea>" in root.text
        await root.submit("role-form", permissions="reports:write", description="Writes")
        role = await admin.role("reports:editor")
        assert (role.permissions, role.description) == (("reports:write",), "Writes")
        await root.post(*form_to(root, "/unassign"))
        assert await admin.holders_of("reports:editor") == []
        await root.get("/auth/admin/roles/reports:editor/delete")
        await say_yes(root)
        with pytest.raises(NotFound):
            await admin.role("reports:editor")

    async def test_roles_are_those_of_one_service(self, root: Browser, anna: User) -> None:
        await root.get("/auth/admin/roles")
        assert "tornado_auth:auditor" in root.text
        await root.submit("search-form", of="reports")
        assert "reports:editor" in root.text
        assert "tornado_auth:auditor" not in root.text


class TestWhy:
    async def test_it_names_the_role_and_who_holds_it(self, root: Browser, anna: User) -> None:
        await root.get(f"/auth/admin/users/{anna.id}")
        await root.submit("why-form", service="reports", permission="reports:read")
        assert "reports:read: granted by tornado_auth.roles." in root.text
        assert "by the role reports:reader" in root.text
        assert "held by the group finance" in root.text
        assert "tornado_auth.roles" in root.text
        assert "held by anna" not in root.text
        await root.submit("why-form", permission="reports:write")
        assert "reports:write: not granted" in root.text
        await root.submit("why-form", permission="reports:write", resource="2027/q1")
        assert "reports:write: granted by tornado_auth.roles." in root.text
        assert "held by anna" in root.text
        assert "only in 2027/q1" in root.text

    async def test_a_service_that_nobody_knows_is_said_to_be_none(
        self, root: Browser, anna: User
    ) -> None:
        await root.get("/auth/admin/users/anna/why")
        assert "verdict" not in root.text
        await root.submit("why-form", service="<nothing>")
        assert "Everything is denied: unknown service." in root.text

    async def test_what_an_own_provider_says_or_how_it_fails_is_shown(
        self, make_service: ServiceFactory, make_module: MakeModule
    ) -> None:
        broken = make_module("broken_reports", "def get_permissions(service, user): 1 / 0")
        fine = make_module(
            "fine_wiki", "def get_permissions(service, user): return {'pages': ['<b>']}"
        )
        service = await make_service(ALLOWED_SERVICES=f"reports:{broken};wiki:{fine}")
        page = await admin_page(service)
        await service.sign_in("zoe")
        why = "/auth/admin/users/zoe/why?service="
        body = (await service.fetch(why + "reports", cookies=page.cookies)).body.decode()
        assert "Everything is denied: error." in body
        assert "ZeroDivisionError" in body
        assert "Traceback" not in body
        body = (await service.fetch(why + "wiki", cookies=page.cookies)).body.decode()
        assert "This is what the service is told." in body
        assert "[&quot;&lt;b&gt;&quot;]" in body

    async def test_who_is_disabled_may_nothing(self, root: Browser, anna: User) -> None:
        await root.get("/auth/admin/users/dora/why?service=reports")
        assert "Everything is denied: the user is disabled." in root.text


class TestAudit:
    async def test_what_happened_is_found_by_person_and_kind(
        self, root: Browser, anna: User
    ) -> None:
        await root.get("/auth/admin/audit")
        assert "group mapped" in root.text
        assert "github:acme/finance-team" in root.text
        for about in ("anna", anna.id):
            await root.submit("search-form", about=about, action="role assigned")
            assert "role assigned: anna" in root.text
            assert "reports:editor|2027/q1" in root.text
            assert "member added" not in root.text
        await root.submit("search-form", about="nobody", action="")
        assert 'id="events-empty"' in root.text

    async def test_it_comes_in_pages(
        self, root: Browser, admin: Administration, anna: User
    ) -> None:
        for number in range(PAGE_SIZE + 1):
            await admin.put_group(SHELL, f"g{number:02}")
        await root.get("/auth/admin/audit?action=group+put")
        assert "g50" in root.text
        assert "· <bdi>g00</bdi>" not in root.text
        [more] = [part for part in root.text.split('"') if "after=" in part]
        await root.get(more.replace("&amp;", "&"))
        assert "<bdi>g00</bdi>" in root.text
        assert "events-more" not in root.text
