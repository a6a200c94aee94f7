"""The page at which a person allows a device (RFC 8628 §3.3): type its code, look, answer.

Owns the words and the forms. A code in the address only saves the typing: it allows nothing, and
counts as nobody's guess, since anybody may have made the link (§5.4).
"""

from urllib.parse import urlencode

from tornado_auth.errors import NotFound, TooManyAttempts
from tornado_auth.models import Who
from tornado_auth.oauth2.device import PATH, WaitingDevice
from tornado_auth.oauth2.handlers.responses import OAuth2PageHandler
from tornado_auth.pages.shown_clients import shown_client
from tornado_auth.web import status_of


class DevicePageHandler(OAuth2PageHandler):
    """GET and POST /oauth2/device."""

    async def get(self) -> None:
        """Ask for the code; one in the address is filled in."""
        user_code = self.parameter("user_code")
        if await self._signed_in(user_code):
            self._show_form(user_code)

    async def post(self) -> None:
        """Show who asks, or take the answer."""
        user_code, decision = self.body_parameter("user_code"), self.body_parameter("decision")
        if who := await self._signed_in(user_code):
            await self._ask(who, user_code, decision)

    async def _signed_in(self, user_code: str) -> Who | None:
        """Return who is signed in; if nobody is, send the browser to do so and come back."""
        if who := await self.who():
            return who
        target = f"{PATH}?{urlencode({'user_code': user_code})}" if user_code else PATH
        self.redirect(f"/auth/login?{urlencode({'next': target})}", status=303)
        return None

    async def _ask(self, who: Who, user_code: str, decision: str = "") -> None:
        if not user_code:
            return self._show_form()
        devices = self.server.oauth2.devices
        do = {"approve": devices.approve, "deny": devices.deny}.get(decision, devices.find)
        try:
            device = await do(user_code, who, remote_ip=self.remote_ip)
        except (NotFound, TooManyAttempts) as error:
            self.start_error(status_of(error), error)
            return self._show_form(user_code, error=str(error))
        return self._show(device, decision if do != devices.find else "")

    def _show(self, device: WaitingDevice, decision: str) -> None:
        client = shown_client(device.client)
        if decision:
            self.render("device_done.html", client=client, is_approved=decision == "approve")
        else:
            self.render("device_confirm.html", client=client, device=device)

    def _show_form(self, user_code: str = "", *, error: str = "") -> None:
        self.render("device.html", user_code=user_code, error=error)
