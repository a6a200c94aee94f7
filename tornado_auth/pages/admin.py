"""The frame of the pages for administrators: who may come in, and how a form is answered.

Owns the step from a form to one call of `server.administration`, which does and records it, and
the page that asks before something is destroyed. Never changes anything itself. Needs no script.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

from tornado_auth.administration import Administration
from tornado_auth.errors import (
    AdministrationError,
    FreshLoginRequired,
    InvalidValue,
    NotAllowed,
    NotFound,
    UsernameError,
)
from tornado_auth.models import Actor, User
from tornado_auth.pages.admin_rows import HOME, Rows
from tornado_auth.web import PageHandler, status_of

MESSAGES = {
    "account-created": "The service account is there. Give it an API key below.",
    "administrator": "You are an administrator now.",
    "deleted": "It is deleted.",
    "disabled": "The user is shut out: every session and API key has ended.",
    "enabled": "The user may sign in again.",
    "ended": "Signed out, everywhere within a second.",
    "removed": "It is taken away, everywhere within a second.",
    "saved": "Saved.",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something is destroyed; `about` is the list whose line it is."""

    title: str
    warning: str
    button: str
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a form does with the page's subject, and what is said of it afterwards.

    `leads_to` makes of the outcome where the browser goes, if not back to the page.
    """

    do: Callable[[Any, str], Awaitable[Any]]
    done: str = "saved"
    question: Question | None = None
    leads_to: Callable[[Any], str] | None = None


def assign(kind: str) -> Change:
    """Give the role of the form to the page's subject, a "user" or a "group"."""
    return Change(
        do=lambda page, name: page.administration.assign(
            page.actor,
            f"{kind}:{name}",
            page.body_parameter("role"),
            resource=page.body_parameter("resource"),
        )
    )


UNASSIGN = Change(
    do=lambda page, _: page.administration.unassign(page.actor, page.body_parameter("id")),
    done="removed",
)


class AdminHandler(PageHandler):
    """A page that an administrator may see, and one with `admin:write` may act on.

    `name` is what the page is about, `action` one of its changes; both stand in the address.
    """

    template: ClassVar[str]
    changes: ClassVar[Mapping[str, Change]] = {}
    administrator: User
    may_write = False
    error = ""
    secret = ""

    @property
    def administration(self) -> Administration:
        """What does everything."""
        return self.server.administration

    @property
    def actor(self) -> Actor:
        """Who is at the page, for the audit log."""
        user = self.administrator
        return Actor(user_id=user.id, name=user.username, via="page", remote_ip=self.remote_ip)

    def url(self, name: str) -> str:
        """Return the address of this page."""
        raise NotImplementedError

    async def gather(self, name: str) -> dict[str, Any]:
        """Return what the template shows; raises NotFound."""
        raise NotImplementedError

    async def get(self, name: str | None = None, action: str | None = None) -> None:
        """Show the page, the question before a change, or the way to sign in."""
        if await self.who() is None:
            return self.redirect(sign_in_url(self.request.uri or HOME), status=303)
        await self.enter()
        question = self.change(action).question if action else None
        if question:
            self.require_write()
        shown = await self.gather(name or "")
        return self.ask(question, name or "", shown) if question else self.show(shown)

    async def enter(self) -> None:
        """Let in who may see this; raises NotAllowed."""
        if self.user is None:
            raise FreshLoginRequired("Sign in first.")
        self.administrator = self.user
        self.may_write = await self.administration.is_administrator(self.user.id, write=True)
        may_read = self.may_write or await self.administration.is_administrator(
            self.user.id, write=False
        )
        if not may_read:
            raise NotAllowed("This page is for administrators.")
        self.administers = True

    def require_write(self) -> None:
        """Stop who may only look; raises NotAllowed."""
        if not self.may_write:
            raise NotAllowed("You may see this, but not change it.")

    def change(self, action: str | None) -> Change:
        """Return the change of this name; raises NotFound."""
        if action is None or action not in self.changes:
            raise NotFound("There is nothing at this address.")
        return self.changes[action]

    def action(self, name: str, action: str) -> str:
        """Return where the form for a change goes, "" for who may not change anything."""
        return f"{self.url(name)}/{action}" if self.may_write else ""

    def show(self, shown: Mapping[str, Any]) -> None:
        """Render the page with what just happened."""
        done = MESSAGES.get(self.parameter("done"), "") if self.request.method != "POST" else ""
        self.render(
            self.template,
            error=self.error,
            message=done,
            secret=self.secret,
            may_write=self.may_write,
            typed=self.typed,
            **shown,
        )

    def typed(self, field: str, before: str = "") -> str:
        """Return what a field is to hold: what was typed, if the form comes back."""
        return self.parameter(field, lines=True) if self.error else before

    def words(self, field: str) -> tuple[str, ...]:
        """Return the words that were typed into a field, on however many lines."""
        return tuple(dict.fromkeys(self.parameter(field, lines=True).split()))

    def ask(self, question: Question, name: str, shown: Mapping[str, Any]) -> None:
        """Render the page that asks first."""
        about, field, value = str(shown["title"]), "", ""
        if question.about:
            rows: Rows = shown[question.about]
            field, value = rows.field, self.parameter(rows.field)
            about = rows.label_of(value)
            if not about:
                raise NotFound("It is not there any more.")
        self.render(
            "admin_confirm.html",
            question=question,
            about=about,
            of=str(shown["title"]) if question.about else "",
            action=self.request.path,
            field=field,
            value=value,
            back=self.url(name),
        )


class ChangingHandler(AdminHandler):
    """A page with forms."""

    async def post(self, name: str | None = None, action: str | None = None) -> None:
        """Make the change, or show the page again with the reason why not and what was typed."""
        await self.who()
        await self.enter()
        self.require_write()
        change = self.change(action)
        id = await self.id_of(name or "")
        try:
            outcome = await change.do(self, id)
        except (AdministrationError, UsernameError, InvalidValue) as error:
            self.start_error(status_of(error), error)
            self.error = str(error)
            return self.show(await self.gather(id))
        if self.secret:
            return self.show(await self.gather(id))
        url = change.leads_to(outcome) if change.leads_to else self.url(id)
        return self.redirect(f"{url}?done={change.done}", status=303)

    async def id_of(self, name: str) -> str:
        """Return the id of what the address names; raises NotFound."""
        return name


def sign_in_url(path: str) -> str:
    """Return the address at which one signs in and comes back to this one of ours."""
    return f"/auth/login?next={quote(path, safe='')}"
