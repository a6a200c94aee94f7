"""How often somebody may fail before they have to wait.

Owns the table of limits and the counters, a moving window for each (scope, key) in this process's
memory; each process counts for itself. The storage of the `limits` package is not used, because it
keeps a thread running, reads the wall clock and never bounds how many keys it holds.
Never knows what was tried: it sees a name for the counter, and keeps only its digest.
"""

import hashlib
import ipaddress
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tornado_auth.errors import TooManyAttempts

MAX_KEYS = 50_000
ATTEMPT_LIFETIME = 10  # seconds after which an attempt without an outcome no longer counts


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `attempts` failures in any `window` seconds; `forgives` if a success clears them."""

    attempts: int
    window: int
    forgives: bool = False


LIMITS: Mapping[str, Limit] = {
    "login-account": Limit(10, 300, forgives=True),
    # not forgiven: else a visitor's own account would clear the counter for guessing at others
    "login-address": Limit(50, 300),
    "lookup-address": Limit(60, 60),
    "lookup-user": Limit(600, 60),  # a service may look up all its users with one token
}


@dataclass(slots=True)
class _Counter:
    """When each attempt under way and each failure stops counting, soonest first."""

    pending: deque[int] = field(default_factory=deque)
    failed: deque[int] = field(default_factory=deque)

    def forget_until(self, now: int) -> None:
        for times in (self.pending, self.failed):
            while times and times[0] <= now:
                times.popleft()

    def soonest(self) -> int:
        return min(times[0] for times in (self.pending, self.failed) if times)

    def __len__(self) -> int:
        return len(self.pending) + len(self.failed)


class Throttle:
    """Counters of failed attempts, at most `max_keys` in each scope.

    An attempt counts from `check` on, so that many at once cannot all slip through. Calls with an
    unknown scope are mistakes and raise KeyError.
    """

    def __init__(
        self,
        now: Callable[[], int],
        *,
        limits: Mapping[str, Limit] = LIMITS,
        max_keys: int = MAX_KEYS,
    ) -> None:
        self._now = now
        self._limits = limits
        self._max_keys = max_keys
        self._counters: dict[str, OrderedDict[bytes, _Counter]] = {
            scope: OrderedDict() for scope in limits
        }

    def check(self, scope: str, key: str) -> None:
        """Begin an attempt, which `fail` or `succeed` ends; raises TooManyAttempts."""
        counter = self._counter(scope, key)
        limit = self._limits[scope]
        if len(counter) >= limit.attempts:
            raise TooManyAttempts(max(1, counter.soonest() - self._now()))
        counter.pending.append(self._now() + ATTEMPT_LIFETIME)

    def fail(self, scope: str, key: str) -> None:
        """Count a failure, in place of the attempt that `check` began if there is one."""
        counter = self._counter(scope, key)
        limit = self._limits[scope]
        if counter.pending:
            counter.pending.popleft()
        counter.failed.append(self._now() + limit.window)
        if len(counter.failed) > limit.attempts:
            counter.failed.popleft()

    def succeed(self, scope: str, key: str) -> None:
        """Take an attempt back, and where the scope forgives, all earlier failures with it."""
        counter = self._counter(scope, key)
        if counter.pending:
            counter.pending.popleft()
        if self._limits[scope].forgives:
            counter.failed.clear()

    @property
    def size(self) -> int:
        """How many counters are kept."""
        return sum(map(len, self._counters.values()))

    def _counter(self, scope: str, key: str) -> _Counter:
        """Return the counter, up to date, and let go of the least used ones."""
        counters = self._counters[scope]
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        counter = counters.setdefault(digest, _Counter())
        counters.move_to_end(digest)
        counter.forget_until(self._now())
        self._tidy(counters)
        return counter

    def _tidy(self, counters: OrderedDict[bytes, _Counter]) -> None:
        """Let go of the least recently used counters: all empty ones, and those too many."""
        while len(counters) > 1:
            oldest = next(iter(counters.values()))
            oldest.forget_until(self._now())
            if oldest and len(counters) <= self._max_keys:
                return
            counters.popitem(last=False)


def address_key(ip: str) -> str:
    """Return who an address stands for: an IPv4 address, or the /64 network of an IPv6 one.

    What is no address (a unix socket has none) stays as it is.
    """
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
