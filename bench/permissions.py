"""/auth/authorize with few and with many users, groups and roles in MongoDB.

Two services, each over a database of its own in one mongod. A user holds as much in the one as in
the other: a role in person, and those of three groups. Nothing is cached, so that each question
is read from the store, and ES256 signs, so that reading is most of the work.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pymongo

from bench.load import Contender, Load, get
from bench.mongo import database_url, start_mongod
from bench.population import Population, user_id
from bench.report import Goal, Outcome
from bench.run import Run
from bench.servers import Scene, contender, start_ours
from tornado_auth.models import Assignment, Group, Membership, Record, Role
from tornado_auth.storage.documents import members_of

SERVICE = "bench"
GROUPS_OF_A_USER = 3
ROLES_OF_A_GROUP = 4
BATCH = 10_000
TOLERATED = 0.9


@dataclass(frozen=True)
class Size:
    """How much there is in a store."""

    users: int
    groups: int
    roles: int

    def __str__(self) -> str:
        return f"{self.users:,} users, {self.groups:,} groups, {self.roles:,} roles"

    def records(self) -> Iterator[Record]:
        """Make the groups and roles, and what the users hold."""
        for number in range(self.roles):
            yield Role(
                id=_role_id(number),
                service=SERVICE,
                name=_role_id(number).partition(":")[2],
                permissions=(f"edit-{number % 10}", f"read-{number % 10}"),
                created_at=0,
            )
        for number in range(self.groups):
            yield Group(id=_group(number), created_at=0)
            for at in range(ROLES_OF_A_GROUP):
                yield self._held(f"group:{_group(number)}", number * ROLES_OF_A_GROUP + at)
        for number in range(self.users):
            yield self._held(f"user:{user_id(number)}", number)
            for at in range(GROUPS_OF_A_USER):
                group = _group((number * GROUPS_OF_A_USER + at) % self.groups)
                yield Membership(
                    id=f"{group}:{user_id(number)}",
                    group=group,
                    user_id=user_id(number),
                    created_at=0,
                )

    def _held(self, holder: str, role: int) -> Assignment:
        role_id = _role_id(role % self.roles)
        return Assignment(
            id=f"{holder}|{role_id}|",
            holder=holder,
            role_id=role_id,
            service=SERVICE,
            created_at=0,
        )


FEW = Size(10, 10, 10)
MANY = Size(100_000, 1_000, 10_000)


def permissions(run: Run) -> Outcome:
    """Compare few users, groups and roles with many."""
    outcome = Outcome(f"/auth/authorize by roles in MongoDB, nothing cached: {FEW} and {MANY}")
    mongod = start_mongod(run.scene)
    services = []
    for size in (FEW, MANY):
        population = Population.of(size.users, run.warm, algorithm="ES256")
        url = database_url(mongod, f"roles{size.users}")
        population.fill_mongodb(url)
        _fill(url, size)
        tokens = run.folder / f"role-tokens-{size.users}"
        population.write_tokens(tokens, range(run.warm))
        scene = replace(run.scene, population=population, database_url=url, tokens=tokens)
        services.append(_contender(scene, str(size)))
    rows = run.compare(services)
    outcome.add(rows, base=str(FEW))
    kept = rows[1].to(rows[0]).median
    outcome.goals.append(Goal("/auth/authorize by roles, many : few", kept, TOLERATED))
    return outcome


def _fill(url: str, size: Size) -> None:
    records = size.records()
    with pymongo.MongoClient[dict[str, Any]](url) as client:
        database = client.get_default_database()
        while batch := list(itertools.islice(records, BATCH)):
            for kind in {record.KIND for record in batch}:
                documents = [
                    {"_id": record.id, **members_of(record)}
                    for record in batch
                    if kind == record.KIND
                ]
                database[kind].insert_many(documents, ordered=False)


def _contender(scene: Scene, name: str) -> Contender:
    environ = {
        "ALLOWED_SERVICES": f"{SERVICE}:tornado_auth.roles",
        "TORNADO_AUTH_PERMISSION_CACHE_SECONDS": "0",
    }
    server = start_ours(scene, name=name, environ=environ)
    load = Load(
        template=get(f"/auth/authorize?service={SERVICE}"),
        tokens=scene.tokens,
        count=scene.warm,
        contains=b'"edit-',
    )
    # One at a time: few users who ask at once would wait for one answer together.
    return contender(name, server, load, connections=1)


def _role_id(number: int) -> str:
    return f"{SERVICE}:role-{number:05d}"


def _group(number: int) -> str:
    return f"group-{number:04d}"
