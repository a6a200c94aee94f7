"""The stylesheet and the icon: colours with enough contrast, and nothing fetched."""

import re

import pytest

from tests.pages.reader import PAGES

STYLE = (PAGES / "static" / "style.css").read_text()


def test_the_stylesheet_and_the_icon_fetch_and_run_nothing() -> None:
    icon = (PAGES / "static" / "favicon.svg").read_text()

    assert not re.search(r"url\(|@import|@font-face|expression\(", STYLE)
    assert not re.search(r"<script|<style|href|style=|\son\w+=", icon)


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def colours(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root {(.*?)}", STYLE, flags=re.DOTALL)
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    return found if scheme == "light" else found | dict(re.findall(r"--([\w-]+): (#\w{6});", dark))


TEXT = (
    *(
        (text, ground)
        for text in ("text", "muted", "link")
        for ground in ("card", "sunken", "ground")
    ),
    *(("good", ground) for ground in ("good-ground", "card")),
    *(("bad", ground) for ground in ("bad-ground", "card")),
    *((text, "warn-ground") for text in ("text", "warn")),
    *(("on-accent", ground) for ground in ("accent", "accent-hover")),
)
PARTS = (
    *(("edge", ground) for ground in ("card", "ground", "warn-ground")),
    *(("focus", ground) for ground in ("card", "ground", "sunken", "warn-ground")),
    *(("accent", ground) for ground in ("card", "ground")),
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "ground", "least"), [*((*t, 4.5) for t in TEXT), *((*p, 3.0) for p in PARTS)]
)
def test_contrast_is_that_of_wcag_aa(scheme: str, front: str, ground: str, least: float) -> None:
    palette = colours(scheme)

    assert contrast(palette[front], palette[ground]) >= least


def test_both_colour_schemes_define_the_same_colours() -> None:
    light, dark = re.findall(r":root {(.*?)}", STYLE, flags=re.DOTALL)

    names = [set(re.findall(r"--([\w-]+): #", block)) for block in (light, dark)]
    assert names[0] == names[1]
    assert set(re.findall(r"var\(--([\w-]+)\)", STYLE)) <= names[0] | {"shadow", "round"}
