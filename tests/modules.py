"""Modules that a test writes, for what the settings import by name, and a look at the counts."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tornado_auth.metrics import Metrics

MakeModule = Callable[[str, str], str]


def writing_modules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    """Yield a function that writes an importable module and returns its name.

    What was imported from the folder is forgotten afterwards.
    """
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make(name: str, source: str) -> str:
        path = folder.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        sys.path_importer_cache.clear()
        return name

    yield make
    forget_modules_of(folder)


def forget_modules_of(folder: Path) -> None:
    for name, imported in list(sys.modules.items()):
        if str(getattr(imported, "__file__", None) or "").startswith(f"{folder}/"):
            del sys.modules[name]
    sys.path_importer_cache.clear()


def module(name: str) -> ModuleType:
    return sys.modules[name]


def counted_answers(metrics: Metrics, service: str = "wiki") -> dict[str, float]:
    """Return how often the permissions in a service were asked for, by result."""
    (family,) = [
        family
        for family in metrics.registry.collect()
        if family.name == "tornado_auth_permission_answers"
    ]
    return {
        sample.labels["result"]: sample.value
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["service"] == service
    }
