"""The records of people: users, what they sign in with, and what is counted and marked of them."""

from dataclasses import dataclass, field
from typing import ClassVar

from tornado_auth.models.record import Record


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
    `upstream_sid` is "<provider>:<sid>" where the login provider named its own session. `is_shared`
    if another site was handed a token of it; then it may outlive the browser's next sign-in, and
    `replaced_by` is the session that began there.
    """

    KIND: ClassVar[str] = "sessions"
    INDEX: ClassVar[tuple[str, ...]] = ("user_id", "upstream_sid")

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
    upstream_sid: str = ""
    is_shared: bool = False
    replaced_by: str = ""


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
