"""Whether a logout token was made by an issuer for us (OpenID Connect Back-Channel Logout §2.6).

Never takes a key or an algorithm from the token, ends no session and remembers no token: whether it
came before is for `upstream_logouts.py` to say. Knows no clock.
"""

from dataclasses import dataclass
from typing import Any

import jwt

from tornado_auth.errors import InvalidToken
from tornado_auth.resource_server import RemoteKeySet, TokenRejected
from tornado_auth.resource_server.signed_tokens import ALGORITHMS, check_audience, read_claims

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYPES = ("logout+jwt", "application/logout+jwt", "JWT", None)  # §2.4 only recommends the first
MAX_AGE = 600
LEEWAY = 60
_MAX_LENGTH = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamLogout:
    """Whose session ended at a login provider: `subject`, `sid`, or both; "" for what is not said.

    The token `jti` is not to be believed a second time before `until`.
    """

    subject: str
    sid: str
    jti: str
    until: int


async def read_logout_token(
    token: str, keys: RemoteKeySet, *, issuer: str, client_id: str, now: int
) -> UpstreamLogout:
    """Check a logout token; raises InvalidToken, or KeysUnavailable where nobody can tell."""
    claims = await _verified(token, keys)
    if claims.get("iss") != issuer:
        raise InvalidToken("logout_token_iss")
    try:
        check_audience(claims, client_id)
    except TokenRejected:
        raise InvalidToken("logout_token_aud") from None
    _check_times(claims, now)
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise InvalidToken("logout_token_events")
    if "nonce" in claims:  # so that no ID token is taken for one
        raise InvalidToken("logout_token_nonce")
    said = {name: _text(claims, name) for name in ("sub", "sid", "jti")}
    if not said["jti"] or not (said["sub"] or said["sid"]):
        raise InvalidToken("logout_token_incomplete")
    return UpstreamLogout(
        subject=said["sub"], sid=said["sid"], jti=said["jti"], until=now + MAX_AGE + 2 * LEEWAY
    )


async def _verified(token: str, keys: RemoteKeySet) -> dict[str, Any]:
    if len(token) > _MAX_LENGTH:
        raise InvalidToken("logout_token_malformed")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken("logout_token_malformed") from None
    algorithm, kid = header.get("alg"), header.get("kid", "")
    if algorithm not in ALGORITHMS or "crit" in header or header.get("typ") not in TYPES:
        raise InvalidToken("logout_token_header")
    key = await keys.key(kid, algorithm)
    if key is None:
        raise InvalidToken("logout_token_key")
    try:
        return read_claims(token, key, algorithm)
    except TokenRejected:
        raise InvalidToken("logout_token_signature") from None


def _check_times(claims: dict[str, Any], now: int) -> None:
    """Refuse what is not of now; older issuers send no `exp`, so `iat` has to be recent as well."""
    issued, expires = claims.get("iat"), claims.get("exp", now)
    if type(issued) is not int or not now - MAX_AGE - LEEWAY < issued <= now + LEEWAY:
        raise InvalidToken("logout_token_iat")
    if type(expires) is not int or expires <= now - LEEWAY:
        raise InvalidToken("logout_token_exp")


def _text(claims: dict[str, Any], name: str) -> str:
    """Return a claim; raises InvalidToken for one that is there and no plain text."""
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > 255 or not value.isprintable():
        raise InvalidToken(f"logout_token_{name}")
    return value
