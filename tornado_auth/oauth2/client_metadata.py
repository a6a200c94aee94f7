"""Client metadata: how a client is described, and that what it says of itself fits together.

Owns the defaults and the rules between members (RFC 7591 §2, OpenID Connect Registration §2).
Members that are not known here are ignored. Never fetches what an address in it leads to.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from tornado_auth.models import Client
from tornado_auth.oauth2.errors import InvalidClientMetadata, InvalidRedirectURI
from tornado_auth.oauth2.metadata_members import LOOKED_AT, MEMBERS, OPERATORS_MEMBERS
from tornado_auth.oauth2.redirect_uris import check_redirect_uri
from tornado_auth.oauth2.scopes import OFFLINE_ACCESS
from tornado_auth.oauth2.user_authorization import is_public
from tornado_auth.oauth2.values import (
    CLIENT_CREDENTIALS,
    CODE,
    EXCHANGE,
    PRIVATE_KEY_JWT,
    REFRESH,
)
from tornado_auth.resource_server.key_sets import MODEST_RSA_BITS, jwks_keys

_REDIRECT_URIS = ("redirect_uris", "post_logout_redirect_uris")
_ADDRESSES = ("jwks_uri", "backchannel_logout_uri", "sector_identifier_uri")
_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Client)}
_BLANK = {name: _DEFAULTS[name] for name in (*MEMBERS, "scope")}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataRules:
    """What there is for clients to ask for; `may_call` tells which addresses we would call.

    A client that describes itself has the `self_registered_resources` and no others.
    """

    scopes: Collection[str]
    grant_types: Collection[str]
    id_token_algorithms: Collection[str]
    may_call: Callable[[str], bool]
    self_registered_resources: Collection[str] = ()

    def describe(self, client: Client, metadata: Mapping[str, object]) -> Client:
        """Return the client with this metadata in place of what it had.

        Raises InvalidRedirectURI and InvalidClientMetadata.
        """
        given = {name: value for name, value in metadata.items() if value is not None}
        read = _read(given, MEMBERS)
        looked_at = _read(given, LOOKED_AT)
        for name in _ADDRESSES:
            address = {**read, **looked_at}.get(name)
            if address and not self.may_call(address):
                raise InvalidClientMetadata(f"{name} is not an https address.")
        described = replace(client, **{**_BLANK, **read})
        described = replace(described, scope=self._scope(given.get("scope"), described))
        self._check_known(described)
        _check_redirect_uris(described)
        _check_response_types(described, looked_at.get("response_types"))
        _check_keys(described)
        _check_authentication(described)
        return described

    def _scope(self, given: object, client: Client) -> tuple[str, ...]:
        if given is None:
            without = () if REFRESH in client.grant_types else (OFFLINE_ACCESS,)
            return tuple(name for name in self.scopes if name not in without)
        if not isinstance(given, str):
            raise InvalidClientMetadata("scope is not a text of names with spaces between them.")
        scope = tuple(dict.fromkeys(given.split()))
        if not set(self.scopes).issuperset(scope):
            raise InvalidClientMetadata("scope has a name that there is no scope of.")
        return scope

    def _check_known(self, client: Client) -> None:
        if not set(self.grant_types).issuperset(client.grant_types):
            raise InvalidClientMetadata("grant_types has one that there is none of.")
        algorithm = client.id_token_signed_response_alg
        if algorithm and algorithm not in self.id_token_algorithms:
            raise InvalidClientMetadata("id_token_signed_response_alg is none that we sign by.")


def with_operators_fields(client: Client, given: Mapping[str, object]) -> Client:
    """Return the client with what only operators decide; raises InvalidClientMetadata.

    None stands for what a client has if nobody decides.
    """
    unknown = given.keys() - OPERATORS_MEMBERS.keys()
    if unknown:
        raise InvalidClientMetadata("There is no such setting of a client.")
    decided = {name: value for name, value in given.items() if value is not None}
    undecided = {name: _DEFAULTS[name] for name in given.keys() - decided.keys()}
    client = replace(client, **undecided, **_read(decided, OPERATORS_MEMBERS))
    if is_public(client):
        if not client.require_pkce:
            raise InvalidClientMetadata("A client without authentication needs PKCE.")
        if client.audiences:
            raise InvalidClientMetadata("A client without authentication cannot introspect.")
    return client


def metadata_of(client: Client) -> dict[str, object]:
    """Return a client's metadata as RFC 7591 §3.2.1 has it: JSON, and nothing that is secret."""
    members: dict[str, Any] = {
        "client_id": client.id,
        "client_id_issued_at": client.created_at,
        "response_types": ["code"] if CODE in client.grant_types else [],
        "scope": " ".join(client.scope),
    }
    for name in MEMBERS:
        value = getattr(client, name)
        if value not in ("", (), None):
            members[name] = list(value) if isinstance(value, tuple) else value
    if client.jwks:
        members["jwks"] = json.loads(client.jwks)
    members["grant_types"] = list(client.grant_types)
    return members


def described_members(client: Client) -> dict[str, object]:
    """Return that of a client's metadata which `describe` makes the same client of."""
    return {name: value for name, value in metadata_of(client).items() if name in _BLANK}


def _read(given: Mapping[str, object], readers: Mapping[str, Callable[[object], Any]]) -> Any:
    read = {}
    for name, reader in readers.items():
        if name in given:
            try:
                read[name] = reader(given[name])
            except ValueError as error:
                kind = InvalidRedirectURI if name == "redirect_uris" else InvalidClientMetadata
                raise kind(f"{name} {error}.") from None
    return read


def _check_redirect_uris(client: Client) -> None:
    for uri in client.redirect_uris:
        check_redirect_uri(uri, application_type=client.application_type)
    for uri in client.post_logout_redirect_uris:
        try:
            check_redirect_uri(uri, application_type=client.application_type)
        except InvalidRedirectURI as error:
            raise InvalidClientMetadata(f"post_logout_redirect_uris: {error}") from None
    if CODE in client.grant_types and not client.redirect_uris:
        raise InvalidRedirectURI("The grant type authorization_code needs a redirect URI.")


def _check_response_types(client: Client, given: tuple[str, ...] | None) -> None:
    """Hold response_types and grant_types together (RFC 7591 §2.1)."""
    if given is not None and bool(given) != (CODE in client.grant_types):
        raise InvalidClientMetadata("response_types and grant_types do not fit together.")
    if not client.grant_types or client.grant_types == (REFRESH,):
        raise InvalidClientMetadata("grant_types has none that a client can begin with.")


def _check_keys(client: Client) -> None:
    if client.jwks and client.jwks_uri:
        raise InvalidClientMetadata("jwks and jwks_uri exclude each other.")
    if client.token_endpoint_auth_method != PRIVATE_KEY_JWT:
        return
    if not client.jwks and not client.jwks_uri:
        raise InvalidClientMetadata("private_key_jwt needs jwks or jwks_uri.")
    if client.jwks and not jwks_keys(client.jwks.encode(), MODEST_RSA_BITS):
        raise InvalidClientMetadata("jwks has no key that could verify by RS256, ES256 or EdDSA.")


def _check_authentication(client: Client) -> None:
    acts_alone = {CLIENT_CREDENTIALS, EXCHANGE} & set(client.grant_types)
    if acts_alone and is_public(client):
        raise InvalidClientMetadata("A grant type is only for clients that authenticate.")
