"""API keys at a running service: accepted where a token is, and refused within a second."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.service import Service, ServiceFactory
from tornado_auth.models import Actor, Session

BOUND = 1.0
SHELL = Actor(via="shell")


@pytest.fixture(params=["sqlite", "mongodb"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue("mongo_url")
    return url


async def new_key(service: Service, name: str = "ann", scope: str = "*") -> tuple[Session, str]:
    user = (await service.session(name)).user_id
    return await service.server.api_keys.create(user, name="backup", scopes=[scope])


def places(key: str) -> list[dict[str, str]]:
    return [{"Authorization": f"Bearer {key}"}, {"auth-token": key}]


async def passes(service: Service, key: str) -> bool:
    answers = [await service.fetch("/auth/verify", headers=place) for place in places(key)]
    check = await service.json("/auth/check", token=key)
    (code,) = {answer.code for answer in answers}
    assert check["authenticated"] is (code == 200)
    return code == 200


async def test_it_stands_wherever_a_token_may(service: Service) -> None:
    _, key = await new_key(service)
    for _ in range(3):
        assert await passes(service, key)
    answer = await service.json("/auth/check", token=key)
    assert answer["profile"]["username"] == "ann"
    answer = await service.json(f"/auth/check?jwt={key}")
    assert answer["authenticated"] is True


# S131
async def test_a_revoked_one_is_refused_everywhere_within_a_second(
    make_service: ServiceFactory, store_url: str
) -> None:
    here, there = [await make_service(DATABASE_URL=store_url) for _ in range(2)]
    record, key = await new_key(here)
    for _ in range(3):
        assert await passes(here, key)
        assert await passes(there, key)
    ended_at = time.monotonic()
    await there.server.administration.revoke_key(SHELL, record.id)
    assert not await passes(there, key)
    while (await here.fetch("/auth/verify", token=key)).code == 200:
        assert time.monotonic() - ended_at < BOUND
        await asyncio.sleep(0.01)
    assert not await passes(here, key)


# S131 S153
@pytest.mark.parametrize("way", ["disabled", "deleted"])
async def test_those_of_whoever_is_gone_are_refused_within_a_second(
    make_service: ServiceFactory, tmp_path: Path, way: str
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    here, there = [await make_service(DATABASE_URL=url) for _ in range(2)]
    record, key = await new_key(here)
    _, other = await new_key(here, "bob")
    for service in (here, there):
        assert await passes(service, key)
    ended_at = time.monotonic()
    if way == "disabled":
        await there.server.administration.set_disabled(SHELL, record.user_id, disabled=True)
    else:
        await there.server.administration.delete_user(SHELL, record.user_id)
    while (await here.fetch("/auth/verify", token=key)).code == 200:
        assert time.monotonic() - ended_at < BOUND
        await asyncio.sleep(0.01)
    for service in (here, there):
        assert not await passes(service, key)
        assert await passes(service, other)
    assert await here.server.api_keys.of_user(record.user_id) == []
    if way == "disabled":
        await there.server.administration.set_disabled(SHELL, record.user_id, disabled=False)
        await asyncio.sleep(BOUND)
        assert not await passes(here, key)


# S105
async def test_a_token_for_a_service_ends_with_the_key_it_was_made_for(
    make_service: ServiceFactory,
) -> None:
    service = await make_service(ALLOWED_SERVICES="files:tests.fast_path.provider")
    record, key = await new_key(service, scope="files")
    token = (await service.json("/auth/authorize?service=files", token=key))["token"]
    question = "/auth/verify?service=files"
    assert (await service.fetch(question, token=token)).code == 200
    assert (await service.fetch("/auth/verify", token=token)).code == 401
    await service.server.api_keys.revoke(record.id)
    assert (await service.fetch(question, token=token)).code == 401


async def test_ending_the_sessions_of_a_user_leaves_the_keys(service: Service) -> None:
    record, key = await new_key(service)
    token = await service.sign_in("ann")
    assert await service.server.administration.end_sessions(SHELL, record.user_id) == 2
    assert (await service.fetch("/auth/verify", token=token)).code == 401
    assert await passes(service, key)


async def test_its_last_use_is_written_by_the_housekeeping(
    make_service: ServiceFactory, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    service = await make_service(DATABASE_URL=url)
    record, key = await new_key(service)
    assert await passes(service, key)
    assert (await service.server.api_keys.get(record.id)).last_seen_at == 0
    await service.server.stop()
    again = await make_service(DATABASE_URL=url)
    last_seen_at = (await again.server.api_keys.get(record.id)).last_seen_at
    assert abs(last_seen_at - again.server.now()) < 10


async def test_it_opens_no_page_and_gets_no_session_token(
    make_service: ServiceFactory,
) -> None:
    service = await make_service(TORNADO_AUTH_ALLOWED_NEXT="https://old.example=query")
    _, key = await new_key(service)
    assert await passes(service, key)
    for headers in [*places(key), {"Cookie": f"tornado_auth={key}"}]:
        answer = await service.fetch("/auth/account", headers=headers)
        assert answer.code != 200
        answer = await service.fetch("/auth/login?next=https://old.example/", headers=headers)
        assert "Location" not in answer.headers
        assert "Set-Cookie" not in answer.headers or "tornado_auth=" not in str(
            answer.headers.get_list("Set-Cookie")
        )
    answer = await service.fetch(
        "/auth/account/create-key",
        headers=places(key)[0],
        form={"key_name": "more", "scope:*": "1", "key_days": ""},
    )
    assert answer.code >= 400
    assert len(await service.server.storage.sessions.find()) == 2
