"""The digest under which a random secret is stored and looked up.

Codes, states and the like carry 256 random bits, so one SHA-256 without salt or rounds is enough:
there is nothing to guess. Passwords are another matter: see `passwords.py`.
"""

import base64
import hashlib
import re


def digest(secret: str) -> str:
    """Return the SHA-256 of a high-entropy secret, base64url without padding (43 characters).

    The S256 of PKCE (RFC 7636 §4.2) and the `ath` of DPoP (RFC 9449 §4.2) are the same.
    """
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).decode().rstrip("=")


API_KEY_PREFIX = "tak_"  # so that whoever finds a key in the wrong place knows what it is
API_KEY_ID = "key-"
_API_KEY = re.compile(API_KEY_PREFIX + "[A-Za-z0-9_-]{43}")


def digest_of_api_key(key: str) -> str | None:
    """Return the id under which an API key is stored, None for what cannot be a key."""
    if not _API_KEY.fullmatch(key):
        return None
    return API_KEY_ID + hashlib.sha256(key.encode()).hexdigest()
