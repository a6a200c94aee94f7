"""The fast path against Tornado alone: a great many requests, and the same answer to each.

    python -m tests.fast_path.fuzz --requests 1000000 --seed 1

Requests are made in chunks, each for a service of its own in this process: the same seed and chunk
make the same requests. What the strict reader takes goes over kept connections to the fast path
and to Tornado's own HTTP server for the same application; status, headers (but for the Date) and
body must agree. Of the rest, one in fifty goes over a new connection to each, and whatever comes
back until it is closed must agree. Everything stays on the loopback interface.
"""

import argparse
import asyncio
import logging
import multiprocessing
import os
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from tests.fast_path.generator import Case, Generator
from tests.issuer import key_set
from tests.security.wire import Answer, length_of_answer
from tests.service import Service
from tornado_auth.app import make_http_server
from tornado_auth.fast_path import Front, front
from tornado_auth.models import Session, TokenType
from tornado_auth.server import AuthServer

NOW = 1_800_000_000
CHUNK = 25_000
LANES = 8  # kept connections of a chunk
SAMPLED = 50  # one in so many of those that are not plain
AT_ONCE = 300  # of these
PATIENCE = 30.0
PROVIDER = "tests.fast_path.provider"

# What can make a difference to how a request is read.
WORLDS = (
    {"TORNADO_AUTH_TRUSTED_PROXIES": "127.0.0.0/8"},
    {"EXTERNAL_ADDRESS": "https://auth.example.org"},
    {"TORNADO_AUTH_JWT_PARAMETER": "off", "TORNADO_AUTH_TRUSTED_PROXIES": "10.0.0.0/8"},
    {"TORNADO_AUTH_CORS_ORIGINS": "https://evil.example", "GITHUB_KEY": "a", "GITHUB_SECRET": "b"},
)


@dataclass
class Outcome:
    """What became of requests."""

    generated: int = 0
    plain: int = 0
    sampled: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    disagreements: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.generated += other.generated
        self.plain += other.plain
        self.sampled += other.sampled
        for status, number in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + number
        self.disagreements += other.disagreements

    def __str__(self) -> str:
        statuses = ", ".join(f"{s}: {n}" for s, n in sorted(self.statuses.items()))
        return (
            f"{self.generated} generated, {self.plain} plain and compared ({statuses}), "
            f"{self.sampled} others compared, {len(self.disagreements)} disagreements"
        )


@dataclass(frozen=True)
class Pair:
    """A service with the fast path, and the port where Tornado answers for it alone."""

    service: Service
    front: Front
    tornado_port: int
    tokens: list[str]

    @property
    def ports(self) -> tuple[int, int]:
        return self.service.port, self.tornado_port


@asynccontextmanager
async def running(world: int) -> AsyncIterator[Pair]:
    environ = {
        # Long enough for a busy machine, for each one that is half waits for it.
        "TORNADO_AUTH_HEADER_TIMEOUT": "2",
        "TORNADO_AUTH_BODY_TIMEOUT": "2",
        "ALLOWED_SERVICES": f"files:{PROVIDER};empty:{PROVIDER}",
        **WORLDS[world % len(WORLDS)],
    }
    service = Service(environ, dev=False, now=lambda: NOW)
    await service.start()
    alone = make_http_server(service.app, service.settings)
    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listening.setblocking(False)
    alone.add_socket(listening)
    try:
        assert isinstance(service.listener, Front)
        port = listening.getsockname()[1]
        yield Pair(service, service.listener, port, await make_tokens(service))
    finally:
        alone.stop()
        await alone.close_all_connections()
        await service.stop()


