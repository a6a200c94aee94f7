"""Administrators for tests of their pages, and something for them to look at."""

from tests.browserless import Browser
from tests.forms import Page, open_page
from tests.service import Service
from tornado_auth.models import Actor, User

SHELL = Actor(via="shell")


async def sign_in_with_role(service: Service, name: str, role: str) -> str:
    """Sign somebody in who holds a built-in role, and return the session token."""
    session = await service.session(name)
    await service.server.administration.assign(
        SHELL, f"user:{session.user_id}", f"tornado_auth:{role}"
    )
    return await service.server.sessions.token(session)


async def admin_page(service: Service, path: str = "/auth/admin", name: str = "root") -> Page:
    """Open a page with forms as an administrator."""
    token = await sign_in_with_role(service, name, "administrator")
    return await open_page(service, path, tornado_auth=token)


async def furnish(service: Service) -> User:
    """Fill a service as one in use is, and return somebody with something of everything."""
    admin = service.server.administration
    names = ("bea", "carlo", "dora", "emil", "fatima", "gustav", "hanna")
    people = {name: (await service.session(name)).user_id for name in ("anna", *names)}
    anna = people["anna"]
    await admin.put_role(
        SHELL,
        "reports",
        "editor",
        permissions=("reports:read", "reports:write"),
        description="Writes the monthly reports",
    )
    await admin.put_role(SHELL, "reports", "reader", permissions=("reports:read",))
    await admin.put_group(SHELL, "finance", description="Those who count the money")
    await admin.put_group(SHELL, "staff")
    for name in ("anna", "bea", "carlo"):
        await admin.add_member(SHELL, "finance", people[name])
    await admin.assign(SHELL, "group:finance", "reports:reader")
    await admin.assign(SHELL, f"user:{anna}", "reports:editor", resource="2027/q1")
    await admin.map_group(SHELL, "github", "acme/finance-team", "finance")
    await admin.create_key(SHELL, anna, name="Nightly export", scopes=["reports"])
    await admin.set_disabled(SHELL, people["dora"], disabled=True)
    await admin.create_service_account(SHELL, "backup", name="Nightly backup")
    return await admin.user(anna)


async def say_yes(browser: Browser) -> None:
    """Answer the page that asks first."""
    assert 'id="confirm-title"' in browser.text
    await browser.submit("confirm-form")


def form_to(browser: Browser, action: str, **fields: str) -> tuple[str, dict[str, str]]:
    """Return the form that goes to an address, and has these fields, as it would be sent."""
    form = next(
        form
        for form in browser.forms
        if form.action.endswith(action) and fields.items() <= form.fields.items()
    )
    return form.action, form.fields
