"""The registry of clients: ids, secrets, changes, ends."""

import dataclasses
import re

import pytest

from tests.conftest import FakeClock
from tests.oauth2.world import World, WorldFactory
from tornado_auth.audit import SYSTEM
from tornado_auth.digests import digest
from tornado_auth.errors import InvalidRequest, NotFound
from tornado_auth.models import Client, Consent
from tornado_auth.oauth2.clients import Clients, needs_secret
from tornado_auth.oauth2.errors import InvalidClient, InvalidClientMetadata
from tornado_auth.oauth2.values import ClientCredentials

METADATA = {"redirect_uris": ["https://app.example/cb"], "client_name": "The app"}


@pytest.fixture
async def registry(world: World) -> Clients:
    return world.server.oauth2.clients


async def is_let_in(world: World, client_id: str, secret: str) -> bool:
    credentials = ClientCredentials(
        client_id=client_id, method="client_secret_basic", secret=secret
    )
    try:
        await world.server.oauth2.authenticator.authenticate(credentials)
    except InvalidClient:
        return False
    return True


# S030 P1 P2 O15
async def test_a_secret_is_random_shown_once_and_kept_as_its_digest(registry: Clients) -> None:
    first, second = [await registry.register(METADATA, by_operator=True) for _ in range(2)]
    assert re.fullmatch(r"tcs_[A-Za-z0-9_-]{43}", first.secret)
    assert first.secret != second.secret
    stored = await registry.get(first.client.id)
    assert stored is not None
    assert stored.secret_digests == (digest(first.secret),)
    for shown in (repr(stored), str(registry.metadata_of(stored)), repr(first)):
        assert first.secret not in shown
        assert stored.secret_digests[0] not in shown


# S034 P8
async def test_the_service_chooses_the_id_and_no_user_has_one_like_it(registry: Clients) -> None:
    registered = await registry.register({**METADATA, "client_id": "admin"}, by_operator=True)
    assert re.fullmatch(r"c-[A-Za-z0-9_-]{22}", registered.client.id)
    assert await registry.get("admin") is None


async def test_a_client_without_secrets_gets_none(registry: Clients) -> None:
    registered = await registry.register(
        {**METADATA, "token_endpoint_auth_method": "none"}, by_operator=True
    )
    assert (registered.secret, registered.client.secret_digests) == ("", ())
    with pytest.raises(InvalidRequest):
        await registry.rotate_secret(registered.client.id, keep_old=True)


async def test_only_a_client_that_registers_itself_can_manage_itself(registry: Clients) -> None:
    own = await registry.register(METADATA, by_operator=False)
    assert re.fullmatch(r"trr_[A-Za-z0-9_-]{43}", own.registration_token)
    assert own.client.registration_token_digest == digest(own.registration_token)
    assert own.client.is_self_registered
    operators = await registry.register(METADATA, by_operator=True)
    assert (operators.registration_token, operators.client.registration_token_digest) == ("", "")
    assert not operators.client.is_self_registered


async def test_a_secret_is_replaced_at_once_or_after_a_while(world: World) -> None:
    registry = world.server.oauth2.clients
    registered = await registry.register(METADATA, by_operator=True)
    client_id, first = registered.client.id, registered.secret
    _, second = await registry.rotate_secret(client_id, keep_old=True)
    assert [await is_let_in(world, client_id, secret) for secret in (first, second)] == [True] * 2
    _, third = await registry.rotate_secret(client_id, keep_old=True)
    good = [await is_let_in(world, client_id, secret) for secret in (first, second, third)]
    assert good == [False, True, True]
    _, fourth = await registry.rotate_secret(client_id, keep_old=False)
    good = [await is_let_in(world, client_id, secret) for secret in (second, third, fourth)]
    assert good == [False, False, True]


async def test_an_operator_changes_what_is_named_and_nothing_else(registry: Clients) -> None:
    registered = await registry.register(
        {**METADATA, "default_max_age": 60}, by_operator=True, is_trusted=True, require_pkce=False
    )
    changed = await registry.update(
        registered.client.id,
        {"redirect_uris": ["https://other.example/"], "default_max_age": None},
        by_operator=True,
        resources=["https://api.example"],
    )
    assert changed == await registry.get(registered.client.id)
    assert changed.redirect_uris == ("https://other.example/",)
    assert (changed.client_name, changed.default_max_age) == ("The app", None)
    assert (changed.is_trusted, changed.require_pkce) == (True, False)
    assert changed.resources == ("https://api.example",)
    assert changed.secret_digests == registered.client.secret_digests


async def test_of_two_changes_at_once_neither_undoes_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    office, replace_stored = world.server.administration, world.storage.clients.replace
    uris = ["https://app.example/cb", "https://leaked.example/cb"]
    made = await office.register_client(SYSTEM, {"redirect_uris": uris})

    async def after_another(client: Client) -> Client:
        monkeypatch.setattr(world.storage.clients, "replace", replace_stored)
        await office.change_client(SYSTEM, made.client.id, {"redirect_uris": uris[:1]})
        return await replace_stored(client)

    monkeypatch.setattr(world.storage.clients, "replace", after_another)
    changed = await office.change_client(SYSTEM, made.client.id, {"client_name": "Wiki"})
    assert (changed.client_name, changed.redirect_uris) == ("Wiki", (uris[0],))
    assert await world.storage.clients.get(made.client.id) == changed


