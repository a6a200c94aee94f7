"""What the parent counts, and the metrics of its workers as one text.

Owns the label `worker`, which tells the workers' time series apart. Never asks the workers: their
texts are handed in.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tornado_auth.metrics import NAMESPACE


class SupervisorMetrics:
    """The parent's own counters."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.workers = Gauge(
            "workers", "Workers that listen.", namespace=NAMESPACE, registry=self.registry
        )
        self.workers_started = self._counter("workers_started_total", "Workers started.")
        self.workers_died = self._counter(
            "workers_died_total", "Workers that ended by themselves and were replaced."
        )
        self.worker_silences = self._counter(
            "worker_silences_total", "Times that a worker did not answer its parent in time."
        )
        self.reloads = self._counter("reloads_total", "Reloads, by how they ended.", "result")

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, namespace=NAMESPACE, registry=self.registry)

    def render(self, workers: Mapping[int, str]) -> tuple[bytes, str]:
        """Return the own metrics and the texts of the workers, by number, and the content type."""
        return generate_latest(self.registry) + merge(workers), CONTENT_TYPE_LATEST


def merge(texts: Mapping[int, str]) -> bytes:
    """Return one text of several, each sample with the label `worker`, each family once."""
    registry = CollectorRegistry()
    registry.register(_Merged(texts))
    return generate_latest(registry)


class _Merged(Collector):
    """The families of several texts, with the samples of all of them."""

    def __init__(self, texts: Mapping[int, str]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for number, text in sorted(self._texts.items()):
            for read in text_string_to_metric_families(text):
                family = families.setdefault(
                    read.name, Metric(read.name, read.documentation, read.type)
                )
                for sample in read.samples:
                    labels = {"worker": str(number)} | sample.labels
                    family.add_sample(sample.name, labels, sample.value)
        yield from families.values()
