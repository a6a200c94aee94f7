"""Sessions, their tokens, hand-over codes, and the tokens for services, on both embedded stores."""

import asyncio
from dataclasses import replace
from typing import Any

import jwt
import pytest

from tests.checks_world import Follower
from tests.conftest import FakeClock
from tests.issuer import key_set
from tests.unreliable import Unreliable
from tornado_auth.errors import StorageUnavailable
from tornado_auth.models import Identity, Session
from tornado_auth.sessions import HANDOVER_LIFETIME, Sessions
from tornado_auth.storage import Storage
from tornado_auth.tokens import PermissionTokens

ISSUER = "https://auth.example.org"
LIFETIME = 3600
ANN = Identity(
    id="github:1", provider="github", subject="1", user_id="ann", created_at=0, last_login_at=0
)


@pytest.fixture
async def follower(storage: Storage, clock: FakeClock) -> Follower:
    return Follower(storage.revocations, clock)


@pytest.fixture
async def sessions(storage: Storage, follower: Follower, clock: FakeClock) -> Sessions:
    return Sessions(
        storage.sessions,
        storage.handover_codes,
        key_set(),
        revocations=follower.revocations,
        issuer=ISSUER,
        lifetime=LIFETIME,
        now=clock,
    )


def claims_of(token: str, audience: str) -> dict[str, Any]:
    return jwt.decode(
        token,
        key_set().public_pem(),
        algorithms=["RS256"],
        audience=audience,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False},
    )


