"""A login provider says that somebody signed out (Back-Channel Logout, as a client of it)."""

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from tornado.httpclient import HTTPResponse

from tests.providers.fake_oidc import FakeOIDC, ec_key, jwk, rsa_key
from tests.providers.fakes import Answer
from tests.providers.sign_in import sign_in
from tests.service import Service, ServiceFactory
from tornado_auth.models import Session

PATH = "/auth/backchannel_logout/corp"
EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture
async def service(make_service: ServiceFactory, fake_oidc: FakeOIDC, clock: Any) -> Service:
    provider = {
        "name": "corp",
        "issuer": fake_oidc.url,
        "client_id": fake_oidc.client_id,
        "client_secret": fake_oidc.client_secret,
    }
    return await make_service(
        now=clock,
        TORNADO_AUTH_OIDC_PROVIDERS=json.dumps([provider]),
        GITHUB_KEY="id",
        GITHUB_SECRET="secret",
    )


@pytest.fixture
def token(fake_oidc: FakeOIDC) -> Callable[..., str]:
    """Make a logout token; a claim that is None is left out."""

    def make(**changes: Any) -> str:
        claims = {
            "iss": fake_oidc.url,
            "aud": fake_oidc.client_id,
            "iat": fake_oidc.now(),
            "exp": fake_oidc.now() + 120,
            "jti": secrets.token_urlsafe(8),
            "events": {EVENT: {}},
            "sub": "1001",
            **changes,
        }
        return fake_oidc.sign({k: v for k, v in claims.items() if v is not None})

    return make


async def session_of(service: Service, sid: str, **fields: Any) -> Session:
    values = {"provider": "corp", "subject": "1001", "sid": sid, **fields}
    return await service.session("ann", **values)


async def send(service: Service, token: str, path: str = PATH) -> HTTPResponse:
    return await service.fetch(path, form={"logout_token": token})


async def is_live(service: Service, session: Session) -> bool:
    token = await service.server.sessions.token(session)
    return await service.server.checks.who(token) is not None


class TestWhoseSessionsEnd:
    @pytest.fixture
    async def sessions(self, service: Service) -> dict[str, Session]:
        await service.session("ann", provider="corp", subject="1001")
        return {
            "one": await session_of(service, "s1"),
            "same": await session_of(service, "s1"),
            "two": await session_of(service, "s2"),
            "unnamed": await session_of(service, ""),
            "bob": await session_of(service, "s1", subject="1002", username="bob"),
            "github": await session_of(service, "s1", provider="github"),
        }

    # S089
    @pytest.mark.parametrize(
        ("claims", "ended"),
        [
            ({"sid": "s1"}, {"one", "same", "unnamed"}),
            ({"sid": "s1", "sub": None}, {"one", "same", "bob"}),
            ({}, {"one", "same", "two", "unnamed"}),
            ({"sid": "s3"}, {"unnamed"}),
            ({"sub": "1003"}, set()),
            ({"sid": "s2", "sub": "1002"}, set()),
        ],
    )
    async def test_it_ends_all_that_it_is_about(
        self, service: Service, sessions: dict[str, Session], token: Any, claims: Any, ended: Any
    ):
        response = await send(service, token(**claims))
        assert response.code == 200
        assert response.headers["Cache-Control"] == "no-store"
        over = {name for name, session in sessions.items() if not await is_live(service, session)}
        assert over == ended

    async def test_the_end_is_told_like_any_other(
        self, service: Service, sessions: dict[str, Session], token: Any
    ):
        await send(service, token(sid="s2", sub=None))
        (event,) = await service.server.audit_log.find(action="session_ended")
        assert (event.target, event.subject) == (sessions["two"].id, sessions["two"].user_id)
        assert (event.actor, event.via, event.details) == ("", "login", ("provider=corp",))

    async def test_the_hooks_run(
        self, service: Service, sessions: dict[str, Session], token: Any, monkeypatch: Any
    ):
        fired = []

        async def fire(hook: str, user_info: dict[str, Any]) -> None:
            fired.append((hook, user_info["id"]))

        monkeypatch.setattr(service.server.extensions, "fire", fire)
        await send(service, token(sid="s2", sub=None))
        assert fired == [("on_user_logout", sessions["two"].user_id)]


