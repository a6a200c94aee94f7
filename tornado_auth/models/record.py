"""The base of all records, and the kinds of token.

Owns no record itself.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class TokenType(StrEnum):
    """The `typ` header of each kind of token that we sign; every endpoint takes exactly one."""

    SESSION = "session+jwt"
    PERMISSION = "permission+jwt"
    ADMIN = "admin+jwt"
    ACCESS = "at+jwt"  # RFC 9068 §2.1
    ID = "JWT"  # OpenID Connect names none for ID tokens; nothing else of ours has this one
    LOGOUT = "logout+jwt"  # Back-Channel Logout §2.4


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
