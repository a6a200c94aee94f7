"""The records of the authorization server: clients, what users allow them, codes and tokens.

A secret is never in a record: codes, tokens and client secrets are kept as their digests. Of a
token that is a JWT there is no record at all. Everything that a user allowed hangs on a grant and
counts while that is there.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from tornado_auth.models.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Client(Record):
    """An application that may ask for tokens; `id` is the client_id (RFC 6749 §2.2).

    The fields up to `dpop_bound_access_tokens` are client metadata by the names of RFC 7591 §2,
    OpenID Connect Registration §2 and their like; what follows is for operators alone.
    `scope` and `resources` are all that it may ask for; `audiences` are whose tokens it may
    introspect as their resource server. Lifetimes are in seconds, None for those of the settings.
    """

    KIND: ClassVar[str] = "clients"

    client_name: str = ""
    client_uri: str = ""
    logo_uri: str = ""
    policy_uri: str = ""
    tos_uri: str = ""
    contacts: tuple[str, ...] = ()
    application_type: str = "web"
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code",)
    scope: tuple[str, ...] = ()
    token_endpoint_auth_method: str = "client_secret_basic"  # noqa: S105 - a name
    jwks: str = ""  # JSON
    jwks_uri: str = ""
    id_token_signed_response_alg: str = ""
    default_max_age: int | None = None
    require_auth_time: bool = False
    default_acr_values: tuple[str, ...] = ()
    backchannel_logout_uri: str = ""
    backchannel_logout_session_required: bool = False
    require_pushed_authorization_requests: bool = False
    dpop_bound_access_tokens: bool = False

    secret_digests: tuple[str, ...] = field(default=(), repr=False)
    require_pkce: bool = True
    is_trusted: bool = False  # first party: nobody is asked for consent
    takes_endpoint_audience: bool = False  # client assertions may name the token endpoint
    access_token_format: str = "jwt"  # noqa: S105 - or "opaque"
    access_token_lifetime: int | None = None
    refresh_token_lifetime: int | None = None
    resources: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    exchanges: tuple[str, ...] = ()  # client_ids whose tokens it may exchange (RFC 8693)
    is_self_registered: bool = False
    registration_token_digest: str = field(default="", repr=False)
    created_at: int
    disabled_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialAccessToken(Record):
    """What opens dynamic registration (RFC 7591 §3); `id` is its digest."""

    KIND: ClassVar[str] = "initial_access_tokens"

    name: str = ""
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent(Record):
    """What a user allowed a client, so as not to be asked again; `id` is "<user>:<client>".

    `scope` is all that was ever allowed, `claims` are those asked for by name.
    """

    KIND: ClassVar[str] = "consents"
    INDEX: ClassVar[tuple[str, ...]] = ("user_id", "client_id")

    user_id: str
    client_id: str
    scope: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    created_at: int
    confirmed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Record):
    """One authorization of a client by a user: the parent of a code and all tokens made from it.

    They count while it is there, its user and client are good and, unless `is_offline`, its session
    lives. `sid` is what the client knows that session by: its id when the grant began, which stays
    when the grant moves to another one. `claims` is the `claims` parameter (OpenID Connect Core
    §5.5) as JSON, "" without one.
    `consent_id` is that of the `Consent`, there or not.
    """

    KIND: ClassVar[str] = "grants"
    INDEX: ClassVar[tuple[str, ...]] = ("user_id", "client_id", "session_id", "consent_id")

    user_id: str
    client_id: str
    session_id: str
    sid: str
    consent_id: str
    scope: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    claims: str = ""
    auth_time: int
    amr: tuple[str, ...] = ()
    acr: str = ""
    is_offline: bool = False
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCode(Record):
    """A code to be redeemed once, until `valid_until`; `id` is its digest.

    It is kept a while longer, so that a second use is noticed (RFC 6749 §4.1.2). `dpop_jkt` is
    that of RFC 9449 §10.
    """

    KIND: ClassVar[str] = "authorization_codes"
    INDEX: ClassVar[tuple[str, ...]] = ("grant_id",)

    grant_id: str
    client_id: str
    redirect_uri: str
    code_challenge: str = ""
    nonce: str = field(default="", repr=False)
    dpop_jkt: str = ""
    valid_until: int
    used_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken(Record):
    """A refresh token that is good once, until `valid_until`; `id` is its digest.

    One that was used is kept for as long again, so that a second use is noticed (RFC 9700 §4.14.2).
    `successor_id` names the one that took its place. Bound to the key `jkt`, if it has one.
    """

    KIND: ClassVar[str] = "refresh_tokens"
    INDEX: ClassVar[tuple[str, ...]] = ("grant_id",)

    grant_id: str
    client_id: str
    jkt: str = ""
    valid_until: int
    created_at: int
    used_at: int | None = None
    successor_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueAccessToken(Record):
    """An access token of a client that gets no JWTs; `id` is its digest.

    The fields are the claims that a JWT would have (RFC 9068 §2.2). `grant_id` is "" where no user
    is involved; `act` is JSON (RFC 8693 §4.1).
    """

    KIND: ClassVar[str] = "access_tokens"
    INDEX: ClassVar[tuple[str, ...]] = ("grant_id",)

    grant_id: str = ""
    client_id: str
    sub: str
    scope: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    jkt: str = ""
    act: str = ""
    issued_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode(Record):
    """A device that waits for somebody to allow it (RFC 8628); `id` is the device code's digest.

    `user_code` is the digest of the code that the person types. `status` is "pending", "approved"
    (then `grant_id` is set), "denied" or "used". `interval` is in seconds.
    """

    KIND: ClassVar[str] = "device_codes"
    UNIQUE: ClassVar[tuple[str, ...]] = ("user_code",)

    user_code: str
    client_id: str
    scope: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    status: str = "pending"
    grant_id: str = ""
    interval: int
    polled_at: int = 0
    created_at: int
    valid_until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedRequest(Record):
    """The parameters of an authorization request that was pushed (RFC 9126) or parked by us.

    `id` is the digest of the last part of its request_uri, `parameters` are JSON.
    """

    KIND: ClassVar[str] = "pushed_requests"

    client_id: str
    parameters: str = field(repr=False)
    dpop_jkt: str = ""
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserClaims(Record):
    """What is known of a user beyond the `User` record; `id` is the user's.

    `claims` is a JSON object of standard claims (OpenID Connect Core §5.1).
    """

    KIND: ClassVar[str] = "user_claims"

    claims: str = "{}"
    updated_at: int
