"""What is compared with what: one function a case, which returns its Outcome.

The goals are those of docs/performance.md. A case whose servers cannot be started, or whose
answers are wrong, raises Failed.
"""

from collections.abc import Callable
from dataclasses import replace

from bench.database import users
from bench.load import Contender, get
from bench.logins import logins
from bench.nginx import nginx
from bench.permissions import permissions
from bench.processes import CPUS, EVERY_CPU, SERVER_CPU, Failed
from bench.report import Goal, Outcome, Series
from bench.run import Run
from bench.servers import (
    ASGI,
    DGP,
    EVERYBODY,
    FASTAPI,
    HELLO,
    INTROSPECTION,
    ORDINARY,
    OURS,
    STARTERS,
    Server,
    contender,
    introspection_request,
    warm_load,
)

AUTHORIZE = "/auth/authorize?service=bench"
DENIED = b'"authenticated":false'
DENIED_BY_OTHERS = b'"authenticated": false'
CHECK_GOALS = {HELLO: 8.0, DGP: 40.0, ASGI: 1.5, INTROSPECTION: 8.0}
OURS_SECOND = f"{OURS}, another token of a known session"
MOST_CONNECTIONS = (1, 32, 256, 1000)


def check(run: Run) -> Outcome:
    """Compare checks of tokens that are known: the case that the service is built for."""
    outcome = Outcome("Warm check, one process")
    contenders = [_warm(run, name) for name in EVERYBODY]
    rows = run.compare(contenders)
    _require_same_body(contenders, OURS, ORDINARY)
    outcome.add(rows, base=HELLO)
    outcome.goals = [
        Goal(f"warm check, one process: x {name}", _ratio(rows, OURS, name), wanted)
        for name, wanted in CHECK_GOALS.items()
    ]
    return outcome


def cold(run: Run) -> Outcome:
    """Compare the first sight of a token: a signature, and mostly a session and a user, too."""
    outcome = Outcome("Cold check: the first sight of each token, session and user")
    contenders = [
        replace(_cold(run, name), fresh=True) for name in (HELLO, OURS, ORDINARY, FASTAPI, ASGI)
    ]
    second = replace(contenders[1], name=OURS_SECOND, load=run.second_load, slices=[])
    rows = run.compare([*contenders, second], seconds=run.cold_seconds)
    outcome.add(rows, base=HELLO)
    outcome.goals = [
        Goal(f"cold check, {what}: x {HELLO}", _ratio(rows, name, HELLO), 1.5)
        for what, name in (("all of it new", OURS), ("the token alone is new", OURS_SECOND))
    ]
    return outcome


def unknown(run: Run) -> Outcome:
    """Compare what a stranger costs: a token with a forged signature, never the same one."""
    outcome = Outcome("Unknown token: a forged signature, another one each time")
    contenders = [_forged(run, name) for name in EVERYBODY]
    outcome.add(run.compare(contenders), base=HELLO)
    return outcome


def authorize(run: Run) -> Outcome:
    """Compare permission tokens: a provider is asked, and RS256 signs."""
    outcome = Outcome("/auth/authorize with a coroutine as permission provider")
    ours = get(AUTHORIZE)
    contenders = [
        _warm(run, HELLO),
        *(_with(run, name, ours, b'"token"') for name in (OURS, ORDINARY)),
        _with(run, DGP, get(AUTHORIZE, header="auth-token: "), b'"token"'),
    ]
    outcome.add(run.compare(contenders), base=HELLO)
    return outcome


def connections(run: Run) -> Outcome:
    """Compare warm checks over few and over many connections."""
    outcome = Outcome("Warm check over 1, 32, 256 and 1000 connections")
    for number in MOST_CONNECTIONS:
        contenders = [
            replace(_warm(run, name), connections=number, slices=[]) for name in (HELLO, OURS, ASGI)
        ]
        outcome.add(run.compare(contenders), base=HELLO, prefix=f"{number}: ")
    return outcome


def processes(run: Run) -> Outcome:
    """Compare one process on one CPU with one process per CPU, wrk on the same CPUs."""
    number = len(CPUS)
    outcome = Outcome(f"Warm check, one process per CPU ({number})")
    one = {name: _sharing(run, name, 1) for name in EVERYBODY}
    many = {name: _sharing(run, name, number) for name in EVERYBODY}
    # What is compared is measured one right after the other.
    run.compare([servers[name] for name in EVERYBODY for servers in (one, many)])
    outcome.add([contender.series() for contender in many.values()], base=HELLO)
    outcome.header.append("x one process")
    gained = {name: many[name].series().to(one[name].series()) for name in EVERYBODY}
    for name, cells in zip(EVERYBODY, outcome.rows, strict=True):
        outcome.series[f"{name}, one process"] = one[name].slices
        cells.append(gained[name].shown(2))
    outcome.notes.append(
        "wrk runs on the same CPUs as the servers, with a thread and 32 connections for each "
        "process: one process and wrk share one CPU, all processes and wrk share all."
    )
    outcome.goals = [Goal(f"{number} processes: x one process", gained[OURS].median, 0.85 * number)]
    return outcome


CASES: dict[str, Callable[[Run], Outcome]] = {
    "check": check,
    "cold": cold,
    "unknown": unknown,
    "authorize": authorize,
    "processes": processes,
    "connections": connections,
    "nginx": nginx,
    "logins": logins,
    "users": users,
    "permissions": permissions,
}


def _warm(run: Run, name: str) -> Contender:
    return contender(name, run.server(name), warm_load(run.scene, name))


def _cold(run: Run, name: str) -> Contender:
    load = run.cold_load
    return contender(
        name, run.server(name), replace(load, contains=b"Hello") if name == HELLO else load
    )


def _with(run: Run, name: str, template: bytes, contains: bytes) -> Contender:
    one = _warm(run, name)
    return replace(one, load=replace(one.load, template=template, contains=contains))


def _forged(run: Run, name: str) -> Contender:
    one = _warm(run, name)
    if name == INTROSPECTION:
        template = introspection_request()
        load = replace(run.stranger_load, template=template, contains=b'"active":false')
    else:
        contains = {HELLO: b"Hello", OURS: DENIED, ORDINARY: DENIED}.get(name, DENIED_BY_OTHERS)
        varies = 32 if name == DGP else 0  # it makes a random address each time
        load = replace(one.load, mode="forged", contains=contains, varies=varies)
    return replace(one, load=load)


def _sharing(run: Run, name: str, number: int) -> Contender:
    cpus = SERVER_CPU if number == 1 else EVERY_CPU
    server = run.server(name) if number == 1 else _start_many(run, name, number)
    asked = contender(name, server, warm_load(run.scene, name))
    return replace(asked, threads=number, cpus=cpus, connections=asked.connections * number)


def _start_many(run: Run, name: str, number: int) -> Server:
    return STARTERS[name](run.scene, processes=number, cpus=EVERY_CPU)


def _require_same_body(contenders: list[Contender], *names: str) -> None:
    bodies = {one.answer.partition(b"\r\n\r\n")[2] for one in contenders if one.name in names}
    if len(bodies) != 1:
        raise Failed(f"{' and '.join(names)} answer differently: {bodies}")


def _ratio(rows: list[Series], name: str, base: str) -> float:
    found = {row.name: row for row in rows}
    return found[name].to(found[base]).median
