"""That nothing but plain text reaches a query, on any backend."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.conftest import FakeClock
from tornado_auth.errors import InvalidValue, SettingsError
from tornado_auth.models import (
    RECORD_TYPES,
    AdminInvitation,
    Assignment,
    AuditEvent,
    AuthorizationCode,
    Client,
    Consent,
    CountedAttempt,
    DeviceCode,
    Grant,
    Group,
    GroupMapping,
    HandoverCode,
    Identity,
    InitialAccessToken,
    Membership,
    OpaqueAccessToken,
    Password,
    PushedRequest,
    Record,
    RefreshToken,
    Revocation,
    Role,
    Session,
    SpentState,
    User,
    UserClaims,
    UsernameClaim,
)
from tornado_auth.storage import Storage, open_backend
from tornado_auth.storage.codec import field_types, indexed_fields
from tornado_auth.storage.guard import GuardedCollection
from tornado_auth.storage.memory import MemoryBackend


class Text(str):
    """Text to some, and to others whatever its methods make of it."""


NOT_TEXT: list[Any] = [
    {"$ne": ""},
    {"$gt": ""},
    {"$regex": ".*"},
    {"$where": "true"},
    {},
    ["ann"],
    ("ann",),
    [],
    None,
    0,
    1.5,
    True,
    b"ann",
    Text("ann"),
    "ann\0",
    "\ud800",
]
INJECTIONS = [
    "' OR 1=1 --",
    "' OR '1'='1",
    '" OR ""="',
    "ann'; DROP TABLE users; --",
    '{"$gt": ""}',
    "[$ne]=",
    "$where",
    "%",
    "*",
    ".*",
    "ann ",
    "ANN",
]
ODD_NAMES = ["$where", "$or", "username_key.x", "username_key[$ne]", "name", "id", "_id", "a b"]

ANN = User(id="u1", username="Ann", username_key="ann", created_at=1)
RECORDS: list[Record] = [
    ANN,
    Identity(id="p:1", provider="p", subject="1", user_id="u1", created_at=1, last_login_at=1),
    UsernameClaim(id="ann", user_id="u1", created_at=1),
    Password(id="u1", hash="h", changed_at=1),
    Session(
        id="s",
        user_id="u1",
        identity_id="p:1",
        provider="p",
        auth_time=1,
        created_at=1,
        last_seen_at=1,
    ),
    HandoverCode(id="h", session_id="s"),
    SpentState(id="d"),
    CountedAttempt(id="c", key="k"),
    Revocation(id="r", session_id="s"),
    Role(id="wiki:editor", service="wiki", name="editor", permissions=("edit",), created_at=1),
    Group(id="staff", created_at=1),
    Membership(id="staff:u1", group="staff", user_id="u1", created_at=1),
    Assignment(
        id="user:u1|wiki:editor|",
        holder="user:u1",
        role_id="wiki:editor",
        service="wiki",
        created_at=1,
    ),
    GroupMapping(id="p:acme", provider="p", upstream="acme", group="staff", created_at=1),
    AdminInvitation(id="i", created_at=1),
    AuditEvent(id="a", at=1, action="login", details=("a=b",)),
    Client(id="c-1", redirect_uris=("https://app.example/cb",), scope=("openid",), created_at=1),
    InitialAccessToken(id="t", created_at=1),
    Consent(id="u1:c-1", user_id="u1", client_id="c-1", created_at=1, confirmed_at=1),
    Grant(
        id="g",
        user_id="u1",
        client_id="c-1",
        session_id="s",
        sid="s",
        consent_id="u1:c-1",
        auth_time=1,
        created_at=1,
    ),
    AuthorizationCode(
        id="ac", grant_id="g", client_id="c-1", redirect_uri="https://app.example/cb", valid_until=1
    ),
    RefreshToken(id="rt", grant_id="g", client_id="c-1", valid_until=1, created_at=1),
    OpaqueAccessToken(id="at", client_id="c-1", sub="c-1", issued_at=1),
    DeviceCode(id="dc", user_code="uc", client_id="c-1", interval=5, created_at=1, valid_until=1),
    PushedRequest(id="pr", client_id="c-1", parameters="{}", created_at=1),
    UserClaims(id="u1", updated_at=1),
]


@pytest.fixture(params=["memory", "sqlite", "mongodb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "mongodb":
        return str(request.getfixturevalue("mongo_url"))
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
async def ann_alone(url: str, clock: FakeClock) -> AsyncIterator[Storage]:
    """A storage that holds the user Ann and must still do so at the end."""
    storage = Storage(open_backend(url, timeout=10), clock)
    await storage.open()
    await storage.users.insert(ANN)
    try:
        yield storage
        assert await storage.users.find() == [ANN]
    finally:
        await storage.close()


# S142
async def test_a_query_takes_text_only(ann_alone: Storage) -> None:
    users = ann_alone.users
    for value in NOT_TEXT:
        calls: list[Callable[[], Any]] = [
            lambda value=value: users.get(value),
            lambda value=value: users.get_many(["u1", value]),
            lambda value=value: users.follow(value),
            lambda value=value: users.delete(value),
            lambda value=value: users.find(after=value),
            lambda value=value: users.find(username_key=value),
            lambda value=value: users.search("username_key", value),
            lambda value=value: users.search("username_key", "a", after=value),
            lambda value=value: users.delete_where(username_key=value),
        ]
        for call in calls:
            with pytest.raises(InvalidValue):
                await call()


# S142
async def test_a_query_takes_names_of_indexed_fields_only(ann_alone: Storage) -> None:
    for name in ODD_NAMES:
        with pytest.raises(InvalidValue):
            await ann_alone.users.find(**{name: "ann"})
        with pytest.raises(InvalidValue):
            await ann_alone.users.search(name, "ann")
        with pytest.raises(InvalidValue):
            await ann_alone.users.delete_where(**{name: "ann"})
    with pytest.raises(InvalidValue):
        await ann_alone.users.delete_where()


# S142
async def test_text_that_looks_like_a_query_matches_nothing(ann_alone: Storage) -> None:
    users = ann_alone.users
    for text in INJECTIONS:
        assert await users.get(text) is None
        assert await users.get_many([text, "u1"]) == {"u1": ANN}
        assert await users.find(username_key=text) == []
        assert await users.delete(text) is False
        assert await users.delete_where(username_key=text) == 0
    assert await users.find(username_key="ann") == [ANN]


# S142
async def test_a_record_takes_only_what_its_fields_are_declared_as(ann_alone: Storage) -> None:
    for name, expected in field_types(User).items():
        for value in NOT_TEXT:
            if type(value) is expected and value not in ("ann\0", "\ud800"):
                continue
            if expected == (int | None) and (value is None or type(value) is int):
                continue
            changed: Any = dataclasses.replace(ANN, **{name: value})
            with pytest.raises(InvalidValue):
                await ann_alone.users.replace(changed)
            if name != "id":
                changed = dataclasses.replace(changed, id="u2")
            with pytest.raises(InvalidValue):
                await ann_alone.users.insert(changed)


# S142
async def test_a_list_takes_plain_text_only(ann_alone: Storage) -> None:
    session = RECORDS[4]
    for value in (["otp"], ("otp", 1), ("otp", None), ("a\0",), ("\ud800",), ({"$ne": ""},), "otp"):
        with pytest.raises(InvalidValue):
            await ann_alone.sessions.insert(dataclasses.replace(session, amr=value))
    assert await ann_alone.sessions.find() == []


async def test_a_number_that_some_store_cannot_hold_is_refused(ann_alone: Storage) -> None:
    for number in (2**63, -(2**63) - 1):
        with pytest.raises(InvalidValue):
            await ann_alone.users.insert(dataclasses.replace(ANN, id="u2", created_at=number))


async def test_a_page_has_a_size(ann_alone: Storage) -> None:
    for limit in (0, -1, "1", None, True, 1.0):
        with pytest.raises(InvalidValue):
            await ann_alone.users.find(limit=limit)
    with pytest.raises(InvalidValue):
        await ann_alone.users.purge("now")


async def test_each_collection_takes_its_own_records_only(ann_alone: Storage) -> None:
    for record in RECORDS[1:]:
        other: Any = record
        with pytest.raises(InvalidValue):
            await ann_alone.users.insert(other)
        with pytest.raises(InvalidValue):
            await ann_alone.users.replace(other)


async def test_every_record_type_of_the_service_is_kept(url: str, clock: FakeClock) -> None:
    storage = Storage(open_backend(url, timeout=10), clock)
    await storage.open()
    await storage.ping()
    collections: list[Any] = [
        storage.users,
        storage.identities,
        storage.username_claims,
        storage.passwords,
        storage.sessions,
        storage.handover_codes,
        storage.spent_states,
        storage.counted_attempts,
        storage.revocations,
        storage.roles,
        storage.groups,
        storage.memberships,
        storage.assignments,
        storage.group_mappings,
        storage.admin_invitations,
        storage.audit_events,
        storage.clients,
        storage.initial_access_tokens,
        storage.consents,
        storage.grants,
        storage.authorization_codes,
        storage.refresh_tokens,
        storage.access_tokens,
        storage.device_codes,
        storage.pushed_requests,
        storage.user_claims,
    ]
    assert [type(record) for record in RECORDS] == list(RECORD_TYPES)
    for collection, record in zip(collections, RECORDS, strict=True):
        await collection.insert(record)
        assert await collection.get(record.id) == record
    await storage.close()


async def test_purge_counts_what_went_from_all_collections(clock: FakeClock) -> None:
    storage = Storage(open_backend("memory://", timeout=1), clock)
    await storage.spent_states.insert(SpentState(id="a", expires_at=clock()))
    await storage.handover_codes.insert(HandoverCode(id="b", session_id="s", expires_at=clock()))
    await storage.handover_codes.insert(
        HandoverCode(id="c", session_id="s", expires_at=clock() + 1)
    )
    assert await storage.purge() == 2
    clock.advance(1)
    assert await storage.purge() == 1


# S142
async def test_mongodb_compares_what_got_past_the_guard(mongo_storage: Storage) -> None:
    await mongo_storage.users.insert(ANN)
    unguarded: Any = mongo_storage._backend.collection(User)
    for operator in ({"$ne": ""}, {"$gt": ""}, {"$regex": ".*"}):
        assert await unguarded.get(operator) is None
        assert await unguarded.find(username_key=operator) == []
        assert await unguarded.delete(operator) is False
        assert await unguarded.delete_where(username_key=operator) == 0
    assert await mongo_storage.users.find() == [ANN]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WithOptionalIndex(Record):
    KIND: ClassVar[str] = "odd"
    UNIQUE: ClassVar[tuple[str, ...]] = ("maybe",)

    maybe: str | None = None


def test_a_field_that_may_be_missing_gets_no_index() -> None:
    with pytest.raises(TypeError, match=r"WithOptionalIndex\.maybe"):
        GuardedCollection(MemoryBackend().collection(WithOptionalIndex), WithOptionalIndex, int)
    for record_type in RECORD_TYPES:
        assert set(indexed_fields(record_type)) <= set(field_types(record_type))


@pytest.mark.parametrize("url", ["", "postgres://h/x", "mongo://h", "SQLITE", "memory"])
def test_an_address_of_no_backend_is_refused(url: str) -> None:
    if url == "memory":
        assert isinstance(open_backend(url, timeout=1), MemoryBackend)
        return
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        open_backend(url, timeout=1)
