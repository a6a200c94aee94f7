"""Groups of login providers become ours when somebody signs in."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.modules import MakeModule, writing_modules
from tests.providers.fakes import Answer, FakeGitHub
from tests.service import Service, ServiceFactory
from tornado_auth.errors import LoginBlocked
from tornado_auth.logins import Visitor

NOBODY_PASSES = """
blocking = True
def on_user_login(user_info):
    raise ValueError("no")
"""


async def prepare(service: Service) -> None:
    """Map GitHub's group acme to ours, staff, whose members may edit the wiki."""
    roles = service.server.roles
    role = await roles.put_role("wiki", "editor", permissions=["edit"])
    await roles.put_group("staff")
    await roles.assign("group:staff", role.id)
    await roles.map_group("github", "acme", "staff")


async def permissions(service: Service, token: str) -> object:
    return (await service.json("/auth/authorize?service=wiki", token=token))["permissions"]


async def groups_of(service: Service, user_id: str) -> list[tuple[str, str]]:
    found = await service.server.roles.groups_of(user_id)
    return [(membership.group, membership.provider) for membership in found]


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    yield from writing_modules(tmp_path, monkeypatch)


@pytest.fixture
async def wiki(make_service: ServiceFactory) -> Service:
    service = await make_service(ALLOWED_SERVICES="wiki:tornado_auth.roles")
    await prepare(service)
    return service


async def test_who_is_in_the_group_has_its_roles_from_the_first_moment(wiki: Service) -> None:
    token = await wiki.sign_in(groups=("acme", "acme/ops", "other"))
    assert await permissions(wiki, token) == {"edit": True}


async def test_who_has_left_it_has_them_no_longer(wiki: Service) -> None:
    token = await wiki.sign_in(groups=("acme",))
    assert await permissions(wiki, token) == {"edit": True}
    session = await wiki.session(groups=())
    async with asyncio.timeout(1):
        while await permissions(wiki, token) != {}:  # noqa: ASYNC110 - a test may poll
            await asyncio.sleep(0.01)
    assert await groups_of(wiki, session.user_id) == []


async def test_what_was_not_told_changes_nothing(wiki: Service) -> None:
    session = await wiki.session(groups=("acme",))
    await wiki.session(groups=None)
    assert await groups_of(wiki, session.user_id) == [("staff", "github")]


async def test_the_same_name_at_another_provider_is_another_group(wiki: Service) -> None:
    session = await wiki.session(provider="corp", groups=("acme", "staff", "github:acme"))
    assert await groups_of(wiki, session.user_id) == []


async def test_whom_a_person_put_there_stays(wiki: Service) -> None:
    session = await wiki.session(groups=())
    await wiki.server.roles.add_member("staff", session.user_id)
    for groups in (("acme",), ()):
        await wiki.session(groups=groups)
        assert await groups_of(wiki, session.user_id) == [("staff", "")]


async def test_whoever_may_not_sign_in_is_put_nowhere(
    make_service: ServiceFactory, make_module: MakeModule
) -> None:
    service = await make_service(INSTALLED_EXTENSIONS=make_module("gate", NOBODY_PASSES))
    await prepare(service)
    with pytest.raises(LoginBlocked):
        await service.session(groups=("acme",))
    [user] = await service.server.storage.users.find()
    assert await groups_of(service, user.id) == []


class TestGitHub:
    @pytest.fixture
    async def site(self, make_service: ServiceFactory, fake_github: FakeGitHub) -> Service:
        service = await make_service(
            ALLOWED_SERVICES="wiki:tornado_auth.roles",
            GITHUB_KEY=fake_github.client_id,
            GITHUB_SECRET=fake_github.client_secret,
            TORNADO_AUTH_GITHUB_URL=fake_github.url,
            TORNADO_AUTH_GITHUB_API_URL=fake_github.api_url,
            TORNADO_AUTH_GITHUB_GROUPS="on",
        )
        await prepare(service)
        await service.server.roles.map_group("github", "the-guild/wizards", "staff")
        return service

    async def sign_in(self, site: Service, fake: FakeGitHub, *, without: str = "") -> str:
        attempt, _ = site.server.login_attempts.begin("github")
        provider = site.server.login_providers["github"]
        url = await provider.authorization_url(attempt)
        answer = fake.approve(url.replace(without, "") if without else url)
        asserted = await provider.fetch_identity(attempt, answer)
        session = await site.server.logins.sign_in(asserted, Visitor())
        return await site.server.sessions.token(session)

    async def test_a_team_gives_a_role_until_its_member_leaves(
        self, site: Service, fake_github: FakeGitHub
    ) -> None:
        octo = fake_github.users["octo"]
        octo.teams = ["the-guild/wizards"]
        assert await permissions(site, await self.sign_in(site, fake_github)) == {"edit": True}
        # While GitHub does not tell, nobody loses anything, and everybody gets in.
        fake_github.answers["/api/v3/user/teams"] = Answer(500, b"")
        assert await permissions(site, await self.sign_in(site, fake_github)) == {"edit": True}
        del fake_github.answers["/api/v3/user/teams"]
        octo.teams = []
        token = await self.sign_in(site, fake_github)
        async with asyncio.timeout(1):
            while await permissions(site, token) != {}:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.01)

    async def test_who_withholds_the_scope_has_the_role_no_longer(
        self, site: Service, fake_github: FakeGitHub
    ) -> None:
        fake_github.users["octo"].teams = ["the-guild/wizards"]
        token = await self.sign_in(site, fake_github)
        assert await permissions(site, token) == {"edit": True}
        token = await self.sign_in(site, fake_github, without="+read%3Aorg")
        async with asyncio.timeout(1):
            while await permissions(site, token) != {}:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.01)
