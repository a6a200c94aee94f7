"""What the server says of itself (RFC 8414, OpenID Connect Discovery): exactly what works.

Owns the one document for both well-known addresses. It follows from the settings alone, never from
a request: a client must find the same whatever host it asked.
"""

from collections.abc import Sequence

from tornado_auth.oauth2.claims import STANDARD_CLAIMS
from tornado_auth.oauth2.request_checks import CHALLENGE_METHOD, PROMPTS, RESPONSE_TYPE
from tornado_auth.oauth2.responses import RESPONSE_MODES
from tornado_auth.oauth2.values import ACR, AUTH_METHODS, NO_AUTHENTICATION
from tornado_auth.resource_server.signed_tokens import ALGORITHMS
from tornado_auth.settings import Settings

# What tokens say of themselves and of a sign-in, beside what is known of the user.
PROTOCOL_CLAIMS = (
    "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid",
)  # fmt: skip


class Metadata:
    """Describe the server; `scopes` and `grant_types` are the names of those that there are."""

    def __init__(
        self,
        settings: Settings,
        *,
        scopes: Sequence[str],
        grant_types: Sequence[str],
        id_token_algorithm: str,
    ) -> None:
        self._settings = settings
        self._scopes = list(scopes)
        self._grant_types = list(grant_types)
        self._id_token_algorithm = id_token_algorithm

    def document(self) -> dict[str, object]:
        """Return all members (RFC 8414 §2)."""
        settings = self._settings
        return {
            "issuer": settings.issuer,
            **self._endpoints(),
            **_client_authentication(),
            "scopes_supported": self._scopes,
            "grant_types_supported": self._grant_types,
            "response_types_supported": [RESPONSE_TYPE],
            "response_modes_supported": list(RESPONSE_MODES),
            "code_challenge_methods_supported": [CHALLENGE_METHOD],
            "prompt_values_supported": list(PROMPTS),
            "acr_values_supported": [ACR],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self._id_token_algorithm],
            "dpop_signing_alg_values_supported": list(ALGORITHMS),
            "claim_types_supported": ["normal"],
            "claims_supported": [*PROTOCOL_CLAIMS, *STANDARD_CLAIMS],
            "claims_parameter_supported": True,
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
            "require_pushed_authorization_requests": settings.require_pushed_authorization_requests,
            "authorization_response_iss_parameter_supported": True,
            "backchannel_logout_supported": True,
            "backchannel_logout_session_supported": True,
        }

    def _endpoints(self) -> dict[str, str]:
        paths = {
            "authorization_endpoint": "/oauth2/authorize",
            "token_endpoint": "/oauth2/token",
            "userinfo_endpoint": "/oauth2/userinfo",
            "jwks_uri": "/.well-known/jwks.json",
            "introspection_endpoint": "/oauth2/introspect",
            "revocation_endpoint": "/oauth2/revoke",
            "pushed_authorization_request_endpoint": "/oauth2/par",
            "device_authorization_endpoint": "/oauth2/device_authorization",
            "end_session_endpoint": "/oauth2/logout",
        }
        if self._settings.client_registration != "off":
            paths["registration_endpoint"] = "/oauth2/register"
        return {name: self._settings.issuer + path for name, path in paths.items()}


def _client_authentication() -> dict[str, object]:
    """Return how clients prove themselves at each endpoint where they have to."""
    proven = [method for method in AUTH_METHODS if method != NO_AUTHENTICATION]
    methods = {"token": list(AUTH_METHODS), "revocation": list(AUTH_METHODS)}
    members: dict[str, object] = {}
    for endpoint, allowed in {**methods, "introspection": proven}.items():
        members[f"{endpoint}_endpoint_auth_methods_supported"] = allowed
        members[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = list(ALGORITHMS)
    return members
