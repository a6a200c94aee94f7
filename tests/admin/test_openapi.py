"""The OpenAPI document says what the handlers do, all of it and nothing else."""

import json
import re

from tests.admin.addresses import ADMIN_ADDRESSES
from tests.admin.conftest import API
from tests.service import Service
from tornado_auth.admin import ENDPOINTS, ROUTES
from tornado_auth.admin.openapi import document

DOCUMENT = document(ENDPOINTS)
EACH = [
    (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def handled() -> set[tuple[str, str]]:
    return {
        (method.lower(), pattern)
        for pattern, handler in ROUTES
        for path, methods in ADMIN_ADDRESSES.items()
        for method in methods
        if re.fullmatch(pattern, path) and method != "HEAD" and handler
    }


async def test_the_document_is_there_for_everybody(service: Service) -> None:
    response = await service.fetch("/admin/api/openapi.json")
    assert response.code == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert json.loads(response.body) == json.loads(json.dumps(DOCUMENT))
    assert DOCUMENT["openapi"] == "3.1.0"


def test_the_document_has_every_route_and_method_and_no_others() -> None:
    patterns = dict(zip((path for path, _ in ENDPOINTS), (one for one, _ in ROUTES), strict=True))
    assert {(method, patterns[path]) for method, path, _ in EACH} == handled()


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, _, operation in EACH]
    assert sorted(set(names)) == sorted(names)


def test_every_place_in_a_path_is_described() -> None:
    for _, path, operation in EACH:
        described = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
        assert described == re.findall(r"\{(\w+)\}", path)


def test_what_changes_something_needs_the_scope_for_it() -> None:
    assert dict(DOCUMENT["paths"]["/openapi.json"]["get"])["security"] == []
    for method, path, operation in EACH:
        if path in ("/token", "/first-administrator"):
            assert operation["security"] == [{"session": []}]
        elif path != "/openapi.json":
            scope = "admin:read" if method == "get" else "admin:write"
            assert operation["security"] == [{"administrator": [scope]}], (method, path)


def test_every_error_is_described_with_its_body() -> None:
    reference = {"$ref": "#/components/schemas/Error"}
    for _, _, operation in EACH:
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert answer["content"] == {"application/json": {"schema": reference}}
        assert {"400", "503"} <= operation["responses"].keys()
        assert ("401" in operation["responses"]) is bool(operation["security"])


def test_every_schema_that_is_referred_to_is_there() -> None:
    text = json.dumps(DOCUMENT)
    referred = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert referred == set(DOCUMENT["components"]["schemas"])


def test_every_schema_is_one() -> None:
    import jsonschema_rs  # comes with the fuzzer

    schemas = list(DOCUMENT["components"]["schemas"].values())
    for _, _, operation in EACH:
        schemas += [one["schema"] for one in operation["parameters"]]
        for answer in (*operation["responses"].values(), operation.get("requestBody", {})):
            schemas += [one["schema"] for one in answer.get("content", {}).values()]
    assert len(schemas) > len(EACH)
    for schema in schemas:
        jsonschema_rs.meta.validate(schema)


def test_no_secret_of_a_record_is_in_a_schema() -> None:
    names = set(re.findall(r'"(\w+)": \{"type"', json.dumps(DOCUMENT["components"])))
    assert not names & {"hash", "version", "username_key", "secret", "key"}


# S153
async def test_no_answer_without_a_token_says_what_is_there(api: API, service: Service) -> None:
    await service.session("ann")
    nobody = api.as_holder_of("")
    for method, path, operation in EACH:
        if not operation["security"]:
            continue
        there = path[1:].format_map(Places(user_id="ann", group="g", role_id="wiki:reader"))
        answer = await nobody.call(method.upper(), f"{there}?unknown=1")
        assert (answer.status, answer.body["error"]) == (401, "no_token")


class Places(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "x"
