"""The records that the store keeps and the values that pass between layers.

All are frozen; a change is `dataclasses.replace` and then `Collection.replace`. Times are integer
seconds since the epoch (NumericDate, RFC 7519 §2). This package imports nothing else of ours and
never knows how or where a record is kept.
"""

from tornado_auth.models.oauth2 import (
    AuthorizationCode,
    Client,
    Consent,
    DeviceCode,
    Grant,
    InitialAccessToken,
    OpaqueAccessToken,
    PushedRequest,
    RefreshToken,
    UserClaims,
)
from tornado_auth.models.people import (
    CountedAttempt,
    HandoverCode,
    Identity,
    Password,
    Revocation,
    Session,
    SpentState,
    User,
    UsernameClaim,
)
from tornado_auth.models.permissions import (
    AdminInvitation,
    Assignment,
    AuditEvent,
    Group,
    GroupMapping,
    Membership,
    Role,
)
from tornado_auth.models.record import (
    Record,
    TokenType,
)
from tornado_auth.models.values import (
    API_KEY,
    Actor,
    AssertedIdentity,
    LoginAttempt,
    Who,
)

__all__ = [
    "API_KEY",
    "RECORD_TYPES",
    "Actor",
    "AdminInvitation",
    "AssertedIdentity",
    "Assignment",
    "AuditEvent",
    "AuthorizationCode",
    "Client",
    "Consent",
    "CountedAttempt",
    "DeviceCode",
    "Grant",
    "Group",
    "GroupMapping",
    "HandoverCode",
    "Identity",
    "InitialAccessToken",
    "LoginAttempt",
    "Membership",
    "OpaqueAccessToken",
    "Password",
    "PushedRequest",
    "Record",
    "RefreshToken",
    "Revocation",
    "Role",
    "Session",
    "SpentState",
    "TokenType",
    "User",
    "UserClaims",
    "UsernameClaim",
    "Who",
]

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
    Client,
    InitialAccessToken,
    Consent,
    Grant,
    AuthorizationCode,
    RefreshToken,
    OpaqueAccessToken,
    DeviceCode,
    PushedRequest,
    UserClaims,
)
