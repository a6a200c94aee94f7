"""Checks while people sign in: does a signature hold up those who only want to pass?

Checks come at a fixed rate over many connections, first alone and then beside real sign-ins at the
development login, each of which writes a session and signs an RS256 token. The two take turns.
"""

import re
from typing import Any
from urllib.parse import urlencode

from bench.load import Contender, exchange, get
from bench.open_loop import Latency, measure
from bench.processes import Failed
from bench.report import Goal, Outcome, Spread, ratio
from bench.run import Run
from bench.servers import CHECK, Server, contender, start_ours, warm_load

CHECKS_A_SECOND = 4000
CHECK_CONNECTIONS = 64
LOGINS_A_SECOND = 50
LOGIN_CONNECTIONS = 16
PEOPLE = 100
ALONE, BESIDE, SIGN_INS = "checks alone", "checks beside sign-ins", "the sign-ins"

FIELDS = ("p50_ms", "p99_ms", "p999_ms")

_XSRF_COOKIE = re.compile(rb"\r\nset-cookie: ([^=;]*xsrf=[^;]+);", re.IGNORECASE)
_XSRF_FIELD = re.compile(rb'name="_xsrf" value="([^"]+)"')


def logins(run: Run) -> Outcome:
    """Compare the latency of checks without and with sign-ins beside them."""
    seconds = 3 if run.quick else 5
    title = f"{CHECKS_A_SECOND} checks a second, alone and beside {LOGINS_A_SECOND} sign-ins"
    outcome = Outcome(title)
    server = start_ours(run.scene, dev=True)
    asked = contender("tornado_auth", server, warm_load(run.scene, "tornado_auth"))
    streams = [_checks(run, asked), _sign_ins(run, server)]
    measure(server.address, 2, streams)
    found: dict[str, list[Latency]] = {ALONE: [], BESIDE: [], SIGN_INS: []}
    for _ in range(run.rounds):
        found[ALONE].append(measure(server.address, seconds, streams[:1])["checks"])
        both = measure(server.address, seconds, streams)
        found[BESIDE].append(both["checks"])
        found[SIGN_INS].append(both["sign-ins"])
    _tell(outcome, found)
    return outcome


def _tell(outcome: Outcome, found: dict[str, list[Latency]]) -> None:
    outcome.header = ["latency in ms", "p50", "p99", "p99.9"]
    for name, latencies in found.items():
        columns = [[getattr(one, field) for one in latencies] for field in FIELDS]
        outcome.rows.append([name, *(Spread.of(column).shown(2) for column in columns)])
    p99 = {name: [one.p99_ms for one in latencies] for name, latencies in found.items()}
    grown = ratio(p99[BESIDE], p99[ALONE])
    outcome.notes.append(f"p99 beside sign-ins : p99 alone = {grown.shown(2)}")
    outcome.goals = [Goal("p99 beside sign-ins : p99 alone", grown.median, 3.0, at_most=True)]
    outcome.values = {"latencies": found}


def _checks(run: Run, asked: Contender) -> dict[str, Any]:
    asked.check()
    asked.take(run.folder, 1, number=0)  # from here on every token is known
    return {
        "name": "checks",
        "rate": CHECKS_A_SECOND,
        "connections": CHECK_CONNECTIONS,
        "template": get(CHECK).decode(),
        "tokens": str(run.scene.tokens),
        "status": 200,
    }


def _sign_ins(run: Run, server: Server) -> dict[str, Any]:
    names = run.folder / "people"
    names.write_text("".join(f"person{number:04d}\n" for number in range(PEOPLE)))
    return {
        "name": "sign-ins",
        "rate": LOGINS_A_SECOND,
        "connections": LOGIN_CONNECTIONS,
        "template": Form.open(server.address).request(
            "/auth/login/dev", length=len("person0000") - len("@TOKEN@"), username="@TOKEN@"
        ),
        "tokens": str(names),
        "status": 303,
    }


class Form:
    """The sign-in page as a browser has it open: its cookie and the token in its form."""

    def __init__(self, cookie: str, token: str) -> None:
        self.cookie = cookie
        self._token = token

    @classmethod
    def open(cls, address: str) -> "Form":
        """Fetch the page."""
        page = exchange(address, b"GET /auth/login HTTP/1.1\r\nHost: localhost\r\n\r\n")
        cookie, field = _XSRF_COOKIE.search(page), _XSRF_FIELD.search(page)
        if not cookie or not field:
            raise Failed(f"no form on the sign-in page: {page.decode(errors='replace')}")
        return cls(cookie[1].decode(), field[1].decode())

    def request(self, path: str, *, length: int = 0, cookie: str = "", **fields: str) -> str:
        """Return a POST of the form; `length` is by how much it will be longer when it is sent."""
        body = urlencode({"_xsrf": self._token, **fields}, safe="@")
        cookies = "; ".join(filter(None, [self.cookie, cookie]))
        return (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body) + length}\r\n\r\n{body}"
        )
