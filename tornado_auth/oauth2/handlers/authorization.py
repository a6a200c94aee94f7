"""The HTTP of the authorization endpoint (RFC 6749 §3.1)."""

from tornado_auth.oauth2.authorize import Allowed
from tornado_auth.oauth2.handlers.responses import OAuth2PageHandler, write_response
from tornado_auth.oauth2.responses import RedirectableError


class AuthorizationHandler(OAuth2PageHandler):
    """/oauth2/authorize: to where a client sends a browser, and where every page leads back."""

    opens_in_popups = True

    def check_xsrf_cookie(self) -> None:
        """Need no proof: the request is a client's, and nothing is given without its user."""
        self.check_form()

    async def get(self) -> None:
        """Send the browser to the next page, or to the client with its answer."""
        endpoint = self.server.oauth2.authorization
        who = await self.who()
        try:
            request = await endpoint.read_forms(self.request.query.encode())
            step = await endpoint.next_step(request, who, remote_ip=self.remote_ip)
        except RedirectableError as error:
            return write_response(self, endpoint.refusal(error, who))
        if isinstance(step, Allowed):
            return write_response(self, step.response)
        return self.redirect(step.url, status=303)

    async def post(self) -> None:
        """Let the browser ask again by GET: our cookie is not sent with another site's form."""
        endpoint = self.server.oauth2.authorization
        try:
            request = await endpoint.read_forms(self.request.query.encode(), self.request.body)
        except RedirectableError as error:
            return write_response(self, endpoint.refusal(error, await self.who()))
        address = await endpoint.address_of(request, remote_ip=self.remote_ip)
        return self.redirect(address, status=303)
