"""A schema fuzzer reads the OpenAPI document and finds no answer that is not in it."""

import asyncio
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
import requests

from tests.admin.conftest import API, SHELL
from tornado_auth.admin import ENDPOINTS
from tornado_auth.admin.openapi import document
from tornado_auth.models import Client, Consent
from tornado_auth.oauth2.grants import consent_id

NOTHING_TO_FUZZ = {"GET /openapi.json"}
FOR_SESSIONS = {"POST /token", "POST /first-administrator"}
# A good request, but what it names is not there, or does not fit together.
LEADS_NOWHERE = {
    "POST /assignments",
    "POST /clients",
    "POST /first-administrator",
    "POST /mappings",
}


def load() -> Any:
    """Import the fuzzer, which takes long."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import schemathesis
    return schemathesis


def checks() -> list[Any]:
    from schemathesis.specs.openapi import checks as of_openapi

    return [
        load().checks.not_a_server_error,
        of_openapi.status_code_conformance,
        of_openapi.content_type_conformance,
        of_openapi.response_headers_conformance,
        of_openapi.response_schema_conformance,
        of_openapi.negative_data_rejection,
    ]


def operations(mode: str) -> Iterator[Any]:
    schema = load().openapi.from_dict(document(ENDPOINTS))
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode == "positive" or operation.label not in NOTHING_TO_FUZZ:
            yield operation


async def world(api: API, number: int) -> dict[str, str]:
    """Make one of each thing, and return what to put into paths to reach them."""
    administration = api.service.server.administration
    user = await administration.create_service_account(SHELL, f"robot-{number}")
    identity = await administration.link_identity(SHELL, user.id, "github", f"of-{number}")
    await administration.put_group(SHELL, "group")
    await administration.put_role(SHELL, "wiki", "reader", permissions=["page:read"])
    await administration.add_member(SHELL, "group", user.id)
    given = await administration.assign(SHELL, "group:group", "wiki:reader")
    mapping = await administration.map_group(SHELL, "github", "org/team", "group")
    key, _ = await administration.create_key(SHELL, user.id, name="k", scopes=["wiki"])
    session = await api.service.session(f"person-{number}")
    client = await client_of(api, user.id)
    there = {
        "user_id": user.id,
        "identity_id": identity.id,
        "group": "group",
        "role_id": "wiki:reader",
        "assignment_id": given.id,
        "mapping_id": mapping.id,
        "key_id": key.id,
        "session_id": session.id,
        "client_id": client.id,
    }
    return {name: quote(value, safe="") for name, value in there.items()}


async def client_of(api: API, user_id: str) -> Client:
    """Make a client that a user allowed something."""
    fields = {"client_name": "app", "redirect_uris": ["https://app.example/cb"]}
    client = (await api.service.server.administration.register_client(SHELL, fields)).client
    consent = Consent(
        id=consent_id(user_id, client.id),
        user_id=user_id,
        client_id=client.id,
        created_at=1,
        confirmed_at=1,
    )
    await api.service.server.storage.consents.insert(consent)
    return client


def fuzz(cases: Any, api: API, *, examples: int) -> set[int]:
    """Send so many requests, on another thread than the service's, and check each answer."""
    statuses = set()

    @hypothesis.given(case=cases)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    def send(case: Any) -> None:
        response = case.call(
            base_url=f"{api.service.url}/admin/api",
            headers={"Authorization": f"Bearer {api.token}"},
            session=session,
        )
        statuses.add(response.status_code)
        case.validate_response(response, checks=checks())

    with requests.Session() as session:
        send()
    return statuses


async def fuzz_all(api: API, mode: str, *, examples: int, reach: bool) -> dict[str, set[int]]:
    """Fuzz every operation; with `reach`, the paths lead to things that are there."""
    seen: dict[str, set[int]] = {}
    for number, operation in enumerate(operations(mode)):
        there = await world(api, number) if reach else {}
        names = [one.name for one in operation.path_parameters]
        path = {name: there[name] for name in names if name in there}
        cases = operation.as_strategy(_mode(mode), path_parameters=path or None)
        caller = await session_of(api) if operation.label in FOR_SESSIONS else api
        seen[operation.label] = await asyncio.to_thread(fuzz, cases, caller, examples=examples)
    return seen


def _mode(name: str) -> Any:
    from schemathesis.generation import GenerationMode

    return GenerationMode(name)


async def session_of(api: API) -> API:
    return api.as_holder_of(await api.service.sign_in("rita"))


async def test_every_answer_to_a_good_request_is_documented(api: API) -> None:
    seen = await fuzz_all(api, "positive", examples=2, reach=True)
    done = {label for label, statuses in seen.items() if statuses & {200, 201, 204}}
    assert seen.keys() - done <= LEADS_NOWHERE


async def test_every_answer_to_a_bad_request_is_documented(api: API) -> None:
    seen = await fuzz_all(api, "negative", examples=2, reach=False)
    refused = {label for label, statuses in seen.items() if statuses & {400, 401, 404, 415}}
    assert seen.keys() - refused == set()


@pytest.mark.long
@pytest.mark.gen_test(timeout=900)
@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("reach", [True, False])
async def test_every_answer_to_many_more_requests_is_documented(
    api: API, mode: str, reach: bool
) -> None:
    assert await fuzz_all(api, mode, examples=40, reach=reach)