async def make_tokens(service: Service) -> list[str]:
    """Return tokens that open something, and others that look like them."""
    server = service.server
    ann, bob, eve, joe = [await service.session(name) for name in ("ann", "bob", "eve", "joe")]
    good = [await server.sessions.token(session) for session in (ann, ann, bob)]
    permission = [
        await server.tokens.permission_token(ann, "files", {"reader": True, "a": True}),
        await server.tokens.permission_token(bob, "empty", {}),
        await server.tokens.permission_token(joe, "files", {"reader": True}),
        await server.tokens.permission_token(ann, "files", {"reader": True}, resource="docs/1"),
    ]
    keys = [await api_key(server, bob, scope) for scope in ("*", "files", "empty", "admin:read")]
    bad = [await server.sessions.token(session) for session in (eve, joe)]
    bad += [await api_key(server, eve, "*"), "tak_" + "A" * 43, "tak_" + "A" * 42]
    bad.append(await server.sessions.token(replace(ann, expires_at=NOW)))
    bad.append(await server.sessions.token(replace(ann, user_id=bob.user_id)))
    claims = {"iss": server.settings.issuer, "aud": server.settings.issuer, "exp": NOW + 100}
    claims |= {"sid": ann.id, "userid": ann.user_id, "sub": ann.user_id, "iat": NOW}
    bad.append(await key_set("ES256", 1).sign(claims, typ=TokenType.SESSION))
    bad.append(await server.keys.sign(claims, typ="at+jwt"))
    await server.accounts.set_disabled(eve.user_id, disabled=True)
    await server.sessions.end(joe)
    header, _, rest = good[0].partition(".")
    junk = ["a", "a.b.c", "a+/=~", "", header, f"{header}..", f"{header}.{rest}.{rest}", "x" * 3000]
    return [*good * 6, *permission * 3, *keys * 2, *bad, *junk]


async def api_key(server: AuthServer, owner: Session, scope: str) -> str:
    _, key = await server.api_keys.create(owner.user_id, name="a key", scopes=[scope])
    return key


def describe(chunk: int, number: int, case: Case, fast: object, alone: object) -> str:
    return (
        f"chunk {chunk}, request {number}, world {WORLDS[chunk % len(WORLDS)]}\n"
        f"  sent    {case.parts!r}\n  fast    {fast!r}\n  Tornado {alone!r}"
    )


# -- plain requests over kept connections ---------------------------------------------------------