async def test_a_secret_ends_when_the_client_authenticates_otherwise(world: World) -> None:
    registry = world.server.oauth2.clients
    registered = await registry.register(METADATA, by_operator=True)
    client_id = registered.client.id
    await registry.update(
        client_id, {**METADATA, "token_endpoint_auth_method": "none"}, by_operator=True
    )
    back = await registry.update(client_id, {"token_endpoint_auth_method": None}, by_operator=True)
    assert needs_secret(back)
    assert back.secret_digests == ()
    assert not await is_let_in(world, client_id, registered.secret)
    assert not await is_let_in(world, client_id, "")


async def test_what_nobody_decides_cannot_be_given(registry: Clients) -> None:
    for field in ("secret_digests", "is_self_registered", "id", "created_at", "unheard_of"):
        with pytest.raises(InvalidClientMetadata):
            await registry.register(METADATA, by_operator=True, **{field: "x"})
    assert await registry.all() == []


async def test_a_disabled_client_does_nothing_until_it_is_enabled(make_world: WorldFactory) -> None:
    clock = FakeClock()
    world = await make_world(now=clock)
    registry = world.server.oauth2.clients
    registered = await registry.register(METADATA, by_operator=True)
    client_id = registered.client.id
    disabled = await registry.set_disabled(client_id, disabled=True)
    assert disabled.disabled_at == clock.now
    clock.advance(60)
    assert await registry.set_disabled(client_id, disabled=True) == disabled
    assert await registry.active(client_id) is None
    assert await registry.get(client_id) == disabled
    assert not await is_let_in(world, client_id, registered.secret)
    await registry.set_disabled(client_id, disabled=False)
    assert await is_let_in(world, client_id, registered.secret)


async def test_what_was_allowed_a_client_goes_with_it(world: World) -> None:
    registry, storage = world.server.oauth2.clients, world.storage
    gone, stays = [await world.client() for _ in range(2)]
    session = await world.service.session()
    who = await world.server.checks.who(await world.server.sessions.token(session))
    assert who is not None
    grants = {}
    for client in (gone, stays):
        grants[client.id] = await world.server.oauth2.grants.start(
            who, client, scope=("openid",), lifetime=60
        )
        await storage.consents.insert(
            Consent(
                id=f"{who.user.id}:{client.id}",
                user_id=who.user.id,
                client_id=client.id,
                created_at=1,
                confirmed_at=1,
            )
        )
    await registry.remove(gone.id)
    assert await registry.get(gone.id) is None
    assert await storage.grants.get(grants[gone.id].id) is None
    assert await storage.grants.get(grants[stays.id].id) is not None
    assert [consent.client_id for consent in await storage.consents.find()] == [stays.id]


async def test_a_client_that_is_not_there_cannot_be_changed(registry: Clients) -> None:
    for client_id in ("c-nobody", "", "\x00", "x" * 5000):
        assert await registry.get(client_id) is None
        with pytest.raises(NotFound):
            await registry.update(client_id, METADATA, by_operator=True)
        with pytest.raises(NotFound):
            await registry.rotate_secret(client_id, keep_old=False)
        with pytest.raises(NotFound):
            await registry.set_disabled(client_id, disabled=True)
        with pytest.raises(NotFound):
            await registry.remove(client_id)


async def test_clients_are_listed_page_by_page(registry: Clients) -> None:
    ids = sorted(
        [(await registry.register(METADATA, by_operator=True)).client.id for _ in range(5)]
    )
    first = await registry.all(limit=2)
    rest = await registry.all(after=first[-1].id)
    assert [client.id for client in [*first, *rest]] == ids


# O8
async def test_nobody_can_change_a_client_in_passing(registry: Clients) -> None:
    registered = await registry.register(METADATA, by_operator=True)
    client = await registry.get(registered.client.id)
    assert client is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        client.redirect_uris = ()  # type: ignore[misc]


async def test_an_initial_access_token_ends(make_world: WorldFactory) -> None:
    clock = FakeClock()
    registry = (await make_world(now=clock)).server.oauth2.clients
    token = await registry.create_initial_access_token("for the team", 60)
    assert re.fullmatch(r"tia_[A-Za-z0-9_-]{43}", token)
    record = await registry.find_initial_access_token(token)
    assert record is not None
    assert (record.id, record.name) == (digest(token), "for the team")
    assert await registry.find_initial_access_token(record.id) is None
    clock.advance(60)
    assert await registry.find_initial_access_token(token) is None
    for name, lifetime in (("", 60), ("x" * 65, 60), ("a\nb", 60), ("x", 0), ("x", 1 << 40)):
        with pytest.raises(InvalidRequest):
            await registry.create_initial_access_token(name, lifetime)
