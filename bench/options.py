"""The command line of `scripts/bench`, with nothing but Python's own library.

So that `--help` needs no installation. Never imports the cases: it knows their names.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

CASES = (
    "check",
    "cold",
    "unknown",
    "authorize",
    "processes",
    "connections",
    "nginx",
    "logins",
    "users",
    "permissions",
)
QUICK = ("check", "cold", "nginx", "logins")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; ends the program if it makes no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure tornado_auth beside others, in one run, on this machine.",
    )
    parser.add_argument("--quick", action="store_true", help="the main cases, in two minutes")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="slices for each server")
    parser.add_argument(
        "--seconds", type=_positive, metavar="N", help="seconds that each slice takes"
    )
    parser.add_argument(
        "--only",
        type=_cases,
        metavar="CASE,...",
        help=f"only these cases, out of {', '.join(CASES)}",
    )
    parser.add_argument(
        "--memory", action="store_true", help="what a million tokens and 10,000 connections take"
    )
    parser.add_argument(
        "--soak", type=_positive, metavar="SECONDS", help="watch the memory under a mixed load"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every slice")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the warm check, as SVG")
    options = parser.parse_args(arguments)
    if options.plot and "check" not in names(options):
        parser.error("--plot draws the case check: add it to --only")
    return options


def names(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the cases that are asked for; --memory and --soak alone mean none of them."""
    if options.only:
        return tuple(options.only)
    if options.memory or options.soak:
        return ()
    return QUICK if options.quick else CASES


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _cases(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in CASES]:
        raise argparse.ArgumentTypeError(f"no such case: {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    parse(sys.argv[1:])
