"""What an endpoint of the admin API is: who may call it, what it takes and what it answers.

`operation` stands above each handler's method and says all of that once: the method runs only for
a caller and a request that fit, and `openapi.py` publishes the very same. Owns the order of these
checks: who asks comes first, so nobody learns anything about what is there. Never knows a route.
"""

import functools
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tornado_auth.admin.access import PUBLIC, AdminHandler
from tornado_auth.admin.schemas import IDENTIFIER, IN_PATH, Mismatch, Schema, check, members
from tornado_auth.web import BadRequest

_DIGITS = re.compile("[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one endpoint.

    `needs` is a permission, SESSION or PUBLIC; `answer` is None for an answer without content;
    `errors` are the statuses that it can end with beside those that any can.
    """

    summary: str
    needs: str
    status: int = 200
    answer: Schema | None = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    required: tuple[str, ...] = ()  # of the query
    body: Schema | None = None
    errors: tuple[int, ...] = ()

    def statuses(self) -> tuple[int, ...]:
        """Return every status but 5xx that the endpoint can answer with."""
        asked = () if self.needs == PUBLIC else (401, 403)
        body = (415,) if self.body else ()
        return (self.status, 400, *asked, *self.errors, *body)


Method = Callable[..., Awaitable[object]]
Answering = Callable[..., Awaitable[None]]


def operation(summary: str, needs: str, **rest: Any) -> Callable[[Method], Answering]:
    """Make a method an operation: it gets what was sent as keywords, and returns the answer.

    `rest` are members of `Operation`. The method's positional arguments are the parts of the path;
    what is absent from query and body is not passed on.
    """
    described = Operation(summary=summary, needs=needs, **rest)

    def decorate(method: Method) -> Answering:
        places = in_path(method)

        @functools.wraps(method)
        async def answer(self: AdminHandler, *path: str) -> None:
            await self.admit(described.needs)
            try:
                _check_path(places, path)
                sent = _read_query(self, described) | _read_body(self, described)
            except Mismatch as error:
                raise BadRequest(str(error)) from None
            answered = await method(self, *await _with_user(self, places, path), **sent)
            self.set_status(described.status)
            if described.answer is None:
                self.clear_header("Content-Type")
                self.finish()
            else:
                self.write_json(answered)  # type: ignore[arg-type]

        answer.operation = described  # type: ignore[attr-defined]
        return answer

    return decorate


def in_path(method: Callable[..., object]) -> dict[str, Schema]:
    """Return the names of a method's positional arguments with the schemas of what they take."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    names = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    return {name: IN_PATH.get(name, IDENTIFIER) for name in names}


def _check_path(places: Mapping[str, Schema], path: Sequence[str]) -> None:
    for (name, schema), value in zip(places.items(), path, strict=True):
        check(value, schema, name)


async def _with_user(
    handler: AdminHandler, places: Mapping[str, Schema], path: Sequence[str]
) -> list[str]:
    """Return the parts of a path, a user by id; raises NotFound if there is no such user."""
    values = dict(zip(places, path, strict=True))
    if "user_id" in values:
        values["user_id"] = await handler.find_user(values["user_id"])
    return list(values.values())


def _read_query(handler: AdminHandler, described: Operation) -> dict[str, object]:
    if handler.request.query_arguments.keys() - described.query.keys():
        known = ", ".join(described.query) or "none"
        raise Mismatch(f"There is a parameter that is not known. Known here: {known}.")
    sent: dict[str, object] = {}
    for name in handler.request.query_arguments:
        value: object = handler.parameter(name)
        schema = described.query[name]
        if schema["type"] == "integer" and _DIGITS.fullmatch(str(value)):
            value = int(str(value))
        check(value, schema, name)
        sent[name] = value
    for name in described.required:
        if name not in sent:
            raise Mismatch(f"The parameter {name} is missing.")
    return sent


def _read_body(handler: AdminHandler, described: Operation) -> dict[str, object]:
    body, schema = handler.request.body, described.body or members({})
    if not body and not schema["required"]:
        return {}
    try:
        value = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Mismatch("The body is not JSON.") from None
    check(value, schema, "the body")
    sent: dict[str, object] = value
    return sent


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse an object with a member twice: readers would not agree on which one counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member is there twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
