"""Connected applications on the account page, over plain HTTP."""

import pytest

from tests.forms import Page, account_page
from tests.oauth2.asking import SELF_REGISTERED
from tests.oauth2.world import World
from tests.pages.test_consent_page import Person, text_of

REVOKE = "/auth/account/revoke-application"


@pytest.fixture
async def ann(world: World) -> Person:
    return Person(world, await world.service.sign_in("ann"))


async def revoke(world: World, token: str, client_id: str) -> Page:
    page = await account_page(world.service, token)
    response = await page.send(REVOKE, client_id=client_id)
    assert (response.code, response.headers["Location"]) == (303, "/auth/account")
    return page


async def test_an_application_is_shown_with_what_it_may_do(ann: Person, world: World) -> None:
    assert "applications" not in await ann.look("/auth/account")
    client = await world.client(**SELF_REGISTERED, client_name="<b>App")
    await ann.allow(client, scope="openid email offline_access")
    page = await ann.look("/auth/account")
    assert text_of(page, "application-1") == "&lt;b&gt;App"
    shown = text_of(page, "applications")
    assert "Unverified" in shown
    assert "Know who you are · See your e-mail address · Keep its access" in shown
    assert "Allowed 20" in shown
    assert "last connected 20" in shown


async def test_one_that_needs_no_consent_is_shown_and_can_be_revoked_too(
    ann: Person, world: World
) -> None:
    client = await world.client(is_trusted=True)
    tokens = await world.tokens(client, ann.token)
    page = await ann.look("/auth/account")
    assert "Allowed by this service · last connected" in text_of(page, "applications")
    await revoke(world, ann.token, client.id)
    assert "applications" not in await ann.look("/auth/account")
    assert (await world.refresh(client, tokens["refresh_token"])).code == 400


async def test_one_that_is_allowed_but_has_nothing_now_is_shown(ann: Person, world: World) -> None:
    client = await world.client(is_trusted=False)
    await ann.allow(client)
    await world.server.oauth2.grants.forget_client(client.id)
    shown = text_of(await ann.look("/auth/account"), "applications")
    assert "not connected just now" in shown


async def test_revoking_touches_no_other_application_and_nobody_else(
    ann: Person, world: World
) -> None:
    bob = Person(world, await world.service.sign_in("bob"))
    mine, other = [await world.client(is_trusted=False) for _ in range(2)]
    for person, client in ((ann, mine), (ann, other), (bob, mine)):
        await person.allow(client)
    await revoke(world, ann.token, mine.id)
    await revoke(world, ann.token, "c-nobody")
    consents = await world.storage.consents.find()
    users = {user.id: user.username for user in await world.storage.users.find()}
    left = {(users[consent.user_id], consent.client_id) for consent in consents}
    assert left == {("ann", other.id), ("bob", mine.id)}
    events = await world.storage.audit_events.find(action="consent_withdrawn")
    assert [(event.actor, event.target, event.via) for event in events] == [
        (events[0].subject, mine.id, "page")
    ]


async def test_nobody_revokes_without_a_session_or_from_another_site(
    ann: Person, world: World
) -> None:
    client = await world.client(is_trusted=False)
    await ann.allow(client)
    page = await account_page(world.service, ann.token)
    foreign = await page.send(
        REVOKE, client_id=client.id, headers={"Origin": "https://evil.example"}
    )
    assert foreign.code == 403
    in_address = await page.send(f"{REVOKE}?client_id={client.id}")
    assert in_address.code == 400
    del page.cookies["tornado_auth"]
    assert (await page.send(REVOKE, client_id=client.id)).code == 403
    assert "applications" in await ann.look("/auth/account")
