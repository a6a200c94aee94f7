"""Clients: the applications that may ask for tokens (RFC 6749 §2, RFC 7591, RFC 7592).

Owns their ids, their secrets, and that a client is only ever described as the rules allow. A secret
is seen once, by whoever made it: the store has its digest alone. Never authenticates a client:
`client_authentication.py` does.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from tornado_auth.digests import digest
from tornado_auth.errors import CallFailed, InvalidRequest, NotFound
from tornado_auth.models import Client, Consent, InitialAccessToken
from tornado_auth.oauth2.client_metadata import (
    MetadataRules,
    described_members,
    metadata_of,
    with_operators_fields,
)
from tornado_auth.oauth2.errors import InvalidBearerToken, InvalidClientMetadata
from tornado_auth.oauth2.grants import Grants
from tornado_auth.oauth2.values import (
    CLIENT_CREDENTIALS,
    CODE,
    DEVICE,
    REFRESH,
    SECRET_BASIC,
    SECRET_POST,
)
from tornado_auth.outbound import Outbound
from tornado_auth.storage import Collection, update

SECRET_METHODS = frozenset({SECRET_BASIC, SECRET_POST})
WITH_A_USER = frozenset({CODE, REFRESH, DEVICE})  # grant types in which somebody allows it
MAX_NAME = 64
MAX_TOKEN_LIFETIME = 400 * 86400
_CLIENT_ID = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A new client with what nobody can be shown again; "" for what it does not have."""

    client: Client
    secret: str = field(default="", repr=False)
    registration_token: str = field(default="", repr=False)


