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
    `on_new_user` hook had passed; until then each sign-in runs them again.
    """

    KIND: ClassVar[str] = "users"
    UNIQUE: ClassVar[tuple[str, ...]] = ("username_key",)

    username: str
    username_key: str
    username_chosen: bool = False
    name: str = ""
    email: str = ""
    avatar_url: str = ""
    created_at: int
    welcomed_at: int | None = None
    disabled_at: int | None = None


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
    `auth_time` and `amr` are those of OpenID Connect Core §2.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverCode(Record):
    """A one-time code that another site exchanges for a session token; `id` is its digest."""

    KIND: ClassVar[str] = "handover_codes"

    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentState(Record):
    """That the `state` of a login attempt was used; `id` is its digest."""

    KIND: ClassVar[str] = "spent_states"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedAttempt(Record):
    """One of the attempts that a limit allows; `key` is the digest of who or what is limited."""

    KIND: ClassVar[str] = "counted_attempts"
    INDEX: ClassVar[tuple[str, ...]] = ("key",)

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation(Record):
    """That a session ended or a user changed: what a process remembers of it is out of date.

    Exactly one of the two is set. `id` begins with the time, so that it sorts by age.
    """

    KIND: ClassVar[str] = "revocations"

    session_id: str = ""
    user_id: str = ""


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
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertedIdentity:
    """Who somebody is, as a login provider just said.

    `email` is empty unless the provider says that it is verified. `username` is a suggestion.
    `amr` are the methods of RFC 8176, empty where the provider does not tell.
    """

    provider: str
    subject: str
    username: str = ""
    name: str = ""
    email: str = ""
    avatar_url: str = ""
    amr: tuple[str, ...] = ()

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
