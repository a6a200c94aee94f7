"""The grant type authorization_code with PKCE (RFC 6749 §4.1.3, RFC 7636 §4.6).

Owns what a code is compared with before it is spent. A second use by whoever could prove all of it
ends what the first one gave; who could not, ends nothing.
"""

import hmac
import re
from collections.abc import Callable
from dataclasses import replace

from tornado_auth.audit import AuditLog
from tornado_auth.digests import digest
from tornado_auth.models import AuthorizationCode
from tornado_auth.oauth2.codes import AuthorizationCodes
from tornado_auth.oauth2.errors import InvalidGrant, InvalidRequest
from tornado_auth.oauth2.grants import Grants
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.oauth2.user_authorization import authorization_of
from tornado_auth.oauth2.values import A_CLIENT, CODE, Authorization, TokenRequest

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class AuthorizationCodeGrant:
    """Give a client tokens for a code."""

    name = CODE

    def __init__(
        self,
        codes: AuthorizationCodes,
        *,
        grants: Grants,
        audit_log: AuditLog,
        now: Callable[[], int],
    ) -> None:
        self._codes = codes
        self._grants = grants
        self._audit_log = audit_log
        self._now = now

    async def authorize(self, request: TokenRequest) -> Authorization:
        """Spend the code; a second use of it ends its grant."""
        verifier = _verifier_of(request.parameters)
        record = await self._codes.find(request.parameters.require("code"))
        if record is None or not _is_for(record, request, verifier):
            raise _refusal()
        live = await self._grants.live(record.grant_id)
        if live is None or self._is_over(record):
            raise _refusal()
        authorization = authorization_of(live, request, grant_type=self.name)
        # The code comes last: who tries again because the store failed has not used it twice.
        grant = await self._grants.confirm(live.grant)
        if grant is None:
            raise _refusal()
        if not await self._codes.use(record):
            await self._end(record, user_id=live.user.id)
            raise _refusal()
        return replace(authorization, grant=grant, nonce=record.nonce)

    def _is_over(self, record: AuthorizationCode) -> bool:
        return record.used_at is None and record.valid_until <= self._now()

    async def _end(self, record: AuthorizationCode, *, user_id: str) -> None:
        if await self._grants.end(record.grant_id):
            await self._audit_log.record(
                "code_reuse",
                actor=A_CLIENT,
                subject=user_id,
                target=record.client_id,
                result=InvalidGrant.code,
            )


def _verifier_of(parameters: Parameters) -> str:
    verifier = parameters.get("code_verifier")
    if verifier and not _VERIFIER.fullmatch(verifier):
        raise InvalidRequest("The code_verifier is not 43 to 128 unreserved characters.")
    return verifier


def _is_for(record: AuthorizationCode, request: TokenRequest, verifier: str) -> bool:
    """Tell whether a code was made for this request, whether or not it was used before."""
    return (
        record.client_id == request.client.id
        and _is_redirect_uri_of(record, request.parameters.get("redirect_uri"))
        and hmac.compare_digest(record.code_challenge, _challenge_of(verifier))
        and record.dpop_jkt in ("", request.jkt)
    )


def _is_redirect_uri_of(record: AuthorizationCode, sent: str) -> bool:
    # PKCE does what the parameter was for; who has it may leave the parameter out (OAuth 2.1).
    return sent == record.redirect_uri or (not sent and bool(record.code_challenge))


def _challenge_of(verifier: str) -> str:
    """Return the S256 challenge, "" without a verifier: so neither goes without the other."""
    return digest(verifier) if verifier else ""


def _refusal() -> InvalidGrant:
    return InvalidGrant("The code is not valid, or not for this request.")
