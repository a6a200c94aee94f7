"""What operators do: each change does all of it, and is in the audit log with who made it."""

from collections.abc import Awaitable, Callable

import pytest

from tests.service import Service
from tornado_auth.administration import Administration
from tornado_auth.errors import (
    AlreadyThere,
    InvalidRequest,
    NotAllowed,
    NotFound,
    StorageUnavailable,
)
from tornado_auth.models import Actor

OPERATOR = Actor(user_id="the-operator", name="olga", via="api", remote_ip="192.0.2.1")


@pytest.fixture
def office(service: Service) -> Administration:
    return service.server.administration


async def user_id(service: Service, name: str = "ann") -> str:
    return (await service.session(name)).user_id


async def actions(office: Administration, **condition: str) -> list[str]:
    """Return what the operator did, the first first."""
    events = await office.audit(**condition, limit=1000)
    ours = [event for event in reversed(events) if event.actor == OPERATOR.user_id]
    assert all(event.actor_name == "olga" for event in ours)
    assert all((event.via, event.remote_ip) == ("api", "192.0.2.1") for event in ours)
    return [event.action for event in ours]


class TestUsers:
    async def test_they_are_found_by_the_beginning_of_the_name(
        self, service: Service, office: Administration
    ) -> None:
        for name in ("ann", "anna", "Anton", "bob"):
            await service.session(name)
        assert [user.username for user in await office.users(username="AN")] == [
            "ann",
            "anna",
            "anton",
        ]
        first = await office.users(limit=2)
        rest = await office.users(after=first[-1].username_key)
        assert [user.username for user in first + rest] == ["ann", "anna", "anton", "bob"]
        assert [user.username for user in await office.users(email="bob@example.org")] == ["bob"]
        assert await office.users(email="bob@example") == []

    async def test_what_cannot_be_meant_is_refused(self, office: Administration) -> None:
        for limit in (0, -1, 1001):
            with pytest.raises(InvalidRequest):
                await office.users(limit=limit)
        with pytest.raises(InvalidRequest):
            await office.users(username="ann", email="ann@example.org")

    async def test_one_is_found_by_id_or_name(
        self, service: Service, office: Administration
    ) -> None:
        ann = await user_id(service)
        assert (await office.user(ann)).id == (await office.user("ANN")).id == ann
        with pytest.raises(NotFound):
            await office.user("nobody")

    # S150 S153
    async def test_who_is_disabled_is_out_with_all_keys(
        self, service: Service, office: Administration
    ) -> None:
        ann = await user_id(service)
        await office.create_key(OPERATOR, ann, name="job", scopes=["*"])
        await office.set_disabled(OPERATOR, ann, disabled=True)
        assert (await office.user(ann)).disabled_at is not None
        assert (await office.sessions(ann), await office.keys(ann)) == ([], [])
        await office.set_disabled(OPERATOR, ann, disabled=False)
        assert (await office.user(ann)).disabled_at is None
        done = await actions(office, subject=ann)
        assert done == ["api_key_created", "user_disabled", "user_enabled"]

    # S153
    async def test_who_is_deleted_leaves_nothing_but_the_log(
        self, service: Service, office: Administration
    ) -> None:
        ann = await user_id(service)
        await office.put_group(OPERATOR, "staff")
        await office.add_member(OPERATOR, "staff", ann)
        await office.create_key(OPERATOR, ann, name="job", scopes=["*"])
        await office.delete_user(OPERATOR, ann)
        assert await office.members("staff") == []
        assert await office.identities(ann) == []
        assert await service.server.storage.sessions.find(user_id=ann) == []
        with pytest.raises(NotFound):
            await office.delete_user(OPERATOR, ann)
        (event,) = await office.audit(action="user_deleted")
        assert (event.subject, event.target) == (ann, "ann")

    async def test_a_service_account_gets_in_with_a_key_alone(
        self, service: Service, office: Administration
    ) -> None:
        robot = await office.create_service_account(OPERATOR, "robot", name="The robot")
        assert robot.is_service_account
        _, key = await office.create_key(OPERATOR, robot.id, name="job", scopes=["*"])
        assert (await service.json("/auth/check", token=key))["profile"]["username"] == "robot"
        assert await actions(office) == ["service_account_created", "api_key_created"]


