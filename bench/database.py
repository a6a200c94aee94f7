"""Checks with few and with many users in MongoDB.

Two services, each over a database of its own in one mongod. Both are asked with as many tokens,
drawn from all users: first with tokens that are known, then with tokens that are not.
"""

from dataclasses import replace

from bench.load import Contender, Load, get
from bench.mongo import database_url, start_mongod
from bench.population import Population
from bench.report import Goal, Outcome
from bench.run import Run
from bench.servers import CHECK, Scene, contender, start_ours

FEW = 100
MANY = 1_000_000
MANY_WHEN_QUICK = 20_000
COLD_A_SECOND = 15_000  # as in run.py, but a miss takes longer here
TOLERATED = 0.9


def users(run: Run) -> Outcome:
    """Compare few users with many."""
    many = MANY_WHEN_QUICK if run.quick else MANY
    outcome = Outcome(f"{FEW} users and {many:,} users in MongoDB, one process")
    mongod = start_mongod(run.scene)
    services = []
    for number in (FEW, many):
        name = f"{number:,} users"
        population = _population(run, number)
        url = database_url(mongod, f"users{number}")
        population.fill_mongodb(url)
        tokens = run.folder / f"tokens-{number}"
        population.write_tokens(tokens, range(_signed(run)))
        scene = replace(run.scene, population=population, database_url=url, tokens=tokens)
        services.append(_contender(scene, name))
    _compare(run, outcome, services)
    return outcome


def _population(run: Run, number: int) -> Population:
    return Population.of(number, max(number, _signed(run)))


def _signed(run: Run) -> int:
    return run.warm + COLD_A_SECOND * run.cold_seconds * (run.rounds + 1)


def _contender(scene: Scene, name: str) -> Contender:
    server = start_ours(scene, name=name)
    load = Load(
        template=get(CHECK),
        tokens=scene.tokens,
        count=scene.warm,
        contains=b"@example.org",
    )
    return contender(name, server, load)


def _compare(run: Run, outcome: Outcome, services: list[Contender]) -> None:
    base = services[0].name
    for title, chosen, seconds in (
        ("known tokens", services, run.seconds),
        ("first sight", [_cold(run, one) for one in services], run.cold_seconds),
    ):
        rows = run.compare(chosen, seconds=seconds)
        outcome.add(rows, base=base, prefix=f"{title}: ")
        kept = rows[1].to(rows[0]).median
        if chosen is services:
            outcome.goals.append(Goal(f"{rows[1].name} : {base}, {title}", kept, TOLERATED))


def _cold(run: Run, one: Contender) -> Contender:
    load = replace(one.load, first=run.warm, count=COLD_A_SECOND * run.cold_seconds, mode="once")
    return replace(one, load=load, fresh=True, slices=[])
