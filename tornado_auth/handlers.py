"""The /auth API: what DataHQ auth and dgp-oauth2 offered, and /auth/verify for nginx.

Owns the parameters, field names and error texts of each endpoint. Thin: each handler reads, calls
one part of the server and writes. Two routes sound alike: `/auth/authorize` here answers what a
user may do in a service; `/oauth2/authorize` is the authorization endpoint of RFC 6749 §3.1.
"""

import logging
from collections.abc import Mapping

from tornado_auth.accounts import profile
from tornado_auth.errors import (
    FreshLoginRequired,
    InvalidToken,
    LoginError,
    LoginStateInvalid,
    UsernameError,
)
from tornado_auth.granted import scopes_cover, scopes_of
from tornado_auth.models import AssertedIdentity, LoginAttempt, Who
from tornado_auth.questions import Allowed
from tornado_auth.role_names import check_resource
from tornado_auth.throttle import address_key
from tornado_auth.web import (
    APIHandler,
    BadRequest,
    BaseHandler,
    Headers,
    PageHandler,
    check_answer,
    check_body,
    denial,
    describe,
    login_url,
    needed_permission,
    set_passing_headers,
    status_of,
    verdict_headers,
)

logger = logging.getLogger(__name__)

MAX_LISTED = 20
MAX_QUESTIONS = 100


class TokenCheckHandler(BaseHandler):
    """What the fast path answers as well, if the request is plain."""

    takes_api_keys = True

    @property
    def ends_connection(self) -> bool:
        """End a connection that left the fast path: a proxy would send checks over it for ever."""
        return self.server.settings.fast_path


class CheckHandler(TokenCheckHandler, APIHandler):
    """GET /auth/check: whose token is this, and if nobody's, where can one sign in?"""

    async def get(self) -> None:
        """Answer 200 in both cases: `authenticated` tells them apart."""
        answer = check_answer(self.server, await self.who(), self.parameter("next"))
        self.finish_json(check_body(answer))


class PermissionsHandler(APIHandler):
    """GET /auth/authorize: what may the user do in a service? Not RFC 6749's endpoint.

    One question has `service` and maybe `resource`; many at once have `services` and maybe
    `resources`, each a list with commas.
    """

    takes_api_keys = True

    async def get(self) -> None:
        """Answer 200 with permission tokens, or with empty permissions and no token."""
        is_many = bool(self.parameter("services") or self.parameter("resources"))
        await (self._answer_all() if is_many else self._answer_one())

    async def _answer_one(self) -> None:
        who, service = await self.who(), self.parameter("service")
        resource = check_resource(self.parameter("resource"))
        if not who:
            return self.write_json({"permissions": {}, "error": "invalid_token"})
        allowed = await self.server.questions.ask(who.session, service, resource=resource)
        if allowed.error:
            self.set_status(403 if allowed.error == "insufficient_scope" else 200)
            return self.write_json({"permissions": {}, "error": allowed.error})
        token = await self.server.tokens.permission_token(
            who.session, service, allowed.permissions, resource=resource
        )
        answer: dict[str, object] = {
            "userid": who.user.id,
            "permissions": dict(allowed.permissions),
            "service": service,
            "token": token,
        }
        return self.write_json({**answer, "resource": resource} if resource else answer)

    async def _answer_all(self) -> None:
        who, services, resources = await self.who(), self._list("services"), self._list("resources")
        if self.parameter("service") or self.parameter("resource"):
            raise BadRequest("Send service and resource, or services and resources, not both.")
        if not services or len(services) * max(1, len(resources)) > MAX_QUESTIONS:
            raise BadRequest(f"Ask for at least one service and {MAX_QUESTIONS} answers at most.")
        if not who:
            return self.write_json({"services": {}, "error": "invalid_token"})
        ask_all = self.server.questions.ask_all
        if not resources:
            found = await ask_all(who.session, services)
            answers = {name: await self._signed(who, name, found[name][""]) for name in services}
        else:
            found = await ask_all(who.session, services, resources=resources)
            answers = {name: {"resources": _shown(found[name])} for name in services}
        return self.write_json({"userid": who.user.id, "services": answers})

    def _list(self, name: str) -> list[str]:
        entries = list(dict.fromkeys(filter(None, self.parameter(name).split(","))))
        if len(entries) > MAX_LISTED:
            raise BadRequest(f"More than {MAX_LISTED} {name}.")
        return [check_resource(entry) for entry in entries] if name == "resources" else entries

    async def _signed(self, who: Who, service: str, allowed: Allowed) -> dict[str, object]:
        shown = _shown({service: allowed})[service]
        if not allowed.error:
            permissions = allowed.permissions
            shown["token"] = await self.server.tokens.permission_token(
                who.session, service, permissions
            )
        return shown


