"""The resources that a client may name."""

import pytest

from tornado_auth.models import Client
from tornado_auth.oauth2.errors import InvalidTarget
from tornado_auth.oauth2.resources import allowed, narrowed

FILES, REPORTS = "https://files.example/api", "urn:example:reports"
ODD = (
    "files",
    "/api",
    "//files.example",
    "https://files.example/api#part",
    "https://files.example/api#",
    "https://files.example/a b",
    "https://bücher.example",
    "https:",
    "https://[::1",
)


def client(*resources: str) -> Client:
    return Client(id="c-1", resources=resources, created_at=0)


# S045
def test_a_client_may_name_what_it_is_registered_for() -> None:
    assert allowed((REPORTS, FILES), client(FILES, REPORTS)) == (FILES, REPORTS)
    assert allowed((), client(FILES)) == ()


# S045
@pytest.mark.parametrize("resource", ODD)
def test_a_resource_is_an_absolute_uri_without_fragment(resource: str) -> None:
    with pytest.raises(InvalidTarget):
        allowed((resource,), client(resource))


# S045
@pytest.mark.parametrize(
    "resource", ["https://files.example", "https://files.example/api/", "https://FILES.example/api"]
)
def test_a_resource_is_compared_as_it_is(resource: str) -> None:
    with pytest.raises(InvalidTarget):
        allowed((FILES, resource), client(FILES))


# S045
def test_a_token_may_be_for_less_than_was_granted_but_not_for_more() -> None:
    granted = (FILES, REPORTS)
    assert narrowed((), granted) == granted
    assert narrowed((REPORTS,), granted) == (REPORTS,)
    with pytest.raises(InvalidTarget):
        narrowed((REPORTS,), (FILES,))
    with pytest.raises(InvalidTarget):
        narrowed((REPORTS,), ())
