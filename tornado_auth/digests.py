"""The digest under which a random secret is stored and looked up.

Codes, states and the like carry 256 random bits, so one SHA-256 without salt or rounds is enough:
there is nothing to guess. Passwords are another matter: see `passwords.py`.
"""

import base64
import hashlib


def digest(secret: str) -> str:
    """Return the SHA-256 of a high-entropy secret, base64url without padding (43 characters)."""
    return base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).decode().rstrip("=")
