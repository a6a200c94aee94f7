"""Every error that the protocol knows.

    OAuth2Error
    ├── InvalidRequest            RFC 6749 §4.1.2.1, §5.2
    │   └── PageError             one that must not reach the client: a page says it (§4.1.2.1)
    ├── InvalidClient             401
    ├── InvalidGrant
    ├── UnauthorizedClient
    ├── UnsupportedGrantType
    ├── UnsupportedResponseType
    ├── InvalidScope
    ├── AccessDenied
    ├── InvalidTarget             RFC 8707 §2
    ├── LoginRequired, ConsentRequired, InteractionRequired    OpenID Connect Core §3.1.2.6
    ├── RequestNotSupported, RequestURINotSupported
    ├── UnmetAuthenticationRequirements
    ├── AuthorizationPending, SlowDown, ExpiredToken           RFC 8628 §3.5
    ├── InvalidBearerToken, InsufficientScope                  RFC 6750 §3.1
    ├── InvalidDPoPProof, UseDPoPNonce                         RFC 9449 §5, §8
    └── InvalidRedirectURI, InvalidClientMetadata              RFC 7591 §3.2.2

Each class has its `code` and the `status` of an answer that is no redirect. The description is for
developers, in the characters of RFC 6749 §5.2, and never repeats what was sent.
"""

import re

from tornado_auth.errors import TornadoAuthError

_DESCRIPTION = re.compile(r"[ !#-\[\]-~]*")


class OAuth2Error(TornadoAuthError):
    """Root of the protocol's errors; raises ValueError for a description with other characters."""

    code = "server_error"
    status = 400

    def __init__(self, description: str = "") -> None:
        if not _DESCRIPTION.fullmatch(description):
            raise ValueError("a description has printable ASCII without quotes and backslashes")
        super().__init__(description)
        self.description = description

    @property
    def reason(self) -> str:  # type: ignore[override]
        """The code, as for all our errors."""
        return self.code


class InvalidRequest(OAuth2Error):
    """Refuse a request that lacks something, has it twice, or is malformed."""

    code = "invalid_request"


class PageError(InvalidRequest):
    """Refuse an authorization request whose client or redirect URI cannot be trusted.

    `parameter` is the one that is wrong. The person sees it; no browser is sent anywhere.
    """

    def __init__(self, parameter: str, description: str, *, code: str = "invalid_request") -> None:
        super().__init__(description)
        self.parameter = parameter
        self.code = code


class InvalidClient(OAuth2Error):
    """Refuse a client that is unknown or did not prove who it is; one answer for both."""

    code = "invalid_client"
    status = 401


class InvalidGrant(OAuth2Error):
    """Refuse a code, refresh token or the like that is wrong, over, used or another's."""

    code = "invalid_grant"


class UnauthorizedClient(OAuth2Error):
    """Refuse what this client is not registered for."""

    code = "unauthorized_client"


class UnsupportedGrantType(OAuth2Error):
    """Refuse a grant type that there is none of."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(OAuth2Error):
    """Refuse every response type but `code`."""

    code = "unsupported_response_type"


class InvalidScope(OAuth2Error):
    """Refuse a scope that is malformed, unknown, or not for this client."""

    code = "invalid_scope"


class AccessDenied(OAuth2Error):
    """Tell that the user, or we, said no."""

    code = "access_denied"


class InvalidTarget(OAuth2Error):
    """Refuse a resource that is malformed, unknown, or not for this client (RFC 8707 §2)."""

    code = "invalid_target"


class LoginRequired(OAuth2Error):
    """Tell that `prompt=none` cannot do without a sign-in."""

    code = "login_required"


class ConsentRequired(OAuth2Error):
    """Tell that `prompt=none` cannot do without consent."""

    code = "consent_required"


class InteractionRequired(OAuth2Error):
    """Tell that `prompt=none` cannot do without the user."""

    code = "interaction_required"


class RequestNotSupported(OAuth2Error):
    """Refuse request objects."""

    code = "request_not_supported"


class RequestURINotSupported(OAuth2Error):
    """Refuse a request_uri that was not pushed here."""

    code = "request_uri_not_supported"


class UnmetAuthenticationRequirements(OAuth2Error):
    """Tell that an essential `acr` cannot be reached (OpenID Connect Core Unmet Authentication)."""

    code = "unmet_authentication_requirements"


class AuthorizationPending(OAuth2Error):
    """Tell a device that nobody has answered yet."""

    code = "authorization_pending"


class SlowDown(OAuth2Error):
    """Tell a device that it asks too often."""

    code = "slow_down"


class ExpiredToken(OAuth2Error):
    """Tell a device that its code is over."""

    code = "expired_token"


class InvalidBearerToken(OAuth2Error):
    """Refuse an access token; `scheme` is "Bearer" or "DPoP", for the challenge."""

    code = "invalid_token"
    status = 401

    def __init__(self, description: str = "", *, scheme: str = "Bearer") -> None:
        super().__init__(description)
        self.scheme = scheme


class InsufficientScope(OAuth2Error):
    """Refuse a good access token that lacks `scope`."""

    code = "insufficient_scope"
    status = 403

    def __init__(self, scope: str) -> None:
        super().__init__(f"The access token lacks the scope {scope}.")
        self.scope = scope


class InvalidDPoPProof(OAuth2Error):
    """Refuse a DPoP proof (RFC 9449 §4.3)."""

    code = "invalid_dpop_proof"


class UseDPoPNonce(OAuth2Error):
    """Ask for a proof with `nonce` in it (RFC 9449 §8)."""

    code = "use_dpop_nonce"

    def __init__(self, nonce: str) -> None:
        super().__init__("The DPoP proof needs the nonce of this answer.")
        self.nonce = nonce


class InvalidRedirectURI(OAuth2Error):
    """Refuse client metadata for a redirect URI."""

    code = "invalid_redirect_uri"


class InvalidClientMetadata(OAuth2Error):
    """Refuse client metadata for anything else."""

    code = "invalid_client_metadata"
