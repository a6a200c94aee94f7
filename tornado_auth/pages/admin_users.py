"""The pages of users: all of them, and one with everything that is theirs.

Owns which records are read for a page and what its forms do. See `admin.py` for the frame.
"""

import asyncio
from dataclasses import replace
from typing import Any, ClassVar

from tornado_auth.errors import InvalidRequest
from tornado_auth.models import User
from tornado_auth.pages.account_rows import DAY, LIFETIMES, KeyForm, key_form
from tornado_auth.pages.admin import UNASSIGN, Change, ChangingHandler, Question, assign
from tornado_auth.pages.admin_rows import (
    HOME,
    PAGE_SIZE,
    Rows,
    admin_key_row,
    application_row,
    assignment_row,
    cut,
    identity_row,
    membership_row,
    moment,
    page_url,
    session_row,
    user_row,
)


def _user_url(user: User) -> str:
    return page_url("users", user.id)


class UsersHandler(ChangingHandler):
    """GET /auth/admin: users by name, and POST for a new service account."""

    section = "users"
    template = "admin_users.html"
    changes: ClassVar = {
        "create": Change(
            do=lambda page, _: page.administration.create_service_account(
                page.actor, page.body_parameter("username"), name=page.body_parameter("name")
            ),
            done="account-created",
            leads_to=_user_url,
        )
    }

    async def post(self, name: str | None = None, action: str | None = None) -> None:
        """Create a service account."""
        await super().post(name, "create")

    def url(self, name: str) -> str:
        """See AdminHandler."""
        return HOME

    async def gather(self, name: str) -> dict[str, Any]:
        """Find users whose name begins so, or whose e-mail address it is."""
        search = self.parameter("search").strip()
        by = "email" if "@" in search else "username"
        found = await self.administration.users(
            **{by: search}, after=self.parameter("after"), limit=PAGE_SIZE + 1
        )
        users, more = cut(
            found,
            HOME,
            lambda user: user.id if by == "email" else user.username_key,
            kept={"search": search},
        )
        return {
            "search": search,
            "users": Rows(
                id="users",
                items=[user_row(user) for user in users],
                empty="There is no such user." if search else "There are no users yet.",
                more=more,
            ),
        }


