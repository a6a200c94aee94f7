"""Local accounts: user name and password.

Owns hashing (argon2id, RFC 9106) and its worker threads, and the work that an unknown user name
costs, which is that of a known one. A password is hashed whole, in NFC. Never signs anybody in,
never asks whether a user is disabled (`accounts.py` does), never logs a password or a hash.
"""

import asyncio
import logging
import os
import secrets
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from tornado_auth.errors import AlreadyExists, InvalidUsername, InvalidValue, WrongPassword
from tornado_auth.models import AssertedIdentity, Password, User
from tornado_auth.scheduling import threads_beside_loop
from tornado_auth.storage import Collection, update
from tornado_auth.usernames import username_key

logger = logging.getLogger(__name__)

T = TypeVar("T")

PROVIDER = "local"
MIN_LENGTH = 8
MAX_LENGTH = 1024


class LocalAccounts:
    """Check and set the passwords of users.

    `hasher` carries the costs of argon2id; a password is rehashed at the sign-in after they change.
    """

    def __init__(
        self,
        users: Collection[User],
        passwords: Collection[Password],
        *,
        now: Callable[[], int],
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._now = now
        self._hasher = hasher or PasswordHasher()
        self._nobodys_hash = _hash_of_nothing(self._hasher)
        self._executor = threads_beside_loop(os.cpu_count() or 1, "argon2")

    async def authenticate(self, username: str, password: str) -> AssertedIdentity:
        """Return who has this user name and password; raises WrongPassword."""
        secret = _normalise(password)
        if secret is None:
            raise _wrong()
        user = await self._find(username)
        stored = await self._passwords.get(user.id if user else "")
        matches = await self._run(lambda: self._matches(stored, secret))
        if user is None or stored is None or not matches:
            logger.info("wrong_password", extra={"user_id": user.id if user else None})
            raise _wrong()
        if self._hasher.check_needs_rehash(stored.hash):
            await self._rehash(stored, secret)
        return AssertedIdentity(
            provider=PROVIDER,
            subject=user.id,
            username=user.username,
            name=user.name,
            amr=("pwd",),
        )

    async def set_password(self, user_id: str, password: str) -> None:
        """Give a user this password in place of any other.

        Raises InvalidValue, with a sentence for people, if it is too short or too long.
        """
        secret = check_new_password(password)
        if await self._users.get(user_id) is None:
            raise InvalidValue("There is no such user.")
        encoded = await self._run(lambda: self._hasher.hash(secret))
        record = Password(id=user_id, hash=encoded, changed_at=self._now())
        try:
            await self._passwords.insert(record)
        except AlreadyExists:
            await update(
                self._passwords,
                user_id,
                lambda old: replace(old, hash=record.hash, changed_at=record.changed_at),
            )
        logger.info("password_set", extra={"user_id": user_id})

    async def remove_password(self, user_id: str) -> None:
        """Let nobody sign in as this user by a password, until one is set again."""
        await self._passwords.delete(user_id)

    async def close(self) -> None:
        """Let the worker threads end; what waits for one is cancelled."""
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

    async def _find(self, username: str) -> User | None:
        try:
            key = username_key(username)
        except InvalidUsername:
            key = ""  # asks the store all the same: nobody has it, and it takes as long
        found = await self._users.find(username_key=key, limit=1)
        return found[0] if found else None

    async def _rehash(self, stored: Password, secret: str) -> None:
        encoded = await self._run(lambda: self._hasher.hash(secret))

        def unless_changed(current: Password) -> Password:
            return replace(current, hash=encoded) if current.version == stored.version else current

        await update(self._passwords, stored.id, unless_changed)

    def _matches(self, stored: Password | None, secret: str) -> bool:
        encoded = stored.hash if stored else self._nobodys_hash
        try:
            return self._hasher.verify(encoded, secret) and stored is not None
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError):
            logger.error("unreadable_password_hash", extra={"user_id": stored and stored.id})
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def check_new_password(password: str) -> str:
    """Return a password as it is hashed; raises InvalidValue if it is too short or too long."""
    secret = _normalise(password)
    if secret is None or len(secret) < MIN_LENGTH:
        raise InvalidValue(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.")
    return secret


def _wrong() -> WrongPassword:
    return WrongPassword("The user name or the password is wrong.")


def _normalise(password: str) -> str | None:
    """Return the password in NFC; None for one that nobody can have."""
    if len(password) > MAX_LENGTH:
        return None
    secret = unicodedata.normalize("NFC", password)
    try:
        secret.encode()
    except UnicodeEncodeError:
        return None
    return secret if len(secret) <= MAX_LENGTH else None


def _hash_of_nothing(hasher: PasswordHasher) -> str:
    """Return a well-formed hash of no known password; to check it costs as much as a real one."""

    def random(length: int) -> str:
        return b64encode(secrets.token_bytes(length)).decode().rstrip("=")

    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${random(hasher.salt_len)}${random(hasher.hash_len)}"
