"""The options of `tornado-auth clients add` and `update`: one for each thing that a client has.

Owns how a terminal says it. Never judges it: `oauth2.clients` does.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from tornado_auth.cli.common import read_object
from tornado_auth.oauth2.values import AUTH_METHODS

F = TypeVar("F", bound=Callable[..., object])

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SECONDS = click.IntRange(min=0)


def _many(flag: str, name: str, help: str) -> Callable[[F], F]:
    return click.option(flag, name, multiple=True, help=f"{help} May be given more than once.")


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    _many("--redirect-uri", "redirect_uris", "Where users are sent back to, exactly."),
    _many("--scope", "scope", "A scope that it may ask for; without any, all that there are."),
    _many("--grant-type", "grant_types", "authorization_code unless said otherwise."),
    click.option(
        "--auth-method",
        "token_endpoint_auth_method",
        type=click.Choice(AUTH_METHODS),
        help="How it proves itself; none for a program that cannot keep a secret.",
    ),
    click.option(
        "--native/--web",
        "is_native",
        default=None,
        help="An app on a device: any port of the loopback address, schemes of its own.",
    ),
    click.option("--jwks", "jwks", type=_FILE, help="A file with its public keys (a JWK set)."),
    click.option("--jwks-uri", help="Where its public keys are."),
    click.option(
        "--trusted/--not-trusted",
        "is_trusted",
        default=None,
        help="It is ours: nobody is asked for consent.",
    ),
    click.option(
        "--pkce/--no-pkce", "require_pkce", default=None, help="PKCE is needed, or is not."
    ),
    click.option("--opaque/--jwt", "is_opaque", default=None, help="What its access tokens are."),
    click.option(
        "--access-token-lifetime", type=_SECONDS, help="In seconds; 0 for that of the settings."
    ),
    click.option(
        "--refresh-token-lifetime", type=_SECONDS, help="In seconds; 0 for that of the settings."
    ),
    _many("--resource", "resources", "A resource that it may ask tokens for (RFC 8707)."),
    _many("--audience", "audiences", "A resource whose tokens it may introspect."),
    _many("--exchange", "exchanges", "A client whose tokens it may exchange (RFC 8693)."),
    click.option(
        "--dpop/--no-dpop",
        "dpop_bound_access_tokens",
        default=None,
        help="Its tokens are always bound to a key (RFC 9449).",
    ),
    click.option(
        "--par/--no-par",
        "require_pushed_authorization_requests",
        default=None,
        help="It has to push its authorization requests (RFC 9126).",
    ),
    click.option(
        "--endpoint-audience/--no-endpoint-audience",
        "takes_endpoint_audience",
        default=None,
        help="Its assertions may name the token endpoint instead of the issuer.",
    ),
    _many("--post-logout-redirect-uri", "post_logout_redirect_uris", "Where logout leads to."),
    click.option("--backchannel-logout-uri", help="Where it is told that a session ended."),
    click.option("--client-uri", help="Its home page."),
    click.option("--logo-uri", help="Its logo."),
    click.option("--policy-uri", help="Its privacy policy."),
    click.option("--tos-uri", help="Its terms of service."),
    _many("--contact", "contacts", "Whom to write to about it."),
    click.option(
        "--file",
        "file",
        type=_FILE,
        help="A JSON object of client metadata (RFC 7591), to begin with.",
    ),
)


def field_options(command: F) -> F:
    """Give a command the options; `fields_of` reads what they were given."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def fields_of(given: Mapping[str, Any]) -> dict[str, object]:
    """Return the fields of a client that were given; None for those that are taken away."""
    said = {name: value for name, value in given.items() if value not in (None, ())}
    file = said.pop("file", None)
    fields: dict[str, object] = read_object(file) if file else {}
    if "is_native" in said:
        fields["application_type"] = "native" if said.pop("is_native") else "web"
    if "is_opaque" in said:
        fields["access_token_format"] = "opaque" if said.pop("is_opaque") else "jwt"
    if "jwks" in said:
        fields["jwks"] = read_object(said.pop("jwks"))
    if "scope" in said:
        fields["scope"] = " ".join(said.pop("scope")).strip()
    return fields | {name: _value(value) for name, value in said.items()}


def _value(value: object) -> object:
    """Return the value of an option; "" and 0 take away what there was."""
    if isinstance(value, tuple):
        return [one for one in value if one]
    return value if value or isinstance(value, bool) else None
