import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tornado_auth.caches import BoundedCache
from tornado_auth.metrics import Metrics
from tornado_auth.supervisor import SupervisorMetrics

DOCUMENTATION = Path(__file__).parent.parent / "docs" / "metrics.md"
ROWS = {
    name: re.findall(r"`(\w+)`", labels)
    for name, labels in re.findall(
        r"^\| `(tornado_auth_\w+)` \|([^|]*)\|", DOCUMENTATION.read_text(), re.MULTILINE
    )
}


def documented_form(metrics: Metrics | SupervisorMetrics) -> dict[str, list[str]]:
    """The names as they are queried, with their labels."""
    metric_objects = [value for value in vars(metrics).values() if hasattr(value, "labels")]
    return {
        metric._name + ("_total" if metric._type == "counter" else ""): list(metric._labelnames)
        for metric in metric_objects
    }


def form_of_caches() -> dict[str, list[str]]:
    """The same of what is read from the caches."""
    metrics = Metrics()
    metrics.watch_cache("tokens", BoundedCache(1))
    named = [sample for family in metrics._cheap.collect() for sample in family.samples]
    return {sample.name: sorted(sample.labels) for sample in named}


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_each_metric_is_documented_with_its_labels() -> None:
    workers = documented_form(SupervisorMetrics())
    assert documented_form(Metrics()) | form_of_caches() | workers == ROWS


def test_each_metric_is_an_attribute_of_metrics() -> None:
    metrics = Metrics()
    families = {family.name for family in metrics.registry.collect()}
    names = documented_form(metrics) | form_of_caches()
    assert families == {name.removesuffix("_total") for name in names}
    assert len(families) == 17


def test_a_cache_is_measured_when_it_is_asked_for() -> None:
    metrics = Metrics()
    cache: BoundedCache[str, int] = BoundedCache(10)
    metrics.watch_cache("tokens", cache)
    cache.put("a", 1)
    for key in ("a", "a", "b"):
        cache.get(key)
    assert sample(metrics, "tornado_auth_cached", cache="tokens") == 1
    lookups = "tornado_auth_cache_lookups_total"
    assert sample(metrics, lookups, cache="tokens", result="hit") == 2
    assert sample(metrics, lookups, cache="tokens", result="miss") == 1
    cache.put("c", 3)
    assert sample(metrics, "tornado_auth_cached", cache="tokens") == 2
    body, _ = metrics.render()
    assert b'tornado_auth_cached{cache="tokens"} 2.0' in body


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.logouts.inc()
    assert sample(one, "tornado_auth_logouts_total") == 1
    assert sample(other, "tornado_auth_logouts_total") == 0


def test_metrics_are_rendered_as_prometheus_reads_them() -> None:
    metrics = Metrics()
    metrics.logins.labels("google", "success").inc()
    body, content_type = metrics.render()
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    (counted,) = families["tornado_auth_logins"].samples
    assert counted.labels == {"provider": "google", "result": "success"}
    assert counted.value == 1
    assert content_type.startswith("text/plain; version=")


def test_a_failed_hook_is_counted_by_extension_and_hook() -> None:
    metrics = Metrics()
    metrics.extension_failed("audit", "on_user_login")
    name = "tornado_auth_extension_failures_total"
    assert sample(metrics, name, extension="audit", hook="on_user_login") == 1


@pytest.mark.parametrize(("method", "label"), [("GET", "GET"), ("X" * 100, "other")])
def test_an_answered_request_is_counted_and_timed(method: str, label: str) -> None:
    metrics = Metrics()
    metrics.request_answered("CheckHandler", method, status=200, seconds=0.002)
    name = "tornado_auth_http_requests_total"
    assert sample(metrics, name, handler="CheckHandler", method=label, status="200") == 1
    name = "tornado_auth_http_request_seconds_bucket"
    assert sample(metrics, name, handler="CheckHandler", le="0.001") == 0
    assert sample(metrics, name, handler="CheckHandler", le="0.0025") == 1


def test_invented_methods_make_one_time_series() -> None:
    metrics = Metrics()
    for number in range(50):
        metrics.request_answered("CheckHandler", f"M{number}", status=405, seconds=0.1)
    (family,) = [
        family
        for family in metrics.registry.collect()
        if family.name == "tornado_auth_http_requests"
    ]
    samples = [entry for entry in family.samples if entry.name.endswith("_total")]
    assert [entry.value for entry in samples] == [50]
