"""What happens when somebody signs in or out or changes how they do, in which order.

Owns the sequence identity -> user -> hooks -> session and its reverse, and what the audit log says
of it. Never knows how the identity was proven (login providers do) nor how the answer looks
(handlers do).
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from tornado_auth.accounts import Accounts, profile
from tornado_auth.audit import AuditLog
from tornado_auth.errors import LoginError, LoginRefused, StorageUnavailable, TornadoAuthError
from tornado_auth.extensions import Extensions
from tornado_auth.failed_attempts import FailedAttempts
from tornado_auth.metrics import Metrics
from tornado_auth.models import Actor, AssertedIdentity, Identity, Session, User, Who
from tornado_auth.roles import Roles
from tornado_auth.scheduling import give_way
from tornado_auth.sessions import Sessions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Where a request came from, as far as we believe it; `via` is that of `Actor`."""

    user_agent: str = ""
    remote_ip: str = ""
    via: str = "page"


NOWHERE = Visitor()


class Logins:
    """Sign people in and out, and let them change how."""

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        *,
        roles: Roles,
        extensions: Extensions,
        metrics: Metrics,
        audit_log: AuditLog,
        failed_attempts: FailedAttempts,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._roles = roles
        self._extensions = extensions
        self._metrics = metrics
        self._audit_log = audit_log
        self._failed_attempts = failed_attempts

    async def sign_in(
        self, asserted: AssertedIdentity, visitor: Visitor, *, before: Who | None = None
    ) -> Session:
        """Start a session for a proven identity, having run the hooks and read its groups.

        It takes the place of the session of `before`, which the same browser had. Raises
        LoginRefused if this person may not sign in, LoginBlocked if an extension says no.
        """
        try:
            session = await self._sign_in(asserted, visitor)
        except LoginError as error:
            await self.refused(asserted.provider, error, visitor, identity_id=asserted.id)
            raise
        self._metrics.logins.labels(asserted.provider, "success").inc()
        if before is not None:
            await self._replace(before, session, visitor)
        return session

    async def _sign_in(self, asserted: AssertedIdentity, visitor: Visitor) -> Session:
        signed_in = await self._accounts.sign_in(asserted)
        user, actor = signed_in.user, _actor(signed_in.user, visitor, via="login")
        if signed_in.is_new:
            await self._audit_log.record(
                "user_created", actor=actor, subject=user.id, target=asserted.id
            )
        user_info = profile(user, signed_in.identity.id)
        if user.welcomed_at is None:
            await self._extensions.fire("on_new_user", user_info)
            await self._accounts.mark_welcomed(user.id)
        await self._extensions.fire("on_user_login", user_info)
        if asserted.groups is not None:
            await self._follow_groups(user.id, asserted.provider, asserted.groups, actor)
        session = await self._sessions.start(
            signed_in.identity,
            amr=asserted.amr,
            user_agent=visitor.user_agent,
            remote_ip=visitor.remote_ip,
            upstream_sid=asserted.upstream_sid,
        )
        await self._check_not_unlinked(session, actor)
        self._metrics.sessions_started.inc()
        await give_way()
        await self._audit_log.record(
            "login",
            actor=actor,
            subject=user.id,
            target=session.id,
            details=(f"identity={asserted.id}",),
        )
        return session

    async def _replace(self, before: Who, session: Session, visitor: Visitor) -> None:
        """End the session that the browser had: nobody could sign out of it any more."""
        if before.user.id != session.user_id:
            await self.sign_out(before, visitor)
        elif await self._sessions.replace(before.session, session):
            await self._audit_log.record(
                "session_ended",
                actor=_actor(before.user, visitor),
                subject=before.user.id,
                target=before.session.id,
                details=(f"replaced_by={session.id}",),
            )

    async def _check_not_unlinked(self, session: Session, actor: Actor) -> None:
        """Take back a sign-in that outlived its identity; raises LoginRefused.

        Whoever unlinks one removes it first and its sessions and groups afterwards, so that either
        they find what this sign-in wrote or this sign-in finds the identity gone.
        """
        if await self._accounts.user_id_of(session.identity_id) == session.user_id:
            return
        await self._sessions.end(session)
        await self._follow_groups(session.user_id, session.provider, (), actor)
        raise LoginRefused("This account does not exist any more.")

    async def _follow_groups(
        self, user_id: str, provider: str, groups: Sequence[str], actor: Actor
    ) -> None:
        joined, left = await self._roles.follow_groups(user_id, provider, groups)
        for action, changed in (("member_added", joined), ("member_removed", left)):
            for group in changed:
                await self._audit_log.record(
                    action,
                    actor=actor,
                    subject=user_id,
                    target=group,
                    details=(f"provider={provider}",),
                )

    async def refused(
        self,
        provider: str,
        error: TornadoAuthError,
        visitor: Visitor,
        *,
        username: str = "",
        identity_id: str = "",
    ) -> None:
        """Count and log a sign-in that failed, with what is known of who tried.

        A user name is looked up and not kept: people type passwords there, too.
        """
        self._metrics.logins.labels(provider, error.reason).inc()
        logger.warning("login_failed", extra={"provider": provider, "reason": error.reason})
        await self._failed_attempts.record(
            "login_failed",
            actor=Actor(via="login", remote_ip=visitor.remote_ip),
            subject=await self._find_user_id(username, identity_id),
            target=identity_id,
            result=error.reason,
            details=(f"provider={provider}",),
        )

    async def link(self, who: Who, asserted: AssertedIdentity, visitor: Visitor) -> Identity:
        """Let a proven identity sign in as this user; raises what `Accounts.link` does."""
        actor = _actor(who.user, visitor)
        try:
            identity, added = await self._accounts.link(who.user.id, asserted)
        except LoginError as error:
            self._metrics.logins.labels(asserted.provider, error.reason).inc()
            await self._failed_attempts.record(
                "identity_linked",
                actor=actor,
                subject=who.user.id,
                target=asserted.id,
                result=error.reason,
            )
            raise
        if added:
            await self._audit_log.record(
                "identity_linked", actor=actor, subject=who.user.id, target=identity.id
            )
        return identity

    async def choose_username(self, who: Who, username: str, visitor: Visitor) -> User:
        """Give a user the name that they choose; raises what `Accounts.choose_username` does."""
        user = await self._accounts.choose_username(who.user.id, username)
        await self._audit_log.record(
            "username_chosen",
            actor=_actor(user, visitor),
            subject=user.id,
            details=(f"before={who.user.username}",),
        )
        return user

    async def sign_out(self, who: Who, visitor: Visitor = NOWHERE) -> None:
        """End the session of a request, and run the hooks."""
        await self.end(who, who.session, visitor)

    async def end(self, who: Who, session: Session, visitor: Visitor = NOWHERE) -> None:
        """End any session of the same user, with those that it replaced, and run the hooks once."""
        for before in await self._sessions.replaced_by(session):
            await self._sessions.end(before)
        if not await self._sessions.end(session):
            return
        action = "logout" if session.id == who.session.id else "session_ended"
        await self._ended(action, session, who.user, _actor(who.user, visitor))

    async def end_upstream(self, session: Session, visitor: Visitor = NOWHERE) -> None:
        """End a session because its login provider says that it is over, and run the hooks."""
        user = await self._accounts.get(session.user_id)
        if await self._sessions.end(session) and user is not None:
            actor = Actor(via="login", remote_ip=visitor.remote_ip)
            details = (f"provider={session.provider}",)
            await self._ended("session_ended", session, user, actor, details=details)

    async def _ended(
        self,
        action: str,
        session: Session,
        user: User,
        actor: Actor,
        *,
        details: Sequence[str] = (),
    ) -> None:
        self._metrics.logouts.inc()
        await self._audit_log.record(
            action, actor=actor, subject=user.id, target=session.id, details=details
        )
        await self._extensions.fire("on_user_logout", profile(user, session.identity_id))

    async def _find_user_id(self, username: str, identity_id: str) -> str:
        """Return whose account was tried, "" if that is nobody's or cannot be told."""
        with suppress(StorageUnavailable):
            if username:
                user = await self._accounts.find_by_username(username)
                return user.id if user else ""
            if identity_id:
                return await self._accounts.user_id_of(identity_id)
        return ""


def _actor(user: User, visitor: Visitor, *, via: str = "") -> Actor:
    return Actor(
        user_id=user.id,
        name=user.username,
        via=via or visitor.via,
        remote_ip=visitor.remote_ip,
    )
