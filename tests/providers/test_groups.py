"""The groups of GitHub and of OpenID Connect issuers, as far as a sign-in learns of them."""

import logging
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest

from tests.providers.fakes import Answer, FakeGitHub, json_answer, query_of
from tests.providers.sign_in import registration_for, sign_in
from tornado_auth.oauth_mixins import GitHubProvider, OpenIDConnectProvider
from tornado_auth.upstream.http import MAX_PAGES

ORGANIZATIONS, TEAMS = "/api/v3/user/memberships/orgs", "/api/v3/user/teams"


@pytest.fixture
async def github(fake_github: FakeGitHub) -> AsyncIterator[GitHubProvider]:
    provider = GitHubProvider(
        registration=registration_for(fake_github),
        url=fake_github.url,
        api_url=fake_github.api_url,
        groups=True,
    )
    yield provider
    await provider.close()


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.reason for record in caplog.records if record.message == "upstream_error"]


class TestGitHub:
    async def test_organisations_and_teams_that_were_joined(self, github, fake_github, attempt):
        fake_github.users["octo"].teams = ["the-guild/wizards", "waiting-room/all", "elsewhere/x"]
        identity = await sign_in(github, fake_github, attempt)
        assert identity.groups == ("the-guild", "the-guild/wizards")
        url = await github.authorization_url(attempt("github"))
        assert query_of(url)["scope"] == "user:email read:org"

    async def test_nobody_else_is_asked_for_more_rights(self, fake_github, attempt):
        provider = GitHubProvider(
            registration=registration_for(fake_github),
            url=fake_github.url,
            api_url=fake_github.api_url,
        )
        identity = await sign_in(provider, fake_github, attempt)
        assert identity.groups is None
        assert (
            query_of(await provider.authorization_url(attempt("github")))["scope"] == "user:email"
        )
        assert fake_github.requests_to(ORGANIZATIONS) == fake_github.requests_to(TEAMS) == []
        await provider.close()

    async def test_every_page_is_read(self, github, fake_github, attempt):
        user = fake_github.users["octo"]
        user.organizations = {f"org-{n}": "active" for n in range(61)}
        user.teams = [f"org-{n % 61}/team-{n}" for n in range(95)]
        groups = (await sign_in(github, fake_github, attempt)).groups
        assert groups == (*user.organizations, *user.teams)
        assert len(fake_github.requests_to(ORGANIZATIONS)) == 3
        assert len(fake_github.requests_to(TEAMS)) == 4

    async def test_who_is_in_none_is_in_none(self, github, fake_github, attempt):
        fake_github.users["octo"].organizations = {}
        assert (await sign_in(github, fake_github, attempt)).groups == ()

    async def test_entries_that_make_no_sense_are_left_out(self, github, fake_github, attempt):
        good = {"state": "active", "organization": {"login": "good"}}
        bent = [None, 7, [], {}, {"state": "active"}, {"state": "active", "organization": []}]
        bent += [{"state": "active", "organization": {"login": name}} for name in (7, "", "a/b")]
        bent += [{"state": "pending", "organization": {"login": "later"}}]
        fake_github.answers[ORGANIZATIONS] = json_answer([*bent, good])
        teams = [
            {"slug": slug, "organization": {"login": "good"}} for slug in (None, "", "a/b", "t")
        ]
        fake_github.answers[TEAMS] = json_answer([*bent, *teams, {"slug": "t", "organization": {}}])
        assert (await sign_in(github, fake_github, attempt)).groups == ("good", "good/t")

    @pytest.mark.parametrize("path", [ORGANIZATIONS, TEAMS])
    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (Answer(500, b"[]"), "http_status"),
            (Answer(200, b"<html>"), "not_json"),
            (Answer(200, b"{}"), "wrong_type"),
            (Answer(500, b" " * 300_000), "connection"),
            (Answer(hang=True), "timeout"),
        ],
        ids=["500", "a page", "an object", "too much of a 500", "silence"],
    )
    async def test_if_github_is_out_of_order_the_sign_in_goes_on(
        self, github, fake_github, attempt, caplog, path, answer, reason
    ):
        fake_github.answers[path] = answer
        identity = await sign_in(github, fake_github, attempt)
        assert (identity.subject, identity.groups) == ("583231", None)
        assert reason in reasons(caplog)

    @pytest.mark.parametrize("path", [ORGANIZATIONS, TEAMS])
    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (Answer(302, b"[]", {"Location": "/"}), "http_status"),
            (Answer(401, b"[]"), "http_status"),
            (Answer(403, b"[]"), "http_status"),
            (Answer(404, b"[]"), "http_status"),
            (Answer(429, b"[]"), "http_status"),
            (Answer(200, b" " * 300_000), "connection"),
            (Answer(200, b" " * 300_000, chunked=True), "connection"),
        ],
        ids=["302", "401", "403", "404", "429", "too much", "too many chunks"],
    )
    async def test_who_may_be_the_cause_that_github_does_not_tell_is_in_none(
        self, github, fake_github, attempt, caplog, path, answer, reason
    ):
        fake_github.users["octo"].teams = ["the-guild/wizards"]
        fake_github.answers[path] = answer
        identity = await sign_in(github, fake_github, attempt)
        assert (identity.subject, identity.groups) == ("583231", ())
        assert reasons(caplog) == [reason]

    @pytest.mark.parametrize("scope", ["user:email", "", "user:email read:organs"])
    async def test_who_takes_the_scope_out_of_the_address_is_in_none(
        self, github, fake_github, attempt, caplog, scope
    ):
        ours = attempt("github")
        url = await github.authorization_url(ours)
        edited = url.replace(urlencode({"scope": "user:email read:org"}), urlencode({"s": "x"}))
        edited += "&" + urlencode({"scope": scope})
        identity = await github.fetch_identity(ours, fake_github.approve(edited))
        assert (identity.subject, identity.groups) == ("583231", ())
        assert reasons(caplog) == ["scope"]
        assert fake_github.requests_to(ORGANIZATIONS) == fake_github.requests_to(TEAMS) == []

    @pytest.mark.parametrize("scope", [None, 7, ["read:org"]])
    async def test_a_scope_that_is_not_told_was_not_granted(
        self, github, fake_github, attempt, caplog, scope
    ):
        token = {"access_token": "gho_1", "token_type": "bearer", "scope": scope}
        fake_github.tokens["gho_1"] = {"login": "octo", "scope": "user:email read:org"}
        fake_github.answers["/login/oauth/access_token"] = json_answer(token)
        assert (await sign_in(github, fake_github, attempt)).groups == ()
        assert reasons(caplog) == ["scope"]

    async def test_a_second_page_that_does_not_come_is_a_failure_of_github(
        self, github, fake_github, attempt, caplog
    ):
        fake_github.answers["/slow"] = Answer(hang=True)
        fake_github.answers[TEAMS] = Answer(200, b"[]", {"Link": '</slow>; rel="next"'})
        assert (await sign_in(github, fake_github, attempt)).groups is None
        assert reasons(caplog) == ["timeout"]

    # S097
    @pytest.mark.parametrize(
        "target",
        [
            "http://localhost:1/api/v3/user/teams?page=2",
            "https://evil.example/?page=2",
            "//evil.example/x",
            "http://user@127.0.0.1/x",
            "ftp://127.0.0.1/x",
            "data:application/json,[]",
        ],
    )
    async def test_no_page_of_another_origin_gets_the_token(
        self, github, fake_github, attempt, caplog, target
    ):
        fake_github.answers[TEAMS] = Answer(200, b"[]", {"Link": f'<{target}>; rel="next"'})
        assert (await sign_in(github, fake_github, attempt)).groups == ()
        assert reasons(caplog) == ["pages"]

    async def test_pages_without_an_end_are_given_up(
        self, github, fake_github, attempt, caplog, monkeypatch
    ):
        assert MAX_PAGES == 40
        monkeypatch.setattr("tornado_auth.upstream.http.MAX_PAGES", 3)
        fake_github.answers[TEAMS] = Answer(200, b"[]", {"Link": '<?page=2>; a="b"; rel=next'})
        assert (await sign_in(github, fake_github, attempt)).groups == ()
        assert reasons(caplog) == ["pages"]
        assert len(fake_github.requests_to(TEAMS)) == 3

    async def test_all_pages_together_take_no_longer_than_two_requests_may(
        self, github, fake_github, attempt, caplog, monkeypatch
    ):
        monkeypatch.setattr("tornado_auth.upstream.http.MAX_PAGES", 1_000_000)
        fake_github.answers[TEAMS] = Answer(200, b"[]", {"Link": '<?page=2>; rel="next"'})
        assert (await sign_in(github, fake_github, attempt)).groups == ()
        assert reasons(caplog) == ["pages"]

    # S097 S149
    async def test_the_log_tells_neither_token_nor_answer(
        self, github, fake_github, attempt, caplog
    ):
        fake_github.answers[TEAMS] = json_answer({"message": "secret-of-theirs"}, 403)
        with caplog.at_level(logging.DEBUG):
            await sign_in(github, fake_github, attempt)
        said = " ".join(str(vars(record)) for record in caplog.records)
        assert "secret-of-theirs" not in said
        assert not any(token in said for token in fake_github.tokens)
        assert fake_github.tokens


