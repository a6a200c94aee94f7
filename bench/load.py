"""wrk, and the slices that it takes of several servers in turn.

Other work and the clock of a CPU change what a machine can do from one second to the next. So all
servers of a comparison are up at once and are asked in turn, a second or two each, round after
round; what is compared is what was measured in the same round. An answer counts only if its status
and its length are those of the answer that was looked at before: one wrong byte fails the case.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import CLIENT_CPU, Failed, Process, connect, find
from bench.report import Series, Slice

SCRIPT = Path(__file__).parent / "requests.lua"
TOKEN = b"@TOKEN@"
READ_LIMIT = 10.0
MOST_ANSWER = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Load:
    """Requests with the tokens of a file: `count` lines from line `first` on.

    `template` is a request in which @TOKEN@ stands for the token. `mode` is that of requests.lua.
    `status` and `contains` are what a right answer has, and
    `varies` is by how many bytes two right ones may differ in length.
    """

    template: bytes
    tokens: Path
    count: int
    first: int = 0
    mode: str = "again"
    status: int = 200
    contains: bytes = b""
    varies: int = 0

    def example(self) -> bytes:
        """Return the first of the requests."""
        with self.tokens.open("rb") as lines:
            token = next(line.strip() for at, line in enumerate(lines) if at == self.first)
        if self.mode == "forged":
            head, _, signature = token.rpartition(b".")
            token = head + b"." + signature[:20] + b"0" * 10 + signature[30:]
        return self.template.replace(TOKEN, token)


@dataclass(kw_only=True)
class Contender:
    """A running server, the load for it, and what was measured so far.

    `processes` are all whose CPU time a request costs; `cpus` are those that wrk may use. With
    `fresh`, each slice takes tokens that no earlier one took.
    """

    name: str
    address: str
    processes: Sequence[Process]
    load: Load
    connections: int = 32
    threads: int = 1
    cpus: frozenset[int] = CLIENT_CPU
    fresh: bool = False
    answer: bytes = b""
    slices: list[Slice] = field(default_factory=list)

    def series(self) -> Series:
        """Return what was measured, for the report."""
        return Series(self.name, self.slices)

    def check(self) -> None:
        """Look at one answer; raises Failed unless it is as it must be."""
        answer = exchange(self.address, self.load.example())
        status = int(answer.split(b" ", 2)[1])
        if status != self.load.status or self.load.contains not in answer:
            raise Failed(f"{self.name} answers wrongly:\n{answer.decode(errors='replace')}")
        if self.answer and abs(len(answer) - len(self.answer)) > self.load.varies:
            raise Failed(f"{self.name} answers {len(answer)} bytes, before {len(self.answer)}")
        self.answer = answer

    def take(self, folder: Path, seconds: int, *, number: int) -> Slice:
        """Take one slice; `number` counts them."""
        first = self.load.first + (number * self.load.count if self.fresh else 0)
        command = self._command(folder, seconds, first)
        before = sum(process.cpu_seconds() for process in self.processes)
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            preexec_fn=lambda: os.sched_setaffinity(0, self.cpus),
        )
        cpu_seconds = sum(process.cpu_seconds() for process in self.processes) - before
        for process in self.processes:
            process.require_alive()
        if done.returncode:
            raise Failed(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
        return self.judged(json.loads(done.stdout.splitlines()[-1]), cpu_seconds)

    def _command(self, folder: Path, seconds: int, first: int) -> list[str]:
        template = folder / "request"
        template.write_bytes(self.load.template)
        command = [find("wrk"), f"-t{self.threads}", f"-c{self.connections}", f"-d{seconds}s"]
        command += ["--timeout=10s", "-s", str(SCRIPT), f"http://{self.address}/", "--"]
        command += [str(template), str(self.load.tokens), str(first), str(self.load.count)]
        return [*command, self.load.mode, str(self.threads)]

    def judged(self, counted: dict[str, int], cpu_seconds: float) -> Slice:
        """Make a slice of what wrk counted; raises Failed if any answer was wrong."""
        requests = counted["requests"]
        wrong = counted["refused"] if self.load.status < 400 else requests - counted["refused"]
        surplus = counted["bytes"] - requests * len(self.answer)
        tolerated = requests * self.load.varies
        # The last answer may have come in half.
        right_length = -tolerated <= surplus < tolerated + len(self.answer)
        if not requests or wrong or counted["broken"] or not right_length:
            raise Failed(f"{self.name}: not every answer is right: {counted}")
        if self.load.mode == "once" and counted["repeated"]:
            raise Failed(f"{self.name}: too few tokens for a slice: {counted}")
        return Slice(
            requests=requests,
            seconds=counted["microseconds"] / 1e6,
            cpu_seconds=cpu_seconds,
            p50_ms=counted["p50_us"] / 1000,
            p99_ms=counted["p99_us"] / 1000,
        )


def compare(
    contenders: Sequence[Contender], *, folder: Path, rounds: int, seconds: int
) -> list[Series]:
    """Ask all in turn: one round to warm up, then `rounds` that count."""
    for contender in contenders:
        contender.check()
    for number in range(rounds + 1):
        for contender in contenders:
            taken = contender.take(folder, seconds, number=number)
            if number:
                contender.slices.append(taken)
    if not any(contender.fresh for contender in contenders):
        for contender in contenders:
            contender.check()
    return [contender.series() for contender in contenders]


def get(path: str, *, header: str = "Authorization: Bearer", host: str = "localhost") -> bytes:
    """Return the template of a GET that carries the token in a header."""
    name, _, scheme = header.partition(": ")
    value = f"{scheme} @TOKEN@".strip()
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{name}: {value}\r\n\r\n".encode()


def exchange(address: str, request: bytes) -> bytes:
    """Send one request and return the whole answer, as it came."""
    with connect(address, timeout=READ_LIMIT) as connection:
        connection.sendall(request)
        answer = b""
        while len(answer) < MOST_ANSWER and not is_whole(answer):
            received = connection.recv(65536)
            if not received:
                break
            answer += received
    if not is_whole(answer):
        raise Failed(f"{address} does not answer: {answer!r}")
    return answer


def is_whole(answer: bytes) -> bool:
    """Tell whether an answer has arrived to its end."""
    return 0 < end_of_answer(answer) <= len(answer)


def end_of_answer(answer: bytes | bytearray) -> int:
    """Return where an answer with a Content-Length ends; 0 if its head has not arrived yet."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return 0
    for line in answer[:end].lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return end + 4 + int(line.partition(b":")[2])
    return end + 4
