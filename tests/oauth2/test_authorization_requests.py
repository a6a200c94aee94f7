"""Which requests are good, and who is told of one that is not."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.oauth2.asking import error_of, go, is_page, several
from tests.oauth2.world import REDIRECT_URI, World, WorldFactory, answer_of
from tornado_auth.errors import StorageUnavailable

OTHER_URIS = (
    f"{REDIRECT_URI}/more",
    f"{REDIRECT_URI}?a=b",
    f"{REDIRECT_URI}#f",
    f"{REDIRECT_URI}/",
    "https://app.example/Callback",
    "https://APP.example/callback",
    "https://app.example/%63allback",
    "https://app.example/callback%2e",
    "https://app.example/x/../callback",
    "https://app.example@evil.example/callback",
    "https://app.example.evil.example/callback",
    "https://app.example\\@evil.example/callback",
    "https://app.example:443/callback",
    "http://app.example/callback",
    "https://*.example/callback",
    "https://\u0430pp.example/callback",
    f"{REDIRECT_URI}?{'a' * 2048}",
    "//app.example/callback",
    "javascript:alert(1)",
    "callback",
)
BAD_CHALLENGES: tuple[dict[str, str], ...] = (
    {"code_challenge_method": "plain"},
    {"code_challenge_method": ""},
    {"code_challenge_method": "s256"},
    {"code_challenge": "a" * 42},
    {"code_challenge": "a" * 44},
    {"code_challenge": "a" * 42 + "="},
    {"code_challenge": "a" * 42 + "\u00e4"},
)
MISTAKES: tuple[tuple[dict[str, str], str], ...] = (
    ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
    ({"request_uri": "https://app.example/request.jwt"}, "request_uri_not_supported"),
    ({"request_uri": "http://127.0.0.1:1/"}, "request_uri_not_supported"),
    ({"scope": "openid nothing-of-the-kind"}, "invalid_scope"),
    ({"scope": 'openid "'}, "invalid_scope"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"prompt": "dance"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"max_age": "1e3"}, "invalid_request"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"resource": "https://api.example/"}, "invalid_target"),
    ({"dpop_jkt": "short"}, "invalid_request"),
    ({"id_token_hint": "no.token.atall"}, "invalid_request"),
)
LIMITS = {"state": 2048, "nonce": 512, "login_hint": 320, "ui_locales": 512, "acr_values": 512}
BAD_CLAIMS = (
    "[]",
    "{",
    '{"userinfo": []}',
    '{"userinfo": {"name": true}}',
    '{"id_token": {"acr": 1}}',
    '{"id_token": {"acr": {"values": "1"}}}',
)
WANTED_ACRS: tuple[tuple[object, bool], ...] = (
    ({"essential": True, "value": "2"}, False),
    ({"essential": True, "values": ["2", "3"]}, False),
    ({"essential": True, "values": ["2", "1"]}, True),
    ({"essential": True}, True),
    ({"value": "2"}, True),
    (None, True),
)
STATES = ("a", 'a&b<c"d%20e\u2028f+g h=i', "x" * 2048, "\u00fc" * 512, "/?#[]@!$'()*,;")
LOOPBACK = "http://127.0.0.1/cb?a=b"


class TestThePerson:
    # S001
    async def test_sees_what_is_wrong_with_the_client(self, world: World) -> None:
        client = await world.client()
        gone = await world.client(disabled_at=1)
        good = await world.service.sign_in()
        for changed, error in (
            ({"client_id": ""}, "invalid_request"),
            ({"client_id": "c-nobody"}, "invalid_client"),
            ({"client_id": gone.id}, "invalid_client"),
            ({"client_id": "<script>alert(1)</script>"}, "invalid_client"),
        ):
            response = await world.authorize(client, good, **changed)
            assert is_page(response, error, "client_id"), changed
            assert b"<script>" not in response.body

    # S001 S002
    async def test_sees_that_a_redirect_uri_is_not_the_clients(self, world: World) -> None:
        client, good = await world.client(), await world.service.sign_in()
        for uri in OTHER_URIS:
            response = await world.authorize(client, good, redirect_uri=uri)
            assert is_page(response, "invalid_request", "redirect_uri"), uri
            assert b"evil" not in response.body

    # S002
    async def test_sees_a_redirect_uri_with_control_characters_in_it(self, world: World) -> None:
        client, good = await world.client(), await world.service.sign_in()
        for mess in ("\t", "\r\nX: y", "\x00"):
            response = await world.authorize(client, good, redirect_uri=REDIRECT_URI + mess)
            assert is_page(response, "invalid_request", "redirect_uri"), repr(mess)

    # S004
    async def test_sees_that_a_redirect_uri_is_missing_where_there_are_two(
        self, world: World
    ) -> None:
        two = await world.client(redirect_uris=(REDIRECT_URI, "https://app.example/other"))
        one = await world.client(scope=("openid", "email"))
        for client, scope in ((two, "email"), (two, "openid"), (one, "openid")):
            response = await world.authorize(
                client, await world.service.sign_in(), redirect_uri="", scope=scope
            )
            assert is_page(response, "invalid_request", "redirect_uri")

    async def test_is_sent_to_the_only_redirect_uri_of_a_client_that_names_none(
        self, world: World
    ) -> None:
        response = await world.authorize(
            await world.client(), await world.service.sign_in(), redirect_uri="", scope="email"
        )
        assert response.headers["Location"].startswith(f"{REDIRECT_URI}?code=")

    # S006
    async def test_sees_that_one_of_both_is_there_twice(self, world: World) -> None:
        client, good = await world.client(), await world.service.sign_in()
        query = world.request_of(client)
        for name, value in (("client_id", client.id), ("redirect_uri", REDIRECT_URI)):
            address = f"/oauth2/authorize?{urlencode({name: value})}"
            for response in (
                await go(world, f"{address}&{query}", good),
                await world.service.fetch(address, method="POST", body=query),
            ):
                assert is_page(response, "invalid_request", name)

    async def test_is_not_bothered_with_an_outage_as_if_it_were_the_client(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = await world.client()

        async def active(client_id: str) -> None:
            raise StorageUnavailable

        monkeypatch.setattr(world.server.oauth2.clients, "active", active)
        assert (await world.authorize(client)).code == 503


class TestANativeApplication:
    # S003
    async def test_listens_at_any_port_and_nothing_else_differs(self, world: World) -> None:
        native = await world.client(application_type="native", redirect_uris=(LOOPBACK,))
        web = await world.client(redirect_uris=(LOOPBACK,))
        good = await world.service.sign_in()
        at_a_port = LOOPBACK.replace("127.0.0.1", "127.0.0.1:51004")
        response = await world.authorize(native, good, redirect_uri=at_a_port)
        assert response.headers["Location"].startswith(f"{at_a_port}&code=")
        for client, uri in (
            (web, at_a_port),
            (native, at_a_port.replace("a=b", "a=c")),
            (native, at_a_port.replace("/cb", "/cd")),
            (native, at_a_port.replace("127.0.0.1", "localhost")),
            (native, at_a_port.replace("127.0.0.1", "127.0.0.2")),
        ):
            response = await world.authorize(client, good, redirect_uri=uri)
            assert is_page(response, "invalid_request", "redirect_uri"), uri

    # S003
    async def test_listens_at_the_other_loopback_address_too(self, world: World) -> None:
        native = await world.client(application_type="native", redirect_uris=("http://[::1]/cb",))
        response = await world.authorize(
            native, await world.service.sign_in(), redirect_uri="http://[::1]:8765/cb"
        )
        assert response.headers["Location"].startswith("http://[::1]:8765/cb?code=")


class TestTheClient:
    # S005 O22
    async def test_is_told_that_it_must_ask_for_a_code(self, world: World) -> None:
        client, good = await world.client(), await world.service.sign_in()
        for response_type in ("", "token", "id_token", "code token", "none", "foo"):
            response = await world.authorize(client, good, response_type=response_type)
            error = "unsupported_response_type" if response_type else "invalid_request"
            assert error_of(response) == error
            assert "token=" not in response.headers["Location"]
            assert "#" not in response.headers["Location"]

    # S006
    async def test_is_told_that_a_parameter_is_there_twice(self, world: World) -> None:
        client = await world.client()
        query = world.request_of(client)
        for twice in ("scope=openid", "nonce=a&nonce=b", "code_challenge=x", "nonce=a%00"):
            answer = answer_of(await go(world, f"/oauth2/authorize?{query}&{twice}"))
            assert (answer["error"], answer["state"]) == ("invalid_request", "the-state"), twice
        answer = answer_of(await go(world, f"/oauth2/authorize?{query}&state=other"))
        assert (answer["error"], answer.get("state")) == ("invalid_request", None)

    # S006
    async def test_is_told_that_a_parameter_is_in_the_address_and_in_the_form(
        self, world: World
    ) -> None:
        query = world.request_of(await world.client())
        response = await world.service.fetch(
            "/oauth2/authorize?scope=openid", method="POST", body=query
        )
        assert response.code == 303
        assert error_of(response) == "invalid_request"

    # S017
    async def test_is_told_that_pkce_is_missing(self, world: World) -> None:
        public: dict[str, Any] = {"token_endpoint_auth_method": "none"}
        without = {"code_challenge": "", "code_challenge_method": ""}
        good = await world.service.sign_in()
        for fields in ({}, public, public | {"require_pkce": False}):
            client = await world.client(**fields)
            answer = answer_of(await world.authorize(client, good, **without))
            assert answer["error"] == "invalid_request"
            assert "PKCE" in answer["error_description"]

    # S017
    async def test_goes_without_pkce_if_it_is_registered_so(self, world: World) -> None:
        client = await world.client(require_pkce=False)
        good = await world.service.sign_in()
        without = {"code_challenge": "", "code_challenge_method": ""}
        assert "code" in answer_of(await world.authorize(client, good, **without))
        halved = await world.authorize(client, good, code_challenge="")
        assert error_of(halved) == "invalid_request"

    # S018 O22
    async def test_is_told_that_its_challenge_is_no_good(self, world: World) -> None:
        good = await world.service.sign_in()
        for client in (await world.client(), await world.client(require_pkce=False)):
            for changed in BAD_CHALLENGES:
                response = await world.authorize(client, good, **changed)
                assert error_of(response) == "invalid_request", changed

    # S063 S064
    async def test_is_told_what_else_is_wrong(self, world: World) -> None:
        client = await world.client()
        # Whether anybody is signed in makes no difference.
        for token in ("", await world.service.sign_in()):
            for changed, error in MISTAKES:
                answer = answer_of(await world.authorize(client, token, **changed))
                assert answer.pop("error_description")
                expected = {"error": error, "state": "the-state", "iss": world.issuer}
                assert answer == expected, changed

    async def test_is_told_that_it_may_not_use_codes(self, world: World) -> None:
        client = await world.client(grant_types=("client_credentials",))
        assert error_of(await world.authorize(client)) == "unauthorized_client"

    async def test_is_told_that_a_scope_is_not_for_it(self, world: World) -> None:
        client = await world.client(scope=("openid",))
        assert error_of(await world.authorize(client, scope="openid email")) == "invalid_scope"

    # S084
    async def test_is_told_that_a_text_is_too_long(self, world: World) -> None:
        client, good = await world.client(), await world.service.sign_in()
        for name, most in LIMITS.items():
            response = await world.authorize(client, good, **{name: "x" * (most + 1)})
            assert error_of(response) == "invalid_request", name
            response = await world.authorize(client, good, **{name: "x" * most})
            assert "code" in answer_of(response), name

    # S084
    async def test_is_told_that_its_claims_are_malformed(self, world: World) -> None:
        client = await world.client()
        long = json.dumps({"userinfo": {"x" * 4096: None}})
        for claims in (*BAD_CLAIMS, long):
            assert error_of(await world.authorize(client, claims=claims)) == "invalid_request"

    async def test_is_told_that_an_essential_acr_is_out_of_reach(self, world: World) -> None:
        client, good = await world.client(), await world.service.sign_in()
        for acr, is_met in WANTED_ACRS:
            claims = json.dumps({"id_token": {"acr": acr}})
            answer = answer_of(await world.authorize(client, good, claims=claims))
            error = None if is_met else "unmet_authentication_requirements"
            assert answer.get("error") == error, acr


class TestTheAnswer:
    # S007
    async def test_has_no_state_if_there_was_none_or_an_empty_one(self, world: World) -> None:
        client, good = await world.client(), await world.service.sign_in()
        query = world.request_of(client, state="")
        for more in ("", "&state=", "&state=&extra=foobar&prompt=&max_age="):
            answer = answer_of(await go(world, f"/oauth2/authorize?{query}{more}", good))
            assert set(answer) == {"code", "iss"}

    # S008 O13
    async def test_has_the_state_as_it_was_and_once(self, world: World) -> None:
        client, good = await world.client(), await world.service.sign_in()
        for state in STATES:
            for changed in ({}, {"scope": "nothing"}):
                response = await world.authorize(client, good, state=state, **changed)
                assert several(response.headers["Location"])["state"] == [state]
                assert f"state={quote(state, safe='')}" in response.headers["Location"]

    # O13
    async def test_leaves_the_query_of_the_redirect_uri_as_it_is(self, world: World) -> None:
        uri = "https://app.example/cb?tenant=a%2Fb&empty="
        client = await world.client(redirect_uris=(uri,))
        for changed, what in (({}, "code"), ({"scope": "nothing"}, "error")):
            response = await world.authorize(client, await world.service.sign_in(), **changed)
            assert response.headers["Location"].startswith(f"{uri}&{what}=")

    # S009
    @pytest.mark.parametrize("mode", ["query", "form_post"])
    async def test_says_who_answers(self, world: World, mode: str) -> None:
        client, good = await world.client(), await world.service.sign_in()
        metadata = await world.service.json("/.well-known/openid-configuration")
        assert metadata["authorization_response_iss_parameter_supported"] is True
        for changed in ({}, {"scope": "nothing"}, {"prompt": "dance"}):
            response = await world.authorize(client, good, response_mode=mode, **changed)
            if mode == "query":
                assert answer_of(response)["iss"] == metadata["issuer"]
            else:
                assert response.code == 200
                assert f'name="iss" value="{metadata["issuer"]}"' in response.body.decode()

    # S010
    async def test_of_an_error_repeats_nothing_and_has_plain_characters(self, world: World) -> None:
        payload = 'x\u2028"><script>\\'
        for changed in (
            {"scope": payload},
            {"prompt": payload},
            {"max_age": payload},
            {"claims": payload},
            {"response_type": payload},
            {"code_challenge": payload},
            {"resource": payload},
        ):
            answer = answer_of(await world.authorize(await world.client(), **changed))
            assert set(answer) == {"error", "error_description", "state", "iss"}
            assert "script" not in answer["error_description"]
            assert all(
                " " <= one <= "~" and one not in '"\\' for one in answer["error_description"]
            )

    # S012
    async def test_is_a_302_after_get_and_a_303_after_post(self, world: World) -> None:
        client, good = await world.client(), await world.service.sign_in()
        assert (await world.authorize(client, good)).code == 302
        bad = world.request_of(client, scope="nothing")
        posted = await world.service.fetch("/oauth2/authorize", method="POST", body=bad)
        assert posted.code == 303

    # S013
    async def test_is_nothing_that_another_site_may_read(self, make_world: WorldFactory) -> None:
        world = await make_world(TORNADO_AUTH_CORS_ORIGINS="https://app.example")
        query = world.request_of(await world.client())
        for origin in ("https://app.example", "https://evil.example"):
            response = await world.service.fetch(
                f"/oauth2/authorize?{query}", headers={"Origin": origin}
            )
            assert not any(name.startswith("Access-Control") for name in response.headers)

    # O16
    @pytest.mark.parametrize(
        ("separator", "scope"), [("comma", "openid,email"), ("plus", "openid+email")]
    )
    async def test_is_given_to_scopes_with_the_separator_of_the_settings(
        self, make_world: WorldFactory, separator: str, scope: str
    ) -> None:
        world = await make_world(TORNADO_AUTH_SCOPE_SEPARATOR=separator)
        tokens = await world.tokens(
            await world.client(), await world.service.sign_in(), scope=scope
        )
        assert tokens["scope"].split() == ["openid", "email"]
