"""How often somebody may try before they have to wait.

Owns the tables of limits and two ways to count. Sign-ins are counted in the store, so that their
limits hold over all processes; look-ups, which are many and harmless, in this process's memory.
Never knows what was tried: it sees a name for the counter, and keeps only its digest.

In the store an attempt is a record, one of as many as the limit allows: its id is that of a place,
which is inserted and so taken by exactly one. However many try at once, on however many processes,
no more get a place, and no two ever wait for each other to write the same record.
"""

import hashlib
import ipaddress
import secrets
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tornado_auth.errors import AlreadyExists, TooManyAttempts
from tornado_auth.models import CountedAttempt
from tornado_auth.storage import Collection

MAX_KEYS = 50_000


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `attempts` in any `window` seconds; `forgives` if a success clears them."""

    attempts: int
    window: int
    forgives: bool = False


LOGIN_LIMITS: Mapping[str, Limit] = {
    "login-account": Limit(10, 300, forgives=True),
    "login-device": Limit(10, 300, forgives=True),
    # not forgiven: else a visitor's own account would clear the counter for guessing at others
    "login-address": Limit(50, 300),
}
LOOKUP_LIMITS: Mapping[str, Limit] = {
    "lookup-address": Limit(60, 60),
    "lookup-user": Limit(600, 60),  # a service may look up all its users with one token
    # authorization requests that anybody can have us keep
    "parked-requests": Limit(600, 600),
    "pushed-requests": Limit(600, 600),
}


class LoginThrottle:
    """Attempts to sign in, counted in the store. Calls with an unknown scope raise KeyError."""

    def __init__(
        self,
        attempts: Collection[CountedAttempt],
        *,
        now: Callable[[], int],
        limits: Mapping[str, Limit] = LOGIN_LIMITS,
    ) -> None:
        self._attempts = attempts
        self._now = now
        self._limits = limits

    @asynccontextmanager
    async def attempt(self, keys: Mapping[str, str]) -> AsyncIterator[None]:
        """Count what happens inside, by the key of each scope; raises TooManyAttempts instead.

        An attempt that ends without an exception is a success: it does not count, and where the
        scope forgives, what failed before does not either.
        """
        begun = await self._begin(keys)
        yield
        for scope, attempt in begun.items():
            if self._limits[scope].forgives:
                await self._attempts.delete_where(key=attempt.key)
            else:
                await self._attempts.delete(attempt.id)

    async def count(self, keys: Mapping[str, str]) -> None:
        """Count what counts even if it succeeds; raises TooManyAttempts."""
        await self._begin(keys)

    async def _begin(self, keys: Mapping[str, str]) -> dict[str, CountedAttempt]:
        # All are asked first: who is refused anyway writes nothing.
        free = {scope: await self._free_places(scope, key) for scope, key in keys.items()}
        begun: dict[str, CountedAttempt] = {}
        try:
            for scope, key in keys.items():
                begun[scope] = await self._take(scope, key, free[scope])
        except TooManyAttempts:
            for attempt in begun.values():
                await self._attempts.delete(attempt.id)
            raise
        return begun

    async def _free_places(self, scope: str, key: str) -> list[str]:
        """Return the ids that an attempt may have now; raises TooManyAttempts if there are none.

        Places are numbered anew in each period of a window's length, and as many as are taken
        since before this period are left out: so the limit holds for any window.
        """
        limit, counter = self._limits[scope], _counter(scope, key)
        attempts = await self._counted(limit, counter)
        taken = {attempt.id for attempt in attempts}
        period = self._now() // limit.window
        places = [f"{counter}-{period}-{number}" for number in range(limit.attempts)]
        before = len(taken.difference(places))
        free = [place for place in places[: limit.attempts - before] if place not in taken]
        if not free:
            raise self._too_many(attempts)
        return free

    async def _take(self, scope: str, key: str, free: list[str]) -> CountedAttempt:
        expires_at = self._now() + self._limits[scope].window
        while True:
            # Any of them, so that those who try at once seldom meet.
            place = secrets.choice(free)
            attempt = CountedAttempt(id=place, key=_counter(scope, key), expires_at=expires_at)
            try:
                await self._attempts.insert(attempt)
            except AlreadyExists:
                free = await self._free_places(scope, key)
            else:
                await self._check_still_within(self._limits[scope], attempt)
                return attempt

    async def _check_still_within(self, limit: Limit, attempt: CountedAttempt) -> None:
        """Look again: when a period begins, places of both may have been taken at once."""
        attempts = await self._counted(limit, attempt.key)
        if len(attempts) > limit.attempts:
            await self._attempts.delete(attempt.id)
            raise self._too_many(attempts)

    async def _counted(self, limit: Limit, counter: str) -> list[CountedAttempt]:
        # As many as the places of two periods, though hardly ever more than those of one.
        return await self._attempts.find(key=counter, limit=2 * limit.attempts)

    def _too_many(self, attempts: list[CountedAttempt]) -> TooManyAttempts:
        soonest = min(attempt.expires_at or 0 for attempt in attempts)
        return TooManyAttempts(max(1, soonest - self._now()))


class Throttle:
    """Counters in memory, at most `max_keys` in each scope; each process counts for itself.

    Calls with an unknown scope are mistakes and raise KeyError.
    """

    def __init__(
        self,
        now: Callable[[], int],
        *,
        limits: Mapping[str, Limit] = LOOKUP_LIMITS,
        max_keys: int = MAX_KEYS,
    ) -> None:
        self._now = now
        self._limits = limits
        self._max_keys = max_keys
        # For each counter, when what it counted stops to count, soonest first.
        self._counters: dict[str, OrderedDict[str, deque[int]]] = {
            scope: OrderedDict() for scope in limits
        }

    def count(self, scope: str, key: str) -> None:
        """Count one more, or raise TooManyAttempts: then it does not count."""
        limit, counters, now = self._limits[scope], self._counters[scope], self._now()
        counter = counters.setdefault(_counter(scope, key), deque())
        counters.move_to_end(_counter(scope, key))
        _forget_until(now, counter)
        self._tidy(counters)
        if len(counter) >= limit.attempts:
            raise TooManyAttempts(max(1, counter[0] - now))
        counter.append(now + limit.window)

    @property
    def size(self) -> int:
        """How many counters are kept."""
        return sum(map(len, self._counters.values()))

    def _tidy(self, counters: OrderedDict[str, deque[int]]) -> None:
        """Let go of the least recently used counters: all empty ones, and those too many."""
        while len(counters) > 1:
            oldest = next(iter(counters.values()))
            _forget_until(self._now(), oldest)
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


def _counter(scope: str, key: str) -> str:
    return hashlib.sha256(f"{scope} {key}".encode("utf-8", "surrogatepass")).hexdigest()


def _forget_until(now: int, counter: deque[int]) -> None:
    while counter and counter[0] <= now:
        counter.popleft()