def _shown(answers: Mapping[str, Allowed]) -> dict[str, dict[str, object]]:
    shown: dict[str, dict[str, object]] = {}
    for name, allowed in answers.items():
        shown[name] = {"permissions": dict(allowed.permissions)}
        if allowed.error:
            shown[name]["error"] = allowed.error
    return shown


class VerifyHandler(TokenCheckHandler):
    """GET /auth/verify: may this request pass? For nginx `auth_request`.

    Answers 200, 401 or 403 without a body: nginx turns everything else into 500. What went wrong
    stands in `X-Auth-Reason`. With `service`, the user must have a permission there, or in its
    `resource`; `permission` names which one, `read` and `write` do by the original method.
    """

    async def get(self) -> None:
        """Answer 200 with the `X-Auth-*` headers."""
        credential = self.credential()
        service = self.parameter("service")
        verdict = await self.server.forward_auth.decide(
            credential.token if credential else "",
            service=service,
            needed=self._needed(),
            resource=check_resource(self.parameter("resource")),
        )
        self._answer(*verdict_headers(verdict))

    def _needed(self) -> str:
        # A method that a stranger names counts as unknown.
        method = self.request.headers.get("X-Original-Method", "")
        permission = self.parameter("permission")
        return needed_permission(
            self.parameter("read") or permission,
            self.parameter("write") or permission,
            method=method if self.from_trusted_proxy else "",
        )

    def _answer(self, status: int, headers: Headers) -> None:
        self.set_status(status)
        if status == 200:
            set_passing_headers(self)
        for name, value in headers:
            self.set_header(name, value)
        self._end()

    def _end(self) -> None:
        # nginx keeps its connection only if the answer to a subrequest is empty.
        self.set_header("Content-Length", "0")
        self.clear_header("Content-Type")
        self.finish()

    def write_error(self, status_code: int, **kwargs: object) -> None:
        """Deny without saying "not signed in" of somebody who may well be."""
        exc_info = kwargs.get("exc_info")
        error = exc_info[1] if isinstance(exc_info, tuple) else None
        if status_code == 405:
            self.start_error(405, error)
            return self._end()
        return self._answer(*denial(describe(status_code, error)[1]))


class UpdateHandler(APIHandler):
    """POST /auth/update: choose the user name, once."""

    async def post(self) -> None:
        """Answer `success` and, where it is false, `error`; other fields change nothing."""
        if self.credential() is None:
            return self._fail(401, "No token")
        who = await self.who()
        if not who:
            return self._fail(401, "Not authenticated")
        username = self.parameter("username")
        if username:
            try:
                await self.server.logins.choose_username(who, username, self.visitor)
            except UsernameError as error:
                return self._fail(status_of(error), str(error))
        return self.write_json({"success": True})

    def _fail(self, status: int, error: str) -> None:
        self.set_status(status)
        self.write_json({"success": False, "error": error})