class TestOpenIDConnect:
    @pytest.mark.parametrize(
        ("value", "groups"),
        [
            (
                ["staff", "/realm/ops", "CN=Ops,OU=x", "staff"],
                ("staff", "/realm/ops", "CN=Ops,OU=x"),
            ),
            ([], ()),
            (None, ()),  # left out: the fake leaves out what is None
            ("staff", ("staff",)),
        ],
    )
    async def test_the_claim_names_them(self, corp, fake_oidc, attempt, value, groups):
        fake_oidc.claims["groups"] = value
        assert (await sign_in(corp, fake_oidc, attempt)).groups == groups

    async def test_the_signed_claim_wins_over_userinfo(self, corp, fake_oidc, attempt):
        fake_oidc.userinfo["groups"] = ["admins"]
        assert (await sign_in(corp, fake_oidc, attempt)).groups == ("admins",)
        fake_oidc.claims["groups"] = []
        assert (await sign_in(corp, fake_oidc, attempt)).groups == ()

    @pytest.mark.parametrize(
        "claims",
        [
            {"groups": 7},
            {"groups": {"staff": True}},
            {"groups": ["staff", 7]},
            {"groups": [["staff"]]},
            {"groups": [f"g{n}" for n in range(1001)]},
            {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}},
        ],
        ids=["a number", "an object", "a number among them", "lists", "too many", "elsewhere"],
    )
    async def test_whose_claim_makes_no_sense_is_in_none(
        self, corp, fake_oidc, attempt, caplog, claims
    ):
        fake_oidc.claims |= claims
        identity = await sign_in(corp, fake_oidc, attempt)
        assert (identity.subject, identity.groups) == ("1001", ())
        assert reasons(caplog) == ["groups"]

    @pytest.mark.parametrize(("name", "groups"), [("roles", ("boss",)), ("", None)])
    async def test_an_issuer_may_call_it_otherwise_or_have_none(
        self, fake_oidc, attempt, clock, name, groups
    ):
        provider = OpenIDConnectProvider(
            "corp",
            "The Corporation",
            issuer=fake_oidc.url,
            registration=registration_for(fake_oidc),
            now=clock,
            groups_claim=name,
        )
        fake_oidc.claims |= {"groups": ["staff"], "roles": ["boss"]}
        assert (await sign_in(provider, fake_oidc, attempt)).groups == groups
        await provider.close()
