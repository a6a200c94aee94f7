"""Devices that cannot show a sign-in page: allowed on another one, by a code (RFC 8628).

Owns the two codes, how often a person may mistype one, how often a device may ask, and what is
answered. Never makes a token: `grant_types/device_code.py` says what there is to be had.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tornado_auth.audit import AuditLog
from tornado_auth.digests import digest
from tornado_auth.errors import AlreadyExists, NotFound, Stale
from tornado_auth.models import Actor, Client, DeviceCode, Who
from tornado_auth.oauth2 import resources
from tornado_auth.oauth2.errors import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    InvalidGrant,
    SlowDown,
    UnauthorizedClient,
)
from tornado_auth.oauth2.grants import Grants
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.oauth2.request_checks import read_scope
from tornado_auth.oauth2.scopes import Scopes
from tornado_auth.oauth2.user_authorization import is_public
from tornado_auth.oauth2.values import ACR, DEVICE
from tornado_auth.storage import Collection, update
from tornado_auth.throttle import Limit, LoginThrottle, address_key

PATH = "/oauth2/device"
PREFIX = "tdc_"
INTERVAL = 5
PUNCTUALITY = 1  # seconds by which a poll may come early: the way here takes a different time each
KEPT = 600  # seconds for which a code that is over still says so

# Consonants: no words, and nothing that looks like another one (RFC 8628 §6.1).
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8

# With 20^8 codes, 500 guesses in the longest life of one find it with a chance of 2^-25.
GUESSES: Mapping[str, Limit] = {
    "device-session": Limit(5, 900),
    "device-account": Limit(10, 900),
    "device-address": Limit(50, 900),
    "device": Limit(500, 900),
}

# Never a client's alone: whoever knows its id could keep all its devices from starting.
STARTS: Mapping[str, Limit] = {
    "device-start-client": Limit(50, 600),  # from one address
    "device-start-address": Limit(100, 600),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAuthorization:
    """What a device is told (RFC 8628 §3.2); `expires_in` and `interval` are in seconds."""

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    verification_uri: str
    verification_uri_complete: str = field(repr=False)
    expires_in: int
    interval: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingDevice:
    """What a person is asked to allow; `scopes` are names with descriptions."""

    user_code: str
    client: Client
    scopes: tuple[tuple[str, str], ...]
    resources: tuple[str, ...]


class Devices:
    """The devices that wait; `lifetime` is that of their codes, in seconds."""

    def __init__(
        self,
        device_codes: Collection[DeviceCode],
        clients: Collection[Client],
        grants: Grants,
        *,
        scopes: Scopes,
        throttle: LoginThrottle,
        audit_log: AuditLog,
        issuer: str,
        lifetime: int,
        now: Callable[[], int],
    ) -> None:
        self._codes = device_codes
        self._clients = clients
        self._grants = grants
        self._scopes = scopes
        self._throttle = throttle
        self._audit_log = audit_log
        self._address = issuer + PATH
        self._lifetime = lifetime
        self._now = now

    # -- the device -----------------------------------------------------------------------------

    async def start(
        self, client: Client, parameters: Parameters, *, remote_ip: str
    ) -> DeviceAuthorization:
        """Give a device its codes.

        Raises UnauthorizedClient, InvalidScope, InvalidTarget, and TooManyAttempts.
        """
        if DEVICE not in client.grant_types:
            raise UnauthorizedClient("The client is not registered for devices.")
        record = DeviceCode(
            id="",
            user_code="",
            client_id=client.id,
            scope=read_scope(parameters, client, self._scopes),
            resources=resources.allowed(parameters.all("resource"), client),
            interval=INTERVAL,
            created_at=self._now(),
            valid_until=self._now() + self._lifetime,
            expires_at=self._now() + self._lifetime + KEPT,
        )
        if is_public(client):
            address = address_key(remote_ip)
            await self._throttle.count(
                {"device-start-client": f"{client.id} {address}", "device-start-address": address}
            )
        device_code = PREFIX + secrets.token_urlsafe(32)
        user_code = await self._insert(replace(record, id=digest(device_code)))
        return DeviceAuthorization(
            device_code=device_code,
            user_code=user_code,
            verification_uri=self._address,
            verification_uri_complete=f"{self._address}?user_code={user_code}",
            expires_in=self._lifetime,
            interval=INTERVAL,
        )

    async def _insert(self, record: DeviceCode) -> str:
        while True:
            letters = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
            try:
                await self._codes.insert(replace(record, user_code=digest(letters)))
            except AlreadyExists:
                continue
            return _shown(letters)

    async def poll(self, device_code: str, client: Client) -> DeviceCode:
        """Return the code once somebody allowed the device, for `use`.

        Raises AuthorizationPending, SlowDown, AccessDenied, ExpiredToken or InvalidGrant
        (RFC 8628 §3.5).
        """
        is_early = False

        def poll(record: DeviceCode) -> DeviceCode:
            nonlocal is_early
            now = self._now()
            _check_good(record, client, now)
            if record.status == "approved":
                return record
            is_early = now < record.polled_at + record.interval - PUNCTUALITY
            interval = record.interval + INTERVAL if is_early else record.interval
            return replace(record, polled_at=now, interval=interval)

        record = await update(self._codes, digest(device_code), poll)
        if record is None:
            raise InvalidGrant("The device code is unknown.")
        if record.status == "approved":
            return record
        if is_early:
            raise SlowDown(f"Wait {record.interval} seconds between two requests.")
        raise AuthorizationPending("Nobody has answered yet.")

    async def use(self, record: DeviceCode) -> None:
        """Mark a code as used, for exactly one caller; raises InvalidGrant for all others."""
        try:
            await self._codes.replace(replace(record, status="used"))
        except Stale:
            raise _used() from None

    # -- the person -----------------------------------------------------------------------------

    async def find(self, user_code: str, who: Who, *, remote_ip: str) -> WaitingDevice:
        """Return the device that waits with this code, however it is written.

        Raises NotFound if there is none, and TooManyAttempts for who guesses.
        """
        return (await self._find(user_code, who, remote_ip))[1]

    async def approve(self, user_code: str, who: Who, *, remote_ip: str) -> WaitingDevice:
        """Let a device have what it asks for, as this user.

        Raises as `find` does, and AccessDenied if the user's session is over.
        """
        record, device = await self._find(user_code, who, remote_ip)
        grant = await self._grants.start(
            who,
            device.client,
            scope=record.scope,
            resources=record.resources,
            acr=ACR,
            lifetime=record.valid_until - self._now() + KEPT,
        )
        try:
            await self._answer(record, status="approved", grant_id=grant.id)
        except NotFound:
            await self._grants.end(grant.id)
            raise
        await self._record("device_approved", who, record, remote_ip)
        return device

    async def deny(self, user_code: str, who: Who, *, remote_ip: str) -> WaitingDevice:
        """Let a device have nothing; raises as `find` does."""
        record, device = await self._find(user_code, who, remote_ip)
        await self._answer(record, status="denied")
        await self._record("device_denied", who, record, remote_ip)
        return device

    async def _find(
        self, user_code: str, who: Who, remote_ip: str
    ) -> tuple[DeviceCode, WaitingDevice]:
        letters = "".join(letter for letter in user_code.upper() if letter in LETTERS)
        keys = {
            "device-session": who.session.id,
            "device-account": who.user.id,
            "device-address": address_key(remote_ip),
            "device": "",
        }
        async with self._throttle.attempt(keys):
            found = await self._codes.find(user_code=digest(letters), limit=1)
            client = await self._clients.get(found[0].client_id) if found else None
            if client is None or client.disabled_at is not None:
                raise _no_such_code()
            _check_waiting(found[0], self._now())
        return found[0], WaitingDevice(
            user_code=_shown(letters),
            client=client,
            scopes=tuple(
                (name, self._scopes.descriptions.get(name, name)) for name in found[0].scope
            ),
            resources=found[0].resources,
        )

    async def _answer(self, record: DeviceCode, *, status: str, grant_id: str = "") -> None:
        def answer(current: DeviceCode) -> DeviceCode:
            _check_waiting(current, self._now())
            return replace(current, status=status, grant_id=grant_id)

        if await update(self._codes, record.id, answer) is None:
            raise _no_such_code()

    async def _record(self, action: str, who: Who, record: DeviceCode, remote_ip: str) -> None:
        user = who.user
        await self._audit_log.record(
            action,
            actor=Actor(user_id=user.id, name=user.username, via="page", remote_ip=remote_ip),
            subject=user.id,
            target=record.client_id,
            details=(f"scope={' '.join(record.scope)}",),
        )


def _check_good(record: DeviceCode, client: Client, now: int) -> None:
    """Refuse a device whose code is not or no longer good."""
    if record.client_id != client.id or record.status == "used":
        raise _used()
    if record.valid_until <= now:
        raise ExpiredToken("The device code is over: start again.")
    if record.status == "denied":
        raise AccessDenied("The user did not allow it.")


def _used() -> InvalidGrant:
    return InvalidGrant("The device code is another client's, or used.")


def _check_waiting(record: DeviceCode, now: int) -> None:
    if record.status != "pending" or record.valid_until <= now:
        raise _no_such_code()


def _no_such_code() -> NotFound:
    return NotFound("No device waits with this code. Compare it with what the device shows.")


def _shown(letters: str) -> str:
    return f"{letters[: LENGTH // 2]}-{letters[LENGTH // 2 :]}"
