"""What a user was asked for already, on behalf of one authorization request.

Owns the seal that travels with the request to the sign-in or consent page and back. It says when
and in whose session we asked for a sign-in, so that only one since then counts as the answer: a
cookie is none (OpenID Connect Core §3.1.2.1, `prompt` and `max_age`). And it says who agreed to
this very request. It is no credential, and one of another request, or too old, says nothing.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace

from cryptography.fernet import InvalidToken

from tornado_auth.digests import digest
from tornado_auth.models import Who
from tornado_auth.oauth2.authorization_requests import AuthorizationRequest
from tornado_auth.seals import make_seal

LIFETIME = 3600  # seconds from when we first asked
FRESH = 600  # seconds for which an answer is one to this question, and no habit
_SHORT = 22  # characters, 132 bits: it has to fit into an address


@dataclass(frozen=True, slots=True)
class Interaction:
    """When and in whose session we asked for a sign-in, and who agreed when.

    `session` is "" if nobody was signed in, `user` if nobody agreed yet.
    """

    asked_at: int = 0
    session: str = ""
    user: str = ""
    agreed_at: int = 0

    def has_signed_in(self, who: Who, now: int, max_age: int | None) -> bool:
        """Tell whether somebody has signed in since we asked, and not so long ago."""
        session = who.session
        is_new = _short(session.id) != self.session and session.auth_time >= self.asked_at
        return is_new and now - session.auth_time <= max(max_age or 0, FRESH)

    def has_agreed(self, who: Who, now: int) -> bool:
        """Tell whether this user has just agreed."""
        return _short(who.user.id) == self.user and now - self.agreed_at <= FRESH


class Interactions:
    """Seal what was asked, and open it again."""

    def __init__(self, sealing_secrets: Sequence[str], *, now: Callable[[], int]) -> None:
        self._seal = make_seal("interaction", sealing_secrets)
        self._now = now

    def of(self, request: AuthorizationRequest) -> Interaction | None:
        """Return what was asked for this very request, None if nothing was."""
        try:
            sealed = request.interaction.encode()
            plain = self._seal.decrypt_at_time(sealed, LIFETIME, self._now())
            subject, *fields = json.loads(plain)
            interaction = Interaction(*fields)
        except (InvalidToken, TypeError):  # TypeError: of another version, with other fields
            return None
        return interaction if subject == request.fingerprint[:_SHORT] else None

    def sign_in(self, request: AuthorizationRequest, who: Who | None) -> str:
        """Seal that we ask for a sign-in now; what was said of consent stays."""
        before = self.of(request) or Interaction()
        session = _short(who.session.id) if who else ""
        return self._sealed(request, replace(before, asked_at=self._now(), session=session))

    def agreement(self, request: AuthorizationRequest, who: Who) -> str:
        """Seal that this user agrees now; what was said of the sign-in stays."""
        before = self.of(request) or Interaction(self._now(), _short(who.session.id))
        agreed = replace(before, user=_short(who.user.id), agreed_at=self._now())
        return self._sealed(request, agreed)

    def _sealed(self, request: AuthorizationRequest, interaction: Interaction) -> str:
        fields = astuple(interaction)
        plain = json.dumps([request.fingerprint[:_SHORT], *fields], separators=(",", ":"))
        return self._seal.encrypt_at_time(plain.encode(), self._now()).decode()


def _short(id: str) -> str:
    return digest(id)[:_SHORT]
