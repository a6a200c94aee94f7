"""The page of what happened, and the one that makes an administrator.

Owns which records are read for a page. See `admin.py` for the frame. Nothing here changes or
deletes an event.
"""

from typing import Any

from tornado_auth.errors import FreshLoginRequired, NotAllowed, NotFound
from tornado_auth.models import Actor
from tornado_auth.pages.admin import AdminHandler, sign_in_url
from tornado_auth.pages.admin_rows import HOME, PAGE_SIZE, Rows, cut, event_row
from tornado_auth.web import PageHandler, status_of

AUDIT = f"{HOME}/audit"


class AuditHandler(AdminHandler):
    """GET /auth/admin/audit: what happened, the newest first."""

    section = "audit"
    template = "admin_audit.html"

    def url(self, name: str) -> str:
        """See AdminHandler."""
        return AUDIT

    async def gather(self, name: str) -> dict[str, Any]:
        """Find events: by whom, about whom, of which kind."""
        wanted = {name: self.parameter(name).strip() for name in ("by", "about", "action")}
        found = await self.administration.audit(
            actor=await self._user_id(wanted["by"]),
            subject=await self._user_id(wanted["about"]),
            action=wanted["action"].replace(" ", "_"),
            after=self.parameter("after"),
            limit=PAGE_SIZE + 1,
        )
        events, more = cut(found, AUDIT, lambda event: event.id, kept=wanted)
        ids = {user_id for event in events for user_id in (event.actor, event.subject)}
        users = await self.administration.users_by_id(sorted(ids - {""}))
        items = [event_row(event, users) for event in events]
        return {"wanted": wanted, "events": Rows(id="events", items=items, more=more)}

    async def _user_id(self, name: str) -> str:
        """Return the id of a user by name or id; of one who is gone, only the id is known."""
        try:
            return (await self.administration.user(name)).id if name else ""
        except NotFound:
            return name


class InvitationHandler(PageHandler):
    """GET and POST /auth/admin/invitation: become an administrator, with a one-time secret."""

    async def get(self) -> None:
        """Show the form, or the way to sign in."""
        if await self.who() is None:
            self.redirect(sign_in_url(self.request.path), status=303)
        else:
            self.render("admin_invitation.html", error="")

    async def post(self) -> None:
        """Make who is signed in an administrator, or say that the secret is none."""
        who = await self.who()
        if who is None:
            raise FreshLoginRequired("Sign in first.")
        actor = Actor(
            user_id=who.user.id, name=who.user.username, via="page", remote_ip=self.remote_ip
        )
        try:
            await self.server.administration.accept_invitation(actor, self.body_parameter("secret"))
        except NotAllowed as error:
            self.start_error(status_of(error), error)
            self.render("admin_invitation.html", error=str(error))
        else:
            self.redirect(f"{HOME}?done=administrator", status=303)
