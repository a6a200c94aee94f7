"""Who gets to see the pages for administrators, and whose forms change anything."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

import pytest

from tests.forms import Page, account_page, cookies_of, open_page
from tests.pages.admins import SHELL, admin_page, furnish, sign_in_with_role
from tests.service import Service
from tornado_auth.models import User
from tornado_auth.pages.admin_groups import GroupHandler, RoleHandler
from tornado_auth.pages.admin_users import UserHandler

PATHS = (
    "/auth/admin",
    "/auth/admin?search=an",
    "/auth/admin/users/anna",
    "/auth/admin/users/anna/why?service=reports",
    "/auth/admin/groups",
    "/auth/admin/groups/finance",
    "/auth/admin/roles",
    "/auth/admin/roles/reports:editor",
    "/auth/admin/audit",
)
QUESTIONS = (
    "/auth/admin/users/anna/disable",
    "/auth/admin/users/anna/delete",
    "/auth/admin/users/anna/end-sessions",
    "/auth/admin/groups/finance/delete",
    "/auth/admin/roles/reports:editor/delete",
)
# Every form with what it is sent with, where {user} is the id of Anna.
FORMS = {
    "/auth/admin": {"username": "robot"},
    "/auth/admin/users/{user}/disable": {},
    "/auth/admin/users/{user}/enable": {},
    "/auth/admin/users/{user}/delete": {},
    "/auth/admin/users/{user}/end-sessions": {},
    "/auth/admin/users/{user}/end-session": {"id": "x"},
    "/auth/admin/users/{user}/unlink": {"id": "github:1"},
    "/auth/admin/users/{user}/revoke-key": {"id": "x"},
    "/auth/admin/users/{user}/withdraw": {"id": "c-x"},
    "/auth/admin/users/{user}/create-key": {"key_name": "x"},
    "/auth/admin/users/{user}/add-group": {"group": "staff"},
    "/auth/admin/users/{user}/remove-group": {"id": "finance"},
    "/auth/admin/users/{user}/assign": {"role": "tornado_auth:administrator"},
    "/auth/admin/users/{user}/unassign": {"id": "user:{user}|reports:editor|2027/q1"},
    "/auth/admin/groups": {"name": "new"},
    "/auth/admin/groups/finance/describe": {"description": "x"},
    "/auth/admin/groups/finance/add-member": {"username": "emil"},
    "/auth/admin/groups/finance/remove-member": {"id": "{user}"},
    "/auth/admin/groups/finance/assign": {"role": "reports:editor"},
    "/auth/admin/groups/finance/unassign": {"id": "group:finance|reports:reader|"},
    "/auth/admin/groups/finance/map": {"provider": "github", "upstream": "x"},
    "/auth/admin/groups/finance/unmap": {"id": "github:acme/finance-team"},
    "/auth/admin/groups/finance/delete": {},
    "/auth/admin/roles": {"service": "reports", "name": "new"},
    "/auth/admin/roles/reports:editor/save": {"permissions": "x"},
    "/auth/admin/roles/reports:editor/unassign": {"id": "user:{user}|reports:editor|2027/q1"},
    "/auth/admin/roles/reports:editor/delete": {},
}


def test_every_form_is_in_the_table() -> None:
    for path, handler in (
        ("users/{user}", UserHandler),
        ("groups/finance", GroupHandler),
        ("roles/reports:editor", RoleHandler),
    ):
        assert {f"/auth/admin/{path}/{action}" for action in handler.changes} <= FORMS.keys()


@pytest.fixture
async def anna(service: Service) -> User:
    return await furnish(service)


async def everything(service: Service) -> dict[str, list[str]]:
    """Return what the store holds, but for sign-ins and their traces."""
    storage = service.server.storage
    kinds = ("users", "identities", "sessions", "roles", "groups", "memberships")
    found = {kind: await getattr(storage, kind).find() for kind in kinds}
    found["assignments"] = await storage.assignments.find()
    found["mappings"] = await storage.group_mappings.find()
    return {kind: [str(record) for record in records] for kind, records in found.items()}


Send = Callable[[str, dict[str, str]], Awaitable[None]]


async def send_all(service: Service, anna: User, send: Send) -> None:
    """Send every form, and see that nothing changed."""
    before = await everything(service)
    for path, fields in FORMS.items():
        filled = {name: text.replace("{user}", anna.id) for name, text in fields.items()}
        await send(path.replace("{user}", anna.id), filled)
    assert await everything(service) == before


# S153
async def test_a_stranger_is_sent_to_sign_in_and_comes_back(service: Service, anna: User) -> None:
    for path in (*PATHS, *QUESTIONS, "/auth/admin/invitation"):
        response = await service.fetch(path)
        assert response.code == 303
        assert response.headers["Location"] == f"/auth/login?next={quote(path, safe='')}"
    page = await open_page(service)

    async def send(path: str, fields: dict[str, str]) -> None:
        response = await page.send(path, **fields)
        assert (response.code, b"login_required" in response.body) == (403, True), path

    await send_all(service, anna, send)


# S153
async def test_who_is_no_administrator_sees_and_changes_nothing(
    service: Service, anna: User
) -> None:
    token = await service.sign_in("bea")
    page = await account_page(service, token)
    for path in (*PATHS, *QUESTIONS, "/auth/admin/users/nobody", "/auth/admin/users/x/nothing"):
        response = await service.fetch(path, cookies={"tornado_auth": token})
        body = response.body.decode()
        assert response.code == 403
        assert "This page is for administrators." in body
        assert "carlo" not in body
        assert "header-admin" not in body
        assert "nav-users" not in body

    async def send(path: str, fields: dict[str, str]) -> None:
        response = await page.send(path, **fields)
        assert (response.code, b"insufficient_permissions" in response.body) == (403, True), path

    await send_all(service, anna, send)


# S153
async def test_an_auditor_sees_everything_and_changes_nothing(service: Service, anna: User) -> None:
    token = await sign_in_with_role(service, "olga", "auditor")
    page = await account_page(service, token)
    for path in PATHS:
        response = await service.fetch(path, cookies={"tornado_auth": token})
        assert response.code == 200, path
        assert b'method="post"' not in response.body, path
        assert b"/delete" not in response.body, path
    for path in QUESTIONS:
        response = await service.fetch(path, cookies={"tornado_auth": token})
        assert (response.code, b"confirm-form" in response.body) == (403, False)

    async def send(path: str, fields: dict[str, str]) -> None:
        response = await page.send(path, **fields)
        assert response.code == 403, path
        assert b"You may see this, but not change it." in response.body

    await send_all(service, anna, send)


# S119
async def test_a_form_needs_its_token_and_our_own_origin(service: Service, anna: User) -> None:
    page = await admin_page(service)
    forged = Page(service, page.cookies, "2|00000000|00000000000000000000000000000000|1")

    async def send(path: str, fields: dict[str, str]) -> None:
        for sender, headers, reason in (
            (forged, {}, b"form_expired"),
            (page, {"Origin": "https://evil.example"}, b"cross_site_request"),
            (page, {"Sec-Fetch-Site": "cross-site"}, b"cross_site_request"),
        ):
            response = await sender.send(path, headers=headers, **fields)
            assert (response.code, reason in response.body) == (403, True), path

    await send_all(service, anna, send)


# S153
async def test_neither_an_api_key_nor_an_admin_token_opens_a_page(service: Service) -> None:
    token = await sign_in_with_role(service, "root", "administrator")
    who = await service.server.checks.who(token)
    assert who is not None
    _, key = await service.server.administration.create_key(
        SHELL, who.user.id, name="x", scopes=["*", "admin:read", "admin:write"]
    )
    signed, _ = await service.server.administrators.sign(who.session, ["admin:read", "admin:write"])
    assert (await service.fetch("/auth/admin", cookies={"tornado_auth": token})).code == 200
    for credential in (key, signed):
        for sent in (
            {"cookies": {"tornado_auth": credential}},
            {"token": credential},
            {"headers": {"Authorization": f"Bearer {credential}"}},
        ):
            response = await service.fetch("/auth/admin", **sent)
            assert (response.code, response.headers["Location"][:11]) == (303, "/auth/login")
        response = await service.fetch("/auth/admin", token=credential, form={"username": "robot"})
        assert response.code == 403
    assert (await service.fetch(f"/auth/admin?jwt={token}")).code == 303


# S153
async def test_rights_end_when_the_role_is_taken_away(service: Service) -> None:
    page = await admin_page(service)
    token = page.cookies["tornado_auth"]
    who = await service.server.checks.who(token)
    assert who is not None
    [held] = await service.server.administration.assignments_of(f"user:{who.user.id}")
    await service.server.administration.unassign(SHELL, held.id)
    assert (await service.fetch("/auth/admin", cookies=page.cookies)).code == 403
    assert (await page.send("/auth/admin", username="robot")).code == 403


async def test_only_who_may_see_the_pages_has_a_link_to_them(service: Service) -> None:
    for role, there in (("auditor", True), ("administrator", True), ("", False)):
        token = await (sign_in_with_role(service, "x" + role, role) if role else service.sign_in())
        body = (await service.fetch("/auth/account", cookies={"tornado_auth": token})).body
        assert (b'id="header-admin"' in body) is there


class TestTheInvitation:
    # S153
    async def test_a_secret_makes_one_administrator_once(self, service: Service) -> None:
        secret = await service.server.administration.invite_administrator(SHELL)
        page = await open_page(
            service, "/auth/admin/invitation", tornado_auth=await service.sign_in("ann")
        )
        response = await page.send("/auth/admin/invitation", secret="not-this-one")
        assert response.code == 403
        assert b'id="invitation-error"' in response.body
        assert (await service.fetch("/auth/admin", cookies=page.cookies)).code == 403

        response = await page.send("/auth/admin/invitation", secret=secret)
        assert (response.code, response.headers["Location"][:11]) == (303, "/auth/admin")
        response = await service.fetch(response.headers["Location"], cookies=page.cookies)
        assert b"You are an administrator now." in response.body

        other = await account_page(service, await service.sign_in("bob"))
        assert (await other.send("/auth/admin/invitation", secret=secret)).code == 403
        assert (await service.fetch("/auth/admin", cookies=other.cookies)).code == 403

    # S153
    async def test_a_secret_in_an_address_or_of_a_stranger_does_nothing(
        self, service: Service
    ) -> None:
        secret = await service.server.administration.invite_administrator(SHELL)
        page = await account_page(service, await service.sign_in("ann"))
        response = await page.send(f"/auth/admin/invitation?secret={secret}")
        assert response.code == 400
        response = await (await open_page(service)).send("/auth/admin/invitation", secret=secret)
        assert (response.code, cookies_of(response)) == (403, {})
        assert len(await service.server.storage.admin_invitations.find()) == 1
