import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tornado_auth.metrics import Metrics

DOCUMENTATION = Path(__file__).parent.parent / "docs" / "metrics.md"
ROWS = {
    name: re.findall(r"`(\w+)`", labels)
    for name, labels in re.findall(
        r"^\| `(tornado_auth_\w+)` \|([^|]*)\|", DOCUMENTATION.read_text(), re.MULTILINE
    )
}


def documented_form(metrics: Metrics) -> dict[str, list[str]]:
    """The names as they are queried, with their labels."""
    metric_objects = [value for value in vars(metrics).values() if hasattr(value, "labels")]
    return {
        metric._name + ("_total" if metric._type == "counter" else ""): list(metric._labelnames)
        for metric in metric_objects
    }


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_each_metric_is_documented_with_its_labels() -> None:
    assert documented_form(Metrics()) == ROWS


def test_each_metric_is_an_attribute_of_metrics() -> None:
    metrics = Metrics()
    families = {family.name for family in metrics.registry.collect()}
    assert families == {name.removesuffix("_total") for name in documented_form(metrics)}
    assert len(families) == 9


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
