"""What passes between the parts of the protocol.

Never stored, and never a request or an answer of HTTP.
"""

from dataclasses import dataclass, field

from tornado_auth.models import Actor, Client, Grant, User
from tornado_auth.oauth2.parameters import Parameters

CODE = "authorization_code"
REFRESH = "refresh_token"
CLIENT_CREDENTIALS = "client_credentials"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

# How clients authenticate (RFC 7591 §2, OpenID Connect Core §9).
SECRET_BASIC = "client_secret_basic"  # noqa: S105 - a name
SECRET_POST = "client_secret_post"  # noqa: S105 - a name
PRIVATE_KEY_JWT = "private_key_jwt"
NO_AUTHENTICATION = "none"
AUTH_METHODS = (SECRET_BASIC, SECRET_POST, PRIVATE_KEY_JWT, NO_AUTHENTICATION)

ACR = "1"  # of every sign-in: somebody at a browser; more is not told apart

A_CLIENT = Actor(via="client")  # for the audit log: what a client does is not done by a user


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A token request of a client that is who it says; `jkt` names the key of its DPoP proof."""

    client: Client
    parameters: Parameters
    jkt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What a grant type proved: all that the issuer of tokens needs to know.

    `user` and `grant` are None where a client acts for itself. `audience` are the resources
    (RFC 8707), empty for our own endpoints. `jkt` binds the tokens to a key (RFC 9449 §6.1);
    `refresh_jkt` does so for the refresh token, of public clients alone. `refresh_token`, if set,
    is the one to hand out instead of a new one. `until` is when the access token ends at the
    latest. `act` is that of RFC 8693 §4.1, `issued_token_type` that of §2.2.1.
    """

    grant_type: str
    client: Client
    scope: tuple[str, ...]
    user: User | None = None
    grant: Grant | None = None
    audience: tuple[str, ...] = ()
    nonce: str = field(default="", repr=False)
    jkt: str = ""
    refresh_jkt: str = ""
    has_refresh_token: bool = False
    refresh_token: str = field(default="", repr=False)
    has_id_token: bool = False
    until: int | None = None
    act: str = ""
    issued_token_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """A successful token response (RFC 6749 §5.1); members that are "" are left out."""

    access_token: str = field(repr=False)
    token_type: str
    expires_in: int
    scope: str = ""
    refresh_token: str = field(default="", repr=False)
    id_token: str = field(default="", repr=False)
    issued_token_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What a good access token says; `user` and `grant` are None for a client's own.

    Everything that it hangs on was there a moment ago: client, user, grant and session.
    """

    client: Client
    sub: str
    user: User | None
    grant: Grant | None
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    jti: str
    jkt: str
    act: str
    issued_at: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """How a client says who it is; `method` is one of the metadata, by the form that was used.

    `secret` is the secret or the assertion. `used_basic` asks for the challenge in the answer.
    """

    client_id: str
    method: str
    secret: str = field(default="", repr=False)
    used_basic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DPoPProof:
    """A DPoP header with what it must match: method and address without query (RFC 9449 §4.3)."""

    proof: str = field(repr=False)
    method: str
    url: str
