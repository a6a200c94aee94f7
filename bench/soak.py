"""One process under a mixed load for minutes: does its memory stay where it was?

Checks of known, of unknown and of new sessions, permission tokens, sign-ins, sign-outs, and checks
of sessions that have just been ended, which must be refused. The caches are set so small that the
first minute fills them: whatever grows after that is a leak.
"""

import re
from collections import deque
from collections.abc import Callable

from bench.load import get
from bench.logins import PEOPLE, Form
from bench.open_loop import Latency, OpenLoop, Stream, cycle, expect
from bench.processes import Failed
from bench.report import Outcome, table
from bench.run import Run
from bench.servers import CHECK, Server, start_ours

KNOWN_SESSIONS = 1000
FIRST = 60  # seconds until the first reading that counts
TOLERATED = 0.05
SAMPLE = 5  # seconds
KEPT = 100  # sessions that are signed in at any time
MEGABYTE = 1 << 20

_COOKIE = re.compile(rb"\r\nset-cookie: ([^=;]*tornado_auth)=([^;]+);", re.IGNORECASE)


def soak(run: Run, seconds: int) -> Outcome:
    """Raise Failed if the memory at the end is not within 5 % of that after the first minute."""
    outcome = Outcome(f"Memory under a mixed load for {seconds} s, one process")
    settings = {"TORNADO_AUTH_KNOWN_SESSIONS": str(KNOWN_SESSIONS)}
    server = start_ours(run.scene, dev=True, environ=settings)
    readings: list[tuple[int, int]] = []
    second = 0

    def read() -> None:
        nonlocal second
        second += 1
        if second % SAMPLE == 0:
            server.process.require_alive()
            readings.append((second, server.process.resident()))

    streams = _streams(run, server)
    OpenLoop(server.address, streams).run(seconds, every_second=read)
    return _judged(outcome, readings, streams, first=min(FIRST, seconds // 3))


def _judged(
    outcome: Outcome, readings: list[tuple[int, int]], streams: list[Stream], *, first: int
) -> Outcome:
    counted = [(at, size) for at, size in readings if at >= first]
    if len(counted) < 2:
        raise Failed("too short to be read twice")
    start, end = counted[0][1], counted[-1][1]
    outcome.header = ["after", "resident MiB"]
    outcome.rows = [
        [f"{at} s", f"{size / MEGABYTE:,.1f}"]
        for at, size in counted
        if at % 60 == 0 or (at, size) in (counted[0], counted[-1])
    ]
    outcome.values = {"readings": readings, "change": end / start - 1}
    outcome.notes = [
        f"From {counted[0][0]} s on the memory changed by {100 * (end / start - 1):+.1f} %.",
        "\n".join(table(["requests", "number", "p99 ms"], _counts(streams))),
    ]
    if abs(end / start - 1) > TOLERATED:
        shown = ", ".join(f"{at} s: {size / MEGABYTE:.1f} MiB" for at, size in readings)
        raise Failed(f"the memory did not stay within 5 %: {shown}")
    return outcome


def _counts(streams: list[Stream]) -> list[list[str]]:
    return [
        [one.name, f"{len(one.latencies):,}", f"{Latency.of(one.latencies).p99_ms:.1f}"]
        for one in streams
        if one.latencies
    ]


class _People:
    """Those who sign in and out: sessions that are on, and sessions that were ended."""

    def __init__(self, server: Server) -> None:
        form = Form.open(server.address)
        names = [f"person{number:04d}" for number in range(PEOPLE)]
        self.sign_in = cycle(
            [form.request("/auth/login/dev", username=name).encode() for name in names]
        )
        self._on: deque[bytes] = deque()
        self._ended: deque[bytes] = deque(maxlen=KEPT)
        self._leaving: deque[bytes] = deque()

    def signed_in(self, answer: bytes) -> None:
        """Take the token from the cookie."""
        cookie = _COOKIE.search(answer)
        if not answer.startswith(b"HTTP/1.1 303 ") or cookie is None:
            raise Failed(f"nobody is signed in: {answer.decode(errors='replace')}")
        self._on.append(cookie[2])

    def sign_out(self) -> bytes | None:
        """Return the request that ends the oldest session."""
        if len(self._on) < KEPT:
            return None
        self._leaving.append(self._on.popleft())
        request = get("/auth/logout").replace(b"GET", b"POST", 1)
        return request.replace(b"@TOKEN@", self._leaving[-1]).replace(
            b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"
        )

    def signed_out(self, answer: bytes) -> None:
        """Remember that the session has ended."""
        if b'"success": true' not in answer:
            raise Failed(f"nobody is signed out: {answer.decode(errors='replace')}")
        self._ended.append(self._leaving.popleft())

    def check_one(self) -> bytes | None:
        """Return a check of a session that is on."""
        return _check(self._on[-1]) if self._on else None

    def check_ended(self) -> bytes | None:
        """Return a check of the session that was ended last."""
        return _check(self._ended[-1]) if self._ended else None


def _check(token: bytes) -> bytes:
    return get(CHECK).replace(b"@TOKEN@", token)


def _streams(run: Run, server: Server) -> list[Stream]:
    tokens = [line.encode() for line in run.scene.tokens.read_text().split()]
    forged = [token[:-40] + b"A" * 40 for token in tokens]
    people = _People(server)
    asking = get("/auth/authorize?service=bench")
    permissions = [asking.replace(b"@TOKEN@", token) for token in tokens]

    def stream(
        name: str,
        rate: float,
        request: Callable[[], bytes | None],
        answer: Callable[[bytes], None],
        *,
        connections: int = 8,
    ) -> Stream:
        return Stream(
            name, rate=rate, connections=connections, next_request=request, on_answer=answer
        )

    known, denied = _expect_text(b'"authenticated":true'), _expect_text(b'"authenticated":false')
    return [
        stream("checks", 500, cycle([_check(token) for token in tokens]), known, connections=32),
        stream("checks of forged tokens", 50, cycle([_check(token) for token in forged]), denied),
        stream("checks of new sessions", 50, people.check_one, known),
        stream("checks of ended sessions", 20, people.check_ended, denied),
        stream("permission tokens", 20, cycle(permissions), _expect_text(b'"token"')),
        stream("sign-ins", 10, people.sign_in, people.signed_in),
        # One at a time, so that the answers come in the order of the sessions.
        stream("sign-outs", 12, people.sign_out, people.signed_out, connections=1),
        stream(
            "pages", 5, cycle([b"GET /auth/login HTTP/1.1\r\nHost: x\r\n\r\n"]), expect("", 200)
        ),
    ]


def _expect_text(text: bytes) -> Callable[[bytes], None]:
    def look(answer: bytes) -> None:
        if text not in answer:
            raise Failed(f"not {text.decode()}: {answer[:600].decode(errors='replace')}")

    return look
