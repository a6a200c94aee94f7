"""What a client asks for when it sends somebody here to sign out (OpenID Connect RP-Initiated
Logout §2).

Owns the check of the hint and of the address to go on to. Never ends a session, and never believes
that somebody wants to sign out because a link says so: `pages/end_session.py` asks.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from tornado_auth.errors import InvalidToken
from tornado_auth.keys import KeySet
from tornado_auth.models import Client, Session, TokenType
from tornado_auth.oauth2.clients import Clients, is_unverified
from tornado_auth.oauth2.errors import PageError
from tornado_auth.oauth2.grants import Grants
from tornado_auth.oauth2.parameters import Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutRequest:
    """A good request; `location` is where to go afterwards, "" if there is no such place.

    `sid` is that of the hint, "" without one.
    """

    client: Client | None = None
    sid: str = ""
    location: str = ""

    @property
    def needs_click(self) -> bool:
        """Tell whether nobody may be sent on unasked: anybody can make such a client, and link."""
        return not self.sid and self.client is not None and is_unverified(self.client)

    @property
    def form_target(self) -> str:
        """Where a form that asks for a yes ends, for the page's policy: the client's scheme.

        A client may send the browser on to other origins.
        """
        return f"{urlsplit(self.location).scheme}:" if self.location else ""


class LogoutRequests:
    """Read them."""

    def __init__(self, clients: Clients, grants: Grants, keys: KeySet, *, issuer: str) -> None:
        self._clients = clients
        self._grants = grants
        self._keys = keys
        self._issuer = issuer

    async def read(self, parameters: Parameters) -> LogoutRequest:
        """Check a request; raises PageError, and then no browser is sent anywhere."""
        hint = self._read_hint(parameters.get("id_token_hint"))
        client_id, named = str(hint.get("aud", "")), parameters.get("client_id")
        if hint and named and named != client_id:
            raise PageError("client_id", "The ID token was made for another client.")
        client = await self._clients.active(client_id or named)
        return LogoutRequest(
            client=client,
            sid=str(hint.get("sid", "")),
            location=_location(client, parameters),
        )

    async def is_about(self, request: LogoutRequest, session: Session) -> bool:
        """Tell whether the client proved that it means this very session.

        It may know it by another `sid`, if somebody signed in again meanwhile.
        """
        if request.sid in ("", session.id):
            return bool(request.sid)
        return request.sid in {grant.sid for grant in await self._grants.of_session(session.id)}

    def _read_hint(self, token: str) -> dict[str, Any]:
        """Return the claims of an ID token of ours; it may well be over."""
        if not token:
            return {}
        try:
            claims = self._keys.read(token, typ=TokenType.ID)
        except InvalidToken:
            claims = {}
        if claims.get("iss") != self._issuer:
            raise PageError("id_token_hint", "This is no ID token of this server.")
        return claims


def _location(client: Client | None, parameters: Parameters) -> str:
    uri, state = parameters.get("post_logout_redirect_uri"), parameters.get("state")
    if not uri:
        return ""
    if client is None:
        raise PageError(
            "post_logout_redirect_uri", "Neither id_token_hint nor client_id tells whose it is."
        )
    if uri not in client.post_logout_redirect_uris:
        raise PageError("post_logout_redirect_uri", "The client has not registered this address.")
    separator = "&" if "?" in uri else "?"
    return f"{uri}{separator}{urlencode({'state': state})}" if state else uri
