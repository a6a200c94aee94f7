"""What administrators see, as lists of lines: users, sessions, roles, what happened.

Owns the words for records and the addresses of their pages. Never asks for a record, and never
decides what may be done with one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import quote, urlencode

from tornado_auth.models import (
    Assignment,
    AuditEvent,
    Group,
    GroupMapping,
    Identity,
    Membership,
    Role,
    Session,
    User,
)
from tornado_auth.oauth2.consents import Application
from tornado_auth.pages.account_rows import key_row
from tornado_auth.pages.user_agents import describe_user_agent

HOME = "/auth/admin"
PAGE_SIZE = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line: what it is called and more about it; `value` names it in a form."""

    label: str
    hints: Sequence[str] = ()
    url: str = ""
    badge: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A list with at most one thing to do for each line: `button`, sent as `field` to `action`.

    `asks` means that a page asks for confirmation first; `more` is the address of what follows.
    """

    id: str
    items: Sequence[Row] = ()
    empty: str = "None."
    action: str = ""
    button: str = ""
    field: str = "id"
    asks: bool = False
    more: str = ""

    def question_url(self, row: Row) -> str:
        """Return the address of the page that asks before it is done."""
        return f"{self.action}?{urlencode({self.field: row.value})}"

    def label_of(self, value: str) -> str:
        """Return what the line with this value is called, "" if there is none."""
        return next((row.label for row in self.items if row.value == value), "")


def cut(
    records: list[T], url: str, key: Callable[[T], str], *, kept: Mapping[str, str] | None = None
) -> tuple[list[T], str]:
    """Return a page of records that were asked for with one more, and the address of the next."""
    if len(records) <= PAGE_SIZE:
        return records, ""
    shown = records[:PAGE_SIZE]
    query = {name: value for name, value in (kept or {}).items() if value}
    return shown, f"{url}?{urlencode({**query, 'after': key(shown[-1])})}"


def moment(seconds: int) -> str:
    """Return a time as people read it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def page_url(section: str, name: str) -> str:
    """Return the address of the page of a user, group or role."""
    return f"{HOME}/{section}/{quote(name, safe='')}"


def user_row(user: User, *, hints: Sequence[str] = (), value: str = "") -> Row:
    """Return a user as a line that leads to the page."""
    kind = "service account" if user.is_service_account else ""
    return Row(
        label=user.username,
        hints=hints or _said(user.name, user.email, kind, f"since {moment(user.created_at)[:10]}"),
        url=page_url("users", user.id),
        badge="Disabled" if user.disabled_at else "",
        value=value,
    )


def identity_row(identity: Identity) -> Row:
    """Return an identity by what its owner knows it by."""
    return Row(
        label=identity.provider,
        hints=_said(
            identity.username or identity.email or identity.subject,
            f"last used {moment(identity.last_login_at)}",
        ),
        value=identity.id,
    )


def session_row(session: Session) -> Row:
    """Return a session by its browser and address."""
    return Row(
        label=f"{describe_user_agent(session.user_agent)} ({session.remote_ip or 'no address'})",
        hints=_said(
            f"by {session.provider}",
            f"started {moment(session.created_at)}",
            f"last seen {moment(session.last_seen_at)}",
        ),
        value=session.id,
    )


def admin_key_row(key: Session) -> Row:
    """Return an API key in the words of the account page."""
    row = key_row(key)
    return Row(
        label=row.name,
        hints=(f"for {row.scopes}", f"made {row.created}", row.expires, row.last_used),
        value=row.id,
    )


def application_row(application: Application) -> Row:
    """Return what a client may do for a user, and the last time that it was let in."""
    granted, client = application.last_granted_at, application.client
    return Row(
        label=client.client_name or client.id,
        hints=_said(
            f"for {' '.join(application.scope)}" if application.scope else "",
            f"let in {moment(granted)}" if granted else "",
        ),
        badge="Disabled" if client.disabled_at else "",
        value=client.id,
    )


def role_row(role: Role) -> Row:
    """Return a role as a line that leads to its page."""
    permissions = " ".join(role.permissions) or "no permissions"
    return Row(
        label=role.id,
        hints=_said(role.description, permissions),
        url=page_url("roles", role.id),
    )


def assignment_row(assignment: Assignment, *, through: str = "") -> Row:
    """Return a role that somebody holds, and where."""
    return Row(
        label=assignment.role_id,
        hints=_said(
            f"only in {assignment.resource}" if assignment.resource else "in the whole service",
            f"through the group {through}" if through else "",
        ),
        url=page_url("roles", assignment.role_id),
        value=assignment.id,
    )


def membership_row(membership: Membership, user: User | None = None) -> Row:
    """Return that somebody is in a group: as the group or, if given, as the user."""
    by = f"by {membership.provider}" if membership.provider else ""
    if user:
        return user_row(user, hints=_said(user.name, user.email, by), value=user.id)
    group = membership.group
    return Row(label=group, hints=_said(by), url=page_url("groups", group), value=group)


def mapping_row(mapping: GroupMapping) -> Row:
    """Return a login provider's group that stands for one of ours."""
    return Row(label=mapping.upstream, hints=(f"at {mapping.provider}",), value=mapping.id)


def group_row(group: Group) -> Row:
    """Return a group as a line that leads to its page."""
    hints = _said(group.description)
    return Row(label=group.id, hints=hints, url=page_url("groups", group.id))


def holder_row(assignment: Assignment, users: Mapping[str, User]) -> Row:
    """Return who holds a role: a group, or a user by name."""
    kind, _, name = assignment.holder.partition(":")
    user = users.get(name) if kind == "user" else None
    return Row(
        label=user.username if user else name,
        hints=_said(kind, f"only in {assignment.resource}" if assignment.resource else ""),
        url=page_url(f"{kind}s", name),
        value=assignment.id,
    )


def event_row(event: AuditEvent, users: Mapping[str, User]) -> Row:
    """Return what happened, to whom, by whom, and from where."""
    names = {user_id: user.username for user_id, user in users.items()}
    subject = names.get(event.subject, event.subject)
    actor = event.actor_name or names.get(event.actor, event.actor)
    what = event.action.replace("_", " ")
    return Row(
        label=f"{what}: {subject}" if subject else what,
        hints=_said(
            moment(event.at),
            f"by {actor}" if actor else "",
            event.target.removeprefix(f"user:{event.subject}|").rstrip("|"),
            *event.details,
            f"{event.via} from {event.remote_ip}" if event.remote_ip else event.via,
        ),
        url=page_url("users", event.subject) if event.subject in users else "",
        badge="" if event.result == "success" else event.result,
    )


def _said(*hints: str) -> tuple[str, ...]:
    return tuple(hint for hint in hints if hint)
