"""What a client is told through the browser (RFC 6749 §4.1.2, RFC 9207, Form Post Response Mode).

Owns what every authorization response has in it, and its address. Never sends it: handlers do.
"""

from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from tornado_auth.oauth2.errors import OAuth2Error

QUERY = "query"
FORM_POST = "form_post"
RESPONSE_MODES = (QUERY, FORM_POST)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationResponse:
    """Parameters for a client, and the way that they take to it."""

    redirect_uri: str
    mode: str
    parameters: dict[str, str] = field(repr=False)

    @property
    def location(self) -> str:
        """The redirect URI with the parameters: the rest of it stays as it is, byte for byte."""
        separator = "&" if "?" in self.redirect_uri else "?"
        query = urlencode(self.parameters, quote_via=quote, safe="")
        return f"{self.redirect_uri}{separator}{query}"

    @property
    def scheme(self) -> str:
        """The scheme of the redirect URI with its colon, as policies of browsers name it."""
        return scheme_of(self.redirect_uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnAddress:
    """Where a checked request wants its answer; `state` is given back as it came."""

    redirect_uri: str
    issuer: str
    mode: str = QUERY
    state: str = ""

    def answer(self, parameters: dict[str, str]) -> AuthorizationResponse:
        """Add what every answer has: `state` if there was one, and who answers (RFC 9207 §2)."""
        every = {"state": self.state, "iss": self.issuer} if self.state else {"iss": self.issuer}
        return AuthorizationResponse(
            redirect_uri=self.redirect_uri, mode=self.mode, parameters=parameters | every
        )

    def refuse(self, error: OAuth2Error) -> AuthorizationResponse:
        """Return the answer that tells an error, and nothing else (RFC 6749 §4.1.2.1)."""
        told = {"error": error.code, "error_description": error.description}
        return self.answer({name: text for name, text in told.items() if text})


class RedirectableError(OAuth2Error):
    """Refuse an authorization request by an answer to its client.

    `needs_user` tells that no browser may be sent there unless its user is known
    (RFC 9700 §4.11.2): otherwise anybody could register a client as a redirector.
    """

    def __init__(
        self, error: OAuth2Error, address: ReturnAddress, *, needs_user: bool = False
    ) -> None:
        super().__init__(error.description)
        self.code, self.status = error.code, error.status
        self.response = address.refuse(error)
        self.needs_user = needs_user


def scheme_of(uri: str) -> str:
    """Return the scheme of an address with its colon."""
    return uri.partition(":")[0].lower() + ":"
