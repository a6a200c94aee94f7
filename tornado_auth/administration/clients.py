"""Clients of the authorization server, and what users allow them.

Owns which of the fields that operators set are client metadata, and what is recorded of each
change: never a secret. Never decides what a client may be: `oauth2.clients` does.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tornado_auth.administration.recording import Recording, check_limit
from tornado_auth.errors import InvalidRequest, NotFound
from tornado_auth.models import Actor, Client
from tornado_auth.oauth2.clients import Clients, Registered
from tornado_auth.oauth2.consents import Application, Consents
from tornado_auth.oauth2.errors import OAuth2Error
from tornado_auth.oauth2.metadata_members import MEMBERS, OPERATORS_MEMBERS

METADATA = frozenset({*MEMBERS, "scope"})
FIELDS = METADATA | OPERATORS_MEMBERS.keys()


class ClientAdministration(Recording):
    """Manage clients, tokens for their registration, and the applications of users."""

    _clients: Clients
    _consents: Consents

    # -- clients --------------------------------------------------------------------------------

    async def clients(self, *, after: str = "", limit: int = 100) -> list[Client]:
        """Return the clients in order of their ids."""
        check_limit(limit)
        return await self._clients.all(after=after, limit=limit)

    async def client(self, client_id: str) -> Client:
        """Return one client."""
        client = await self._clients.get(client_id)
        if client is None:
            raise NotFound("There is no such client.")
        return client

    async def register_client(self, actor: Actor, fields: Mapping[str, object]) -> Registered:
        """Make a client of metadata (RFC 7591 §2) and of what operators alone decide.

        What comes with it, a secret, is shown this once.
        """
        metadata, operators = _divided(fields)
        with _refusals():
            async with self._attempt("client_registered", actor):
                made = await self._clients.register(metadata, by_operator=True, **operators)
        details = (f"name={made.client.client_name}",)
        await self._record("client_registered", actor, target=made.client.id, details=details)
        return made

    async def change_client(
        self, actor: Actor, client_id: str, changes: Mapping[str, object]
    ) -> Client:
        """Give a client other values for these fields, None for those that it began with."""
        metadata, operators = _divided(changes)
        with _refusals():
            async with self._attempt("client_changed", actor, target=client_id):
                client = await self._clients.update(
                    client_id, metadata, by_operator=True, **operators
                )
        details = (f"fields={' '.join(sorted(changes))}",)
        await self._record("client_changed", actor, target=client_id, details=details)
        return client

    async def rotate_client_secret(
        self, actor: Actor, client_id: str, *, keep_old: bool = False
    ) -> tuple[Client, str]:
        """Make a new secret, shown this once; the one before ends now unless it is kept."""
        async with self._attempt("client_secret_rotated", actor, target=client_id):
            client, secret = await self._clients.rotate_secret(client_id, keep_old=keep_old)
        details = (f"secrets={len(client.secret_digests)}",)
        await self._record("client_secret_rotated", actor, target=client_id, details=details)
        return client, secret

    async def set_client_disabled(self, actor: Actor, client_id: str, *, disabled: bool) -> Client:
        """Refuse a client and all its tokens from now on, or take them again."""
        action = "client_disabled" if disabled else "client_enabled"
        async with self._attempt(action, actor, target=client_id):
            client = await self._clients.set_disabled(client_id, disabled=disabled)
        await self._record(action, actor, target=client_id)
        return client

    async def remove_client(self, actor: Actor, client_id: str) -> None:
        """Delete a client for good, with all that users allowed it."""
        async with self._attempt("client_removed", actor, target=client_id):
            await self._clients.remove(client_id)
        await self._record("client_removed", actor, target=client_id)

    async def create_initial_access_token(self, actor: Actor, name: str, lifetime: int) -> str:
        """Make a token that opens dynamic registration, shown this once; seconds."""
        async with self._attempt("initial_access_token_created", actor):
            token = await self._clients.create_initial_access_token(name, lifetime)
        details = (f"name={name}", f"lifetime={lifetime}")
        await self._record("initial_access_token_created", actor, details=details)
        return token

    # -- applications ---------------------------------------------------------------------------

    async def applications(self, user_id: str) -> list[Application]:
        """Return the clients that a user allowed something, or that have tokens of theirs."""
        return await self._consents.of_user(user_id)

    async def withdraw_application(self, actor: Actor, user_id: str, client_id: str) -> None:
        """End all that a client may do for a user; it has to ask again."""
        async with self._attempt("consent_withdrawn", actor, user_id, target=client_id):
            if not await self._consents.withdraw(user_id, client_id, actor=actor):
                raise NotFound("This user is not connected with such an application.")


@contextmanager
def _refusals() -> Iterator[None]:
    """Say what the protocol refuses as all that operators are refused."""
    try:
        yield
    except OAuth2Error as error:
        raise InvalidRequest(error.description) from error


def _divided(fields: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is client metadata and what only operators decide; raises InvalidRequest."""
    if unknown := fields.keys() - FIELDS:
        raise InvalidRequest(f"A client has nothing of the name {min(unknown)!r}.")
    operators = {name: value for name, value in fields.items() if name in OPERATORS_MEMBERS}
    return {name: fields[name] for name in fields.keys() - operators.keys()}, operators
