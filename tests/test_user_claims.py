"""What is known of users: standard claims, each of its type, and nothing empty."""

import pytest

from tests.conftest import FakeClock
from tornado_auth.errors import InvalidRequest, InvalidValue
from tornado_auth.storage import Storage
from tornado_auth.user_claims import SETTABLE, UserClaimsStore, checked

EVERYTHING = {
    "name": "Ann Ångström",
    "given_name": "Ann",
    "family_name": "Ångström",
    "middle_name": "B.",
    "nickname": "annie",
    "profile": "https://people.example/ann?of=us#top",
    "picture": "https://people.example/ann.png",
    "website": "http://ann.example",
    "email": "ann.o'neil+x@mail.example.org",
    "gender": "female",
    "birthdate": "1990-02-29",
    "zoneinfo": "America/Argentina/Buenos_Aires",
    "locale": "zh-Hant-TW",
    "phone_number": "+1 (604) 555-1234;ext=5678",
    "email_verified": True,
    "phone_number_verified": False,
    "address": {
        "formatted": "Storgatan 1\nLund",
        "street_address": "Storgatan 1\nUpp. B",
        "locality": "Lund",
        "region": "Skåne",
        "postal_code": "222 22",
        "country": "Sverige",
    },
}
OTHER_GOOD_ONES = [
    {"birthdate": "1990"},
    {"birthdate": "0000-12-31"},
    {"zoneinfo": "UTC"},
    {"zoneinfo": "Etc/GMT+5"},
    {"locale": "en"},
    {"locale": "en_US"},
    {"phone_number": "+46123456"},
    {"profile": "http://[::1]:8080/"},
    {"address": {"country": "Sverige"}},
]


@pytest.fixture
def store(storage: Storage, clock: FakeClock) -> UserClaimsStore:
    return UserClaimsStore(storage.user_claims, now=clock)


async def test_every_claim_can_be_told_and_is_kept_as_it_is(
    store: UserClaimsStore, clock: FakeClock
) -> None:
    assert set(EVERYTHING) == set(SETTABLE)
    assert await store.set("ann", EVERYTHING) == {**EVERYTHING, "updated_at": clock.now}
    assert await store.get("ann") == {**EVERYTHING, "updated_at": clock.now}
    assert await store.get("bob") == {}


@pytest.mark.parametrize("claims", OTHER_GOOD_ONES)
def test_there_is_more_than_one_form(claims: dict[str, object]) -> None:
    assert checked(claims).items() >= claims.items()


async def test_what_is_told_anew_takes_the_place_of_all_that_was_known(
    store: UserClaimsStore, clock: FakeClock
) -> None:
    await store.set("ann", EVERYTHING)
    clock.advance(5)
    await store.set("ann", {"gender": "x"})
    assert await store.get("ann") == {"gender": "x", "updated_at": clock.now}
    await store.set("ann", {})
    assert await store.get("ann") == {"updated_at": clock.now}


async def test_who_is_forgotten_is_unknown(store: UserClaimsStore) -> None:
    await store.set("ann", EVERYTHING)
    await store.forget_user("ann")
    assert await store.get("ann") == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in SETTABLE for value in (None, "", " ", 1, [], {}, ["x"])),
        *((name, "a\nb") for name in SETTABLE),
        *((name, "\x1b[1m") for name in SETTABLE),
        *((name, True) for name in SETTABLE if not name.endswith("_verified")),
        *((name, value) for name in SETTABLE[-3:-1] for value in ("true", 0)),
        ("name", 257 * "x"),
        ("name", "a\u2028b"),
        ("profile", "javascript:alert(1)"),
        ("picture", "//people.example/ann.png"),
        ("picture", "https:///ann.png"),
        ("picture", 'https://people.example/"><script>'),
        ("website", "https://user@ann.example/"),
        ("website", "https://ann.example/" + 2000 * "x"),
        ("email", "ann"),
        ("email", "ann@"),
        ("email", "ann@mail.example, bob@mail.example"),
        ("birthdate", "29.2.1990"),
        ("birthdate", "1990-13-01"),
        ("zoneinfo", "Europe/Stockholm; x"),
        ("locale", "English (United States)"),
        ("phone_number", "0123"),
        ("address", "Storgatan 1"),
        ("address", {"street": "Storgatan 1"}),
        ("address", {"country": ""}),
        ("address", {"country": None}),
        ("address", {"country": "a\nb"}),
        ("address", {"formatted": "\n"}),
        ("address", {"formatted": "a\x1bb"}),
        ("sub", "ann"),
        ("preferred_username", "ann"),
        ("updated_at", 1),
        ("acr", "1"),
        ("groups", ["staff"]),
        ("", "x"),
    ],
)
def test_what_is_no_claim_or_not_of_its_type_is_refused(name: str, value: object) -> None:
    with pytest.raises((InvalidRequest, InvalidValue)):
        checked({"email": "ann@mail.example", "phone_number": "+46123456", name: value})


async def test_what_is_refused_changes_nothing(store: UserClaimsStore) -> None:
    before = await store.set("ann", EVERYTHING)
    for claims in ({"gender": "x", "name": ""}, {"name": "\ud800"}):
        with pytest.raises((InvalidRequest, InvalidValue)):
            await store.set("ann", claims)
    assert await store.get("ann") == before


def test_what_nobody_made_sure_of_says_so() -> None:
    assert checked({"email": "ann@mail.example", "phone_number": "+46123456"}) == {
        "email": "ann@mail.example",
        "email_verified": False,
        "phone_number": "+46123456",
        "phone_number_verified": False,
    }
    for name in ("email_verified", "phone_number_verified"):
        with pytest.raises(InvalidRequest):
            checked({name: True})
