"""The browsers in which somebody has signed in before.

Owns the sealed value that such a browser keeps: whose sign-ins succeeded there, the last few users
at most. Who shows it for the account they try is counted apart from everybody else, so nobody can
lock them out by guessing from elsewhere. It opens nothing: the password is asked all the same.
A new password makes strangers of all devices. Never sets the cookie itself: the page does.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cryptography.fernet import InvalidToken

from tornado_auth.models import Password
from tornado_auth.seals import make_seal
from tornado_auth.storage import Collection

LIFETIME = 180 * 24 * 3600
MAX_USERS = 4


class _Entry(NamedTuple):
    user_id: str
    device_id: str  # random, another one for each user and each sign-in
    password_changed_at: int
    signed_in_at: int


class KnownDevices:
    """Recognise a browser by what it was given; `sealing_secrets` are those of login attempts."""

    def __init__(
        self,
        sealing_secrets: Sequence[str],
        passwords: Collection[Password],
        *,
        now: Callable[[], int],
    ) -> None:
        self._seal = make_seal("known device", sealing_secrets)
        self._passwords = passwords
        self._now = now

    def users(self, sealed: str) -> frozenset[str]:
        """Return the ids of the users who signed in there; none if the value is not ours."""
        return frozenset(entry.user_id for entry in self._open(sealed))

    async def recognise(self, sealed: str, user_id: str) -> str:
        """Return the name that the device has for this user, "" if it has none."""
        entry = next((entry for entry in self._open(sealed) if entry.user_id == user_id), None)
        if entry is None:
            return ""
        password = await self._passwords.get(user_id)
        unchanged = password is not None and password.changed_at == entry.password_changed_at
        return entry.device_id if unchanged else ""

    async def remember(self, sealed: str, user_id: str) -> str:
        """Return the value that the browser keeps from now on: this user has signed in there."""
        password = await self._passwords.get(user_id)
        entries = [entry for entry in self._open(sealed) if entry.user_id != user_id]
        if password is not None:
            device_id = secrets.token_urlsafe(16)
            entries.insert(0, _Entry(user_id, device_id, password.changed_at, self._now()))
        plain = json.dumps(entries[:MAX_USERS])
        return self._seal.encrypt_at_time(plain.encode(), self._now()).decode()

    def _open(self, sealed: str) -> list[_Entry]:
        """Return what is in a seal, the last user first."""
        try:
            plain = self._seal.decrypt_at_time(sealed.encode(), LIFETIME, self._now())
        except InvalidToken:
            return []
        try:
            entries = [_Entry(*fields) for fields in json.loads(plain)]
        except TypeError:  # sealed by another version, which knows other fields
            return []
        return [entry for entry in entries if entry.signed_in_at > self._now() - LIFETIME]
