"""What the service counts, for Prometheus.

Owns every metric of the service, in a registry of its own, so that several servers live in one
process. A label never takes its value from a request: its values are names that the settings or
the code give, so that nobody outside can make new time series. `docs/metrics.md` lists them all.
Never serves them: the operations port does.
"""

from collections.abc import Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

NAMESPACE = "tornado_auth"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Tally:
    """A counter for where every microsecond counts: Prometheus gets the sum when it asks."""

    __slots__ = ("_counter", "count")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self.count = 0

    def inc(self) -> None:
        """Count one more."""
        self.count += 1

    def hand_in(self) -> None:
        """Let the counter have what was counted since the last time."""
        count, self.count = self.count, 0
        self._counter.inc(count)


class Cache(Protocol):
    """What is to be known of a cache; it counts by itself, for a counter costs more than a hit."""

    hits: int
    misses: int

    def __len__(self) -> int: ...


class _Cheap(Collector):
    """Reads what counts by itself; registered first, so that the tallies are in before the rest."""

    def __init__(self) -> None:
        self.named: dict[str, Cache] = {}
        self.tallies: list[Tally] = []

    def collect(self) -> Iterator[Metric]:
        for tally in self.tallies:
            tally.hand_in()
        sizes = GaugeMetricFamily(
            f"{NAMESPACE}_cached", "Entries that are remembered.", labels=["cache"]
        )
        lookups = CounterMetricFamily(
            f"{NAMESPACE}_cache_lookups", "Lookups in a cache.", labels=["cache", "result"]
        )
        for name, cache in self.named.items():
            sizes.add_metric([name], len(cache))
            lookups.add_metric([name, "hit"], cache.hits)
            lookups.add_metric([name, "miss"], cache.misses)
        yield sizes
        yield lookups


class Metrics:
    """The counters of one server; each attribute is a metric to call `labels` and `inc` on."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._cheap = _Cheap()
        self.registry.register(self._cheap)
        self._count_sessions()
        self._count_tokens()
        self._count_the_rest()

    def _count_sessions(self) -> None:
        self.logins = self._counter(
            "logins_total", "Sign-ins that came to an end, by their result.", "provider", "result"
        )
        self.logouts = self._counter("logouts_total", "Sessions that their user ended.")
        self.sessions_started = self._counter("sessions_started_total", "Sessions started.")
        self.checks = self._counter(
            "checks_total", "Requests whose session token was checked.", "result"
        )
        self.revocation_lag_seconds = self._gauge(
            "revocation_lag_seconds",
            "Seconds since it was last certain that every ended session is known.",
        )
        self.revocations_heard = self._counter(
            "revocations_heard_total", "Ended sessions and changed users that the feed reported."
        )

    def _count_tokens(self) -> None:
        self.oauth2_tokens = self._counter(
            "oauth2_tokens_total", "Token responses of the authorization server.", "grant_type"
        )
        self.oauth2_errors = self._counter(
            "oauth2_errors_total",
            "Requests that the authorization server refused.",
            "handler",
            "error",
        )
        self.backchannel_logouts = self._counter(
            "backchannel_logouts_total", "Clients to be told that a session ended.", "result"
        )

    def _count_the_rest(self) -> None:
        self.permission_answers = self._counter(
            "permission_answers_total",
            "Questions for a user's permissions, by how they were answered.",
            "service",
            "result",
        )
        self.extension_failures = self._counter(
            "extension_failures_total",
            "Hooks that raised or did not return in time.",
            "extension",
            "hook",
        )
        self.storage_errors = self._counter(
            "storage_errors_total", "Operations that the store did not carry out."
        )
        self.audit_failures = self._counter(
            "audit_failures_total", "Audit events that the store did not take at once.", "result"
        )
        self.http_requests = self._counter(
            "http_requests_total", "Answered requests.", "handler", "method", "status"
        )
        self.http_request_seconds = Histogram(
            "http_request_seconds",
            "Time from the request's head to the end of its answer.",
            ("handler",),
            namespace=NAMESPACE,
            registry=self.registry,
            buckets=_SECONDS,
        )

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, namespace=NAMESPACE, registry=self.registry)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, labels, namespace=NAMESPACE, registry=self.registry)

    def watch_cache(self, name: str, cache: Cache) -> None:
        """Report the size of a cache, and how often it was of use."""
        self._cheap.named[name] = cache

    def tally(self, counter: Counter) -> Tally:
        """Return a cheap way to count for a counter whose labels are given."""
        self._cheap.tallies.append(tally := Tally(counter))
        return tally

    def extension_failed(self, extension: str, hook: str) -> None:
        """Count a hook that failed."""
        self.extension_failures.labels(extension, hook).inc()

    def request_answered(self, handler: str, method: str, *, status: int, seconds: float) -> None:
        """Count an answer and the time it took; `handler` is the name of a class.

        The method comes from the request, so one that HTTP does not define counts as "other".
        """
        known_method = method if method in _METHODS else "other"
        self.http_requests.labels(handler, known_method, str(status)).inc()
        self.http_request_seconds.labels(handler).observe(seconds)

    def render(self) -> tuple[bytes, str]:
        """Return all metrics as Prometheus reads them, and the content type of that."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
