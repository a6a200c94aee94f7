"""The records of who may do what, and of who changed it."""

from dataclasses import dataclass
from typing import ClassVar

from tornado_auth.models.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Role(Record):
    """A named set of permissions in a service; `id` is "<service>:<name>"."""

    KIND: ClassVar[str] = "roles"
    INDEX: ClassVar[tuple[str, ...]] = ("service",)

    service: str
    name: str
    description: str = ""
    permissions: tuple[str, ...] = ()
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Record):
    """A named set of users; `id` is the name."""

    KIND: ClassVar[str] = "groups"

    description: str = ""
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(Record):
    """That a user is in a group; `id` is "<group>:<user id>".

    `provider` is the login provider whose groups put the user there, "" if a person did.
    """

    KIND: ClassVar[str] = "memberships"
    INDEX: ClassVar[tuple[str, ...]] = ("group", "user_id")

    group: str
    user_id: str
    provider: str = ""
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment(Record):
    """That a user or group holds a role, in one resource of its service or, if "", in all of it.

    `holder` is "user:<id>" or "group:<name>"; `id` is "<holder>|<role id>|<resource>".
    """

    KIND: ClassVar[str] = "assignments"
    INDEX: ClassVar[tuple[str, ...]] = ("holder", "role_id")

    holder: str
    role_id: str
    service: str
    resource: str = ""
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMapping(Record):
    """Which group of ours a login provider's group stands for; `id` is "<provider>:<upstream>"."""

    KIND: ClassVar[str] = "group_mappings"
    INDEX: ClassVar[tuple[str, ...]] = ("provider", "group")

    provider: str
    upstream: str
    group: str
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminInvitation(Record):
    """A one-time secret that makes a user an administrator; `id` is its digest.

    `created_by` is the user who made it, "" if an operator at the shell did.
    """

    KIND: ClassVar[str] = "admin_invitations"

    created_by: str = ""
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent(Record):
    """What somebody did; `id` sorts the newest first.

    `actor` is the id of the user who did it ("" for an operator at the shell or nobody known),
    `subject` that of the user whom it happened to, `target` what else it was about. `details` are
    "name=value". None of these ever holds a secret.
    """

    KIND: ClassVar[str] = "audit_events"
    INDEX: ClassVar[tuple[str, ...]] = ("actor", "subject", "action")

    at: int
    action: str
    actor: str = ""
    actor_name: str = ""
    via: str = ""
    remote_ip: str = ""
    subject: str = ""
    target: str = ""
    result: str = "success"
    details: tuple[str, ...] = ()
