"""Failures in the audit log: as many as tell something, and the rest as a number.

Owns the limits that keep a flood of failed attempts, or a permission provider that is broken, from
filling the store. Each process counts for itself. Never slows anybody down: `throttle.py` does.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tornado_auth.audit import SYSTEM, AuditLog
from tornado_auth.errors import TooManyAttempts
from tornado_auth.models import Actor
from tornado_auth.throttle import Limit, Throttle, address_key

FAILURE_LIMITS: Mapping[str, Limit] = {
    "failure-address": Limit(10, 60),
    "failure-user": Limit(10, 60),
    "failure": Limit(300, 60),  # from however many addresses, for however many users
}
MAX_ADDRESSES = 1000
SHOWN_ADDRESSES = 10


class FailedAttempts:
    """Record failures up to the limits; `sum_up`, once a minute, those that were only counted."""

    def __init__(
        self,
        audit_log: AuditLog,
        *,
        now: Callable[[], int],
        limits: Mapping[str, Limit] = FAILURE_LIMITS,
    ) -> None:
        self._audit_log = audit_log
        self._throttle = Throttle(now, limits=limits)
        self._left_out: Counter[str] = Counter()
        self._denials: dict[str, Counter[str]] = {}

    async def record(
        self,
        action: str,
        *,
        actor: Actor,
        result: str,
        subject: str = "",
        target: str = "",
        details: Sequence[str] = (),
    ) -> None:
        """Record a failure, or count it; `result` is a reason code."""
        address = address_key(actor.remote_ip) or "unknown"
        try:
            self._count(address, subject)
        except TooManyAttempts:
            known = address in self._left_out or len(self._left_out) < MAX_ADDRESSES
            self._left_out[address if known else "others"] += 1
        else:
            await self._audit_log.record(
                action, actor=actor, subject=subject, target=target, result=result, details=details
            )

    def provider_failed(self, service: str, result: str) -> None:
        """Count that a service's permission provider failed, and somebody was denied."""
        self._denials.setdefault(service, Counter())[result] += 1

    async def sum_up(self) -> None:
        """Record what was counted since the last time: one event for all, and one a service."""
        left_out, self._left_out = self._left_out, Counter()
        denials, self._denials = self._denials, {}
        for service, results in sorted(denials.items()):
            await self._audit_log.record(
                "permission_provider_failed",
                actor=SYSTEM,
                target=service,
                result=results.most_common(1)[0][0],
                details=tuple(f"{result}={n}" for result, n in sorted(results.items())),
            )
        if left_out:
            await self._record_number(left_out)

    async def _record_number(self, left_out: Counter[str]) -> None:
        most = (f"{address}={n}" for address, n in left_out.most_common(SHOWN_ADDRESSES))
        await self._audit_log.record(
            "failures_left_out",
            actor=SYSTEM,
            result="left_out",
            details=(f"number={left_out.total()}", *most),
        )

    def _count(self, address: str, subject: str) -> None:
        self._throttle.count("failure-address", address)
        if subject:
            self._throttle.count("failure-user", subject)
        self._throttle.count("failure", "")