class TestWaysIn:
    async def test_sessions_end_and_keys_stay(
        self, service: Service, office: Administration
    ) -> None:
        session = await service.session()
        await service.session()
        ann = session.user_id
        key, _ = await office.create_key(OPERATOR, ann, name="job", scopes=["*"])
        await office.end_session(OPERATOR, session.id)
        for gone in (session.id, key.id):  # a key has an end of its own
            with pytest.raises(NotFound):
                await office.end_session(OPERATOR, gone)
        assert await office.end_sessions(OPERATOR, ann) == 1
        assert await office.sessions(ann) == []
        assert [kept.id for kept in await office.keys(ann)] == [key.id]
        await office.revoke_key(OPERATOR, key.id)
        assert await office.keys(ann) == []
        done = await actions(office)
        assert done == ["api_key_created", "session_ended", "sessions_ended", "api_key_revoked"]

    async def test_an_identity_takes_its_sessions_with_it(
        self, service: Service, office: Administration
    ) -> None:
        session = await service.session()
        ann, bob = session.user_id, await user_id(service, "bob")
        added = await office.link_identity(OPERATOR, ann, "google", "4711")
        assert added.user_id == ann
        with pytest.raises(AlreadyThere):
            await office.link_identity(OPERATOR, bob, "google", "4711")
        with pytest.raises(NotFound):
            await office.unlink_identity(OPERATOR, bob, session.identity_id)
        await office.unlink_identity(OPERATOR, ann, session.identity_id)
        assert await office.sessions(ann) == []
        assert [one.id for one in await office.identities(ann)] == ["google:4711"]

    async def test_an_identity_takes_its_providers_groups_with_it(
        self, service: Service, office: Administration
    ) -> None:
        for group in ("staff", "guests"):
            await office.put_group(OPERATOR, group)
        await office.map_group(OPERATOR, "github", "octo", "staff")
        session = await service.session(groups=("octo",))
        ann = session.user_id
        await office.add_member(OPERATOR, "guests", ann)
        second = await office.link_identity(OPERATOR, ann, "github", "4711")
        # Which of the two is in the group, only the next sign-in can tell.
        await office.unlink_identity(OPERATOR, ann, second.id)
        assert [member.group for member in await office.groups_of(ann)] == ["guests"]
        assert (await actions(office, subject=ann))[-2:] == ["identity_unlinked", "member_removed"]
        await service.session(groups=("octo",))
        assert len(await office.groups_of(ann)) == 2


class TestRoles:
    # S150
    async def test_each_change_is_recorded_once(
        self, service: Service, office: Administration
    ) -> None:
        ann = await user_id(service)
        await office.put_role(OPERATOR, "reports", "reader", permissions=["read"])
        await office.put_group(OPERATOR, "staff")
        await office.add_member(OPERATOR, "staff", ann)
        given = await office.assign(OPERATOR, "group:staff", "reports:reader")
        own = await office.assign(OPERATOR, f"user:{ann}", "reports:reader", resource="a")
        mapping = await office.map_group(OPERATOR, "github", "octo/staff", "staff")
        assert len(await office.holders_of("reports:reader")) == 2
        await office.unmap_group(OPERATOR, mapping.id)
        await office.unassign(OPERATOR, own.id)
        await office.unassign(OPERATOR, given.id)
        await office.remove_member(OPERATOR, "staff", ann)
        await office.delete_group(OPERATOR, "staff")
        await office.delete_role(OPERATOR, "reports:reader")
        made = "role_put group_put member_added role_assigned role_assigned group_mapped"
        undone = "group_unmapped role_unassigned role_unassigned member_removed group_deleted"
        assert await actions(office) == f"{made} {undone} role_deleted".split()
        of_ann = await actions(office, subject=ann)
        assert of_ann == ["member_added", "role_assigned", "role_unassigned", "member_removed"]

    @pytest.mark.parametrize(
        "change",
        [
            lambda office: office.delete_role(OPERATOR, "reports:nothing"),
            lambda office: office.delete_group(OPERATOR, "nothing"),
            lambda office: office.unmap_group(OPERATOR, "github:nothing"),
            lambda office: office.unassign(OPERATOR, "user:a|reports:nothing|"),
            lambda office: office.revoke_key(OPERATOR, "nothing"),
            lambda office: office.create_key(OPERATOR, "nobody", name="a", scopes=["*"]),
        ],
    )
    async def test_what_is_not_there_is_no_change(
        self, office: Administration, change: Callable[[Administration], Awaitable[object]]
    ) -> None:
        with pytest.raises(NotFound):
            await change(office)
        assert await actions(office) == []

    async def test_what_was_refused_is_not_recorded(self, office: Administration) -> None:
        with pytest.raises(InvalidRequest):
            await office.put_role(OPERATOR, "reports", "bad name", permissions=["read"])
        assert await actions(office) == []


