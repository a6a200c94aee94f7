"""The arithmetic of a run, and how it is shown: tables, JSON, a plot.

A figure is the median of its slices, with the least and the greatest. A ratio is the median of the
rounds' ratios, each of two slices of the same round. Never measures anything.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Spread:
    """A median with the least and the greatest of the values."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Sum up one or more values."""
        return cls(median(values), min(values), max(values))

    def shown(self, digits: int = 0, *, sign: str = "") -> str:
        """Return it as "12 (10..14)"."""
        low, middle, high = (
            f"{value:,.{digits}f}" for value in (self.least, self.median, self.greatest)
        )
        return f"{sign}{middle} ({low}..{high})"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What one server did in a second or two."""

    requests: int
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU time, user and system, that a request cost the server."""
        return 1e6 * self.cpu_seconds / self.requests


@dataclass(frozen=True)
class Series:
    """The slices of one contender, one a round."""

    name: str
    slices: list[Slice]

    @property
    def rate(self) -> Spread:
        """Requests a second."""
        return Spread.of([one.rate for one in self.slices])

    @property
    def cpu_us(self) -> Spread:
        """Microseconds of CPU time a request."""
        return Spread.of([one.cpu_us for one in self.slices])

    @property
    def p99_ms(self) -> Spread:
        """The slices' 99th percentiles; of a closed loop, so mostly time spent in a queue."""
        return Spread.of([one.p99_ms for one in self.slices])

    def cpu_saved(self, base: "Series") -> Spread:
        """Return how many times as much CPU time a request costs the base."""
        return ratio([one.cpu_us for one in base.slices], [one.cpu_us for one in self.slices])

    def to(self, base: "Series") -> Spread:
        """Return the ratio of this one's rate to the base's."""
        return ratio([one.rate for one in self.slices], [one.rate for one in base.slices])


def ratio(values: Sequence[float], bases: Sequence[float]) -> Spread:
    """Return the spread of value/base, round by round."""
    return Spread.of([value / base for value, base in zip(values, bases, strict=True)])


@dataclass(frozen=True)
class Goal:
    """What a case must show: `measured` is at least, or at most, `wanted`."""

    name: str
    measured: float
    wanted: float
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Tell whether it does."""
        if self.at_most:
            return self.measured <= self.wanted
        return self.measured >= self.wanted


@dataclass
class Outcome:
    """What a case found: a table, the numbers behind it, and what it says of the goals."""

    title: str
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    series: dict[str, list[Slice]] = field(default_factory=dict)
    values: dict[str, object] = field(default_factory=dict)
    failure: str = ""

    def add(self, rows: Sequence[Series], *, base: str, prefix: str = "") -> None:
        """Add one row for each contender, compared with the one that is called `base`."""
        self.header = ["server", "requests/s", f"x {base}", "CPU us/request", "less CPU", "p99 ms"]
        (base_row,) = (one for one in rows if one.name == base)
        for one in rows:
            name = f"{prefix}{one.name}"
            self.series[name] = one.slices
            cells = [one.rate.shown(), one.to(base_row).shown(2)]
            cells += [f"{one.cpu_us.median:,.1f}", f"x {one.cpu_saved(base_row).median:,.2f}"]
            cells.append(f"{one.p99_ms.median:,.2f}")
            self.rows.append([name, *cells])

    def markdown(self) -> str:
        """Return the case as a section of a document."""
        lines = [f"### {self.title}", ""]
        if self.failure:
            return "\n".join([*lines, f"**Failed**: {self.failure}", ""])
        if self.rows:
            lines += [*table(self.header, self.rows), ""]
        return "\n".join([*lines, *(f"{note}\n" for note in self.notes)])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, columns of numbers to the right."""
    under = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, under, *rows)]


def goals_markdown(outcomes: Sequence[Outcome]) -> str:
    """Return all goals as a section; empty if nothing was to be shown."""
    rows = [
        [
            goal.name,
            f"{goal.measured:,.2f}",
            f"{'<=' if goal.at_most else '>='} {goal.wanted:,.2f}",
            "yes" if goal.is_met else "**no**",
        ]
        for outcome in outcomes
        for goal in outcome.goals
    ]
    if not rows:
        return ""
    return "\n".join(["### Goals", "", *table(["what", "measured", "wanted", "met"], rows), ""])


def write_json(path: Path, machine: dict[str, str], outcomes: dict[str, Outcome]) -> None:
    """Write everything that was measured, every slice of it."""
    cases = {
        name: asdict(outcome)
        | {"goals": [asdict(goal) | {"met": goal.is_met} for goal in outcome.goals]}
        for name, outcome in outcomes.items()
    }
    path.write_text(json.dumps({"machine": machine, "cases": cases}, indent=1) + "\n")
