"""API keys: made, listed and revoked, on every kind of store."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.checks_world import Follower
from tests.conftest import FakeClock
from tests.issuer import key_set
from tornado_auth import api_keys
from tornado_auth.api_keys import APIKeys
from tornado_auth.digests import digest_of_api_key
from tornado_auth.errors import InvalidRequest, NotFound
from tornado_auth.models import API_KEY, Identity, Session, User
from tornado_auth.sessions import Sessions
from tornado_auth.storage import Storage, update

DAY = 86_400
ANN = Identity(
    id="github:1", provider="github", subject="1", user_id="ann", created_at=0, last_login_at=0
)

WRONG: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "  "},
    {"name": "x" * 65},
    {"name": "two\nlines"},
    {"scopes": []},
    {"scopes": [""]},
    {"scopes": ["**"]},
    {"scopes": ["admin:delete"]},
    {"scopes": ["a/b"]},
    {"scopes": ["a" * 65]},
    {"scopes": ["a b"]},
    {"scopes": ["files\n"]},
    {"scopes": [f"s{number}" for number in range(51)]},
    {"lifetime": 0},
    {"lifetime": -1},
    {"lifetime": 11 * 365 * DAY},
]


async def add_users(storage: Storage, at: int) -> None:
    for name in ("ann", "bob"):
        await storage.users.insert(User(id=name, username=name, username_key=name, created_at=at))


async def disable(storage: Storage, user_id: str, at: int) -> None:
    await update(storage.users, user_id, lambda user: replace(user, disabled_at=at))


@dataclass(frozen=True)
class World:
    """Keys and sessions over one store, and what another process hears of them."""

    keys: APIKeys
    sessions: Sessions
    follower: Follower

    @classmethod
    async def over(cls, storage: Storage, clock: FakeClock) -> "World":
        await add_users(storage, clock())
        follower = Follower(storage.revocations, clock)
        sessions = Sessions(
            storage.sessions,
            storage.handover_codes,
            key_set(),
            revocations=follower.revocations,
            issuer="https://auth.example.org",
            lifetime=3600,
            now=clock,
        )
        keys = APIKeys(storage.sessions, sessions, users=storage.users, now=clock)
        return cls(keys, sessions, follower)


@pytest.fixture
async def world(storage: Storage, clock: FakeClock) -> World:
    return await World.over(storage, clock)


@pytest.fixture
async def keys(world: World) -> APIKeys:
    return world.keys


@pytest.fixture
async def sessions(world: World) -> Sessions:
    return world.sessions


def ids(found: list[Session]) -> list[str]:
    return [each.id for each in found]


class TestMaking:
    # S148
    async def test_the_key_is_given_out_once_and_its_digest_is_stored(
        self, keys: APIKeys, storage: Storage, clock: FakeClock
    ) -> None:
        key, text = await keys.create("ann", name=" backup ", scopes=["files", "*", "files"])
        assert len(text) == 47
        assert text.startswith("tak_")
        assert key == Session(
            id=digest_of_api_key(text) or "",
            user_id="ann",
            identity_id="",
            provider=API_KEY,
            auth_time=clock(),
            created_at=clock(),
            last_seen_at=0,
            name="backup",
            scopes=("files", "*"),
        )
        (stored,) = await storage.sessions.find(user_id="ann")
        assert stored == key
        assert text[4:] not in repr(stored)
        assert len(key.id) == len("key-") + 64

    async def test_no_two_are_alike(self, keys: APIKeys) -> None:
        made = [await keys.create("ann", name="x", scopes=["*"]) for _ in range(5)]
        assert len({text for _, text in made}) == len({key.id for key, _ in made}) == 5

    async def test_one_with_a_lifetime_ends_by_itself(
        self, keys: APIKeys, clock: FakeClock
    ) -> None:
        key, _ = await keys.create("ann", name="x", scopes=["*"], lifetime=DAY)
        assert key.expires_at == clock() + DAY
        clock.advance(DAY)
        assert await keys.of_user("ann") == []
        with pytest.raises(NotFound):
            await keys.get(key.id)

    async def test_what_is_no_key_is_not_made(self, keys: APIKeys, storage: Storage) -> None:
        for wrong in WRONG:
            with pytest.raises(InvalidRequest):
                await keys.create("ann", **{"name": "x", "scopes": ["files"], **wrong})
        assert await storage.sessions.find() == []

    async def test_a_user_has_so_many_and_no_more(
        self, keys: APIKeys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api_keys, "MAX_KEYS", 2)
        for _ in range(2):
            await keys.create("ann", name="x", scopes=["*"])
        with pytest.raises(InvalidRequest, match="at most 2 keys"):
            await keys.create("ann", name="x", scopes=["*"])
        await keys.create("bob", name="x", scopes=["*"])

    async def test_nobody_and_who_is_disabled_get_none(
        self, keys: APIKeys, storage: Storage, clock: FakeClock
    ) -> None:
        await disable(storage, "ann", clock())
        for user_id in ("ann", "nobody"):
            with pytest.raises(NotFound):
                await keys.create(user_id, name="x", scopes=["*"])
        assert await storage.sessions.find() == []

    async def test_one_made_while_its_user_goes_does_not_stay(
        self, keys: APIKeys, storage: Storage, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        insert = storage.sessions.insert

        async def insert_too_late(session: Session) -> None:
            await disable(storage, "ann", clock())
            await insert(session)

        monkeypatch.setattr(storage.sessions, "insert", insert_too_late)
        with pytest.raises(NotFound):
            await keys.create("ann", name="x", scopes=["*"])
        assert await storage.sessions.find() == []


class TestListing:
    async def test_each_user_has_their_own_the_newest_first(
        self, keys: APIKeys, clock: FakeClock
    ) -> None:
        made = []
        for _ in range(3):
            made.append((await keys.create("ann", name="x", scopes=["*"]))[0].id)
            clock.advance(1)
        bobs, _ = await keys.create("bob", name="x", scopes=["*"])
        assert ids(await keys.of_user("ann")) == made[::-1]
        assert await keys.of_user("bob") == [bobs]
        assert await keys.get(bobs.id) == bobs

    async def test_all_pages_are_read(
        self, keys: APIKeys, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api_keys, "PAGE", 2)
        started = {(await sessions.start(ANN)).id for _ in range(5)}
        made = {(await keys.create("ann", name="x", scopes=["*"]))[0].id for _ in range(5)}
        assert set(ids(await keys.of_user("ann"))) == made
        assert set(ids(await sessions.of_user("ann"))) == started

    async def test_a_session_is_no_key(
        self, keys: APIKeys, sessions: Sessions, storage: Storage, clock: FakeClock
    ) -> None:
        session = await sessions.start(ANN)
        alike = Session(
            id="key-that-is-none",
            user_id="ann",
            identity_id="github:1",
            provider="github",
            auth_time=clock(),
            created_at=clock(),
            last_seen_at=clock(),
        )
        await storage.sessions.insert(alike)
        assert await keys.of_user("ann") == []
        for wrong in (session.id, alike.id, "key-", "", "nothing"):
            with pytest.raises(NotFound):
                await keys.get(wrong)
            with pytest.raises(NotFound):
                await keys.revoke(wrong)
        assert len(await sessions.of_user("ann")) == 2

    async def test_a_key_is_no_session(self, keys: APIKeys, sessions: Sessions) -> None:
        key, _ = await keys.create("ann", name="x", scopes=["*"])
        assert await sessions.of_user("ann") == []
        with pytest.raises(ValueError, match="its own token"):
            await sessions.token(key)


class TestTheEnd:
    async def test_one_of_many_revokes_it_and_every_process_hears(self, world: World) -> None:
        keys, follower = world.keys, world.follower
        await follower.revocations.start()
        key, _ = await keys.create("ann", name="x", scopes=["*"])
        other, _ = await keys.create("ann", name="y", scopes=["*"])
        results = await asyncio.gather(
            *(keys.revoke(key.id) for _ in range(10)), return_exceptions=True
        )
        assert [each for each in results if isinstance(each, Session)] == [key]
        assert sum(isinstance(each, NotFound) for each in results) == 9
        await follower.hear()
        assert follower.knows(key.id)
        assert await keys.of_user("ann") == [other]
        await follower.revocations.stop()

    @pytest.mark.parametrize("with_keys", [True, False])
    async def test_all_sessions_end_with_the_keys_or_without(
        self, keys: APIKeys, sessions: Sessions, with_keys: bool
    ) -> None:
        for _ in range(3):
            await sessions.start(ANN)
        key, _ = await keys.create("ann", name="x", scopes=["*"])
        bobs, _ = await keys.create("bob", name="x", scopes=["*"])
        assert await sessions.end_all("ann", keys=with_keys) == 3 + with_keys
        assert await sessions.of_user("ann") == []
        assert await keys.of_user("ann") == ([] if with_keys else [key])
        assert await keys.of_user("bob") == [bobs]

    async def test_its_last_use_is_written_down(
        self, keys: APIKeys, sessions: Sessions, clock: FakeClock
    ) -> None:
        key, _ = await keys.create("ann", name="x", scopes=["*"])
        seen = {key.id: clock() + 5}
        await sessions.note_seen(seen)
        assert seen == {}
        assert (await keys.get(key.id)).last_seen_at == clock() + 5


async def test_all_of_this_holds_on_mongodb(
    mongo_storage: Storage, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "PAGE", 2)
    world = await World.over(mongo_storage, clock)
    await world.follower.revocations.start()
    session = await world.sessions.start(ANN)
    made = []
    for _ in range(5):
        made.append((await world.keys.create("ann", name="x", scopes=["a", "b"], lifetime=9))[0])
        clock.advance(1)
    assert await world.keys.of_user("ann") == made[::-1]
    assert await world.sessions.of_user("ann") == [session]
    results = await asyncio.gather(
        *(world.keys.revoke(made[1].id) for _ in range(5)), return_exceptions=True
    )
    assert [each for each in results if isinstance(each, Session)] == [made[1]]
    await world.follower.hear()
    assert world.follower.knows(made[1].id)
    clock.advance(4)
    assert await world.keys.of_user("ann") == [made[4], made[3], made[2]]
    assert await world.sessions.end_all("ann") == 4
    assert await world.keys.of_user("ann") == []
    await world.follower.revocations.stop()


@pytest.mark.parametrize(
    ("change", "is_one"),
    [
        (lambda key: key, True),
        (lambda key: key[:-1], False),
        (lambda key: key + "x", False),
        (lambda key: key + "\n", False),
        (lambda key: key[:-1] + "\u00fc", False),
        (lambda key: key[:-1] + "\udcff", False),
        (lambda key: key[:-1] + "=", False),
        (lambda key: key.upper(), False),
        (lambda key: key[4:], False),
        (lambda _: "", False),
    ],
)
def test_what_cannot_be_a_key_has_no_digest(change: Callable[[str], str], is_one: bool) -> None:
    digest = digest_of_api_key(change("tak_" + "aB3-_" * 8 + "xyz"))
    assert (digest is not None) is is_one
