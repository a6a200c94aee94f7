"""Whether an ID token was made by an issuer for us, in this very attempt (OIDC Core §3.1.3.7).

Never takes a key or an algorithm from the token. Knows no clock.
"""

import re
from typing import Any, TypeGuard

import jwt

from tornado_auth.errors import InvalidToken
from tornado_auth.models import LoginAttempt
from tornado_auth.resource_server import KeysUnavailable, RemoteKeySet, TokenRejected
from tornado_auth.resource_server.signed_tokens import ALGORITHMS, read_claims
from tornado_auth.upstream.http import same_text

LEEWAY = 60  # seconds by which a provider's clock may differ from ours

_MAX_ID_TOKEN = 16 * 1024
_SUBJECT = re.compile(r"[ -~]{1,255}")  # OpenID Connect Core §2: at most 255 ASCII characters


async def verify_id_token(
    token: object,
    keys: RemoteKeySet,
    *,
    issuer: str,
    client_id: str,
    attempt: LoginAttempt,
    now: int,
) -> dict[str, Any]:
    """Return the claims of an ID token that the issuer signed for us in this very attempt.

    Raises InvalidToken, whose message names the check that failed.
    """
    if not isinstance(token, str) or len(token) > _MAX_ID_TOKEN:
        raise InvalidToken("id_token_missing")
    claims = await _verify_signature(token, keys)
    if claims.get("iss") != issuer:
        raise InvalidToken("id_token_iss")
    _check_audience(claims, client_id)
    _check_times(claims, now, attempt.started_at)
    if attempt.asks_again:
        _check_auth_time(claims.get("auth_time", now), attempt.started_at)
    if not same_text(claims.get("nonce"), attempt.nonce):
        raise InvalidToken("id_token_nonce")
    if not isinstance(claims.get("sub"), str) or not _SUBJECT.fullmatch(claims["sub"]):
        raise InvalidToken("id_token_sub")
    return claims


async def _verify_signature(token: str, keys: RemoteKeySet) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise InvalidToken("id_token_malformed") from None
    algorithm, kid = header.get("alg"), header.get("kid", "")
    # The list is ours and has nothing symmetric in it (RFC 8725 §3.1), so that neither a public
    # key nor our client secret can ever act as an HMAC key.
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS or "crit" in header:
        raise InvalidToken("id_token_alg")
    try:
        key = await keys.key(kid, algorithm)
        if key is None:
            raise InvalidToken("id_token_key")
        return read_claims(token, key, algorithm)
    except KeysUnavailable:
        raise InvalidToken("keys_unavailable") from None
    except TokenRejected:
        raise InvalidToken("id_token_signature") from None


def _check_audience(claims: dict[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise InvalidToken("id_token_aud")
    # Made for several, it must say that it was issued to us (OpenID Connect Core §3.1.3.7, 4-5).
    if claims.get("azp", client_id if len(audiences) == 1 else None) != client_id:
        raise InvalidToken("id_token_azp")


def _check_times(claims: dict[str, Any], now: int, started_at: int) -> None:
    expires, issued, not_before = claims.get("exp"), claims.get("iat"), claims.get("nbf", now)
    if not _is_number(expires) or expires <= now - LEEWAY:
        raise InvalidToken("id_token_exp")
    if not _is_number(issued) or not started_at - LEEWAY <= issued <= now + LEEWAY:
        raise InvalidToken("id_token_iat")
    if not _is_number(not_before) or not_before > now + LEEWAY:
        raise InvalidToken("id_token_nbf")


def _check_auth_time(auth_time: object, started_at: int) -> None:
    """Refuse a sign-in of before, where a new one was asked for; not every issuer tells."""
    if not _is_number(auth_time) or auth_time < started_at - LEEWAY:
        raise InvalidToken("id_token_auth_time")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
