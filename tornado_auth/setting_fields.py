"""How a setting is declared, and the types that many of them have.

Knows no setting by name.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic.config import JsonDict

from tornado_auth import setting_addresses as addresses
from tornado_auth import setting_types as types

Text = Annotated[str, BeforeValidator(types.parse_text)]
Flag = Annotated[bool, BeforeValidator(types.parse_flag)]
Words = Annotated[tuple[str, ...], BeforeValidator(types.parse_words)]
Origins = Annotated[tuple[str, ...], BeforeValidator(addresses.parse_origins)]
Resources = Annotated[tuple[str, ...], BeforeValidator(addresses.parse_resources)]
URL = Annotated[str, BeforeValidator(addresses.parse_url)]
Issuer = Annotated[str, BeforeValidator(addresses.parse_issuer)]
Timeout = Annotated[float, BeforeValidator(types.timeout("0.1s", "60s"))]
RequestTimeout = Annotated[float, BeforeValidator(types.timeout("1s", "5m"))]


def setting(default: Any, help: str, *, secret: bool = False, shown: str | None = None) -> Any:
    """Declare a setting; a secret is left out of `repr`, `shown` describes a computed default."""
    extra: JsonDict = {} if shown is None else {"shown": shown}
    if callable(default):
        return Field(default_factory=default, description=help, json_schema_extra=extra)
    return Field(default, description=help, repr=not secret, json_schema_extra=extra)
