"""The records that the store keeps and the values that pass between layers.

All are frozen; a change is `dataclasses.replace` and then `Collection.replace`. Times are integer
seconds since the epoch (NumericDate, RFC 7519 §2). This module imports nothing of the package and
never knows how or where a record is kept.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar


class TokenType(StrEnum):
    """The `typ` header of each kind of token that we sign; every endpoint takes exactly one."""

    SESSION = "session+jwt"
    PERMISSION = "permission+jwt"
    ADMIN = "admin+jwt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What every stored record has.

    Field types are limited to `str`, `int`, `bool`, `tuple[str, ...]` and `| None` of these.
    """

    KIND: ClassVar[str]
    UNIQUE: ClassVar[tuple[str, ...]] = ()
    INDEX: ClassVar[tuple[str, ...]] = ()

    id: str
    version: int = 0
    expires_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Record):
    """A person; `id` is random, never changes, and is the OpenID Connect `sub`.

    `email` is empty unless a login provider vouched for it. `welcomed_at` is when every
    `on_new_user` hook had passed; until then each sign-in runs them again. A service account is a
    program that nobody signs in as: it has API keys instead.
    """

    KIND: ClassVar[str] = "users"
    UNIQUE: ClassVar[tuple[str, ...]] = ("username_key",)
    INDEX: ClassVar[tuple[str, ...]] = ("email",)

    username: str
    username_key: str
    username_chosen: bool = False
    name: str = ""
    email: str = ""
    avatar_url: str = ""
    created_at: int
    welcomed_at: int | None = None
    disabled_at: int | None = None
    is_service_account: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity(Record):
    """What a login provider said of a user at the last sign-in; `id` is "<provider>:<subject>"."""

    KIND: ClassVar[str] = "identities"
    INDEX: ClassVar[tuple[str, ...]] = ("user_id",)

    provider: str
    subject: str
    user_id: str
    username: str = ""
    name: str = ""
    email: str = ""
    avatar_url: str = ""
    created_at: int
    last_login_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsernameClaim(Record):
    """That a user name was given out, for ever; `id` is its skeleton (UTS #39 §4)."""

    KIND: ClassVar[str] = "username_claims"
    INDEX: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: str
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Password(Record):
    """The argon2id hash of a local account's password; `id` is the user's."""

    KIND: ClassVar[str] = "passwords"

    hash: str = field(repr=False)
    changed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session(Record):
    """One signed-in browser or API caller; `id` is the `sid` of its tokens.

    The id is no credential: what opens a door is the signed session token, which is never stored.
    `auth_time` and `amr` are those of OpenID Connect Core §2. An API key is a session, too: its
    provider is API_KEY, its id the digest of the key, and `scopes` are what it may be used for.
    """

    KIND: ClassVar[str] = "sessions"
    INDEX: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: str
    identity_id: str
    provider: str
    auth_time: int
    amr: tuple[str, ...] = ()
    created_at: int
    last_seen_at: int
    user_agent: str = ""
    remote_ip: str = ""
    name: str = ""
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverCode(Record):
    """A one-time code that another site exchanges for a session token; `id` is its digest."""

    KIND: ClassVar[str] = "handover_codes"

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentState(Record):
    """That something happened which counts once, as the use of a `state`; `id` is its digest."""

    KIND: ClassVar[str] = "spent_states"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedAttempt(Record):
    """One of the attempts that a limit allows; `key` is the digest of who or what is limited."""

    KIND: ClassVar[str] = "counted_attempts"
    INDEX: ClassVar[tuple[str, ...]] = ("key",)

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation(Record):
    """That a session ended, or a user or what a service allows changed: forget what you remember.

    Exactly one of the three is set. `id` begins with the time, so that it sorts by age.
    """

    KIND: ClassVar[str] = "revocations"

    session_id: str = ""
    user_id: str = ""
    service: str = ""


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


RECORD_TYPES: tuple[type[Record], ...] = (
    User,
    Identity,
    UsernameClaim,
    Password,
    Session,
    HandoverCode,
    SpentState,
    CountedAttempt,
    Revocation,
    Role,
    Group,
    Membership,
    Assignment,
    GroupMapping,
    AdminInvitation,
    AuditEvent,
)

API_KEY = "api_key"  # the `provider` of sessions that are API keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something, for the audit log.

    `via` is "login", "api", "api_key" (the API, opened by a key), "page" or "shell".
    `user_id` is "" for an operator at the shell, and for whoever is not known yet.
    """

    user_id: str = ""
    name: str = ""
    via: str
    remote_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertedIdentity:
    """Who somebody is, as a login provider just said.

    `email` is empty unless the provider says that it is verified. `username` is a suggestion.
    `amr` are the methods of RFC 8176, empty where the provider does not tell. `groups` are the
    provider's own groups that the person is in, None if it was not asked or did not tell.
    """

    provider: str
    subject: str
    username: str = ""
    name: str = ""
    email: str = ""
    avatar_url: str = ""
    amr: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None

    @property
    def id(self) -> str:
        """The key of the `Identity` record."""
        return f"{self.provider}:{self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempt:
    """One way to a login provider and back, held by the browser that started it.

    `code_verifier` is that of RFC 7636, `nonce` that of OpenID Connect Core §3.1.2.1.
    `link_user_id` is set when the attempt is to link an identity, not to sign in.
    """

    provider: str
    state: str
    nonce: str
    code_verifier: str
    next: str = ""
    link_user_id: str = ""
    started_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """The answer to "as whom?": a live session and its user."""

    user: User
    session: Session
