"""Client authentication: who makes a request at an endpoint for programs (RFC 6749 §2.3).

Owns how credentials are read from a header and a form, and that a client proves itself in the one
way that it is registered with. Never says what was wrong with them: whoever tries learns nothing of
which clients there are.
"""

import base64
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn
from urllib.parse import unquote_plus

from tornado_auth.digests import digest
from tornado_auth.models import Client
from tornado_auth.oauth2.client_assertions import NOT_PROVEN, ClientAssertions, subject_of
from tornado_auth.oauth2.clients import Clients
from tornado_auth.oauth2.errors import InvalidClient, InvalidRequest
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.oauth2.values import (
    NO_AUTHENTICATION,
    PRIVATE_KEY_JWT,
    SECRET_BASIC,
    SECRET_POST,
    ClientCredentials,
)
from tornado_auth.throttle import Limit

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 §2.2
FAILURES: Mapping[str, Limit] = {"client-failure-address": Limit(100, 300)}


def read_credentials(parameters: Parameters, authorization: Sequence[str]) -> ClientCredentials:
    """Return how a client says who it is; `authorization` are the values of that header.

    Raises InvalidRequest for two ways at once (RFC 6749 §2.3), InvalidClient for none.
    """
    basic = _basic_header(authorization)
    ways = [basic is not None, "client_secret" in parameters, "client_assertion" in parameters]
    if sum(ways) > 1:
        raise InvalidRequest("The client authenticates in more than one way.")
    if basic is not None:
        return _from_basic(basic, parameters)
    if "client_assertion" in parameters or "client_assertion_type" in parameters:
        return _from_assertion(parameters)
    client_id, secret = parameters.get("client_id"), parameters.get("client_secret")
    if not client_id:
        _refuse()
    return ClientCredentials(
        client_id=client_id, method=SECRET_POST if secret else NO_AUTHENTICATION, secret=secret
    )


def _basic_header(authorization: Sequence[str]) -> str | None:
    """Return what follows the scheme Basic, None if another or no scheme is used."""
    if len(authorization) > 1 or any("," in header for header in authorization):
        raise InvalidRequest("There is more than one Authorization header.")
    for header in authorization:
        scheme, _, value = header.strip().partition(" ")
        if scheme.lower() == "basic":
            return value.strip()
    return None


def _from_basic(value: str, parameters: Parameters) -> ClientCredentials:
    try:
        pair = base64.b64decode(value, validate=True).decode()
        client_id, colon, secret = pair.partition(":")
        # Both were form-encoded first (RFC 6749 §2.3.1).
        client_id, secret = (unquote_plus(text, errors="strict") for text in (client_id, secret))
    except ValueError:
        _refuse()
    if not colon or not client_id:
        _refuse()
    if parameters.get("client_id") not in ("", client_id):
        raise InvalidRequest("The client_id is not that of the Authorization header.")
    return ClientCredentials(
        client_id=client_id, method=SECRET_BASIC, secret=secret, used_basic=True
    )


def _from_assertion(parameters: Parameters) -> ClientCredentials:
    if parameters.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidRequest("The client_assertion_type is missing or not known.")
    assertion = parameters.require("client_assertion")
    client_id = subject_of(assertion)
    if parameters.get("client_id") not in ("", client_id):
        _refuse()
    return ClientCredentials(client_id=client_id, method=PRIVATE_KEY_JWT, secret=assertion)


class ClientAuthenticator:
    """Tell whether a client is who it says."""

    def __init__(self, clients: Clients, assertions: ClientAssertions) -> None:
        self._clients = clients
        self._assertions = assertions
        # Whom an unknown client is taken for, so that to refuse it takes as long.
        self._nobody = Client(
            id="", secret_digests=(digest(secrets.token_urlsafe(32)),), created_at=0
        )

    async def authenticate(self, credentials: ClientCredentials) -> Client:
        """Return the client that the credentials are good for; raises InvalidClient."""
        found = await self._clients.active(credentials.client_id)
        client = found or replace(self._nobody, id=credentials.client_id)
        is_right = _has_secret(client.secret_digests, credentials.secret)
        if found is None or credentials.method != client.token_endpoint_auth_method:
            _refuse()
        if credentials.method == PRIVATE_KEY_JWT:
            await self._assertions.check(client, credentials.secret)
        elif credentials.method != NO_AUTHENTICATION and not is_right:
            _refuse()
        return client


def _has_secret(digests: Sequence[str], secret: str) -> bool:
    given = digest(secret)
    return any(hmac.compare_digest(known, given) for known in digests)


def _refuse() -> NoReturn:
    raise InvalidClient(NOT_PROVEN)