class UserHandler(ChangingHandler):
    """GET /auth/admin/users/<id>: one user, and POST to its changes."""

    section = "users"
    template = "admin_user.html"
    changes: ClassVar = {
        "disable": Change(
            do=lambda page, user_id: page.administration.set_disabled(
                page.actor, user_id, disabled=True
            ),
            done="disabled",
            question=Question(
                "Disable this user?",
                "Every session and API key ends, and so does what applications may do. Nobody "
                "gets in as this user until somebody here allows it again.",
                "Disable the user",
            ),
        ),
        "enable": Change(
            do=lambda page, user_id: page.administration.set_disabled(
                page.actor, user_id, disabled=False
            ),
            done="enabled",
        ),
        "delete": Change(
            do=lambda page, user_id: page.administration.delete_user(page.actor, user_id),
            done="deleted",
            leads_to=lambda _: HOME,
            question=Question(
                "Delete this user?",
                "Sessions, API keys, ways to sign in, roles, memberships and what applications may "
                "do go with it. This cannot be undone, and the user name stays taken.",
                "Delete the user",
            ),
        ),
        "end-sessions": Change(
            do=lambda page, user_id: page.administration.end_sessions(page.actor, user_id),
            done="ended",
            question=Question(
                "End every session of this user?",
                "The user is signed out of every browser, and may sign in again. API keys stay.",
                "End every session",
            ),
        ),
        "end-session": Change(
            do=lambda page, _: page.administration.end_session(
                page.actor, page.body_parameter("id")
            ),
            done="ended",
            question=Question(
                "End this session?",
                "The user is signed out of this browser, and may sign in again.",
                "End the session",
                about="sessions",
            ),
        ),
        "unlink": Change(
            do=lambda page, user_id: page.administration.unlink_identity(
                page.actor, user_id, page.body_parameter("id")
            ),
            done="removed",
            question=Question(
                "Take away this way to sign in?",
                "The sessions that began with it end. Whoever signs in with it again gets a new, "
                "empty account, unless it is linked with another one before.",
                "Take it away",
                about="identities",
            ),
        ),
        "revoke-key": Change(
            do=lambda page, _: page.administration.revoke_key(
                page.actor, page.body_parameter("id")
            ),
            done="removed",
            question=Question(
                "Revoke this API key?",
                "The programs that use it are refused from now on. This cannot be undone.",
                "Revoke the key",
                about="keys",
            ),
        ),
        "withdraw": Change(
            do=lambda page, user_id: page.administration.withdraw_application(
                page.actor, user_id, page.body_parameter("id")
            ),
            done="removed",
            question=Question(
                "End what this application may do?",
                "Its tokens are refused from now on. It can ask the user again.",
                "End it",
                about="applications",
            ),
        ),
        "create-key": Change(do=lambda page, user_id: page.create_key(user_id)),
        "add-group": Change(
            do=lambda page, user_id: page.administration.add_member(
                page.actor, page.body_parameter("group"), user_id
            )
        ),
        "remove-group": Change(
            do=lambda page, user_id: page.administration.remove_member(
                page.actor, page.body_parameter("id"), user_id
            ),
            done="removed",
        ),
        "assign": assign("user"),
        "unassign": UNASSIGN,
    }

    async def id_of(self, name: str) -> str:
        """Return the id of a user who may be named by the user name."""
        return (await self.administration.user(name)).id

    def url(self, name: str) -> str:
        """See AdminHandler."""
        return page_url("users", name)

    async def gather(self, name: str) -> dict[str, Any]:
        """Read everything that is the user's."""
        user = await self.administration.user(name)
        return {
            "title": user.username,
            "subject": user,
            "since": moment(user.created_at),
            "audit_url": f"{HOME}/audit?about={user.id}",
            "why_url": f"{self.url(user.id)}/why",
            "asked": dict.fromkeys(("service", "permission", "resource"), ""),
            "actions": {
                action: self.action(user.id, action)
                for action, change in self.changes.items()
                if not (change.question and change.question.about)
            },
            "key_form": self.key_form(user),
            **await self._ways_in(user.id),
            **await self._rights(user.id),
        }

    async def _ways_in(self, user_id: str) -> dict[str, Rows]:
        identities, sessions, keys, applications = await asyncio.gather(
            self.administration.identities(user_id),
            self.administration.sessions(user_id),
            self.administration.keys(user_id),
            self.administration.applications(user_id),
        )
        return {
            "identities": Rows(
                id="identities",
                items=[identity_row(identity) for identity in identities],
                action=self.action(user_id, "unlink"),
                button="Unlink",
                asks=True,
            ),
            "sessions": Rows(
                id="sessions",
                items=[session_row(session) for session in sessions],
                action=self.action(user_id, "end-session"),
                button="End session",
                asks=True,
            ),
            "applications": Rows(
                id="applications",
                items=[application_row(application) for application in applications],
                action=self.action(user_id, "withdraw"),
                button="End",
                asks=True,
            ),
            "keys": Rows(
                id="keys",
                items=[admin_key_row(key) for key in keys],
                action=self.action(user_id, "revoke-key"),
                button="Revoke",
                asks=True,
            ),
        }

    async def _rights(self, user_id: str) -> dict[str, Rows]:
        memberships, held = await asyncio.gather(
            self.administration.groups_of(user_id),
            self.administration.assignments_of(f"user:{user_id}"),
        )
        groups = [membership.group for membership in memberships]
        through = await asyncio.gather(
            *(self.administration.assignments_of(f"group:{group}") for group in groups)
        )
        return {
            "groups": Rows(
                id="groups",
                items=[membership_row(membership) for membership in memberships],
                action=self.action(user_id, "remove-group"),
                button="Remove",
            ),
            "roles": Rows(
                id="roles",
                items=[assignment_row(assignment) for assignment in held],
                action=self.action(user_id, "unassign"),
                button="Take away",
            ),
            "inherited": Rows(
                id="inherited",
                items=[
                    assignment_row(assignment, through=group)
                    for group, assignments in zip(groups, through, strict=True)
                    for assignment in assignments
                ],
            ),
        }

    def key_form(self, user: User) -> KeyForm | None:
        """Return the form for an API key: programs get theirs here, people on their own page."""
        if not (user.is_service_account and self.may_write):
            return None
        services = [service for service, _ in self.server.settings.allowed_services]
        form = key_form(["*", *services])
        return replace(form, action=self.action(user.id, "create-key"))

    async def create_key(self, user_id: str) -> None:
        """Make an API key for a program; the page shows it this once."""
        form = self.key_form(await self.administration.user(user_id))
        if form is None:
            raise InvalidRequest("People make their keys on their own account page.")
        scopes = [one.scope for one in form.choices if self.body_parameter(one.field)]
        days = self.body_parameter("key_days")
        if not scopes or days not in LIFETIMES:
            raise InvalidRequest("Choose what the key may be used for, and for how long.")
        _, self.secret = await self.administration.create_key(
            self.actor,
            user_id,
            name=self.body_parameter("key_name"),
            scopes=scopes,
            lifetime=int(days) * DAY if days else None,
        )
