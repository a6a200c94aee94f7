"""The device code as a grant (RFC 8628 §3.4). Never knows how a person allowed the device."""

from dataclasses import replace

from tornado_auth.oauth2.device import Devices
from tornado_auth.oauth2.errors import InvalidGrant
from tornado_auth.oauth2.grants import Grants
from tornado_auth.oauth2.user_authorization import authorization_of
from tornado_auth.oauth2.values import DEVICE, Authorization, TokenRequest


class DeviceCodeGrant:
    """Tokens for a device that somebody allowed."""

    name = DEVICE

    def __init__(self, devices: Devices, grants: Grants) -> None:
        self._devices = devices
        self._grants = grants

    async def authorize(self, request: TokenRequest) -> Authorization:
        """Spend the device code, if nothing else is wrong; raises what `Devices.poll` does."""
        device_code = request.parameters.require("device_code")
        record = await self._devices.poll(device_code, request.client)
        live = await self._grants.live(record.grant_id)
        if live is None:
            raise _taken_back()
        authorization = authorization_of(live, request, grant_type=self.name)
        grant = await self._grants.confirm(live.grant)
        if grant is None:
            raise _taken_back()
        await self._devices.use(record)
        return replace(authorization, grant=grant)


def _taken_back() -> InvalidGrant:
    return InvalidGrant("The user signed out or took it back meanwhile.")
