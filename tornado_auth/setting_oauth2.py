"""The settings of the authorization server.

Owns their defaults and limits. Never knows a client: what one client may is in its own record.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from tornado_auth import setting_types as types
from tornado_auth.setting_fields import Flag, Resources, Text, setting

A_SCOPE = '[{"name": "reports:read", "description": "Read your reports"}]'


class ScopeSettings(BaseModel):
    """A scope that clients can ask for; `description` tells people what they allow."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, BeforeValidator(types.parse_scope_name)]
    description: Text = ""


class OAuth2Settings(BaseModel):
    """What can be set of the authorization server."""

    scopes: Annotated[tuple[ScopeSettings, ...], BeforeValidator(types.tables(A_SCOPE))] = setting(
        (),
        "Scopes beside those of OpenID Connect, each with `name` and `description`, which the "
        "consent page shows. In the variable: a JSON list.",
    )
    default_scopes: Annotated[tuple[str, ...], BeforeValidator(types.parse_scope_names)] = setting(
        (), "Scopes that a client gets, as far as it may have them, if it asks for none."
    )
    scope_separator: Annotated[
        Literal["space", "comma", "plus"],
        BeforeValidator(types.choice("space", "comma", "plus")),
    ] = setting("space", "By what, beside the space, clients may separate scopes.")
    authorization_code_lifetime: Annotated[int, BeforeValidator(types.duration("1s", "10m"))] = (
        setting(60, "Seconds in which an authorization code must be redeemed.")
    )
    access_token_lifetime: Annotated[int, BeforeValidator(types.duration("1s", "24h"))] = setting(
        600, "Seconds for which an access token is valid; a client can have a lifetime of its own."
    )
    id_token_lifetime: Annotated[int, BeforeValidator(types.duration("1s", "24h"))] = setting(
        3600, "Seconds for which an ID token is valid."
    )
    refresh_token_lifetime: Annotated[int, BeforeValidator(types.duration("1m", "400d"))] = setting(
        14 * 86400, "Seconds without use after which a refresh token ends."
    )
    grant_lifetime: Annotated[int, BeforeValidator(types.duration("5m", "3650d"))] = setting(
        90 * 86400, "Seconds after which a client must send the user again, however it refreshes."
    )
    refresh_token_grace: Annotated[int, BeforeValidator(types.duration("0s", "60s"))] = setting(
        10, "Seconds in which a refresh that is repeated gets the same new refresh token again."
    )
    device_code_lifetime: Annotated[int, BeforeValidator(types.duration("1m", "15m"))] = setting(
        600, "Seconds that a person has to allow a device."
    )
    pushed_request_lifetime: Annotated[int, BeforeValidator(types.duration("5s", "10m"))] = setting(
        60, "Seconds in which a pushed authorization request must be used."
    )
    require_pushed_authorization_requests: Flag = setting(
        False, "Whether every client must push its authorization requests (RFC 9126)."
    )
    token_exchange: Flag = setting(
        False, "Whether clients that are allowed to can exchange tokens (RFC 8693)."
    )
    client_registration: Annotated[
        Literal["token", "open", "off"], BeforeValidator(types.choice("token", "open", "off"))
    ] = setting(
        "token",
        "Who may register clients at `/oauth2/register`: who shows an initial access token "
        "(`token`), anybody (`open`) or nobody (`off`).",
    )
    self_registered_resources: Resources = setting(
        (),
        "Resources (RFC 8707) that clients which registered themselves may ask tokens for: "
        "absolute URIs without fragment.",
    )
    dpop_nonces: Flag = setting(
        False, "Whether DPoP proofs must have a nonce of ours (RFC 9449 §8)."
    )
    fetch_allowed: Annotated[tuple[str, ...], BeforeValidator(types.parse_hosts)] = setting(
        (),
        "Hosts (`host:port`) that may be called for clients though their addresses are private.",
    )
    fetch_ca_file: Text = setting(
        "", "A file with CA certificates to trust in such calls, beside the system's."
    )
