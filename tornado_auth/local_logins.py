"""What happens when somebody signs in with a password, before `logins.py` takes over.

Owns the sequence device -> throttle -> password: who counts how often somebody may be wrong.
Never hashes, never counts itself, never sets a cookie.
"""

from tornado_auth.accounts import Accounts
from tornado_auth.errors import InvalidUsername
from tornado_auth.known_devices import KnownDevices
from tornado_auth.models import AssertedIdentity
from tornado_auth.passwords import LocalAccounts
from tornado_auth.throttle import LoginThrottle, address_key
from tornado_auth.usernames import username_key


class LocalLogins:
    """Check passwords, as often as the limits allow."""

    def __init__(
        self,
        accounts: Accounts,
        local_accounts: LocalAccounts,
        *,
        throttle: LoginThrottle,
        devices: KnownDevices,
    ) -> None:
        self._accounts = accounts
        self._local_accounts = local_accounts
        self._throttle = throttle
        self._devices = devices

    async def prove(
        self, username: str, password: str, *, remote_ip: str, device: str
    ) -> AssertedIdentity:
        """Return who has this user name and password; raises WrongPassword or TooManyAttempts.

        `device` is what the browser keeps, "" if nothing.
        """
        async with self._throttle.attempt(await self._keys(username, remote_ip, device)):
            return await self._local_accounts.authenticate(username, password)

    async def remember(self, device: str, user_id: str) -> str:
        """Return what the browser is to keep, now that this user has signed in there."""
        return await self._devices.remember(device, user_id)

    async def _keys(self, username: str, remote_ip: str, device: str) -> dict[str, str]:
        """Return what an attempt counts for: one's own device, else the account and the address."""
        if known := await self._known(username, device):
            return {"login-device": known}
        return {"login-address": address_key(remote_ip), "login-account": _account_key(username)}

    async def _known(self, username: str, device: str) -> str:
        users = self._devices.users(device)
        user = await self._accounts.find_by_username(username) if users else None
        return await self._devices.recognise(device, user.id) if user else ""


def _account_key(username: str) -> str:
    try:
        return username_key(username)
    except InvalidUsername:
        return "invalid"