class PublicKeyHandler(APIHandler):
    """GET /auth/public-key: the key that verifies our tokens, as PEM."""

    def get(self) -> None:
        """Answer with text, as the seeds did."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=300")
        self.finish(self.server.keys.public_pem())


class KeySetHandler(APIHandler):
    """GET /.well-known/jwks.json: every key that verifies our tokens (RFC 7517 §5)."""

    def get(self) -> None:
        """Answer with public members only."""
        self.set_header("Cache-Control", "public, max-age=300")
        self.write_json(self.server.keys.jwks())


class LookupHandler(APIHandler):
    """What /auth/resolve and /auth/get_profile share: who may look other people up."""

    takes_api_keys = True

    async def allowed(self) -> bool:
        """Tell whether the caller may ask; raises TooManyAttempts for one who asks too often.

        Raises BadRequest for an API key that is not for everything.
        """
        who = await self.who()
        scope = "lookup-user" if who else "lookup-address"
        key = who.user.id if who else address_key(self.remote_ip)
        self.server.throttle.count(scope, key)
        if self.server.settings.public_profiles:
            return True
        if who and not scopes_cover(scopes_of(who.session), ""):
            message = "This API key is not for everything."
            raise BadRequest(message, status=403, reason="insufficient_scope")
        return who is not None

    def refuse(self, answer: Mapping[str, object]) -> None:
        """Answer 401 with the shape that callers expect."""
        self.set_status(401)
        self.set_header("WWW-Authenticate", "Bearer")
        self.write_json({**answer, "error": "login_required"})


class ResolveHandler(LookupHandler):
    """GET /auth/resolve: the id of the user with this name."""

    async def get(self) -> None:
        """Answer `userid`, null if nobody has the name."""
        if not await self.allowed():
            return self.refuse({"userid": None})
        user = await self.server.accounts.find_by_username(self.parameter("username"))
        return self.write_json({"userid": user.id if user else None})


class GetProfileHandler(LookupHandler):
    """GET /auth/get_profile: what others may see of the user with this name."""

    async def get(self) -> None:
        """Answer `found` and `profile`; no e-mail address and no digest of one."""
        if not await self.allowed():
            return self.refuse({"found": False})
        user = await self.server.accounts.find_by_username(self.parameter("username"))
        if user is None:
            return self.write_json({"found": False})
        shown = {
            "id": user.id,
            "name": user.name,
            "join_date": profile(user, "")["join_date"],
            "avatar_url": user.avatar_url,
            "gravatar": None,
        }
        return self.write_json({"found": True, "profile": shown})


class HandoverHandler(APIHandler):
    """POST /auth/token: exchange a one-time hand-over code for the session token."""

    def check_xsrf_cookie(self) -> None:
        """Need no proof: the code is the credential, and no cookie is looked at."""

    async def post(self) -> None:
        """Answer like RFC 6749 §5.1: `token_type`, `expires_in`, and the token."""
        session = await self.server.sessions.redeem(self.body_parameter("code"))
        if session is None:
            raise BadRequest("The code is unknown, used or expired.", reason="invalid_grant")
        token = await self.server.sessions.token(session)
        expires_in = (session.expires_at or 0) - self.server.now()
        self.write_json({"token": token, "token_type": "Bearer", "expires_in": expires_in})


class LoginHandler(PageHandler):
    """GET /auth/login/<provider>: send the browser to a login provider."""

    opens_in_popups = True

    async def get(self, name: str) -> None:
        """Bind an attempt to this browser and redirect."""
        next_url = self.safe_next(self.parameter("next"))
        url = await self.begin_login(name, next=next_url.url if next_url else "")
        self.redirect(url, status=303)


class UpstreamLogoutHandler(APIHandler):
    """POST /auth/backchannel_logout/<provider>: a login provider says that somebody signed out."""

    def check_xsrf_cookie(self) -> None:
        """Need no proof: the token is one, and no cookie is looked at."""

    async def post(self, name: str) -> None:
        """Answer 200 when the sessions are over (Back-Channel Logout §2.8)."""
        if not (token := self.body_parameter("logout_token")):
            raise BadRequest("The parameter logout_token is missing.")
        try:
            await self.server.upstream_logouts.receive(name, token, self.visitor)
        except InvalidToken as error:
            details = {"provider": name, "reason": str(error)}
            logger.warning("upstream_logout_refused", extra=details)
            raise BadRequest("The logout token is not valid.") from None
        self.write_json({})


class OAuthCallbackHandler(PageHandler):
    """GET /auth/oauth_callback: where login providers send the browser back to."""

    opens_in_popups = True

    async def get(self) -> None:
        """Sign in, or link the identity, and send the browser on; errors are pages."""
        attempt = await self._take_attempt()
        # To try again must not sign in as, or make, another user than the one who links.
        self.retry_url = (
            "/auth/account"
            if attempt.link_user_id
            else login_url(attempt.provider, attempt.next, asks_again=attempt.asks_again)
        )
        provider = self.server.login_providers.get(attempt.provider)
        if provider is None or provider.callback_path != self.request.path:
            raise await self._refused(
                attempt.provider,
                LoginStateInvalid("This answer came from another login provider."),
            )
        parameters = {name: self.parameter(name) for name in self.request.query_arguments}
        try:
            asserted = await provider.fetch_identity(attempt, parameters)
        except LoginError as error:
            raise await self._refused(attempt.provider, error) from None
        if attempt.link_user_id:
            await self._link(attempt, asserted)
            return self.redirect("/auth/account", status=303)
        next_url = self.safe_next(attempt.next)  # first: the list may have changed in the meantime
        session = await self.sign_in(asserted)
        return await self.redirect_with_token(session, next_url)

    async def _take_attempt(self) -> LoginAttempt:
        state = self.parameter("state")
        cookie = self.attempt_cookie(state)
        sealed = self.get_cookie(cookie) or ""
        self.clear_own_cookie(cookie)
        try:
            return await self.server.login_attempts.take(sealed, state)
        except LoginStateInvalid as error:
            raise await self._refused("(unknown)", error) from None

    async def _refused(self, provider: str, error: LoginError) -> LoginError:
        await self.server.logins.refused(provider, error, self.visitor)
        return error

    async def _link(self, attempt: LoginAttempt, asserted: AssertedIdentity) -> None:
        who = await self.who()
        if who is None or who.user.id != attempt.link_user_id:
            raise FreshLoginRequired("Sign in again before you link another way to sign in.")
        await self.server.logins.link(who, asserted, self.visitor)
