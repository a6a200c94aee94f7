"""What the cases of a run share: how long to measure, the population, and the running servers.

Servers of one process stay up until the end of the run; nothing else is asked while a case is
measured, so those that wait cost it nothing.
"""

import secrets
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from bench.load import Contender, Load, compare, get
from bench.population import Population
from bench.processes import SERVER_CPU
from bench.report import Series
from bench.servers import CHECK, STARTERS, Scene, Server

COLD_A_SECOND = 20_000  # more first sights than a server can take in: no token comes twice


@dataclass
class Run:
    """One run: `rounds` slices of `seconds` for each server, after one to warm up."""

    folder: Path
    stack: ExitStack
    rounds: int = 7
    seconds: int = 2
    quick: bool = False
    _servers: dict[str, Server] = field(default_factory=dict)

    @property
    def warm(self) -> int:
        """How many tokens take turns where all are known: no more than the first round sends."""
        return 2_000

    @property
    def cold_in_slice(self) -> int:
        """How many tokens a slice may use up where none is known."""
        return COLD_A_SECOND * self.cold_seconds

    @property
    def cold_seconds(self) -> int:
        """How long a slice is where each request uses up a token."""
        return 1

    @cached_property
    def scene(self) -> Scene:
        """Make the population that most cases are about, in SQLite."""
        sessions = self.warm + self.cold_in_slice * (self.rounds + 1)
        population = Population.of(sessions, sessions)
        tokens = self.folder / "tokens"
        population.write_tokens(tokens, range(self.warm))
        url = population.fill_sqlite(self.folder / "auth.db")
        return Scene(
            folder=self.folder,
            stack=self.stack,
            population=population,
            tokens=tokens,
            database_url=url,
            warm=self.warm,
        )

    @cached_property
    def cold_load(self) -> Load:
        """Sign tokens that no server has seen: each slice takes others."""
        path = self.folder / "cold-tokens"
        population = self.scene.population
        population.write_tokens(path, range(self.warm, population.sessions))
        return Load(
            template=get(CHECK),
            tokens=path,
            count=self.cold_in_slice,
            mode="once",
            contains=b"@example.org",
        )

    @cached_property
    def second_load(self) -> Load:
        """Sign more tokens of the same few sessions: the first round makes these known."""
        path = self.folder / "second-tokens"
        total = self.cold_in_slice * (self.rounds + 1)
        self.scene.population.write_tokens(path, [at % self.warm for at in range(total)])
        return replace(self.cold_load, tokens=path)

    @cached_property
    def stranger_load(self) -> Load:
        """Make opaque tokens that nobody knows."""
        path = self.folder / "strangers"
        path.write_text("".join(f"{secrets.token_urlsafe(32)}\n" for _ in range(self.warm)))
        return Load(template=b"", tokens=path, count=self.warm)

    def server(self, name: str) -> Server:
        """Return a contender as one process on a CPU of its own."""
        if name not in self._servers:
            self._servers[name] = STARTERS[name](self.scene, processes=1, cpus=SERVER_CPU)
        return self._servers[name]

    def compare(self, contenders: list[Contender], *, seconds: int = 0) -> list[Series]:
        """Ask all in turn."""
        return compare(
            contenders, folder=self.folder, rounds=self.rounds, seconds=seconds or self.seconds
        )
