"""POST /oauth2/device_authorization (RFC 8628 §3.1): a device asks for its codes."""

from tornado_auth.oauth2.handlers.base import OAuth2Handler


class DeviceAuthorizationHandler(OAuth2Handler):
    """Where a device begins."""

    async def post(self) -> None:
        """Answer with the codes and where a person types one of them."""
        parameters = self.form()
        client = await self.client(parameters)
        devices = self.server.oauth2.devices
        self.write_members(await devices.start(client, parameters, remote_ip=self.remote_ip))
