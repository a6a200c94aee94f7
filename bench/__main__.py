"""The command behind `scripts/bench`: run the cases and show what they found.

Everything that was started is stopped whatever happens, also on Ctrl-C and SIGTERM, and the whole
run is bounded in time. Ends with 1 if a case could not be measured.
"""

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from subprocess import SubprocessError
from typing import NoReturn

from pymongo.errors import PyMongoError

from bench.cases import CASES
from bench.machine import describe
from bench.memory import memory
from bench.options import names, parse
from bench.plot import write_plot
from bench.processes import Failed, raise_open_files_limit, scratch_folder
from bench.report import Outcome, goals_markdown, write_json
from bench.run import Run
from bench.soak import soak
from tornado_auth.errors import SettingsError, StorageError

LIMIT = 90 * 60  # seconds, without the soak
QUICK_LIMIT = 10 * 60
BROKEN = (Failed, OSError, SubprocessError, PyMongoError, SettingsError, StorageError)

Case = Callable[[Run], Outcome]


def chosen(options: argparse.Namespace) -> dict[str, Case]:
    """Return the cases to run, by name; --memory and --soak alone mean only these."""
    cases: dict[str, Case] = {name: CASES[name] for name in names(options)}
    if options.memory:
        cases["memory"] = memory
    if options.soak:
        cases["soak"] = lambda run: soak(run, options.soak)
    return cases


def attempt(case: Case, run: Run) -> Outcome:
    """Run one case; what cannot be measured is an outcome, too."""
    try:
        return case(run)
    except BROKEN as error:
        text = str(error) or type(error).__name__
        return Outcome((case.__doc__ or "A case").partition("\n")[0], failure=text)


def main(arguments: Sequence[str]) -> int:
    """Run what the command line says; return the exit status."""
    options = parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _stop)
    signal.alarm((QUICK_LIMIT if options.quick else LIMIT) + (options.soak or 0))
    raise_open_files_limit()
    machine = describe()
    _say("\n".join(f"* {name}: {value}" for name, value in machine.items()) + "\n")
    outcomes: dict[str, Outcome] = {}
    with contextlib.suppress(KeyboardInterrupt), scratch_folder() as folder, ExitStack() as stack:
        run = _run(options, folder, stack)
        for name, case in chosen(options).items():
            began_at = time.monotonic()
            outcomes[name] = attempt(case, run)
            took = time.monotonic() - began_at
            _say(f"{outcomes[name].markdown()}\n<!-- {name}: {took:.0f} s -->\n")
    return _finish(options, machine, outcomes)


def _run(options: argparse.Namespace, folder: Path, stack: ExitStack) -> Run:
    run = Run(folder, stack, quick=options.quick)
    if options.quick:
        run = replace(run, rounds=3, seconds=1)
    return replace(run, rounds=options.rounds or run.rounds, seconds=options.seconds or run.seconds)


def _finish(
    options: argparse.Namespace, machine: dict[str, str], outcomes: dict[str, Outcome]
) -> int:
    _say(goals_markdown(list(outcomes.values())))
    if options.json:
        write_json(options.json, machine, outcomes)
    check = outcomes.get("check")
    if options.plot and check and check.series:
        write_plot(options.plot, check)
    failed = [name for name, outcome in outcomes.items() if outcome.failure]
    missing = [name for name in chosen(options) if name not in outcomes]
    if failed or missing:
        sys.stderr.write(f"Not measured: {', '.join(failed + missing)}\n")
    return 1 if failed or missing else 0


def _stop(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
