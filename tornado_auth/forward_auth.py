"""The question of a reverse proxy: may this request pass, as whom, and with which permissions?

Owns the decision behind /auth/verify. Knows no HTTP: `web/answers.py` makes headers of a verdict.
"""

from collections.abc import Awaitable
from dataclasses import dataclass

from tornado_auth.checks import Answer, Checks, Verified
from tornado_auth.granted import granted_names, scopes_cover
from tornado_auth.pending import Pending
from tornado_auth.permissions import Permissions
from tornado_auth.readings import Known
from tornado_auth.tokens import audience_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """`known` is None if nobody is signed in; `granted` is None if no service was asked about."""

    known: Known | None
    allowed: bool
    granted: frozenset[str] | None = None


NOBODY = Verdict(None, allowed=False)
OUT_OF_SCOPE = Verdict(None, allowed=False)  # an API key that is not meant for this; told by `is`


class ForwardAuth:
    """Decide whether requests may pass."""

    def __init__(self, checks: Checks, permissions: Permissions) -> None:
        self._checks = checks
        self._permissions = permissions

    async def decide(self, token: str, *, service: str, needed: str, resource: str = "") -> Verdict:
        """Decide on a request with this token; "" stands for none, also of all the others.

        With a service, a permission token for it, or for just this resource of it where one is
        named, counts, too, and brings its permissions along. Raises StorageUnavailable when nobody
        can tell whose the token is.
        """
        if not token:
            return NOBODY
        verified = self.verify(token, service=service, resource=resource)
        verdict = self.recall(verified, service=service, needed=needed, resource=resource)
        return verdict if isinstance(verdict, Verdict) else await verdict

    def verify(self, token: str, *, service: str, resource: str = "") -> Verified | None:
        """Return what a token says, for `recall`, if it counts here."""
        return self._checks.verify(token, service=audience_of(service, resource))

    def recall(
        self, verified: Verified | None, *, service: str, needed: str, resource: str = ""
    ) -> Verdict | Awaitable[Verdict]:
        """Decide at once if everything is known, and else later."""
        known = self._checks.recall(verified)
        granted = verified.granted if verified else None
        if isinstance(known, Pending):
            return self._after(known, granted, service=service, needed=needed, resource=resource)
        return self._judge(known, granted, service=service, needed=needed, resource=resource)

    async def _after(
        self,
        reading: Awaitable[Answer],
        granted: frozenset[str] | None,
        *,
        service: str,
        needed: str,
        resource: str,
    ) -> Verdict:
        verdict = self._judge(
            await reading, granted, service=service, needed=needed, resource=resource
        )
        return verdict if isinstance(verdict, Verdict) else await verdict

    def _judge(
        self,
        known: Answer,
        granted: frozenset[str] | None,
        *,
        service: str,
        needed: str,
        resource: str,
    ) -> Verdict | Awaitable[Verdict]:
        if known is None:
            return NOBODY
        if known.scopes is not None and not scopes_cover(known.scopes, service):
            return OUT_OF_SCOPE
        if not service:
            # A permission of no service is one that nobody has, and so is one in its resource.
            return Verdict(known, allowed=not (needed or resource))
        if granted is None:
            granted = self._permissions.recall(service, known.user_id, resource=resource)
        if granted is None:
            return self._ask(known, service=service, needed=needed, resource=resource)
        return Verdict(known, _is_enough(granted, needed), granted)

    async def _ask(self, known: Known, *, service: str, needed: str, resource: str) -> Verdict:
        answer = await self._permissions.ask(service, known.user_id, resource=resource)
        granted = granted_names(answer)
        return Verdict(known, _is_enough(granted, needed), granted)


def _is_enough(granted: frozenset[str], needed: str) -> bool:
    return bool(granted) and (not needed or needed in granted)
