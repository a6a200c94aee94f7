"""What an operator does on the first day, by the API alone."""

from tests.admin.conftest import API
from tests.service import Service


async def test_a_permission_comes_and_goes(api: API, service: Service) -> None:
    token = await service.sign_in("ann")

    async def allowed() -> object:
        return (await service.json("/auth/authorize?service=wiki", token=token))["permissions"]

    ann = (await api.get("users", username="ann"))["items"][0]["id"]
    assert await allowed() == {}

    await api.put("roles/wiki:editor", {"permissions": ["page:edit", "page:read"]})
    await api.put("groups/writers", {"description": "Who writes."})
    given = await api.post("assignments", holder="group:writers", role_id="wiki:editor")
    await api.put(f"groups/writers/members/{ann}")
    assert await allowed() == {"page:edit": True, "page:read": True}

    async def why() -> tuple[bool, list[dict[str, str]]]:
        answer = await api.get(f"users/{ann}/permissions", service="wiki", permission="page:edit")
        return answer["granted"], answer["sources"]

    source = {
        "permission": "page:edit",
        "role_id": "wiki:editor",
        "holder": "group:writers",
        "resource": "",
    }
    assert await why() == (True, [source])
    holders = (await api.get("roles/wiki:editor/holders"))["items"]
    assert [one["holder"] for one in holders] == ["group:writers"]

    await api.delete_named("assignments", given["id"])
    assert await allowed() == {}
    assert await why() == (False, [])
    actions = [event["action"] for event in (await api.get("audit", actor=""))["items"]]
    assert actions[:5] == [
        "role_unassigned",
        "member_added",
        "role_assigned",
        "group_put",
        "role_put",
    ]


async def test_a_role_in_one_resource_counts_there_alone(api: API, service: Service) -> None:
    token = await service.sign_in("ann")
    await api.put("roles/wiki:editor", {"permissions": ["edit"]})
    ann = (await api.get("users/ann"))["id"]
    await api.post("assignments", holder=f"user:{ann}", role_id="wiki:editor", resource="a/b")
    for resource, granted in (("a/b", True), ("a/c", False), ("", False)):
        path = f"/auth/authorize?service=wiki&resource={resource}"
        assert (await service.json(path, token=token))["permissions"] == {"edit": granted}


async def test_a_program_gets_in_with_a_key_until_it_is_revoked(api: API, service: Service) -> None:
    robot = await api.post("service-accounts", username="robot", name="The robot")
    assert robot["is_service_account"] is True
    await api.put("roles/wiki:reader", {"permissions": ["read"]})
    await api.post("assignments", holder=f"user:{robot['id']}", role_id="wiki:reader")
    made = await api.post(f"users/{robot['id']}/keys", name="nightly", scopes=["wiki"])
    (shown,) = (await api.get(f"users/{robot['id']}/keys"))["items"]
    assert shown == {name: value for name, value in made.items() if name != "key"}

    path = "/auth/authorize?service=wiki"
    assert (await service.json(path, token=made["key"]))["permissions"] == {"read": True}
    await api.delete(f"keys/{shown['id']}")
    assert (await service.json(path, token=made["key"]))["permissions"] == {}
    assert (await api.get(f"users/{robot['id']}/keys"))["items"] == []


async def test_identities_come_and_go(api: API, service: Service) -> None:
    token = await service.sign_in("ann", subject="1")
    made = await api.post("users/ann/identities", provider="example", subject="a/b:c")
    listed = (await api.get("users/ann/identities"))["items"]
    assert {one["subject"] for one in listed} == {"1", "a/b:c"}
    taken = await api.call("POST", "users/rita/identities", {"provider": "github", "subject": "1"})
    assert (taken.status, taken.body["error"]) == (409, "already_exists")
    await api.delete_named("users/ann/identities", made["id"])
    await api.delete_named("users/ann/identities", "github:1")
    assert (await api.get("users/ann/identities"))["items"] == []
    assert (await service.json("/auth/check", token=token))["authenticated"] is False


async def test_a_disabled_user_is_out_until_enabled(api: API, service: Service) -> None:
    token = await service.sign_in("ann")
    assert (await api.post("users/ann/disable"))["disabled_at"]
    assert (await service.json("/auth/check", token=token))["authenticated"] is False
    assert (await api.post("users/ann/enable"))["disabled_at"] is None
    token = await service.sign_in("ann")
    assert (await service.json("/auth/check", token=token))["authenticated"] is True


