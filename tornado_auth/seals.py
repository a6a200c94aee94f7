"""What this service gives to a browser and takes back: sealed, so that only we can read or make it.

Owns the keys that `TORNADO_AUTH_SECRET` stands for, one for each purpose, so that nothing sealed
for one is ever taken for another. Never knows what is in a seal.
"""

import base64
from collections.abc import Iterable

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def make_seal(purpose: str, secrets: Iterable[str]) -> MultiFernet:
    """Return what seals with the first of the secrets and opens with all: so they are replaced."""
    return MultiFernet([_fernet(purpose, secret) for secret in secrets])


def derive_key(purpose: str, secret: str) -> bytes:
    """Return the key of 32 bytes that one of the secrets stands for, for this purpose alone."""
    info = f"tornado_auth {purpose}".encode()
    return HKDF(SHA256(), 32, salt=None, info=info).derive(secret.encode())


def _fernet(purpose: str, secret: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derive_key(purpose, secret)))