class Clients:
    """All clients."""

    def __init__(
        self,
        clients: Collection[Client],
        consents: Collection[Consent],
        initial_access_tokens: Collection[InitialAccessToken],
        *,
        grants: Grants,
        rules: MetadataRules,
        outbound: Outbound,
        now: Callable[[], int],
    ) -> None:
        self._clients = clients
        self._consents = consents
        self._initial_access_tokens = initial_access_tokens
        self._grants = grants
        self._rules = rules
        self._outbound = outbound
        self._now = now

    # -- reading --------------------------------------------------------------------------------

    async def get(self, client_id: str) -> Client | None:
        """Return a client, disabled or not."""
        return await self._clients.get(client_id) if _CLIENT_ID.fullmatch(client_id) else None

    async def active(self, client_id: str) -> Client | None:
        """Return a client that is not disabled."""
        client = await self.get(client_id)
        return client if client is not None and client.disabled_at is None else None

    async def all(self, *, after: str = "", limit: int = 100) -> list[Client]:
        """Return clients in order of their ids, from the one after `after`."""
        return await self._clients.find(after=after, limit=limit)

    def metadata_of(self, client: Client) -> dict[str, object]:
        """Return a client's metadata as RFC 7591 §3.2.1 has it."""
        return metadata_of(client)

    # -- registering and changing ---------------------------------------------------------------

    async def register(
        self,
        metadata: Mapping[str, object],
        *,
        by_operator: bool,
        is_vouched_for: bool = False,
        **operator_fields: object,
    ) -> Registered:
        """Make a client of metadata by the names of RFC 7591 §2.

        One that registers itself can act without a user only if it `is_vouched_for`: it had an
        initial access token. `operator_fields` are the fields of `Client` that only operators
        decide. Raises InvalidRedirectURI and InvalidClientMetadata.
        """
        token = "" if by_operator else _token("trr_")
        blank = Client(
            id="c-" + secrets.token_urlsafe(16),
            is_self_registered=not by_operator,
            registration_token_digest=digest(token) if token else "",
            created_at=self._now(),
        )
        client = self._rules.describe(blank, metadata)
        if not by_operator:
            client = self._modest(client, (CLIENT_CREDENTIALS,) if is_vouched_for else ())
        client = with_operators_fields(client, operator_fields)
        await self._check_sector(client, metadata)
        secret = _token("tcs_") if needs_secret(client) else ""
        client = replace(client, secret_digests=(digest(secret),) if secret else ())
        await self._clients.insert(client)
        return Registered(client=client, secret=secret, registration_token=token)

    async def update(
        self,
        client_id: str,
        metadata: Mapping[str, object],
        *,
        by_operator: bool,
        **operator_fields: object,
    ) -> Client:
        """Put this metadata in place of all that a client had; operators change what they name.

        What an operator said is no longer for the client to say: its registration access token
        ends. Raises NotFound, InvalidRedirectURI, InvalidClientMetadata, and InvalidBearerToken for
        a client that describes itself when it may not. One that needs a secret now and has none
        gets it by `rotate_secret`.
        """

        def change(client: Client) -> Client:
            kept = described_members(client) if by_operator else {}
            changed = self._rules.describe(client, {**kept, **metadata})
            if by_operator:
                changed = replace(changed, registration_token_digest="")
            elif client.registration_token_digest:
                changed = self._modest(changed, client.grant_types)
            else:  # an operator came in between
                raise InvalidBearerToken("An operator describes this client.")
            changed = with_operators_fields(changed, operator_fields)
            return changed if needs_secret(changed) else replace(changed, secret_digests=())

        client = await self.get(client_id)
        if client is not None:
            await self._check_sector(change(client), metadata)
        return await self._change(client_id, change)

    async def rotate_secret(self, client_id: str, *, keep_old: bool) -> tuple[Client, str]:
        """Give a client a new secret, beside the last one or in place of all.

        Raises NotFound, and InvalidRequest for a client that authenticates without a secret.
        """
        secret = _token("tcs_")

        def change(client: Client) -> Client:
            if not needs_secret(client):
                raise InvalidRequest("This client authenticates without a secret.")
            old = client.secret_digests[:1] if keep_old else ()
            return replace(client, secret_digests=(digest(secret), *old))

        return await self._change(client_id, change), secret

    async def set_disabled(self, client_id: str, *, disabled: bool) -> Client:
        """Let a client do nothing, or everything again; its tokens follow. Raises NotFound."""

        def change(client: Client) -> Client:
            if disabled == (client.disabled_at is not None):
                return client
            return replace(client, disabled_at=self._now() if disabled else None)

        return await self._change(client_id, change)

    async def remove(self, client_id: str) -> None:
        """Delete a client with all that it was allowed, so that its tokens end; raises NotFound."""
        if await self.get(client_id) is None or not await self._clients.delete(client_id):
            raise _not_found()
        # After it is gone, so that nothing new can begin in between.
        await self._grants.forget_client(client_id)
        await self._consents.delete_where(client_id=client_id)

    # -- initial access tokens ------------------------------------------------------------------

    async def create_initial_access_token(self, name: str, lifetime: int) -> str:
        """Make a token that opens dynamic registration for `lifetime` seconds (RFC 7591 §3).

        Raises InvalidRequest.
        """
        name = name.strip()
        if not name.isprintable() or not 1 <= len(name) <= MAX_NAME:
            raise InvalidRequest(f"The name has 1 to {MAX_NAME} characters in one line.")
        if not 1 <= lifetime <= MAX_TOKEN_LIFETIME:
            raise InvalidRequest(f"The token lasts 1 to {MAX_TOKEN_LIFETIME} seconds.")
        token, now = _token("tia_"), self._now()
        await self._initial_access_tokens.insert(
            InitialAccessToken(
                id=digest(token), name=name, created_at=now, expires_at=now + lifetime
            )
        )
        return token

    async def find_initial_access_token(self, token: str) -> InitialAccessToken | None:
        """Return the record of a token that opens registration at this time."""
        return await self._initial_access_tokens.get(digest(token))

    # -------------------------------------------------------------------------------------------

    async def _change(self, client_id: str, change: Callable[[Client], Client]) -> Client:
        known = _CLIENT_ID.fullmatch(client_id)
        client = await update(self._clients, client_id, change) if known else None
        if client is None:
            raise _not_found()
        return client

    def _modest(self, client: Client, allowed: Iterable[str]) -> Client:
        """Return a client that describes itself with what all such clients may name.

        Raises InvalidClientMetadata if it asks for more than users can allow it.
        """
        if not {*WITH_A_USER, *allowed}.issuperset(client.grant_types):
            raise InvalidClientMetadata("grant_types has one that only an operator can give.")
        return replace(client, resources=tuple(self._rules.self_registered_resources))

    async def _check_sector(self, client: Client, metadata: Mapping[str, object]) -> None:
        """Refuse a sector_identifier_uri whose list lacks a redirect URI (OpenID Registration §5).

        It is looked at and not kept: all clients know a user by the same name.
        """
        uri = metadata.get("sector_identifier_uri")
        if not isinstance(uri, str) or not uri:
            return
        try:
            listed = json.loads(await self._outbound.get(uri))
        except (CallFailed, ValueError, RecursionError):
            raise InvalidClientMetadata("sector_identifier_uri cannot be read.") from None
        if not isinstance(listed, list) or any(uri not in listed for uri in client.redirect_uris):
            raise InvalidClientMetadata("sector_identifier_uri does not list all redirect URIs.")


def needs_secret(client: Client) -> bool:
    """Tell whether a client is registered to authenticate by a secret."""
    return client.token_endpoint_auth_method in SECRET_METHODS


def is_unverified(client: Client) -> bool:
    """Tell whether all that is known of a client is its own word: no operator ever changed it."""
    return client.is_self_registered and client.registration_token_digest != ""


def _token(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)


def _not_found() -> NotFound:
    return NotFound("There is no such client.")
