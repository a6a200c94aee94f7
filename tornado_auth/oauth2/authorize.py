"""The authorization endpoint: what comes next between a user, us and a client.

Owns that decision, and is the only place where it is made: pages do their part and send the browser
back here. All it goes by are the request, the session, the stored consent and the seal that says
what was asked for already. Never shows or sends anything.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast
from urllib.parse import urlencode, urlsplit

from tornado_auth.models import API_KEY, Client, Consent, Who
from tornado_auth.oauth2.authorization_requests import (
    INTERACTION,
    AuthorizationRequest,
    RequestReader,
)
from tornado_auth.oauth2.clients import is_unverified
from tornado_auth.oauth2.codes import AuthorizationCodes
from tornado_auth.oauth2.consents import Consents, covers
from tornado_auth.oauth2.errors import (
    AccessDenied,
    ConsentRequired,
    InteractionRequired,
    InvalidRequest,
    LoginRequired,
    OAuth2Error,
    PageError,
)
from tornado_auth.oauth2.grants import Grants
from tornado_auth.oauth2.interactions import FRESH, Interactions
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.oauth2.pushed_requests import PushedRequests
from tornado_auth.oauth2.responses import AuthorizationResponse, RedirectableError, scheme_of
from tornado_auth.oauth2.scopes import Scopes
from tornado_auth.oauth2.user_authorization import is_public
from tornado_auth.oauth2.values import ACR
from tornado_auth.throttle import Throttle, address_key

AUTHORIZE = "/oauth2/authorize"
CONSENT = "/oauth2/consent"
LOGIN = "/auth/login"
MAX_QUERY = 1500  # characters that still fit into the `next` of a sign-in
MARGIN = 60  # seconds for which a grant outlives a code that nobody redeems
SILENT = "none"
SIGN_IN_AGAIN = ("login", "select_account")


class ScopeRow(NamedTuple):
    """A scope as the consent page shows it; `is_new` unless it was allowed before."""

    name: str
    description: str
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentView:
    """What a user is asked to allow.

    `redirect_host` is where the answer goes: a host, or the scheme of an app on this device.
    `claims` are single facts that are asked for by name.
    """

    client: Client
    redirect_host: str
    scopes: tuple[ScopeRow, ...]
    claims: tuple[str, ...]
    resources: tuple[str, ...]
    is_unverified: bool


@dataclass(frozen=True, slots=True)
class LoginNeeded:
    """The user has to sign in."""


@dataclass(frozen=True, slots=True)
class ConsentNeeded:
    """The user has to agree to this."""

    view: ConsentView


@dataclass(frozen=True, slots=True)
class Detour:
    """The browser has to go to this page of ours first, which leads back."""

    url: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """Nothing is missing: this is the client's answer, with a code in it."""

    response: AuthorizationResponse


class WaitingClient(NamedTuple):
    """For whom somebody signs in.

    `form_target` is where forms may end whose redirects lead there, as policies of browsers name
    it: a scheme, as the client may send the browser on to anywhere. `asks_again` if a sign-in of
    before, here or at a login provider, is not enough.
    """

    client: Client
    form_target: str
    asks_again: bool


