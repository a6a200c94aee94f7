"""What the tests of the settings share: good values, and ways to load them with some others."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tornado_auth.errors import SettingsError
from tornado_auth.settings import Settings, load_settings

PRIVATE = "-----BEGIN PRIVATE KEY-----\nMIIhidden\n-----END PRIVATE KEY-----\n"
PUBLIC = "-----BEGIN PUBLIC KEY-----\nMIIshown\n-----END PUBLIC KEY-----\n"
SECRET = "Vt3qkz-0WmB7yXn_eRjU5hLpGfC8dAoS2iN"
OTHER_SECRET = "p9Xw4Jc_uT1mZrKe-6HvQyB0sLgNfDa7oWi"
REQUIRED = {"PRIVATE_KEY": PRIVATE, "TORNADO_AUTH_SECRET": SECRET}
ISSUER = {
    "name": "work",
    "issuer": "https://login.example.org/realm/",
    "client_id": "us",
    "client_secret": "upstream-hidden",
}


def load(variables: Mapping[str, str] | None = None, /, **options: Any) -> Settings:
    """Load the settings that are required, and these."""
    return load_settings({**REQUIRED, **(variables or {})}, **options)


def value_of(variable: str, text: str) -> Any:
    """Return what a variable's text is read as."""
    (field,) = (each.field for each in Settings.describe() if each.variable == variable)
    return getattr(load({variable: text}), field)


def problems(variables: Mapping[str, str], **options: Any) -> list[str]:
    """Return the problems with these settings; each names its setting and fits on a line."""
    with pytest.raises(SettingsError) as caught:
        load(variables, **options)
    for each in caught.value.problems:
        assert re.match(r"\w{3,}( \(\w+ in [\w.]+\))?: |'\w+' in [\w.]+: ", each), each
        assert each.isprintable()
        assert each[-1] in ".?" or each.count(".") >= 2 or "Unlock it: " in each
    return caught.value.problems


def problem(variables: Mapping[str, str], **options: Any) -> str:
    """Return the only problem with these settings."""
    (only,) = problems(variables, **options)
    return only
