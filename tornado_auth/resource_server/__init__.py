"""For other services: verify the tokens that tornado_auth signs (RFC 7515, 7517, 7519, 8725).

    signed_tokens   read a token strictly
    key_sets        public keys, pinned or fetched and cached
    verifiers       TokenVerifier and Verifyer, which put the two together

Stands alone: needs PyJWT and Tornado's HTTP client, and imports nothing else of the package.
"""

from tornado_auth.resource_server.key_sets import KeysUnavailable, PinnedKey, RemoteKeySet
from tornado_auth.resource_server.signed_tokens import BadSignature, TokenRejected
from tornado_auth.resource_server.verifiers import TokenVerifier, Verifyer

__all__ = [
    "BadSignature",
    "KeysUnavailable",
    "PinnedKey",
    "RemoteKeySet",
    "TokenRejected",
    "TokenVerifier",
    "Verifyer",
]
