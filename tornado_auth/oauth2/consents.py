"""Consent: what a user allowed a client, remembered, shown and taken back.

Owns the record of it and the list of connected applications. What hangs on it, codes and tokens,
ends with the grants. Never decides whether to ask: `authorize.py` does.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from tornado_auth.audit import AuditLog
from tornado_auth.errors import AlreadyExists, Stale
from tornado_auth.models import Actor, Client, Consent, Grant, User
from tornado_auth.oauth2.authorization_requests import AuthorizationRequest
from tornado_auth.oauth2.grants import Grants, consent_id
from tornado_auth.storage import UPDATE_ATTEMPTS, Collection, all_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A client that a user allowed something, or that has tokens of theirs.

    `consent` is None where nobody is asked for any, `last_granted_at` where no grant is left.
    `scope` is all that was allowed or granted.
    """

    client: Client
    consent: Consent | None
    scope: tuple[str, ...]
    last_granted_at: int | None


class Consents:
    """What all users allowed all clients."""

    def __init__(
        self,
        consents: Collection[Consent],
        clients: Collection[Client],
        *,
        grants: Grants,
        audit_log: AuditLog,
        now: Callable[[], int],
    ) -> None:
        self._consents = consents
        self._clients = clients
        self._grants = grants
        self._audit_log = audit_log
        self._now = now

    async def get(self, user_id: str, client_id: str) -> Consent | None:
        """Return what a user ever allowed a client."""
        return await self._consents.get(consent_id(user_id, client_id))

    async def approve(
        self, user: User, request: AuthorizationRequest, *, remote_ip: str = ""
    ) -> None:
        """Remember that a user allows what a request asks for, beside what was allowed before."""
        await self._remember(user, request)
        await self._audit_log.record(
            "consent_given",
            actor=Actor(user_id=user.id, name=user.username, via="page", remote_ip=remote_ip),
            subject=user.id,
            target=request.client.id,
            details=[f"scope={' '.join(request.scope)}"],
        )

    async def _remember(self, user: User, request: AuthorizationRequest) -> None:
        # Not `storage.update`: the version has to grow even if nothing else changes.
        for _ in range(UPDATE_ATTEMPTS):
            known = await self.get(user.id, request.client.id)
            consent = self._widened(known or self._nothing(user.id, request.client.id), request)
            with suppress(AlreadyExists, Stale):
                if known is None:
                    return await self._consents.insert(consent)
                await self._consents.replace(consent)
                return None
        raise Stale("the consent kept changing")

    def _nothing(self, user_id: str, client_id: str) -> Consent:
        return Consent(
            id=consent_id(user_id, client_id),
            user_id=user_id,
            client_id=client_id,
            created_at=self._now(),
            confirmed_at=self._now(),
        )

    def _widened(self, consent: Consent, request: AuthorizationRequest) -> Consent:
        return replace(
            consent,
            scope=_union(consent.scope, request.scope),
            claims=_union(consent.claims, request.claim_names),
            resources=_union(consent.resources, request.resources),
            confirmed_at=self._now(),
        )

    async def of_user(self, user_id: str) -> list[Application]:
        """Return the clients that a user is connected with, by name."""
        grants: dict[str, list[Grant]] = {}
        for grant in await self._grants.of_user(user_id):
            grants.setdefault(grant.client_id, []).append(grant)
        consents = {
            consent.client_id: consent for consent in await all_of(self._consents, user_id=user_id)
        }
        clients = await self._clients.get_many(list(grants | consents))
        found = [
            _application(client, consents.get(client.id), grants.get(client.id, []))
            for client in clients.values()
        ]
        return sorted(found, key=lambda one: (one.client.client_name.casefold(), one.client.id))

    async def withdraw(self, user_id: str, client_id: str, *, actor: Actor | None = None) -> bool:
        """End all that a client has of a user: what it was allowed, its grants and so its tokens.

        `actor` is the user if none is given. Returns whether there was anything.
        """
        had_consent = await self._consents.delete(consent_id(user_id, client_id))
        had_grants = await self._grants.end_consent(user_id, client_id) > 0
        if had_consent or had_grants:
            await self._audit_log.record(
                "consent_withdrawn",
                actor=actor or Actor(user_id=user_id, via="page"),
                subject=user_id,
                target=client_id,
            )
        return had_consent or had_grants


def covers(consent: Consent | None, request: AuthorizationRequest) -> bool:
    """Tell whether all that a request asks for was allowed before."""
    return (
        consent is not None
        and set(consent.scope).issuperset(request.scope)
        and set(consent.claims).issuperset(request.claim_names)
        and set(consent.resources).issuperset(request.resources)
    )


def _application(client: Client, consent: Consent | None, grants: list[Grant]) -> Application:
    scope = consent.scope if consent else ()
    for grant in grants:
        scope = _union(scope, grant.scope)
    return Application(
        client=client,
        consent=consent,
        scope=scope,
        last_granted_at=max((grant.created_at for grant in grants), default=None),
    )


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