class TestAdministrators:
    # S153
    async def test_an_invitation_is_good_once(
        self, service: Service, office: Administration
    ) -> None:
        ann, bob = await user_id(service), await user_id(service, "bob")
        secret = await office.invite_administrator(Actor(via="shell"))
        for nonsense in ("", "x" * 43, secret[:-1]):
            with pytest.raises(NotAllowed):
                await office.accept_invitation(Actor(user_id=ann, via="api"), nonsense)
        await office.accept_invitation(Actor(user_id=ann, via="api"), secret)
        with pytest.raises(NotAllowed):
            await office.accept_invitation(Actor(user_id=bob, via="api"), secret)
        assert await office.is_administrator(ann, write=True)
        assert not await office.is_administrator(bob, write=False)
        events = await office.audit(action="administrator_added")
        assert [event.subject for event in events] == [ann]
        assert all(secret not in repr(event) for event in await office.audit())

    # S153
    async def test_an_invitation_ends_with_the_rights_of_who_made_it(
        self, service: Service, office: Administration
    ) -> None:
        ann = await user_id(service)
        held = await office.assign(OPERATOR, f"user:{ann}", "tornado_auth:administrator")
        actor = Actor(user_id=ann, via="api")
        secrets = [await office.invite_administrator(actor) for _ in range(2)]
        bob = Actor(user_id=await user_id(service, "bob"), via="api")
        await office.accept_invitation(bob, secrets[0])
        await office.unassign(OPERATOR, held.id)
        for somebody in (actor, bob):
            with pytest.raises(NotAllowed):
                await office.accept_invitation(somebody, secrets[1])
        assert not await office.is_administrator(ann, write=False)


# S150
async def test_a_change_that_may_have_happened_is_recorded(
    service: Service, office: Administration, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await user_id(service)
    key, _ = await office.create_key(OPERATOR, ann, name="job", scopes=["*"])
    revocations = service.server.revocations

    async def fails(session_id: str) -> None:
        raise StorageUnavailable("the mark is late")

    with monkeypatch.context() as patched:
        patched.setattr(revocations, "session_ended", fails)
        with pytest.raises(StorageUnavailable):
            await office.revoke_key(OPERATOR, key.id)
    with pytest.raises(NotFound):
        await office.revoke_key(OPERATOR, key.id)
    (event,) = await office.audit(action="api_key_revoked")
    assert (event.target, event.result) == (key.id, "storage_unavailable")


async def test_who_is_enabled_twice_keeps_the_keys(
    service: Service, office: Administration
) -> None:
    ann = await user_id(service)
    key, _ = await office.create_key(OPERATOR, ann, name="job", scopes=["*"])
    await office.set_disabled(OPERATOR, ann, disabled=False)
    assert [kept.id for kept in await office.keys(ann)] == [key.id]
