"""The parameters of one request: each at most once (RFC 6749 §3.1, §3.2).

Owns how they are read from a query or a form. Never knows which endpoint they are for.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from urllib.parse import parse_qsl, urlencode

from tornado_auth.oauth2.errors import InvalidRequest

REPEATABLE = frozenset({"resource", "audience"})  # RFC 8707 §2, RFC 8693 §2.1
MAX_PARAMETERS = 100


class Parameters:
    """What a client sent; one without a value counts as absent.

    Raises InvalidRequest for one that is there twice, not UTF-8, or has control characters.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if value:
                self._values.setdefault(name, []).append(value)
        self._check()

    @classmethod
    def parse(cls, *forms: bytes) -> "Parameters":
        """Read one or more forms or queries as if they were one."""
        pairs: list[tuple[str, str]] = []
        for form in forms:
            try:
                text = form.decode("ascii")
                pairs += parse_qsl(text, errors="strict", max_num_fields=MAX_PARAMETERS)
            except ValueError:
                raise InvalidRequest("The parameters cannot be read.") from None
        return cls(pairs)

    @classmethod
    def from_json(cls, text: str) -> "Parameters":
        """Read what `to_json` wrote."""
        return cls((name, value) for name, values in json.loads(text).items() for value in values)

    def _check(self) -> None:
        for name, values in self._values.items():
            if len(values) > 1 and name not in REPEATABLE:
                raise InvalidRequest("A parameter is there more than once.")
            if any(
                character < " " or character == "\x7f" for value in values for character in value
            ):
                raise InvalidRequest("A parameter has control characters in it.")

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str) -> str:
        """Return the value, "" if there is none."""
        return self._values.get(name, [""])[0]

    def require(self, name: str) -> str:
        """Return the value; raises InvalidRequest if there is none."""
        if name not in self._values:
            raise InvalidRequest(f"The parameter {name} is missing.")
        return self._values[name][0]

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a parameter that may be repeated."""
        return tuple(dict.fromkeys(self._values.get(name, ())))

    def replaced(self, changes: Mapping[str, Sequence[str]]) -> "Parameters":
        """Return a copy in which some have other values, or none."""
        values = {**self._values, **changes}
        return Parameters((name, value) for name, given in values.items() for value in given)

    def only(self, names: Collection[str]) -> "Parameters":
        """Return a copy with these alone."""
        return self.replaced({name: () for name in self._values if name not in names})

    def to_query(self) -> str:
        """Return them as the query of an address."""
        return urlencode(self._values, doseq=True)

    def to_json(self) -> str:
        """Return them as a JSON object of lists."""
        return json.dumps(self._values)
