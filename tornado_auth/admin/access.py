"""Who may use the admin API: the base class of its handlers.

Owns which credentials count: `Authorization: Bearer` alone, with an admin token or with an API
key that has the scope, of somebody who is an administrator at this moment. No cookie, no parameter
and no other header opens anything here, and no other origin gets to read an answer: no browser
acts by itself. Never knows what an endpoint does.
"""

from tornado.web import HTTPError

from tornado_auth.administrators import WRITE
from tornado_auth.checks import Verified
from tornado_auth.errors import InvalidToken, NotAllowed
from tornado_auth.models import API_KEY, Actor, Who
from tornado_auth.web import APIHandler, BadRequest, describe

PUBLIC, SESSION = "", "session"  # beside the two permissions: what else an endpoint may ask for


class AdminHandler(APIHandler):
    """A handler that answers administrators' programs."""

    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

    caller: Who
    missing_scope = ""

    async def prepare(self) -> None:
        """Refuse methods that nobody answers before anything is asked of the caller."""
        if not self._answers(self.request.method or ""):
            raise HTTPError(405)
        await super().prepare()

    def check_xsrf_cookie(self) -> None:
        """Need no proof: no cookie is looked at."""

    def allow_listed_origin(self) -> None:
        """Let no origin in, not even a listed one."""

    def check_form(self) -> None:
        """Take JSON and nothing else: a form could be sent from any site."""
        content_type = self.request.headers.get("Content-Type", "").partition(";")[0]
        if self.request.body and content_type.strip().lower() != "application/json":
            raise BadRequest("Send the body as application/json.", status=415)

    @property
    def actor(self) -> Actor:
        """Who the audit log says it was."""
        user = self.caller.user
        via = "api_key" if self.caller.session.provider == API_KEY else "api"
        return Actor(user_id=user.id, name=user.username, via=via, remote_ip=self.remote_ip)

    def require_person(self) -> None:
        """Refuse an API key: it makes nothing that outlives it; raises NotAllowed."""
        if self.caller.session.provider == API_KEY:
            raise NotAllowed("An API key cannot do this. Use an admin token.")

    async def admit(self, needed: str) -> None:
        """Let in whoever may do what needs this permission, and remember who it is.

        Raises BadRequest with 401 or 403, and NotAllowed for who is no administrator.
        """
        if needed == PUBLIC:
            return
        bearer = self._bearer()
        if needed == SESSION:
            self.caller = await self._signed_in(bearer)
            return
        self.caller, scopes = await self._scoped(bearer)
        if needed not in scopes:
            self.missing_scope = needed
            await self.record_refusal("insufficient_scope")
            raise BadRequest(
                f"This needs the scope {needed}.", status=403, reason="insufficient_scope"
            )
        administrators = self.server.administrators
        if not await administrators.is_administrator(self.caller.user.id, write=needed == WRITE):
            await self.record_refusal(NotAllowed.reason)
            raise NotAllowed("You may not do this.")

    async def record_refusal(self, reason: str) -> None:
        """Let the audit log say that somebody who is known may not do what they asked for."""
        await self.server.failed_attempts.record(
            "administration_refused",
            actor=self.actor,
            subject=self.caller.user.id,
            target=f"{self.request.method} {self.request.path}",
            result=reason,
        )

    async def find_user(self, id_or_name: str) -> str:
        """Return the id of the user with this id or name; raises NotFound."""
        return (await self.server.administration.user(id_or_name)).id

    def _bearer(self) -> str:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise BadRequest(
                "Send a token as Authorization: Bearer.", status=401, reason="no_token"
            )
        return token.strip()

    async def _signed_in(self, token: str) -> Who:
        """Return whose session token it is; API keys do not count."""
        who = await self.server.checks.who(token)
        if who is None or who.session.provider == API_KEY:
            raise _invalid_token()
        return who

    async def _scoped(self, token: str) -> tuple[Who, tuple[str, ...]]:
        """Return whose admin token or API key it is, and its scopes."""
        try:
            said = self.server.administrators.verify(token)
        except InvalidToken:
            who = await self.server.checks.who(token)
            if who is None or who.session.provider != API_KEY:
                raise _invalid_token() from None
            return who, who.session.scopes
        verified = Verified(said.session_id, said.user_id, said.expires_at)
        who = await self.server.checks.whose(verified)
        if who is None:
            raise _invalid_token()
        return who, said.scopes

    def start_error(self, status: int, error: BaseException | None) -> None:
        """Set the status and, as RFC 6750 §3 has it, what a caller without a good token lacks."""
        super().start_error(status, error)
        if status == 401:
            is_wrong = describe(status, error)[1] == "invalid_token"
            self.set_header(
                "WWW-Authenticate", 'Bearer error="invalid_token"' if is_wrong else "Bearer"
            )
        elif self.missing_scope:
            self.set_header(
                "WWW-Authenticate",
                f'Bearer error="insufficient_scope", scope="{self.missing_scope}"',
            )


def _invalid_token() -> BadRequest:
    return BadRequest(
        "The token is not valid here, has expired, or its session is over.",
        status=401,
        reason="invalid_token",
    )
