"""Users, sessions and signed tokens, by the hundred thousand.

The first record of each kind is written by the service's own `Storage`, and the others are copies
of what it wrote with other ids in it; tokens are signed by the service's own `Sessions`. So what a
check reads is what a login writes, without a login for each. Session number `n` belongs to user
number `n * STRIDE` (modulo the users), so that any run of sessions is drawn from all users. All
ids and names of a population are of one length, and therefore all answers about it are, too.
"""

import asyncio
import itertools
import multiprocessing
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo

from bench.processes import CPUS
from tornado_auth.digests import digest
from tornado_auth.keys import generate_private_pem
from tornado_auth.models import Session, User
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings

ISSUER = "http://localhost:8080"
SECRET = "only-for-benchmarks-where-it-seals-nothing-of-worth"
LIFETIME = 14 * 86400
STRIDE = 7919
BATCH = 10_000
SIGN_AT_ONCE = 2_000


@dataclass(frozen=True)
class Population:
    """So many users and sessions, and the key that signs the sessions' tokens."""

    users: int
    sessions: int
    private_pem: str
    algorithm: str = "RS256"
    born_at: int = 0

    @classmethod
    def of(cls, users: int, sessions: int, *, algorithm: str = "RS256") -> "Population":
        """Plan a population that signs with a key of its own."""
        pem = generate_private_pem(algorithm)
        return cls(users, sessions, pem, algorithm, int(time.time()))

    def environ(self, database_url: str) -> dict[str, str]:
        """Return the variables of a service over this population."""
        return {
            "PRIVATE_KEY": self.private_pem,
            "TORNADO_AUTH_SIGNING_ALGORITHM": self.algorithm,
            "TORNADO_AUTH_SECRET": SECRET,
            "EXTERNAL_ADDRESS": ISSUER,
            "DATABASE_URL": database_url,
        }

    def service(self, database_url: str) -> AuthServer:
        """Build the service's own parts, not started."""
        return AuthServer(load_settings(self.environ(database_url)), now=lambda: self.born_at)

    def owner(self, number: int) -> int:
        """Return the number of the user that a session belongs to."""
        return number * STRIDE % self.users

    def session(self, number: int) -> Session:
        """Return a session as a login would store it."""
        owner = self.owner(number)
        return Session(
            id=digest(f"session {number}"),
            user_id=user_id(owner),
            identity_id=f"dev:{username(owner)}",
            provider="dev",
            auth_time=self.born_at,
            created_at=self.born_at,
            last_seen_at=self.born_at,
            user_agent="bench",
            remote_ip="127.0.0.1",
            expires_at=self.born_at + LIFETIME,
        )

    def user(self, number: int) -> User:
        """Return a user as a first login would store it."""
        name = username(number)
        return User(
            id=user_id(number),
            username=name,
            username_key=name,
            name=name,
            email=f"{name}@example.org",
            created_at=self.born_at,
            welcomed_at=self.born_at,
        )

    def write_tokens(self, path: Path, numbers: Sequence[int]) -> None:
        """Sign the tokens of these sessions, on every CPU, one a line; no two are the same."""
        parts = [numbers[at : at + SIGN_AT_ONCE] for at in range(0, len(numbers), SIGN_AT_ONCE)]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(len(CPUS), context) as pool, path.open("w") as file:
            for tokens in pool.map(_sign, itertools.repeat(self), parts):
                file.write("".join(f"{token}\n" for token in tokens))

    def fill_sqlite(self, path: Path) -> str:
        """Make the file and return its DATABASE_URL."""
        url = f"sqlite:///{path}"
        asyncio.run(self._store_first(url))
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA synchronous = OFF")
            for kind, first, others in self._kinds():
                _copy_rows(database, kind, first, others)
            database.commit()
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return url

    def fill_mongodb(self, url: str) -> None:
        """Fill an empty database; `url` names it."""
        asyncio.run(self._store_first(url))
        with pymongo.MongoClient[dict[str, Any]](url) as client:
            database = client.get_default_database()
            for kind, first, others in self._kinds():
                _copy_documents(database[kind], first, others)
        asyncio.run(self._store_first(url, again=True))

    def _kinds(self) -> Iterator[tuple[str, tuple[str, ...], Iterator[tuple[str, ...]]]]:
        """Yield for each kind of record what names the first one, and what names the others."""
        users = ((user_id(n), username(n)) for n in range(1, self.users))
        sessions = (self._names(n) for n in range(1, self.sessions))
        yield User.KIND, (user_id(0), username(0)), users
        yield Session.KIND, self._names(0), sessions

    def _names(self, number: int) -> tuple[str, str, str]:
        owner = self.owner(number)
        return digest(f"session {number}"), user_id(owner), username(owner)

    async def _store_first(self, url: str, *, again: bool = False) -> None:
        storage = self.service(url).storage
        await storage.open()
        try:
            if not again:
                await storage.users.insert(self.user(0))
                await storage.sessions.insert(self.session(0))
        finally:
            await storage.close()


def user_id(number: int) -> str:
    """Return the id of a user: 22 characters, as `Accounts` makes them."""
    return digest(f"user {number}")[:22]


def username(number: int) -> str:
    """Return the name of a user: 12 characters."""
    return f"user{number:08d}"


def _copy_rows(
    database: sqlite3.Connection,
    kind: str,
    first: tuple[str, ...],
    others: Iterator[tuple[str, ...]],
) -> None:
    version, expires_at, body = database.execute(
        f"SELECT version, expires_at, body FROM {kind} WHERE id = ?", first[:1]
    ).fetchone()
    database.executemany(
        f"INSERT INTO {kind} (id, version, expires_at, body) VALUES (?, ?, ?, ?)",
        ((names[0], version, expires_at, _renamed(body, first, names)) for names in others),
    )


def _copy_documents(
    collection: Any, first: tuple[str, ...], others: Iterator[tuple[str, ...]]
) -> None:
    original = collection.find_one({"_id": first[0]})
    collection.drop_indexes()  # quicker to build when all is there
    fields = [(name, value) for name, value in original.items() if isinstance(value, str)]
    while batch := list(itertools.islice(others, BATCH)):
        documents = [
            original | {name: _renamed(value, first, names) for name, value in fields}
            for names in batch
        ]
        collection.insert_many(documents, ordered=False)


def _renamed(text: str, first: tuple[str, ...], names: tuple[str, ...]) -> str:
    for old, new in zip(first, names, strict=True):
        text = text.replace(old, new)
    return text


def _sign(population: Population, numbers: Sequence[int]) -> list[str]:
    """Sign the tokens of some sessions; runs in a process of its own."""
    return asyncio.run(_signed(population, numbers))


async def _signed(population: Population, numbers: Sequence[int]) -> list[str]:
    sessions = population.service("memory://").sessions
    tokens = []
    for number in numbers:
        tokens.append(await sessions.token(population.session(number)))
        await asyncio.sleep(0)  # or it would take us for one of many that ask at once
    return tokens
