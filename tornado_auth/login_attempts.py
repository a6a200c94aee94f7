"""One way to a login provider and back: `state`, PKCE verifier and nonce.

Owns the proof that a callback belongs to the browser that started it (RFC 6749 §10.12) and that a
`state` is used once. What an attempt needs travels in an encrypted cookie of its own, so several
tabs may sign in at once and an anonymous visitor makes nothing in the store. Never sets the cookie
itself: `web/page.py` does.
"""

import dataclasses
import hmac
import json
import secrets
from collections.abc import Callable, Sequence

from cryptography.fernet import InvalidToken

from tornado_auth.digests import digest
from tornado_auth.errors import AlreadyExists, LoginStateInvalid
from tornado_auth.models import LoginAttempt, SpentState
from tornado_auth.seals import make_seal
from tornado_auth.storage import Collection

LIFETIME = 600

_EXPIRED = (
    "This sign-in was not started in this browser, took longer than ten minutes, or was already "
    "completed. Please start again."
)


class LoginAttempts:
    """Start attempts and take them back, each once and within ten minutes.

    The first of `sealing_secrets` seals, all of them open: that is how a secret is replaced.
    """

    def __init__(
        self,
        sealing_secrets: Sequence[str],
        spent_states: Collection[SpentState],
        *,
        now: Callable[[], int],
    ) -> None:
        self._fernet = make_seal("login attempt", sealing_secrets)
        self._spent_states = spent_states
        self._now = now

    def begin(
        self,
        provider: str,
        *,
        next: str = "",
        link_user_id: str = "",
        asks_again: bool = False,
    ) -> tuple[LoginAttempt, str]:
        """Make an attempt and its sealed form, which only the browser that starts it may get."""
        attempt = LoginAttempt(
            provider=provider,
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            code_verifier=secrets.token_urlsafe(48),
            next=next,
            link_user_id=link_user_id,
            asks_again=asks_again,
            started_at=self._now(),
        )
        plain = json.dumps(dataclasses.asdict(attempt)).encode()
        return attempt, self._fernet.encrypt_at_time(plain, self._now()).decode()

    async def take(self, sealed: str, state: str) -> LoginAttempt:
        """Open a sealed attempt and spend its state; raises LoginStateInvalid."""
        try:
            plain = self._fernet.decrypt_at_time(sealed.encode(), LIFETIME, self._now())
        except InvalidToken:
            raise LoginStateInvalid(_EXPIRED) from None
        try:
            attempt = LoginAttempt(**json.loads(plain))
        except TypeError:  # sealed by another version, which knows other fields
            raise LoginStateInvalid(_EXPIRED) from None
        if not hmac.compare_digest(attempt.state.encode(), state.encode()):
            raise LoginStateInvalid(_EXPIRED)
        # Kept for longer than the seal holds, so that no moment is left between the two limits.
        spent = SpentState(id=digest(state), expires_at=attempt.started_at + 2 * LIFETIME)
        try:
            await self._spent_states.insert(spent)
        except AlreadyExists:
            raise LoginStateInvalid(_EXPIRED) from None
        return attempt