class TestSession:
    async def test_it_says_whose_it_is_and_how_they_signed_in(
        self, sessions: Sessions, storage: Storage, clock: FakeClock
    ) -> None:
        session = await sessions.start(
            ANN, amr=("pwd",), user_agent="Firefox", remote_ip="192.0.2.7"
        )
        assert session == Session(
            id=session.id,
            user_id="ann",
            identity_id="github:1",
            provider="github",
            auth_time=clock(),
            amr=("pwd",),
            created_at=clock(),
            last_seen_at=clock(),
            user_agent="Firefox",
            remote_ip="192.0.2.7",
            expires_at=clock() + LIFETIME,
        )
        assert await storage.sessions.get(session.id) == session

    # S118 S151
    async def test_every_start_has_an_id_of_256_random_bits(self, sessions: Sessions) -> None:
        ids = {(await sessions.start(ANN)).id for _ in range(20)}
        assert len(ids) == 20
        assert min(map(len, ids)) >= 43

    # S145
    async def test_a_browsers_name_is_kept_short_and_printable(self, sessions: Sessions) -> None:
        session = await sessions.start(ANN, user_agent="a\r\n\x1b[31m\u202eb" + "x" * 1000)
        assert session.user_agent.startswith("a[31mbx")
        assert len(session.user_agent) <= 256

    async def test_those_of_a_user_are_listed_the_last_used_first(
        self, sessions: Sessions, clock: FakeClock
    ) -> None:
        started = []
        for _ in range(3):
            started.append((await sessions.start(ANN)).id)
            clock.advance(1)
        await sessions.start(replace(ANN, user_id="bob"))
        await sessions.note_seen({started[1]: clock()})
        listed = [session.id for session in await sessions.of_user("ann")]
        assert listed == [started[1], started[2], started[0]]
        clock.advance(LIFETIME)
        assert await sessions.of_user("ann") == []

    # D13
    async def test_it_is_ended_by_exactly_one_of_twenty(self, sessions: Sessions) -> None:
        session = await sessions.start(ANN)
        ended = await asyncio.gather(*(sessions.end(session) for _ in range(20)))
        assert sorted(ended) == [False] * 19 + [True]
        assert await sessions.of_user("ann") == []

    # S125
    async def test_all_of_a_user_end_at_once_and_nobody_elses(self, sessions: Sessions) -> None:
        for _ in range(3):
            await sessions.start(ANN)
        other = await sessions.start(replace(ANN, user_id="bob"))
        assert await sessions.end_all("ann") == 3
        assert await sessions.of_user("ann") == []
        assert await sessions.of_user("bob") == [other]
        assert await sessions.end_all("ann") == 0

    async def test_more_than_fit_on_a_page_end_too(
        self, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tornado_auth.storage.PAGE", 3)
        monkeypatch.setattr("tornado_auth.sessions.ENDS_AT_ONCE", 2)
        for _ in range(8):
            await sessions.start(ANN)
        assert await sessions.end_all("ann") == 8


class TestMarks:
    # D13 S125
    async def test_every_end_leaves_one(
        self, sessions: Sessions, storage: Storage, follower: Follower
    ) -> None:
        one, *others = [await sessions.start(ANN) for _ in range(4)]
        await sessions.end(one)
        assert follower.knows(one.id)
        assert not follower.knows(others[0].id)
        await sessions.end_all("ann")
        marks = await storage.revocations.find()
        assert {mark.session_id for mark in marks} == {s.id for s in (one, *others)}

    async def test_an_end_that_came_second_leaves_one_too(
        self, sessions: Sessions, storage: Storage, follower: Follower
    ) -> None:
        session = await sessions.start(ANN)
        await storage.sessions.delete(session.id)  # by a call that got no further
        assert await sessions.end(session) is False
        assert follower.knows(session.id)

    # S125
    async def test_an_end_that_nobody_can_vouch_for_has_everybody_look(
        self, storage: Storage, follower: Follower, clock: FakeClock
    ) -> None:
        unreliable = Unreliable(storage.sessions)
        sessions = Sessions(
            unreliable,  # type: ignore[arg-type]
            storage.handover_codes,
            key_set(),
            revocations=follower.revocations,
            issuer=ISSUER,
            lifetime=LIFETIME,
            now=clock,
        )
        session, read_at = await sessions.start(ANN), follower.monotonic()
        unreliable.failing = True
        with pytest.raises(StorageUnavailable):
            await sessions.end(session)
        assert follower.revocations.has_changed("ann", read_at)
        assert not follower.knows(session.id)
        await follower.revocations.stop()  # what is due is left at the end
        (mark,) = await storage.revocations.find()
        assert (mark.user_id, mark.session_id) == ("ann", "")


class TestLastUse:
    async def test_it_never_moves_back(self, sessions: Sessions, clock: FakeClock) -> None:
        session = await sessions.start(ANN)
        for seen_at in (clock() + 50, clock() + 20):
            await sessions.note_seen({session.id: seen_at})
        (found,) = await sessions.of_user("ann")
        assert found.last_seen_at == clock() + 50

    async def test_it_does_not_bring_an_ended_session_back(
        self, sessions: Sessions, clock: FakeClock
    ) -> None:
        session = await sessions.start(ANN)
        await sessions.end(session)
        await sessions.note_seen({session.id: clock()})
        assert await sessions.of_user("ann") == []


class TestSessionToken:
    async def test_it_names_issuer_user_and_session(
        self, sessions: Sessions, clock: FakeClock
    ) -> None:
        session = await sessions.start(ANN)
        clock.advance(60)
        token = await sessions.token(session)
        assert jwt.get_unverified_header(token)["typ"] == "session+jwt"
        claims = claims_of(token, ISSUER)
        assert len(claims.pop("jti")) >= 22
        assert claims == {
            "iss": ISSUER,
            "aud": ISSUER,
            "sub": "ann",
            "userid": "ann",
            "sid": session.id,
            "iat": clock(),
            "exp": session.expires_at,
        }

    async def test_no_two_are_the_same(self, sessions: Sessions) -> None:
        session = await sessions.start(ANN)
        assert await sessions.token(session) != await sessions.token(session)


class TestHandover:
    # S148
    async def test_a_code_is_redeemed_once_and_not_stored(
        self, sessions: Sessions, storage: Storage
    ) -> None:
        session = await sessions.start(ANN)
        code = await sessions.hand_over(session.id)
        (record,) = await storage.handover_codes.find()
        assert code not in str(record)
        assert await sessions.redeem(code) == session
        assert await sessions.redeem(code) is None
        assert await storage.handover_codes.find() == []

    async def test_of_twenty_callers_one_gets_the_session(self, sessions: Sessions) -> None:
        code = await sessions.hand_over((await sessions.start(ANN)).id)
        found = await asyncio.gather(*(sessions.redeem(code) for _ in range(20)))
        assert sum(session is not None for session in found) == 1

    @pytest.mark.parametrize(("seconds", "is_good"), [(HANDOVER_LIFETIME - 1, True), (60, False)])
    async def test_it_lives_a_minute(
        self, sessions: Sessions, clock: FakeClock, seconds: int, is_good: bool
    ) -> None:
        code = await sessions.hand_over((await sessions.start(ANN)).id)
        clock.advance(seconds)
        assert (await sessions.redeem(code) is not None) is is_good

    async def test_an_unknown_code_and_one_of_an_ended_session_give_nothing(
        self, sessions: Sessions
    ) -> None:
        session = await sessions.start(ANN)
        code = await sessions.hand_over(session.id)
        await sessions.end(session)
        for bad in (code, "", "x" * 43, session.id):
            assert await sessions.redeem(bad) is None


class TestPermissionToken:
    # S105 D11
    async def test_it_is_for_one_service_and_for_minutes(self, clock: FakeClock) -> None:
        issuer = PermissionTokens(key_set(), issuer=ISSUER, permission_lifetime=300, now=clock)
        session = Session(
            id="session-ann",
            user_id="ann",
            identity_id="github:1",
            provider="github",
            auth_time=0,
            created_at=0,
            last_seen_at=0,
        )
        token = await issuer.permission_token(session, "files", {"read": True, "limit": 5})
        assert jwt.get_unverified_header(token)["typ"] == "permission+jwt"
        claims = claims_of(token, "files")
        assert len(claims.pop("jti")) >= 22
        assert claims == {
            "iss": ISSUER,
            "sub": "ann",
            "aud": "files",
            "userid": "ann",
            "sid": "session-ann",
            "service": "files",
            "permissions": {"read": True, "limit": 5},
            "iat": clock(),
            "exp": clock() + 300,
        }