class AuthorizationEndpoint:
    """Read authorization requests and take each on to its next step."""

    def __init__(
        self,
        reader: RequestReader,
        interactions: Interactions,
        *,
        scopes: Scopes,
        consents: Consents,
        grants: Grants,
        codes: AuthorizationCodes,
        pushed_requests: PushedRequests,
        throttle: Throttle,
        now: Callable[[], int],
    ) -> None:
        self._reader = reader
        self._interactions = interactions
        self._scopes = scopes
        self._consents = consents
        self._grants = grants
        self._codes = codes
        self._pushed_requests = pushed_requests
        self._throttle = throttle
        self._now = now

    # -- reading --------------------------------------------------------------------------------

    async def read(
        self, parameters: Parameters, *, is_pushing: bool = False
    ) -> AuthorizationRequest:
        """Return a request that its client may make; `is_pushing` while it is being pushed.

        Raises PageError, or RedirectableError, whose `response` is for `refusal` to give.
        """
        return await self._reader.read(parameters, is_pushing=is_pushing)

    async def read_forms(self, *forms: bytes) -> AuthorizationRequest:
        """Read a request as it came, in its address, its body or both; raises what `read` does."""
        try:
            parameters = Parameters.parse(*forms)
        except InvalidRequest:
            raise await self._reader.refuse_unreadable(*forms) from None
        return await self.read(parameters)

    def refusal(self, error: RedirectableError, who: Who | None) -> AuthorizationResponse:
        """Return the answer to a bad request; raises PageError where nobody may be sent there.

        A client that registered itself gets no browser of ours before its user is known.
        """
        if error.needs_user and who is None:
            raise PageError("", error.description, code=error.code)
        return error.response

    async def waiting(self, query: str) -> WaitingClient | None:
        """Return whose request waits for a sign-in; None if the query is no good request."""
        try:
            request = await self.read_forms(query.encode())
        except OAuth2Error:
            return None
        is_due = request.max_age is not None and request.max_age <= FRESH
        asks_again = is_due or not request.prompt.isdisjoint(SIGN_IN_AGAIN)
        return WaitingClient(request.client, scheme_of(request.address.redirect_uri), asks_again)

    # -- deciding -------------------------------------------------------------------------------

    async def next_step(
        self, request: AuthorizationRequest, who: Who | None, *, remote_ip: str = ""
    ) -> Detour | Allowed:
        """Return what comes next; where nothing is missing, that is a code.

        Raises RedirectableError if something is missing that the client forbids to ask for, and
        PageError for a pushed request that was answered meanwhile. For the authorization endpoint
        alone: pages have `missing`.
        """
        try:
            missing = await self.missing(request, who)
        except RedirectableError:
            if request.request_uri:
                await self._pushed_requests.spend(request.request_uri)
            raise
        if isinstance(missing, LoginNeeded):
            return Detour(await self._login_url(request, who, remote_ip))
        if isinstance(missing, ConsentNeeded):
            query = await self._query(request, request.interaction, remote_ip)
            return Detour(f"{CONSENT}?{query}")
        return Allowed(await self._allow(request, cast(Who, who)))

    async def _allow(self, request: AuthorizationRequest, who: Who) -> AuthorizationResponse:
        await self._spend(request)
        try:
            grant = await self._grants.start(
                who,
                request.client,
                scope=request.scope,
                resources=request.resources,
                claims=request.claims,
                acr=ACR,
                lifetime=self._codes.lifetime + MARGIN,
            )
        except AccessDenied as error:
            return request.address.refuse(error)
        if not await self._still_has_consent(request, who):
            # It was withdrawn at this very moment, and who did that did not see this grant.
            await self._grants.end(grant.id)
            return request.address.refuse(AccessDenied("The user withdrew the consent."))
        code = await self._codes.issue(grant, request)
        return request.address.answer({"code": code})

    async def _still_has_consent(self, request: AuthorizationRequest, who: Who) -> bool:
        if _is_spared_consent(request):
            return True
        return covers(await self._consents.get(who.user.id, request.client.id), request)

    async def _spend(self, request: AuthorizationRequest) -> None:
        """Make sure that nobody else answers a pushed request (RFC 9126 §4)."""
        if request.request_uri and not await self._pushed_requests.spend(request.request_uri):
            raise PageError(
                "request_uri", "The request was answered already.", code="invalid_request_uri"
            )

    async def missing(
        self, request: AuthorizationRequest, who: Who | None
    ) -> LoginNeeded | ConsentNeeded | None:
        """Return what the user has to do first, None if nothing; answers nothing.

        Raises RedirectableError if the client forbids to ask for it (`prompt=none`).
        """
        if who is None or _is_program(who) or not self._is_signed_in(request, who):
            return self._ask_to_sign_in(request, who)
        if _is_spared_consent(request):
            return None
        consent = await self._consents.get(who.user.id, request.client.id)
        if self._has_consent(request, who, consent):
            return None
        return self._ask_for_consent(request, consent)

    async def agree(self, request: AuthorizationRequest, who: Who, *, remote_ip: str = "") -> str:
        """Remember that a user said yes, and return the address of ours at which to go on.

        Where it is asked for each time, the yes counts for this very request alone.
        """
        await self._consents.approve(who.user, request, remote_ip=remote_ip)
        seal = self._interactions.agreement(request, who)
        return f"{AUTHORIZE}?{await self._query(request, seal, remote_ip)}"

    async def deny(self, request: AuthorizationRequest) -> AuthorizationResponse:
        """Return the answer for a user who said no."""
        await self._spend(request)
        return request.address.refuse(AccessDenied("The user said no."))

    # -- signing in -----------------------------------------------------------------------------

    def _is_signed_in(self, request: AuthorizationRequest, who: Who) -> bool:
        if request.subject not in ("", who.user.id):
            return False
        if self._has_signed_in_anew(request, who):
            return True
        age = self._now() - who.session.auth_time
        is_fresh = request.max_age is None or age <= request.max_age
        return is_fresh and request.prompt.isdisjoint(SIGN_IN_AGAIN)

    def _has_signed_in_anew(self, request: AuthorizationRequest, who: Who) -> bool:
        asked = self._interactions.of(request)
        return asked is not None and asked.has_signed_in(who, self._now(), request.max_age)

    def _ask_to_sign_in(self, request: AuthorizationRequest, who: Who | None) -> LoginNeeded:
        if SILENT in request.prompt:
            raise _refused(request, LoginRequired("The user has to sign in."))
        if who is not None and self._has_signed_in_anew(request, who):
            raise _refused(request, LoginRequired("Somebody else has signed in."))
        return LoginNeeded()

    async def _login_url(
        self, request: AuthorizationRequest, who: Who | None, remote_ip: str
    ) -> str:
        query = await self._query(request, self._interactions.sign_in(request, who), remote_ip)
        values = {
            "next": f"{AUTHORIZE}?{query}",
            "prompt": "login" if who else "",
            "login_hint": request.login_hint,
        }
        return f"{LOGIN}?{_urlencoded(values)}"

    # -- consent --------------------------------------------------------------------------------

    def _has_consent(
        self, request: AuthorizationRequest, who: Who, consent: Consent | None
    ) -> bool:
        if not covers(consent, request):
            return False
        asked = self._interactions.of(request)
        if asked is not None and asked.has_agreed(who, self._now()):
            return True
        return "consent" not in request.prompt and not _is_anybodys(request)

    def _ask_for_consent(
        self, request: AuthorizationRequest, consent: Consent | None
    ) -> ConsentNeeded:
        if SILENT in request.prompt:
            if covers(consent, request):
                raise _refused(request, InteractionRequired("The user has to agree each time."))
            raise _refused(request, ConsentRequired("The user has to agree."))
        return ConsentNeeded(self._view(request, consent))

    def _view(self, request: AuthorizationRequest, consent: Consent | None) -> ConsentView:
        allowed = consent.scope if consent else ()
        parts = urlsplit(request.address.redirect_uri)
        return ConsentView(
            client=request.client,
            redirect_host=parts.hostname or parts.scheme,
            scopes=tuple(
                ScopeRow(name, self._scopes.descriptions[name], name not in allowed)
                for name in request.scope
            ),
            claims=request.claim_names,
            resources=request.resources,
            is_unverified=is_unverified(request.client),
        )

    # -- the way back ---------------------------------------------------------------------------

    async def _query(self, request: AuthorizationRequest, seal: str, remote_ip: str) -> str:
        """Return the query with which this request comes back to us, with what we asked.

        Raises TooManyAttempts for an address that has us keep too many long ones.
        """
        request_uri = request.request_uri
        query = request.parameters.replaced({INTERACTION: [seal]}).to_query()
        if request_uri:
            await self._pushed_requests.hold(request_uri)
        elif len(query) <= MAX_QUERY:
            return query
        else:
            self._throttle.count("parked-requests", address_key(remote_ip))
            request_uri = await self._pushed_requests.park(request.client, request.parameters)
        values = {"client_id": request.client.id, "request_uri": request_uri, INTERACTION: seal}
        return _urlencoded(values)

    async def address_of(self, request: AuthorizationRequest, *, remote_ip: str = "") -> str:
        """Return the address at which a request that came as a form can be asked for again.

        A browser sends our cookie along with that, but not with the form of another site.
        """
        return f"{AUTHORIZE}?{await self._query(request, request.interaction, remote_ip)}"


def _is_program(who: Who) -> bool:
    return who.session.provider == API_KEY or who.user.is_service_account


def _is_spared_consent(request: AuthorizationRequest) -> bool:
    """Tell whether nobody is asked: the client is ours, and does not want it otherwise."""
    asks = "consent" in request.prompt or _is_anybodys(request)
    return request.client.is_trusted and not asks


def _is_anybodys(request: AuthorizationRequest) -> bool:
    """Tell whether any program on the user's device may be the one that asks (RFC 8252 §8.6)."""
    return is_public(request.client) and scheme_of(request.address.redirect_uri) != "https:"


def _refused(request: AuthorizationRequest, error: OAuth2Error) -> RedirectableError:
    return RedirectableError(error, request.address)


def _urlencoded(values: dict[str, str]) -> str:
    return urlencode({name: value for name, value in values.items() if value})
