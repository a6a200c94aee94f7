"""What happens when somebody signs in or out, in which order.

Owns the sequence identity -> user -> hooks -> session and its reverse. Never knows how the identity
was proven (login providers do) nor how the answer looks (handlers do).
"""

import logging
from dataclasses import dataclass

from tornado_auth.accounts import Accounts, profile
from tornado_auth.errors import LoginError, TornadoAuthError
from tornado_auth.extensions import Extensions
from tornado_auth.metrics import Metrics
from tornado_auth.models import AssertedIdentity, Session, Who
from tornado_auth.sessions import Sessions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Where a request came from, as far as we believe it."""

    user_agent: str = ""
    remote_ip: str = ""


class Logins:
    """Sign people in and out."""

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        *,
        extensions: Extensions,
        metrics: Metrics,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._extensions = extensions
        self._metrics = metrics

    async def sign_in(self, asserted: AssertedIdentity, visitor: Visitor) -> Session:
        """Start a session for a proven identity, having run the hooks.

        Raises LoginRefused if this person may not sign in, LoginBlocked if an extension says no.
        """
        try:
            session = await self._sign_in(asserted, visitor)
        except LoginError as error:
            self.refused(asserted.provider, error)
            raise
        self._metrics.logins.labels(asserted.provider, "success").inc()
        logger.info(
            "login",
            extra={
                "user_id": session.user_id,
                "provider": asserted.provider,
                "remote_ip": visitor.remote_ip,
            },
        )
        return session

    async def _sign_in(self, asserted: AssertedIdentity, visitor: Visitor) -> Session:
        signed_in = await self._accounts.sign_in(asserted)
        user_info = profile(signed_in.user, signed_in.identity.id)
        if signed_in.user.welcomed_at is None:
            await self._extensions.fire("on_new_user", user_info)
            await self._accounts.mark_welcomed(signed_in.user.id)
        await self._extensions.fire("on_user_login", user_info)
        session = await self._sessions.start(
            signed_in.identity,
            amr=asserted.amr,
            user_agent=visitor.user_agent,
            remote_ip=visitor.remote_ip,
        )
        self._metrics.sessions_started.inc()
        return session

    def refused(self, provider: str, error: TornadoAuthError) -> None:
        """Count and log a sign-in that failed."""
        self._metrics.logins.labels(provider, error.reason).inc()
        logger.warning("login_failed", extra={"provider": provider, "reason": error.reason})

    async def sign_out(self, who: Who) -> None:
        """End the session of a request, and run the hooks."""
        await self.end(who, who.session)

    async def end(self, who: Who, session: Session) -> None:
        """End any session of the same user, and run the hooks once."""
        ended = await self._sessions.end(session)
        if not ended:
            return
        self._metrics.logouts.inc()
        logger.info("logout", extra={"user_id": who.user.id, "provider": session.provider})
        await self._extensions.fire("on_user_logout", profile(who.user, session.identity_id))