class TestRefusals:
    # S089
    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": "https://other.example"},
            {"iss": None},
            {"aud": "another client"},
            {"aud": None},
            {"aud": ["x", 1]},
            {"iat": None},
            {"iat": "1800000000"},
            {"iat": 1_800_000_061},
            {"iat": 1_800_000_000 - 660},
            {"exp": 1_800_000_000 - 60},
            {"exp": "never"},
            {"events": None},
            {"events": {}},
            {"events": [EVENT]},
            {"events": {EVENT: "x"}},
            {"events": {"http://schemas.openid.net/event/other": {}}},
            {"nonce": "n"},
            {"nonce": ""},
            {"jti": None},
            {"jti": 1},
            {"sub": None},
            {"sub": 1001},
            {"sid": ["s1"]},
        ],
        ids=str,
    )
    async def test_a_token_that_is_not_right_ends_nothing(
        self, service: Service, token: Any, changes: dict[str, Any]
    ):
        session = await session_of(service, "s1")
        response = await send(service, token(**changes))
        assert response.code == 400
        assert json.loads(response.body)["error"] == "invalid_request"
        assert await is_live(service, session)

    # S089
    @pytest.mark.parametrize("changes", [{"exp": None}, {"aud": ["x", "rp:1 %"]}, {"extra": 1}])
    async def test_what_older_issuers_send_is_taken(
        self, service: Service, token: Any, changes: dict[str, Any]
    ):
        session = await session_of(service, "s1")
        assert (await send(service, token(**changes))).code == 200
        assert not await is_live(service, session)

    # S089
    @pytest.mark.parametrize(
        "kind", ["none", "unsigned", "hmac", "foreign", "curve", "id", "long", "x"]
    )
    async def test_a_token_that_the_issuer_did_not_sign_ends_nothing(
        self, service: Service, fake_oidc: FakeOIDC, token: Any, kind: str
    ):
        session = await session_of(service, "s1")
        good = token()
        claims = jwt.decode(good, options={"verify_signature": False})
        none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1"}').decode().rstrip("=")
        bad = {
            "none": lambda: f"{none}.{good.split('.')[1]}.",
            "unsigned": lambda: good.rpartition(".")[0] + ".",
            "hmac": lambda: jwt.encode(claims, "k" * 64, "HS256", headers={"kid": "k1"}),
            "foreign": lambda: fake_oidc.signed_by(rsa_key("other"), kid="k1")(claims),
            "curve": lambda: fake_oidc.signed_by(ec_key("x"), alg="ES256", kid="k1")(claims),
            "id": lambda: fake_oidc.signed_by(rsa_key("own"), kid="k1", typ="at+jwt")(claims),
            "long": lambda: good + "A" * 16_384,
            "x": lambda: "x",
        }
        assert (await send(service, bad[kind]())).code == 400
        assert await is_live(service, session)
        assert (await send(service, good)).code == 200

    @pytest.mark.parametrize("typ", ["logout+jwt", "application/logout+jwt", "JWT", None])
    async def test_the_type_is_only_recommended(
        self, service: Service, fake_oidc: FakeOIDC, token: Any, typ: str | None
    ):
        fake_oidc.sign = fake_oidc.signed_by(rsa_key("own"), kid="k1", typ=typ)
        assert (await send(service, token())).code == 200

    async def test_a_key_of_another_kind_will_do(
        self, service: Service, fake_oidc: FakeOIDC, token: Any
    ):
        fake_oidc.keys = [jwk(ec_key("own"), kid="k2")]
        fake_oidc.sign = fake_oidc.signed_by(ec_key("own"), alg="ES256", kid="k2")
        assert (await send(service, token())).code == 200

    # S089
    async def test_a_token_counts_once(self, service: Service, token: Any, clock: Any):
        await session_of(service, "s1")
        logout = token(exp=None)
        assert (await send(service, logout)).code == 200
        session = await session_of(service, "s1")
        for seconds in (0, 600, 59, 1, 100):
            clock.advance(seconds)
            assert (await send(service, logout)).code == 400
        assert await is_live(service, session)

    async def test_of_two_at_once_one_is_taken(self, service: Service, token: Any):
        await session_of(service, "s1")
        logout = token()
        responses = await asyncio.gather(*(send(service, logout) for _ in range(5)))
        assert sorted(response.code for response in responses) == [200] + [400] * 4

    # S089
    async def test_a_replay_that_overtakes_is_told_so(
        self, service: Service, token: Any, monkeypatch: pytest.MonkeyPatch
    ):
        async def get(id: str) -> None:
            return None

        logout = token()
        assert (await send(service, logout)).code == 200
        monkeypatch.setattr(service.server.upstream_logouts._spent_states, "get", get)
        assert (await send(service, logout)).code == 400

    async def test_who_cannot_be_asked_for_keys_is_to_try_again(
        self, service: Service, fake_oidc: FakeOIDC, token: Any
    ):
        fake_oidc.answers["/jwks"] = Answer(500, b"")
        assert (await send(service, token())).code == 502

    @pytest.mark.parametrize("name", ["github", "nobody"])
    async def test_a_provider_that_sends_none_has_no_address(
        self, service: Service, token: Any, name: str
    ):
        response = await send(service, token(), f"/auth/backchannel_logout/{name}")
        assert response.code == 404

    async def test_the_token_stands_in_the_body(self, service: Service, token: Any):
        assert (await send(service, "")).code == 400
        response = await service.fetch(f"{PATH}?logout_token={token()}", form={})
        assert response.code == 400


class TestTheirSession:
    async def test_the_sid_of_the_id_token_is_kept(self, corp, fake_oidc, attempt):
        fake_oidc.claims["sid"] = "s-1"
        identity = await sign_in(corp, fake_oidc, attempt)
        assert (identity.sid, identity.upstream_sid) == ("s-1", "corp:s-1")

    @pytest.mark.parametrize("sid", [None, 5, ["s"], "", " s", "s\n", "s" * 300])
    async def test_one_that_makes_no_sense_is_none(self, corp, fake_oidc, attempt, sid):
        fake_oidc.claims["sid"] = sid
        fake_oidc.userinfo["sid"] = "not-signed"
        identity = await sign_in(corp, fake_oidc, attempt)
        assert (identity.sid, identity.upstream_sid) == ("", "")

    async def test_a_session_knows_the_one_that_it_began_in(self, service: Service):
        assert (await session_of(service, "s1")).upstream_sid == "corp:s1"
        assert (await session_of(service, "")).upstream_sid == ""
