"""What the FastAPI and the ASGI application share: a check with the caches of tornado_auth.

Two dictionaries: digests of verified tokens, and sessions with their users. They are simpler than
ours and therefore quicker: nothing bounds them, nothing follows what happens to a session, and
nothing is asked of the database twice. The variables DATABASE, PUBLIC_KEY and ISSUER say which
service's tokens are checked.
"""

import hashlib
import json
import os
import sqlite3
import time

import jwt

PUBLIC_KEY = os.environ["PUBLIC_KEY"]
ISSUER = os.environ["ISSUER"]

database = sqlite3.connect(f"file:{os.environ['DATABASE']}?mode=ro", uri=True)
tokens: dict[bytes, tuple[float, str]] = {}
profiles: dict[str, bytes] = {}


def check(token: bytes) -> bytes | None:
    """Return the JSON of the answer for a good token, None for another."""
    key = hashlib.blake2b(token, digest_size=16).digest()
    known = tokens.get(key)
    if known is None:
        known = verified(token)
        if known is None:
            return None
        tokens[key] = known
    expires_at, session_id = known
    if expires_at <= time.time():
        return None
    profile = profiles.get(session_id)
    if profile is None:
        profile = read(session_id)
        if profile is not None:
            profiles[session_id] = profile
    return profile


def verified(token: bytes) -> tuple[float, str] | None:
    """Return until when a token is good, and whose session it names."""
    try:
        claims = jwt.decode(token, PUBLIC_KEY, ["RS256"], audience=ISSUER, issuer=ISSUER)
    except jwt.InvalidTokenError:
        return None
    return claims["exp"], claims["sid"]


def read(session_id: str) -> bytes | None:
    """Return the answer for a session, from the database."""
    session = row("sessions", session_id)
    user = row("users", session["user_id"]) if session else None
    if user is None:
        return None
    names = ("id", "username", "name", "email", "avatar_url")
    profile = {name: user[name] for name in names}
    return json.dumps({"authenticated": True, "profile": profile}).encode()


def row(table: str, id: str) -> dict | None:
    """Return a record."""
    found = database.execute(f"SELECT body FROM {table} WHERE id = ?", (id,)).fetchone()
    return json.loads(found[0]) if found else None
