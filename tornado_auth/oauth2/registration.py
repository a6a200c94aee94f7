"""Dynamic registration of clients, and what they may do about it later (RFC 7591, RFC 7592).

Owns who may register, how often, and that a registration access token opens its own client alone.
Never trusts a client that registered itself: people are always asked.
"""

import hmac
from collections.abc import Mapping
from typing import Any, NoReturn

from tornado_auth.audit import AuditLog
from tornado_auth.digests import digest
from tornado_auth.errors import NotAllowed, NotFound
from tornado_auth.models import Actor, Client
from tornado_auth.oauth2.clients import Clients, needs_secret
from tornado_auth.oauth2.errors import InvalidBearerToken, InvalidClientMetadata
from tornado_auth.throttle import Limit, LoginThrottle, address_key

PATH = "/oauth2/register"
REGISTRATION_CALLS = 5  # at once: whoever registers can have us call what never answers
REGISTRATION_LIMITS: Mapping[str, Limit] = {
    "registration-address": Limit(100, 600),
    "registration-token": Limit(200, 600),
    "registration-client": Limit(50, 600),
}


class Registration:
    """The registration endpoint and that of each client; `mode` is the setting's.

    Answers are the JSON objects of RFC 7591 §3.2.1. Tokens are those of the header, "" without one.
    """

    def __init__(
        self,
        clients: Clients,
        throttle: LoginThrottle,
        *,
        audit_log: AuditLog,
        mode: str,
        issuer: str,
    ) -> None:
        self._clients = clients
        self._throttle = throttle
        self._audit_log = audit_log
        self._mode = mode
        self._issuer = issuer

    async def register(
        self, token: str, metadata: Mapping[str, object], *, actor: Actor
    ) -> dict[str, object]:
        """Make a client and return all of it, secrets too.

        Raises InvalidBearerToken, TooManyAttempts, InvalidRedirectURI, InvalidClientMetadata, and
        NotFound where nobody may register.
        """
        opened_by = await self._admit(token, actor.remote_ip)
        registered = await self._clients.register(
            metadata, by_operator=False, is_vouched_for=bool(token)
        )
        client = registered.client
        await self._record("client_registered", client, actor, f"opened_by={opened_by}")
        return self._answer(client, registered.registration_token, registered.secret)

    async def read(self, client_id: str, token: str) -> dict[str, object]:
        """Return a client as it is registered; raises InvalidBearerToken."""
        return self._answer(await self._own(client_id, token), token)

    async def change(
        self, client_id: str, token: str, metadata: Mapping[str, object], *, actor: Actor
    ) -> dict[str, object]:
        """Put metadata in place of all that there was; a client that needs a secret gets one.

        Raises InvalidBearerToken, TooManyAttempts, InvalidRedirectURI, InvalidClientMetadata, and
        NotAllowed where clients do not describe themselves.
        """
        before = await self._own(client_id, token)
        if self._mode == "off":
            raise NotAllowed("Clients cannot change themselves here.")
        await self._throttle.count(
            {
                "registration-address": address_key(actor.remote_ip),
                "registration-client": client_id,
            }
        )
        _check_identity(before, metadata)
        client, secret = await self._clients.update(client_id, metadata, by_operator=False), ""
        if needs_secret(client) and not client.secret_digests:
            client, secret = await self._clients.rotate_secret(client_id, keep_old=False)
        await self._record("client_changed", client, actor)
        return self._answer(client, token, secret)

    async def remove(self, client_id: str, token: str, *, actor: Actor) -> None:
        """Delete a client, and with it all its tokens; raises InvalidBearerToken."""
        client = await self._own(client_id, token)
        await self._clients.remove(client_id)
        await self._record("client_removed", client, actor)

    async def _admit(self, token: str, remote_ip: str) -> str:
        """Return the name of what opens the registration."""
        if self._mode == "off":
            raise NotFound("Clients cannot register themselves here.")
        limited, opened_by = {"registration-address": address_key(remote_ip)}, "anybody"
        if token:
            initial = await self._clients.find_initial_access_token(token)
            if initial is None:
                _refuse()
            opened_by = initial.name
            limited["registration-token"] = initial.id
        elif self._mode != "open":
            raise InvalidBearerToken
        await self._throttle.count(limited)
        return opened_by

    async def _own(self, client_id: str, token: str) -> Client:
        """Return the client that the token was made for."""
        client = await self._clients.active(client_id)
        known = client.registration_token_digest if client else ""
        if not hmac.compare_digest(known, digest(token)) or client is None:
            _refuse()
        return client

    def _answer(self, client: Client, token: str, secret: str = "") -> dict[str, object]:
        answer: dict[str, Any] = self._clients.metadata_of(client)
        if secret:
            answer["client_secret"] = secret
        if needs_secret(client):
            answer["client_secret_expires_at"] = 0  # never
        answer["registration_access_token"] = token
        answer["registration_client_uri"] = f"{self._issuer}{PATH}/{client.id}"
        return answer

    async def _record(self, action: str, client: Client, actor: Actor, *details: str) -> None:
        details = (f"name={client.client_name}", *details)
        await self._audit_log.record(action, actor=actor, target=client.id, details=details)


def _check_identity(client: Client, metadata: Mapping[str, object]) -> None:
    """Refuse a client that says it is another, or chooses its secret (RFC 7592 §2.2)."""
    if metadata.get("client_id") != client.id:
        raise InvalidClientMetadata("client_id is not that of this client.")
    secret = metadata.get("client_secret")
    if secret is not None:
        given = digest(secret) if isinstance(secret, str) else ""
        if not any(hmac.compare_digest(known, given) for known in client.secret_digests):
            raise InvalidClientMetadata("client_secret is not that of this client.")


def _refuse() -> NoReturn:
    raise InvalidBearerToken("The token is unknown, over, or for another client.")
