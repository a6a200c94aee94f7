"""What comes in is of the type that is asked for, and nothing in it is an operator."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.admin.conftest import API, administrator
from tests.service import ServiceFactory
from tornado_auth.admin import ENDPOINTS
from tornado_auth.admin.openapi import document

# Of no type that any member has.
WRONG_TYPES: list[object] = [
    {"$gt": ""},
    {"$ne": None},
    {"$regex": ".*"},
    {"$where": "1"},
    [["ann"]],
    [{"$gt": ""}],
    None,
    1.5,
    -1,
    True,
]
# Texts that are none: what separates lines and headers, or ends a C string.
CONTROLS = ["a\r\nSet-Cookie: x=1", "a\nb", "a\x00b", "\x00", "a\x7f", "a\x1bb", "a\u2028b", "\x85"]
# Plain text to us, and something else to a careless database.
OPERATORS = ['{"$gt":""}', "' OR 1=1 --", ".*", "%"]


@pytest.fixture(params=["sqlite", "mongodb"])
async def anywhere(
    request: pytest.FixtureRequest, make_service: ServiceFactory, tmp_path: Path
) -> API:
    is_mongodb = request.param == "mongodb"
    url = request.getfixturevalue("mongo_url") if is_mongodb else f"sqlite:///{tmp_path}/auth.db"
    service = await make_service(
        DATABASE_URL=url,
        TORNADO_AUTH_STORAGE_TIMEOUT="10",
        ALLOWED_SERVICES="wiki:tornado_auth.roles",
    )
    api = await administrator(service)
    await service.session("ann")
    return api


def inputs(kind: str) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield (method, path, name, operation) of everything that goes into a query, path or body."""
    for path, methods in document(ENDPOINTS)["paths"].items():
        for method, operation in methods.items():
            if kind == "body" and "requestBody" in operation:
                for name in schema_of(operation)["properties"]:
                    yield method.upper(), path[1:], name, operation
            for parameter in operation["parameters"]:
                if parameter["in"] == kind:
                    yield method.upper(), path[1:], parameter["name"], operation


GOOD = {
    "user_id": "ann",
    "group": "writers",
    "role_id": "wiki:reader",
    "identity_id": "github:1",
    "holder": "group:writers",
    "service": "wiki",
}


def filled(path: str, **instead: str) -> str:
    """Return a path with something fitting in its places, or what is given instead."""
    unknown = ("session_id", "key_id", "assignment_id", "mapping_id", "client_id")
    places = {**dict.fromkeys(unknown, "x"), **GOOD}
    return path.format(
        **{name: quote(value, safe="") for name, value in {**places, **instead}.items()}
    )