async def test_sessions_are_listed_and_ended(api: API, service: Service) -> None:
    tokens = [await service.sign_in("ann") for _ in range(3)]
    listed = (await api.get("users/ann/sessions"))["items"]
    assert len(listed) == 3
    await api.delete(f"sessions/{listed[0]['id']}")
    assert len((await api.get("users/ann/sessions"))["items"]) == 2
    assert await api.delete("users/ann/sessions") == {"ended": 2}
    for token in tokens:
        assert (await service.json("/auth/check", token=token))["authenticated"] is False


async def test_a_mapping_puts_people_into_groups(api: API, service: Service) -> None:
    await api.put("groups/writers", {})
    made = await api.post("mappings", provider="github", upstream="org/team", group="writers")
    await service.session("ann", groups=("org/team",))
    (membership,) = (await api.get("users/ann/groups"))["items"]
    assert (membership["group"], membership["provider"]) == ("writers", "github")
    assert (await api.get("groups/writers/members"))["items"] == [membership]
    await api.delete_named("mappings", made["id"])
    assert (await api.get("mappings", provider="github"))["items"] == []


async def test_lists_come_in_pages(api: API, service: Service) -> None:
    for number in range(5):
        await api.put(f"groups/group-{number}", {})
        await service.session(f"user-{number}", subject=str(number))
    for path, name in (("groups", "id"), ("users", "username")):
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            page = await api.get(path, limit=2, **({"after": after} if after else {}))
            assert len(page["items"]) <= 2
            seen += [one[name] for one in page["items"]]
            after = page["next"]
        assert seen == sorted(seen)
        assert len(seen) == len(set(seen)) >= 5
    found = await api.get("users", email="user-3@example.org", limit=1)
    assert ([one["username"] for one in found["items"]], found["next"]) == (["user-3"], None)


async def test_what_is_not_there_is_a_404(api: API) -> None:
    await api.put("groups/there", {})
    for method, path, sent in (
        ("GET", "users/nobody", None),
        ("DELETE", "users/nobody", None),
        ("POST", "users/nobody/disable", None),
        ("GET", "users/nobody/sessions", None),
        ("GET", "users/nobody/permissions?service=wiki", None),
        ("POST", "users/nobody/keys", {"name": "k", "scopes": ["*"]}),
        ("POST", "users/nobody/identities", {"provider": "github", "subject": "1"}),
        ("PUT", "groups/there/members/nobody", None),
        ("DELETE", "groups/there/members/rita", None),
        ("GET", "groups/nothing", None),
        ("GET", "roles/wiki:nothing", None),
        ("POST", "assignments", {"holder": "group:there", "role_id": "wiki:nothing"}),
        ("POST", "assignments", {"holder": "user:nobody", "role_id": "tornado_auth:auditor"}),
        ("POST", "mappings", {"provider": "github", "upstream": "x", "group": "nothing"}),
        ("DELETE", "sessions/nothing", None),
        ("DELETE", "keys/nothing", None),
    ):
        answer = await api.call(method, path, sent)
        assert (answer.status, answer.body["error"]) == (404, "not_found"), (method, path)


async def test_nobody_inherits_by_a_name_like_the_id_of_somebody_deleted(
    api: API, service: Service
) -> None:
    await service.session("ann", subject="1")
    ann = (await api.get("users/ann"))["id"]
    await api.delete(f"users/{ann}")
    mallory = await service.session("mallory", subject="2")
    await service.server.accounts.choose_username(mallory.user_id, ann)
    assert (await api.get(f"users/{mallory.user_id}"))["username"] == ann
    await api.put("groups/writers", {})
    given = {"holder": f"user:{ann}", "role_id": "tornado_auth:administrator"}
    for method, path, sent in (
        ("PUT", f"groups/writers/members/{ann}", None),
        ("PUT", f"groups/writers/members/{ann.upper()}", None),
        ("POST", "assignments", given),
        ("DELETE", f"users/{ann}", None),
    ):
        assert (await api.call(method, path, sent)).status == 404, path
    assert (await api.get("groups/writers/members"))["items"] == []
