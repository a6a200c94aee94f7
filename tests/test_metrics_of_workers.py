"""The metrics of several workers as one text."""

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tornado_auth.metrics import Metrics
from tornado_auth.supervisor import SupervisorMetrics, merge


def families_of(text: bytes) -> dict[str, Metric]:
    families = list(text_string_to_metric_families(text.decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    return {family.name: family for family in families}


def text_of(metrics: Metrics) -> str:
    return metrics.render()[0].decode()


def test_each_sample_says_of_which_worker_it_is() -> None:
    one, other = Metrics(), Metrics()
    one.logouts.inc()
    other.logouts.inc(2)
    other.logins.labels("google", "success").inc()
    merged = families_of(merge({0: text_of(one), 7: text_of(other)}))
    counted = [(sample.labels, sample.value) for sample in merged["tornado_auth_logouts"].samples]
    assert counted == [({"worker": "0"}, 1), ({"worker": "7"}, 2)]
    (login,) = merged["tornado_auth_logins"].samples
    assert login.labels == {"worker": "7", "provider": "google", "result": "success"}


def test_types_and_explanations_stay_and_are_told_once() -> None:
    metrics = Metrics()
    metrics.request_answered("CheckHandler", "GET", status=200, seconds=0.1)
    text = text_of(metrics)
    merged = merge({0: text, 1: text})
    told = [line for line in merged.decode().splitlines() if line.startswith("#")]
    assert told == [line for line in text.splitlines() if line.startswith("#")]
    assert len(families_of(merged)["tornado_auth_http_request_seconds"].samples) == 2 * len(
        families_of(text.encode())["tornado_auth_http_request_seconds"].samples
    )


def test_histograms_keep_their_buckets() -> None:
    metrics = Metrics()
    metrics.request_answered("CheckHandler", "GET", status=200, seconds=0.002)
    merged = families_of(merge({3: text_of(metrics)}))
    buckets = {
        sample.labels["le"]: sample.value
        for sample in merged["tornado_auth_http_request_seconds"].samples
        if sample.name.endswith("_bucket")
    }
    assert (buckets["0.001"], buckets["0.0025"], buckets["+Inf"]) == (0, 1, 1)


def test_the_parents_own_come_with_them() -> None:
    metrics = SupervisorMetrics()
    metrics.reloads.labels("done").inc()
    text, content_type = metrics.render({0: text_of(Metrics())})
    families = families_of(text)
    assert families["tornado_auth_reloads"].samples[0].labels == {"result": "done"}
    assert families["tornado_auth_logouts"].samples[0].labels == {"worker": "0"}
    assert content_type.startswith("text/plain; version=")


def test_no_worker_is_no_sample() -> None:
    assert merge({}) == b""