def schema_of(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a body."""
    schema: dict[str, Any] = operation["requestBody"]["content"]["application/json"]["schema"]
    return schema


def may_be(schema: dict[str, Any], value: object) -> bool:
    """Tell whether a member that may be null or a flag has a value that is of its type."""
    if value is None:
        return "null" in schema["type"]
    return value is True and "boolean" in schema["type"]


def sample(schema: dict[str, Any]) -> Any:
    if schema["type"] == "array":
        return [sample(schema["items"])]
    return 1 if schema["type"] == "integer" else "x"


def body_of(operation: dict[str, Any], name: str, value: object) -> dict[str, object]:
    """Return a good body but for one member."""
    schema = schema_of(operation)
    body = {one: GOOD.get(one) or sample(schema["properties"][one]) for one in schema["required"]}
    return {**body, name: value}


class TestBodies:
    # S142 S145
    async def test_a_member_of_another_type_or_with_controls_is_a_400(self, api: API) -> None:
        session = api.as_holder_of(await api.service.sign_in("rita"))
        await api.service.session("ann")
        wrong, tried = [*WRONG_TYPES, *CONTROLS, [CONTROLS[0]]], []
        for method, path, name, operation in inputs("body"):
            caller = api if "administrator" in operation["security"][0] else session
            schema = schema_of(operation)["properties"][name]
            values = wrong[::7] if schema in tried else wrong  # which takes a while
            tried.append(schema)
            for value in values:
                if may_be(schema, value):
                    continue
                answer = await caller.call(method, filled(path), body_of(operation, name, value))
                assert (answer.status, answer.body["error"]) == (400, "invalid_request"), (
                    path,
                    name,
                    value,
                )

    # S142
    async def test_a_member_that_nobody_knows_is_a_400(self, api: API) -> None:
        await api.service.session("ann")
        for name in ("id", "$set", "provider", "a.b", "is_service_account", ""):
            answer = await api.call("PUT", "groups/writers", {"description": "x", name: "x"})
            assert answer.status == 400
        answer = await api.call("POST", "users/ann/disable", {"username": "x"})
        assert answer.status == 400

    async def test_a_text_has_so_many_characters_and_no_more(self, api: API) -> None:
        for length, status in ((500, 200), (501, 400)):
            answer = await api.call("PUT", "groups/writers", {"description": length * "x"})
            assert answer.status == status
        for length, status in ((64, 200), (65, 400)):
            assert (await api.call("PUT", f"groups/{length * 'x'}")).status == status

    async def test_a_member_that_is_missing_is_named(self, api: API) -> None:
        answer = await api.call("POST", "mappings", {"provider": "github", "group": "writers"})
        assert (answer.status, answer.body["error_description"]) == (400, "upstream is missing.")

    # S142
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b'"x"',
            b"1",
            b"{",
            b'{"permissions": []}x',
            b'{"permissions": [], "permissions": ["read"]}',
            b'{"permissions": [NaN]}',
            b'{"permissions": ["\\ud800"]}',
            b'{"permissions": ["\xff"]}',
            b'{"permissions": ["a", "a"]}',
            b"[" * 20_000,
            b'{"permissions": ' + b"9" * 5_000 + b"}",
            b"permissions=read",
            json.dumps({"permissions": [str(n) for n in range(101)]}).encode(),
        ],
        ids=lambda body: repr(body[:40]),
    )
    async def test_what_is_not_the_json_that_is_asked_for_is_a_400(
        self, api: API, body: bytes
    ) -> None:
        headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}
        response = await api.service.fetch(
            "/admin/api/roles/wiki:reader", method="PUT", body=body, headers=headers
        )
        assert response.code == 400
        assert json.loads(response.body)["error"] == "invalid_request"

    # S142
    async def test_no_other_kind_of_body_is_read(self, api: API) -> None:
        body = '{"description": "x"}'
        for content_type in (
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json5",
            "text/json",
        ):
            headers = {"Authorization": f"Bearer {api.token}", "Content-Type": content_type}
            response = await api.service.fetch(
                "/admin/api/groups/writers", method="PUT", body=body, headers=headers
            )
            assert response.code == (400 if "multipart" in content_type else 415), content_type
        sent = {"description": "x"}
        ok = "Application/JSON; charset=utf-8"
        answer = await api.call("PUT", "groups/writers", sent, **{"Content-Type": ok})
        assert answer.status == 200


class TestQueriesAndPaths:
    # S142
    async def test_a_parameter_that_nobody_knows_or_that_is_there_twice_is_a_400(
        self, api: API
    ) -> None:
        for query in (
            "username[$ne]=x",
            "username.$ne=x",
            "$where=1",
            "limit=1&limit=2",
            "username=a&username=b",
            "jwt=x",
            "username=%ff",
            "username=%00",
            "username=a%0d%0aSet-Cookie:%20x=1",
            "after=%0a",
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=1e1",
            "limit=%D9%A1",
            "limit=" + "9" * 30,
            "limit=",
            "limit=true",
        ):
            assert (await api.call("GET", f"users?{query}")).status == 400, query

    # S145
    async def test_controls_in_an_address_are_a_400(
        self, api: API, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        for kind in ("path", "query"):
            for method, path, name, _ in inputs(kind):
                for value in CONTROLS[::3]:
                    where = (
                        filled(path, **{name: value})
                        if kind == "path"
                        else f"{filled(path)}?{name}={quote(value)}"
                    )
                    answer = await api.call(method, where)
                    assert answer.status in (400, 404), (method, where)
                    assert "set-cookie" not in {name.lower() for name in answer.headers}
        assert not any("\n" in record.getMessage() for record in caplog.records)

    # S142
    async def test_an_operator_is_a_text_that_matches_nothing(self, anywhere: API) -> None:
        await anywhere.put("groups/writers", {})
        for method, path, name, _ in inputs("query"):
            if name == "limit" or method != "GET" or "holder" in path:
                continue
            for value in OPERATORS:
                query = f"{name}={quote(value, safe='')}"
                if name != "service" and "permissions" in path:
                    query += "&service=wiki"
                answer = await anywhere.call(method, f"{filled(path)}?{query}")
                assert answer.status in (200, 400), (path, query)
                if answer.status == 200 and name in ("username", "email", "actor", "subject"):
                    assert answer.body["items"] == [], (path, query)
                if answer.status == 200 and "permissions" in path:
                    assert not any(answer.body["permissions"].values())

    # S142
    async def test_an_operator_in_a_path_reaches_nothing(self, anywhere: API) -> None:
        await anywhere.put("groups/writers", {})
        await anywhere.put("roles/wiki:reader", {"permissions": ["read"]})
        for method, path, name, operation in inputs("path"):
            if method == "PUT":
                continue
            body = operation.get("requestBody")
            for value in OPERATORS:
                answer = await anywhere.call(
                    method,
                    filled(path, **{name: value}),
                    body_of(operation, "x", "x") if body else None,
                )
                assert answer.status in (400, 404), (method, path, value)
        assert len((await anywhere.get("users"))["items"]) == 2
        assert (await anywhere.get("groups/writers"))["id"] == "writers"
        assert (await anywhere.get("roles/wiki:reader"))["permissions"] == ["read"]
