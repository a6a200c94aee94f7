"""Authorization requests: what a client asks a user for, read and checked (RFC 6749 §4.1.1).

Owns which errors a person sees and which ones the client is told: none before client and redirect
URI are proven good. Never looks at who is signed in.
"""

from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from tornado_auth.digests import digest
from tornado_auth.errors import InvalidToken
from tornado_auth.keys import KeySet
from tornado_auth.models import Client, TokenType
from tornado_auth.oauth2 import request_checks as checks
from tornado_auth.oauth2.clients import Clients, is_unverified
from tornado_auth.oauth2.errors import InvalidRequest, OAuth2Error, PageError
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.oauth2.pushed_requests import PREFIX, PushedRequests
from tornado_auth.oauth2.redirect_uris import redirect_uri_matches
from tornado_auth.oauth2.resources import allowed
from tornado_auth.oauth2.responses import (
    QUERY,
    RESPONSE_MODES,
    RedirectableError,
    ReturnAddress,
)
from tornado_auth.oauth2.scopes import OPENID, Scopes

INTERACTION = "interaction"  # our own parameter: see interactions.py


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A request that its client may make.

    `redirect_uri` is "" if it was left out, as a client with a single one may; `address` has the
    one that counts. `claims` is the `claims` parameter as JSON and `claim_names` what it asks for
    beside the protocol's own. `subject` is the user whom the client expects, "" if it names none.
    `parameters` are what the client asked, pushed or not; `request_uri` is "" unless they were
    pushed or parked. `interaction` is our seal in the address.
    """

    client: Client
    address: ReturnAddress
    redirect_uri: str
    scope: tuple[str, ...]
    resources: tuple[str, ...] = ()
    claims: str = ""
    claim_names: tuple[str, ...] = ()
    code_challenge: str = ""
    nonce: str = field(default="", repr=False)
    dpop_jkt: str = ""
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    login_hint: str = field(default="", repr=False)
    subject: str = ""
    parameters: Parameters = field(repr=False)
    request_uri: str = field(default="", repr=False)
    interaction: str = field(default="", repr=False)

    @property
    def fingerprint(self) -> str:
        """What tells this request from every other, wherever its parameters are."""
        return digest(self.parameters.to_json())


@dataclass(frozen=True, slots=True)
class _Given:
    """What counts of a request: of a pushed one, only what was pushed (RFC 9101 §6.3)."""

    parameters: Parameters
    request_uri: str = ""
    jkt: str = ""


class RequestReader:
    """Read requests; `must_push` makes every client push them."""

    def __init__(
        self,
        clients: Clients,
        pushed_requests: PushedRequests,
        *,
        scopes: Scopes,
        keys: KeySet,
        issuer: str,
        must_push: bool,
    ) -> None:
        self._clients = clients
        self._pushed_requests = pushed_requests
        self._scopes = scopes
        self._keys = keys
        self._issuer = issuer
        self._must_push = must_push

    async def read(self, sent: Parameters, *, is_pushing: bool = False) -> AuthorizationRequest:
        """Return a request that its client may make; `is_pushing` while it is being pushed.

        Raises PageError, or RedirectableError once there is somebody to tell.
        """
        client = await self._client(sent)
        given = await self._given(sent, client)
        address = self._address(given.parameters, client)
        try:
            if not (is_pushing or given.request_uri):
                self._check_pushed(client)
            return self._checked(given, client, address, sent.get(INTERACTION))
        except OAuth2Error as error:
            raise self._told(error, given.parameters, client, address) from None

    async def refuse_unreadable(self, *forms: bytes) -> OAuth2Error:
        """Return how a request is refused that `Parameters` could not be made of."""
        error = InvalidRequest("A parameter is malformed or there more than once.")
        good = _good_parameters(forms)
        try:
            client = await self._client(good)
            address = self._address(good, client)
        except OAuth2Error as page_error:
            return page_error
        return self._told(error, good, client, address)

    async def _client(self, sent: Parameters) -> Client:
        client_id = sent.get("client_id")
        if not client_id:
            raise PageError("client_id", "The client_id is missing, or there more than once.")
        client = await self._clients.active(client_id)
        if client is None:
            raise PageError("client_id", "There is no such client.", code="invalid_client")
        return client

    async def _given(self, sent: Parameters, client: Client) -> _Given:
        request_uri = sent.get("request_uri")
        if not request_uri.startswith(PREFIX):
            return _Given(sent.only(checks.KNOWN))
        pushed = await self._pushed_requests.get(request_uri, client.id)
        if pushed is None:
            raise PageError(
                "request_uri",
                "The request is over, or was answered already. Start again at the application.",
                code="invalid_request_uri",
            )
        return _Given(Parameters.from_json(pushed.parameters), request_uri, pushed.dpop_jkt)

    def _address(self, given: Parameters, client: Client) -> ReturnAddress:
        uri = given.get("redirect_uri")
        is_openid = OPENID in self._scopes.names(given.get("scope"))
        if not uri and len(client.redirect_uris) == 1 and not is_openid:
            [uri] = client.redirect_uris
        elif not uri:
            raise PageError("redirect_uri", "The redirect_uri is missing.")
        elif not redirect_uri_matches(client, uri):
            raise PageError("redirect_uri", "The redirect_uri is not registered for this client.")
        mode, state = given.get("response_mode"), given.get("state")
        return ReturnAddress(
            redirect_uri=uri,
            issuer=self._issuer,
            mode=mode if mode in RESPONSE_MODES else QUERY,
            state=state if len(state) <= checks.MAX_LENGTHS["state"] else "",
        )

    def _check_pushed(self, client: Client) -> None:
        if self._must_push or client.require_pushed_authorization_requests:
            raise InvalidRequest("This request must be pushed first.")

    def _checked(
        self, given: _Given, client: Client, address: ReturnAddress, interaction: str
    ) -> AuthorizationRequest:
        parameters = given.parameters
        checks.check_kind(parameters, client)
        scope = checks.read_scope(parameters, client, self._scopes)
        claims = checks.ClaimsRequest(parameters, client, scope)
        return AuthorizationRequest(
            client=client,
            address=address,
            redirect_uri=parameters.get("redirect_uri"),
            scope=scope,
            resources=allowed(parameters.all("resource"), client),
            claims=claims.to_json(),
            claim_names=claims.names,
            code_challenge=checks.read_challenge(parameters, client),
            nonce=parameters.get("nonce"),
            dpop_jkt=checks.read_thumbprint(parameters) or given.jkt,
            prompt=checks.read_prompt(parameters),
            max_age=checks.read_max_age(parameters, client),
            login_hint=parameters.get("login_hint"),
            subject=self._hinted(parameters.get("id_token_hint"), client) or claims.subject,
            parameters=parameters,
            request_uri=given.request_uri,
            interaction=interaction,
        )

    def _hinted(self, hint: str, client: Client) -> str:
        """Return whose ID token this is; it may be over, but must be ours and the client's."""
        if not hint:
            return ""
        try:
            claims = self._keys.read(hint, typ=TokenType.ID)
        except InvalidToken:
            claims = {}
        subject = claims.get("sub")
        is_good = claims.get("iss") == self._issuer and claims.get("aud") == client.id
        if not is_good or not isinstance(subject, str):
            raise InvalidRequest("The id_token_hint is not an ID token of this client.")
        return subject

    def _told(
        self, error: OAuth2Error, given: Parameters, client: Client, address: ReturnAddress
    ) -> RedirectableError:
        is_silent = given.get("prompt") == "none"
        needs_user = is_unverified(client) and not is_silent
        return RedirectableError(error, address, needs_user=needs_user)


def _good_parameters(forms: tuple[bytes, ...]) -> Parameters:
    """Return what can be read of a request that cannot be read as a whole."""
    pairs = [pair for form in forms for pair in parse_qsl(form.decode("ascii", "ignore"))]
    times = Counter(name for name, _ in pairs)
    return Parameters(
        (name, value)
        for name, value in pairs
        if times[name] == 1 and not any(one < " " or one == "\x7f" for one in value)
    )