class Lane:
    """A kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._sock: socket.socket | None = None

    async def ask(self, case: Case) -> Answer | bytes:
        """Return the answer; as bytes what is none, and then with a new connection next time."""
        if self._sock is None:
            self._sock = await connected(self._port)
        data = b""
        try:
            async with asyncio.timeout(PATIENCE):
                for part in case.parts:
                    await self._loop.sock_sendall(self._sock, part)
                    await asyncio.sleep(0)
                while length_of_answer(data) != len(data):
                    more = await self._loop.sock_recv(self._sock, 65536)
                    if not more:
                        break
                    data += more
                else:
                    return Answer.read(data)
        except (OSError, TimeoutError) as error:
            data += repr(error).encode()
        self.close()
        return b"closed after " + data

    def is_among(self, front: Front) -> bool:
        """Tell whether the connection is still with the fast path, or was never made."""
        addresses = {connection._address for connection in front._connections}
        return self._sock is None or self._sock.getsockname() in addresses

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


async def connected(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return sock


async def drive(pair: Pair, plain: Iterator[tuple[int, Case]], chunk: int, out: Outcome) -> None:
    """Send plain requests, one after the other, until there are no more."""
    lanes = [Lane(port) for port in pair.ports]
    try:
        for number, case in plain:
            fast, alone = [await lane.ask(case) for lane in lanes]
            out.plain += 1
            if isinstance(alone, Answer):
                out.statuses[alone.status] = out.statuses.get(alone.status, 0) + 1
            if fast != alone or isinstance(fast, bytes):
                out.disagreements.append(describe(chunk, number, case, fast, alone))
        if not lanes[0].is_among(pair.front):
            out.disagreements.append(f"chunk {chunk}: the fast path handed plain requests over")
    finally:
        for lane in lanes:
            lane.close()


# -- all others, each over a connection of its own ------------------------------------------------


async def transcript(port: int, case: Case) -> list[Answer | bytes]:
    """Send a request; return what comes until the other side closes, which it does in the end."""
    loop = asyncio.get_running_loop()
    sock = await connected(port)
    data = b""
    try:
        async with asyncio.timeout(PATIENCE):
            for part in case.parts:
                await loop.sock_sendall(sock, part)
                await asyncio.sleep(0.002)
            while more := await loop.sock_recv(sock, 65536):
                data += more
    except ConnectionError:
        pass
    except TimeoutError:
        return [data, b"never closed"]
    finally:
        sock.close()
    return list(read_all(data, is_head=case.data.lstrip(b"\r\n").startswith(b"HEAD ")))


def read_all(data: bytes, *, is_head: bool) -> Iterator[Answer | bytes]:
    while length := length_of_answer(data, is_head=is_head):
        is_real = b"\r\nDate: " in data[:length]
        yield Answer.read(data[:length]) if is_real else data[:length]
        data = data[length:]
    if data:
        yield data


async def compare(
    pair: Pair, chunk: int, number: int, case: Case, turn: asyncio.Semaphore, out: Outcome
) -> None:
    for attempt in range(3):
        async with turn:
            fast, alone = await asyncio.gather(*(transcript(port, case) for port in pair.ports))
        if fast == alone:
            break
        # A busy machine may have closed one of them early: only what happens again counts.
        print(
            f"attempt {attempt + 1}: {describe(chunk, number, case, fast, alone)}", file=sys.stderr
        )
    else:
        out.disagreements.append(describe(chunk, number, case, fast, alone))
    out.sampled += 1


# -- chunks ---------------------------------------------------------------------------------------


async def run_chunk(seed: int, chunk: int, number: int) -> Outcome:
    """Make and compare so many requests."""
    out = Outcome()
    async with running(chunk) as pair, asyncio.TaskGroup() as others:
        cookie = "__Host-tornado_auth" if chunk % len(WORLDS) == 1 else "tornado_auth"
        generator = Generator(f"{seed}/{chunk}", pair.tokens, cookie_name=cookie)
        turn = asyncio.Semaphore(AT_ONCE)

        def plain_ones() -> Iterator[tuple[int, Case]]:
            rest = 0
            for at in range(number):
                case = generator.case()
                out.generated += 1
                # One that is cut early is no longer plain by then, and its connection is Tornado's.
                is_early = case.cuts and case.cuts[0] < len("GET /auth/verify")
                if not is_early and pair.front.answers.requests.read(case.data) is not None:
                    yield at, case
                elif case.data:
                    rest += 1
                    if rest % SAMPLED == 0:
                        others.create_task(compare(pair, chunk, at, case, turn, out))

        plain = plain_ones()
        async with asyncio.TaskGroup() as lanes:
            for _ in range(LANES):
                lanes.create_task(drive(pair, plain, chunk, out))
    return out


def run_chunk_alone(seed: int, chunk: int, number: int) -> Outcome:
    """Run a chunk in a process of its own."""
    logging.disable(logging.CRITICAL)
    front.KEEP_ALIVE = 2.0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    return asyncio.run(run_chunk(seed, chunk, number))


def run(requests: int, seed: int, *, seconds: float, processes: int) -> Outcome:
    """Run all chunks, and begin none after so many seconds."""
    started = time.monotonic()
    total = Outcome()
    chunks = [(c, min(CHUNK, requests - c * CHUNK)) for c in range(-(-requests // CHUNK))]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        running = set()
        while chunks or running:
            while chunks and len(running) < processes and time.monotonic() - started < seconds:
                running.add(pool.submit(run_chunk_alone, seed, *chunks.pop(0)))
            if not running:
                print(f"out of time: {len(chunks)} chunks were not begun")
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                total.add(future.result())
            print(f"{time.monotonic() - started:5.0f} s: {total}", flush=True)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--chunk", type=int, help="run this one alone, to see it again")
    parser.add_argument("--seconds", type=float, default=900, help="begin nothing after so many")
    parser.add_argument("--processes", type=int, default=2 * (os.cpu_count() or 1))
    options = parser.parse_args()
    if options.chunk is not None:
        total = run_chunk_alone(options.seed, options.chunk, CHUNK)
        print(total)
    else:
        total = run(
            options.requests, options.seed, seconds=options.seconds, processes=options.processes
        )
    for disagreement in total.disagreements:
        print(disagreement)
    sys.exit(bool(total.disagreements) or total.plain == 0)


if __name__ == "__main__":
    main()
