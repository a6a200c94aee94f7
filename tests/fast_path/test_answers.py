"""With the fast path or without, the answers are the same to the last header."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fast_path.conftest import (
    PROVIDER,
    MakeTwins,
    MakeWire,
    Twins,
    front_of,
    plain,
    until,
)
from tests.issuer import key_set
from tests.service import Service, ServiceFactory
from tornado_auth.errors import StorageUnavailable
from tornado_auth.fast_path import answers, front
from tornado_auth.models import TokenType
from tornado_auth.readings import Known

QUESTION = "/auth/verify?service=files&read=reader&write=nobody"


def places(token: str) -> list[str]:
    return [
        f"Authorization: Bearer {token}",
        f"auth-token: {token}",
        f"Cookie: tornado_auth={token}",
    ]


class TestTokens:
    # S132
    async def test_who_is_signed_in_passes(self, twins: Twins) -> None:
        token = await twins.fast.sign_in("\u00e4nn \u2603", username="ann", email="a,b@example.org")
        for line in places(token):
            answer = await twins.agree_on(plain("/auth/check", line), is_plain=True)
            assert json.loads(answer.body)["profile"]["name"] == "\u00c4nn \u2603"
            answer = await twins.agree_on(plain("/auth/verify", line), is_plain=True)
            assert (answer.status, answer.body) == (200, b"")
            assert answer.header("X-Auth-Email") == "a%2Cb@example.org"
        answer = await twins.agree_on(plain(f"/auth/check?jwt={token}"), is_plain=True)
        assert json.loads(answer.body)["authenticated"] is True

    async def test_the_first_place_counts(self, twins: Twins) -> None:
        tokens = [await twins.fast.sign_in(name) for name in ("ann", "bob", "eve", "joe")]
        order = [tokens[0], tokens[1], tokens[3]]
        lines = [line + token for line, token in zip(places(""), order, strict=True)]
        for missing, name in enumerate(["ann", "bob", "eve"]):
            target = f"/auth/check?jwt={tokens[2]}"
            request = plain(target, *reversed(lines[missing:]))
            answer = await twins.agree_on(request, is_plain=True)
            assert json.loads(answer.body)["profile"]["username"] == name

    async def test_who_is_not_does_not(self, twins: Twins) -> None:
        session = await twins.fast.session("ann")
        old = replace(session, expires_at=twins.fast.server.now() - 1)
        server = twins.fast.server
        other_keys = key_set("ES256", 1)
        claims = {"sid": session.id, "userid": session.user_id, "exp": session.expires_at}
        tokens = [
            "a",
            "a.b.c",
            "x" * 7000,
            await server.sessions.token(old),
            await server.tokens.permission_token(session, "files", {"reader": True}),
            await other_keys.sign(claims, typ=TokenType.SESSION),
            (await server.sessions.token(session))[:-2],
        ]
        for token in tokens:
            for line in places(token):
                answer = await twins.agree_on(plain("/auth/check", line), is_plain=True)
                assert json.loads(answer.body)["authenticated"] is False
                answer = await twins.agree_on(plain("/auth/verify", line), is_plain=True)
                assert answer.status == 401
                assert answer.header("X-Auth-Reason") == "login_required"

    async def test_nobody_is_told_where_to_sign_in(self, make_twins: MakeTwins) -> None:
        for environ in ({}, {"GITHUB_KEY": "a", "GITHUB_SECRET": "b"}):
            twins = await make_twins(**environ)
            answer = await twins.agree_on(plain(), is_plain=True)
            assert ("github" in json.loads(answer.body)["providers"]) is bool(environ)
            assert (await twins.agree_on(plain("/auth/verify"), is_plain=True)).status == 401

    @pytest.mark.parametrize(
        ("path", "member"), [("/auth/check", "check_answer"), ("/auth/verify", "identity_lines")]
    )
    async def test_an_answer_is_kept_for_who_comes_again(
        self, twins: Twins, wire: MakeWire, path: str, member: str
    ) -> None:
        token, server = await twins.fast.sign_in("ann"), twins.fast.server
        opened, request = await wire(twins.fast.port), plain(path, f"auth-token: {token}")
        remembered = []
        for _ in range(3):
            assert (await opened.ask(request)).status == 200
            known = server.checks.recall(server.checks.verify(token))
            assert isinstance(known, Known)
            labels = {"cache": "requests"}
            asked = server.metrics.registry.get_sample_value("tornado_auth_cached", labels)
            remembered.append((asked, getattr(known, member) is not None))
        assert remembered == [(0, False), (1, True), (1, True)]

    # S131
    async def test_an_ended_session_is_refused_within_a_second(
        self, twins: Twins, wire: MakeWire
    ) -> None:
        session = await twins.fast.session("ann")
        line = f"auth-token: {await twins.fast.server.sessions.token(session)}"
        wires = [await wire(service.port) for service in (twins.fast, twins.alone)]
        for opened in wires:
            assert (await opened.ask(plain("/auth/verify", line))).status == 200
        await twins.alone.server.sessions.end(session)
        assert (await wires[1].ask(plain("/auth/verify", line))).status == 401
        async with asyncio.timeout(1):
            while (await wires[0].ask(plain("/auth/verify", line))).status != 401:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.02)
        await twins.agree_on(plain("/auth/check", line), is_plain=True)

    async def test_the_same_bytes_are_refused_once_their_token_has_expired(
        self, twins: Twins, wire: MakeWire
    ) -> None:
        session = await twins.fast.session("ann")
        ending = replace(session, expires_at=twins.fast.server.now() + 2)
        request = plain(
            "/auth/verify", f"auth-token: {await twins.fast.server.sessions.token(ending)}"
        )
        opened = await wire(twins.fast.port)
        for _ in range(2):
            assert (await opened.ask(request)).status == 200
        await asyncio.sleep(2)
        assert (await opened.ask(request)).status == 401

    async def test_a_changed_profile_is_told_within_a_second(
        self, twins: Twins, wire: MakeWire
    ) -> None:
        session = await twins.fast.session("ann")
        line = f"auth-token: {await twins.fast.server.sessions.token(session)}"
        opened = await wire(twins.fast.port)
        assert (await opened.ask(plain("/auth/verify", line))).status == 200
        await twins.alone.server.accounts.set_disabled(session.user_id, disabled=True)
        async with asyncio.timeout(1):
            while (await opened.ask(plain("/auth/verify", line))).status != 401:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.02)


class TestPermissions:
    # S129 S130
    async def test_the_method_of_a_trusted_proxy_counts(self, make_twins: MakeTwins) -> None:
        for proxies in ("", "127.0.0.0/8"):
            twins = await make_twins(TORNADO_AUTH_TRUSTED_PROXIES=proxies)
            line = f"auth-token: {await twins.fast.sign_in('ann')}"
            for method in ("GET", "head", "OPTIONS", "POST", "Anything", ""):
                lines = [line, f"X-Original-Method: {method}"] if method else [line]
                answer = await twins.agree_on(plain(QUESTION, *lines), is_plain=True)
                passes = bool(proxies) and method in ("GET", "head", "OPTIONS")
                assert answer.status == (200 if passes else 403), (proxies, method)

    # S130
    async def test_the_same_bytes_of_a_stranger_count_less(self, make_twins: MakeTwins) -> None:
        twins = await make_twins()
        request = plain(
            QUESTION, f"auth-token: {await twins.fast.sign_in('ann')}", "X-Original-Method: GET"
        )
        await twins.agree_on(request, is_plain=True)  # the provider is asked
        answer = front_of(twins.fast).answers.answer
        for trusted, status in ((True, b"200"), (False, b"403"), (True, b"200")):
            answered = answer(request, trusted=trusted)
            assert isinstance(answered, bytes)
            assert answered.split()[1] == status

    async def test_what_is_granted_is_told(self, twins: Twins) -> None:
        line = f"auth-token: {await twins.fast.sign_in('ann')}"
        # Twice: the first answer had to wait for the provider, the second is remembered.
        for _ in range(2):
            answer = await twins.agree_on(plain("/auth/verify?service=files", line), is_plain=True)
            assert answer.status == 200
            assert "a%2Cb%20c" in answer.header("X-Auth-Permissions").split(",")
        for query in (
            "service=files&write=nobody",
            "service=empty",
            "service=nope",
            "service=fi.l",
            "read=nobody&write=nobody",
            "service=&write=nobody",
        ):
            answer = await twins.agree_on(plain(f"/auth/verify?{query}", line), is_plain=True)
            assert answer.status == 403
            assert answer.header("X-Auth-Reason") == "insufficient_permissions"
        answer = await twins.agree_on(plain("/auth/verify?service=files"), is_plain=True)
        assert answer.status == 401

    async def test_a_permission_token_counts_for_its_service_alone(self, twins: Twins) -> None:
        session = await twins.fast.session("ann")
        server = twins.fast.server
        token = await server.tokens.permission_token(session, "files", {"other": True, "no": 1})
        for query, status in (
            ("service=files", 200),
            ("service=files&write=other", 200),
            ("service=files&write=writer", 403),
            ("service=files&write=no", 403),
            ("service=empty", 401),
            ("", 401),
        ):
            for line in places(token):
                request = plain("/auth/verify" + (f"?{query}" if query else ""), line)
                answer = await twins.agree_on(request, is_plain=True)
                assert answer.status == status, query
        await server.sessions.end(session)
        await until(lambda: twins.alone.server.revocations.has_ended(session.id))
        answer = await twins.agree_on(plain("/auth/verify?service=files", line), is_plain=True)
        assert answer.status == 401


class TestSettings:
    async def test_over_https_the_cookie_has_another_name(self, make_twins: MakeTwins) -> None:
        twins = await make_twins(EXTERNAL_ADDRESS="https://auth.example.org")
        token = await twins.fast.sign_in("ann")
        for name, status in (("__Host-tornado_auth", 200), ("tornado_auth", 401)):
            request = plain("/auth/verify", f"Cookie: a=b; {name}={token}; c=d")
            answer = await twins.agree_on(request, is_plain=True)
            assert answer.status == status
            assert bool(answer.header("Strict-Transport-Security")) is (status == 401)

    async def test_the_jwt_parameter_can_be_switched_off(self, make_twins: MakeTwins) -> None:
        twins = await make_twins(TORNADO_AUTH_JWT_PARAMETER="off")
        token = await twins.fast.sign_in("ann")
        answer = await twins.agree_on(plain(f"/auth/check?jwt={token}"), is_plain=False)
        assert json.loads(answer.body)["authenticated"] is False

    # S129
    async def test_on_a_unix_socket_the_proxy_is_trusted_if_the_settings_say_so(
        self, make_service: ServiceFactory, wire: MakeWire, tmp_path: Path
    ) -> None:
        for proxies, status in (("unix", 200), ("127.0.0.0/8", 403)):
            path = tmp_path / f"{status}.sock"
            service = await make_service(
                TORNADO_AUTH_LISTEN=f"unix:{path}",
                TORNADO_AUTH_TRUSTED_PROXIES=proxies,
                ALLOWED_SERVICES=f"files:{PROVIDER}",
            )
            lines = [f"auth-token: {await service.sign_in('ann')}", "X-Original-Method: GET"]
            opened = await wire(path)
            request = plain(QUESTION, *lines)
            assert (await opened.ask(request)).status == status
            assert front_of(service).connections == 1
            # Tornado, by way of a hand-over, says the same.
            assert (await opened.ask(request.replace(b"\r\n", b"\n"))).status == status
            assert front_of(service).connections == 0


class TestOutage:
    async def test_who_is_unknown_is_not_called_a_stranger(
        self, twins: Twins, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line = f"auth-token: {await twins.fast.sign_in('ann')}"
        for service in (twins.fast, twins.alone):
            fail(service, monkeypatch, StorageUnavailable("No answer."))
        # The first one learns it from the store, the next one from the failure before.
        for _ in range(2):
            answer = await twins.agree_on(plain("/auth/check", line), is_plain=True)
            assert answer.status == 503
            assert json.loads(answer.body)["error"] == "storage_unavailable"
        for query in ("", "?service=files"):
            answer = await twins.agree_on(plain(f"/auth/verify{query}", line), is_plain=True)
            assert (answer.status, answer.body) == (403, b"")
            assert answer.header("X-Auth-Reason") == "storage_unavailable"

    async def test_our_own_fault_is_answered_and_logged(
        self, twins: Twins, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        token = await twins.fast.sign_in("ann")

        def recall(*_: object, **__: object) -> None:
            raise ZeroDivisionError("nothing of this is shown")

        for service in (twins.fast, twins.alone):
            monkeypatch.setattr(service.server.checks, "recall", recall)
        for query in ("", "?service=files"):
            request = plain(f"/auth/verify{query}", f"auth-token: {token}")
            answer = await twins.agree_on(request, is_plain=True)
            assert (answer.status, answer.header("X-Auth-Reason")) == (403, "internal_server_error")
        answer = await twins.agree_on(plain("/auth/check", f"auth-token: {token}"), is_plain=True)
        assert answer.status == 500
        assert b"nothing" not in answer.body
        errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
        assert errors == ["request_failed"] * 6

    async def test_nor_does_one_that_comes_later_leave_anybody_waiting(
        self, twins: Twins, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token = await twins.fast.sign_in("ann")

        async def decide(*_: object, **__: object) -> None:
            await asyncio.sleep(0)
            raise ZeroDivisionError

        for service in (twins.fast, twins.alone):
            monkeypatch.setattr(service.server.forward_auth, "_ask", decide)
        request = plain("/auth/verify?service=files", f"auth-token: {token}")
        answer = await twins.agree_on(request, is_plain=True)
        assert (answer.status, answer.header("X-Auth-Reason")) == (403, "internal_server_error")


class TestOtherHeaders:
    async def test_what_a_browser_or_a_proxy_adds_changes_nothing(self, twins: Twins) -> None:
        line = f"auth-token: {await twins.fast.sign_in('ann')}"
        lines = [
            'If-None-Match: "a", *',
            "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
            "Range: bytes=0-1",
            "X-Forwarded-For: nonsense",
            "X-Auth-User: root",
            "X-Http-Method-Override: DELETE",
            "Accept: text/html",
            "Connection: keep-alive",
        ]
        for target in ("/auth/check", "/auth/verify"):
            expected = await twins.agree_on(plain(target, line), is_plain=True)
            assert await twins.agree_on(plain(target, line, *lines), is_plain=True) == expected

    async def test_other_origins_are_left_to_tornado(self, make_twins: MakeTwins) -> None:
        twins = await make_twins(TORNADO_AUTH_CORS_ORIGINS="https://app.example.org")
        for origin in ("https://app.example.org", "https://evil.example"):
            answer = await twins.agree_on(plain("/auth/check", f"Origin: {origin}"), is_plain=False)
            assert (answer.header("Access-Control-Allow-Origin") == origin) is ("app" in origin)

    async def test_answers_are_counted_like_tornados(self, twins: Twins) -> None:
        token = await twins.fast.sign_in("ann")
        for line in (f"auth-token: {token}", "auth-token: x"):
            for target in ("/auth/check", "/auth/verify", "/auth/verify?service=nope"):
                await twins.agree_on(plain(target, line), is_plain=True)
        assert counts(twins.fast) == counts(twins.alone)
        assert sum(counts(twins.fast).values()) == 6


def counts(service: Service) -> dict[str, float]:
    text = service.server.metrics.render()[0].decode()
    lines = [
        line for line in text.splitlines() if line.startswith("tornado_auth_http_requests_tot")
    ]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def fail(service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the store of a service not answer questions about sessions."""

    async def get_many(ids: list[str]) -> None:
        raise error

    monkeypatch.setattr(service.server.storage.sessions, "get_many", get_many)


async def test_the_date_is_of_this_second(
    service: Service, wire: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    dates = iter(["first", "second"])
    monkeypatch.setattr(f"{answers.__name__}.formatdate", lambda *, usegmt: next(dates))
    opened = await wire(service.port)
    for _ in range(2):
        await opened.ask(plain())
    await asyncio.sleep(front.TICK + 0.1)
    await opened.send(plain(), b"\0\r\n\r\n")
    assert b"\r\nDate: second\r\n" in await opened.rest()
