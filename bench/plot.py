"""The warm check as a picture: one bar for each server, as SVG.

Drawn by hand, so that nothing has to be installed for it. It is transparent, and its letters
follow the reader's choice of a light or a dark page.
"""

from html import escape
from pathlib import Path

from bench.report import Outcome, Series

WIDTH = 760
LABELS = 240
ROW = 34
TOP = 44
BAR = 20
ROOM = 110  # for the number behind the longest bar

STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.faint { fill: #59636e; font-size: 12px; }
.bar { fill: #8c959f; }
.ours { fill: #0969da; }
.range { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .faint { fill: #9198a1; }
  .bar { fill: #656c76; }
  .ours { fill: #4493f8; }
  .range { stroke: #f0f6fc; }
}
"""


def write_plot(path: Path, outcome: Outcome) -> None:
    """Draw the case's servers, the quickest on top."""
    rows = sorted(
        (Series(name, slices) for name, slices in outcome.series.items()),
        key=lambda series: -series.rate.median,
    )
    path.write_text(draw(outcome.title, rows), encoding="utf-8")


def draw(title: str, rows: list[Series]) -> str:
    """Return the picture."""
    most = max(series.rate.greatest for series in rows)
    scale = (WIDTH - LABELS - ROOM) / most
    height = TOP + ROW * len(rows) + 24
    shown = [_bar(series, TOP + ROW * at, scale) for at, series in enumerate(rows)]
    foot = "Median of the rounds; the line reaches from the slowest to the quickest."
    described = "; ".join(f"{one.name}: {one.rate.median:,.0f}" for one in rows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img">',
            f"<title>{escape(title)}, requests a second</title>",
            f"<desc>{escape(described)}</desc>",
            f"<style>{STYLE}</style>",
            f'<text class="title" x="0" y="20">{escape(title)}: requests a second</text>',
            *shown,
            f'<text class="faint" x="{LABELS}" y="{height - 8}">{foot}</text>',
            "</svg>\n",
        ]
    )


def _bar(series: Series, y: int, scale: float) -> str:
    rate = series.rate
    kind = "bar ours" if series.name == "tornado_auth" else "bar"
    middle, base = y + BAR / 2, y + 15
    low, high = LABELS + rate.least * scale, LABELS + rate.greatest * scale
    return "\n".join(
        [
            f'<text x="{LABELS - 10}" y="{base}" text-anchor="end">{escape(series.name)}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{y}" rx="2" '
            f'width="{max(1.0, rate.median * scale):.1f}" height="{BAR}"/>',
            f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>',
            f'<text x="{high + 8:.1f}" y="{base}">{rate.median:,.0f}</text>',
        ]
    )
