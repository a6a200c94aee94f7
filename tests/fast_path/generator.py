"""Requests that are plain, nearly plain, or nothing of the kind; the same for the same seed."""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

NAMES = {
    "host": ["Host", "Host", "Host", "host", "HOST", "hOsT"],
    "authorization": ["Authorization", "Authorization", "authorization", "AUTHORIZATION"],
    "auth-token": ["auth-token", "Auth-Token", "AUTH-TOKEN"],
    "cookie": ["Cookie", "Cookie", "cookie"],
    "x-original-method": ["X-Original-Method", "X-Original-Method", "x-original-method"],
    "connection": ["Connection", "Connection", "connection"],
}
GOOD_HOSTS = ["localhost", "localhost:8080", "auth.example.org", "127.0.0.1", "[::1]:80", "A.b-c"]
BAD_HOSTS = [
    "",
    " ",
    "a, b",
    "a b",
    "a/b",
    "a@b",
    "a:b",
    "a:",
    "\u00e9",
    "a%2e",
    "[::1",
    "a,b",
    "_x",
]
IGNORED = [
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Accept-Language", "de,en-US;q=0.7"),
    ("X-Forwarded-For", "203.0.113.7, 10.0.0.1"),
    ("X-Forwarded-For", "unknown"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Real-IP", "203.0.113.7"),
    ("X-Original-URI", "/app/?a=b"),
    ("X-Auth-User", "root"),
    ("Referer", "https://example.org/"),
    ("Sec-Fetch-Site", "cross-site"),
    ("If-None-Match", '"*", *'),
    ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("Range", "bytes=0-1"),
    ("X-Http-Method-Override", "DELETE"),
    ("Content-Length-X", "5"),
    ("Content_Length", "5"),
    ("X-Empty", ""),
    ("!#$%&'*+-.^_`|~09", "\t a\tb \t"),
]
MEANINGFUL = [
    ("Content-Length", "0"),
    ("Content-Length", "5"),
    ("Content-Length", "+0"),
    ("Content-Length", "0, 0"),
    ("Transfer-Encoding", "chunked"),
    ("Transfer-Encoding", "identity"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("Content-Type", "multipart/form-data"),
    ("Content-Encoding", "gzip"),
    ("Expect", "100-continue"),
    ("Upgrade", "websocket"),
    ("TE", "trailers"),
    ("Trailer", "X-A"),
    ("Origin", "https://evil.example"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "close"),
    ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
]
CONNECTIONS = ["keep-alive", "Keep-Alive", "close", "Close", "upgrade", "keep-alive, close", ""]
SEPARATORS = [": ", ": ", ": ", ": ", ":", ":", ":\t", ":  ", ": \t "]
BAD_SEPARATORS = [" : ", "\t:", "", " ", "::", ";", ":\x0b", ":\x00"]
PERMISSIONS = ["reader", "writer", "a", ""]
SERVICES = ["files", "files", "files", "empty", "nope", "fil.es", ""]
RESOURCES = ["docs/1", "docs:2", "a@b", "locked", "-", "", "a~b", "a+b", "a%2Fb", "x" * 129]
METHODS = ["GET", "GET", "POST", "head", "DELETE", "OPTIONS", "Any", "PROPFIND"]
ODD_TARGETS = [
    "/auth/check?",
    "/auth/check?next=/x",
    "/auth/check?jwt=",
    "/auth/check?jwt=a&jwt=b",
    "/auth/check?jwt=%s&jwt=%s",
    "/auth/check?jwt=%s&next=/x",
    "/auth/check?jwt=%s%%20",
    "/auth/check?jwt=%%2e%s",
    "/auth/check?j%%77t=%s",
    "/auth/check?service=files",
    "/auth/check/",
    "/auth/check#top",
    "/auth/check;a=b",
    "/auth/chec%%6b",
    "/auth/Check",
    "//auth/check",
    "/auth//check",
    "/./auth/check",
    "/auth/checkx",
    "/auth/verify?",
    "/auth/verify?jwt=%s",
    "/auth/verify?service=files&service=files",
    "/auth/verify?service=files&read=reader&read=writer",
    "/auth/verify?service=files&&read=reader",
    "/auth/verify?service=files&read",
    "/auth/verify?service=fi%%6ces",
    "/auth/verify?service=f+s",
    "/auth/verify?resource=docs/1",
    "/auth/verify?permission=reader",
    "/auth/verify?service=files&permission=reader&permission=reader",
    "/auth/verify?service=files&resource=docs/1&resource=docs/1",
    "/auth/verify?service=files&resource=docs/1%%00",
    "/auth/verify?services=files&resources=docs/1",
    "/auth/verify?service=files;read=a",
    "/auth/verify?Service=files",
    "/auth/verify/",
    "/auth/verify\u00e9",
    "/auth/public-key",
    "/.well-known/jwks.json",
    "/auth/nowhere",
    "http://localhost/auth/check",
    "//localhost/auth/verify",
    "*",
    "",
]
ODD_METHODS = ["HEAD", "POST", "OPTIONS", "get", "PUT", "GETT", "", " GET", "G\x00T", "TRACE"]
ODD_VERSIONS = [
    "HTTP/1.0",
    "HTTP/1.2",
    "HTTP/2.0",
    "HTTP/0.9",
    "http/1.1",
    "HTTP/1.1 ",
    "HTTP/11",
    "",
]
BYTES = [bytes([c]) for c in b"\x00\t\n\r \"%&'(),/0:;<=>?@AZ[\\]_az{}~\x0b\x1b\x7f\x80\xa0\xff"]
BYTES += [b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\n "]


class Case(NamedTuple):
    """A request, and after which bytes it is sent in a part of its own."""

    data: bytes
    cuts: tuple[int, ...]

    @property
    def parts(self) -> list[bytes]:
        edges = [0, *self.cuts, len(self.data)]
        return [self.data[a:b] for a, b in pairwise(edges) if a < b]


class Generator:
    """Make requests out of tokens, those that open something among them, and a cookie's name."""

    def __init__(self, seed: str, tokens: Sequence[str], *, cookie_name: str) -> None:
        self._random = random.Random(seed)
        self._tokens = tokens
        self._cookie_name = cookie_name
        self._credentials: list[Callable[[], tuple[str, str]]] = [
            self._authorization,
            self._authorization,
            self._auth_token,
            self._cookie,
            self._cookie,
        ]

    def case(self) -> Case:
        chance = self._random.random()
        if chance < 0.01:
            data = self._random.randbytes(self._random.randrange(200))
        elif chance < 0.03:
            data = self._one() + self._one()
        else:
            data = self._one()
        data = self._mutated(data)
        number = self._random.choices((0, 1, 3), (90, 8, 2))[0]
        cuts = self._random.choices(range(1, len(data) + 2), k=number)
        return Case(data, tuple(sorted(cuts)))

    def _often(self, share: float) -> bool:
        return self._random.random() < share

    def _one(self) -> bytes:
        method = "GET" if self._often(0.97) else self._random.choice(ODD_METHODS)
        version = "HTTP/1.1" if self._often(0.97) else self._random.choice(ODD_VERSIONS)
        lines = [f"{method} {self._target()} {version}", *map(self._line, self._headers())]
        end = (
            "\r\n" if self._often(0.985) else self._random.choice(["\n", "\r", "\r\r\n", "\n\r\n"])
        )
        return (end.join(lines) + end + end).encode("latin-1")

    def _mutated(self, data: bytes) -> bytes:
        chance = self._random.random()
        if chance > 0.12 or not data:
            return data
        at = self._random.randrange(len(data))
        if chance < 0.03:
            return data[:at] + self._random.choice(BYTES) + data[at:]
        if chance < 0.08:
            return data[:at] + self._random.choice(BYTES) + data[at + 1 :]
        if chance < 0.10:
            return data[:at] + data[at + self._random.randrange(1, 20) :]
        if chance < 0.11:
            return data[:at]
        return data + self._random.choice([b"x", b"\r\n", b"\n", b"hello", b"0\r\n\r\n"])

    # -- target ---------------------------------------------------------------------------------

    def _target(self) -> str:
        chance = self._random.random()
        if chance < 0.40:
            return "/auth/check"
        if chance < 0.52:
            return f"/auth/check?jwt={self._token()}"
        if chance < 0.67:
            return "/auth/verify"
        if chance < 0.92:
            return f"/auth/verify?{self._question()}"
        target = self._random.choice(ODD_TARGETS)
        return target.replace("%s", self._token()).replace("%%", "%")

    def _question(self) -> str:
        pairs = [f"service={self._random.choice(SERVICES)}"]
        for name in ("read", "write"):
            if self._often(0.5):
                pairs.append(f"{name}={self._random.choice(PERMISSIONS)}")
        if self._often(0.2):
            pairs.append(f"permission={self._random.choice(PERMISSIONS)}")
        if self._often(0.3):
            resources = RESOURCES[:6] if self._often(0.9) else RESOURCES
            pairs.append(f"resource={self._random.choice(resources)}")
        self._random.shuffle(pairs)
        return "&".join(pairs)

    # -- headers --------------------------------------------------------------------------------

    def _headers(self) -> list[tuple[str, str]]:
        headers = [("host", self._random.choice(GOOD_HOSTS if self._often(0.98) else BAD_HOSTS))]
        for _ in range(self._random.choices((0, 1, 2), (1, 8, 1))[0]):
            headers.append(self._random.choice(self._credentials)())
        headers += self._random.choices(IGNORED, k=self._random.choice((0, 0, 1, 2, 4, 8)))
        if self._often(0.3):
            headers.append(("x-original-method", self._random.choice(METHODS)))
        if self._often(0.15):
            kept = self._often(0.7)
            headers.append(
                ("connection", "keep-alive" if kept else self._random.choice(CONNECTIONS))
            )
        self._spoil(headers)
        if self._often(0.5):
            self._random.shuffle(headers)
        return headers

    def _spoil(self, headers: list[tuple[str, str]]) -> None:
        if self._often(0.05):
            headers.append(self._random.choice(MEANINGFUL))
        if self._often(0.03):
            headers.append(self._random.choice(headers))
        if self._often(0.01):
            headers += [("X-Many", "1")] * self._random.randrange(80, 120)
        if self._often(0.005):
            headers.append(("X-Long", "a" * self._random.randrange(7000, 18000)))

    def _line(self, header: tuple[str, str]) -> str:
        name, value = header
        name = self._random.choice(NAMES.get(name, [name]))
        chance = self._random.random()
        if chance < 0.003:
            return " " + name + ": " + value
        if chance < 0.008:
            return name + self._random.choice(BAD_SEPARATORS) + value
        end = self._random.choice(("", "", "", "", " ", "\t", " \t "))
        return name + self._random.choice(SEPARATORS) + value + end

    def _authorization(self) -> tuple[str, str]:
        schemes = ["Bearer ", "Bearer ", "Bearer ", "Bearer ", "bearer ", "Bearer  ", "Basic ", ""]
        scheme = "Bearer " if self._often(0.8) else self._random.choice(schemes)
        return "authorization", scheme + self._token()

    def _auth_token(self) -> tuple[str, str]:
        return "auth-token", self._token()

    def _cookie(self) -> tuple[str, str]:
        own = f"{self._cookie_name}={self._token()}"
        if self._often(0.25):
            own = self._random.choice(
                [
                    f"{self._cookie_name} ={self._token()}",
                    f'{self._cookie_name}="{self._token()}"',
                    f"x{self._cookie_name}={self._token()}",
                    f"{own};{own}",
                    f"{own}; {self._cookie_name}\t={self._token()}",
                    f"{self._cookie_name}_xsrf={self._token()}",
                    f"{self._cookie_name}=",
                    self._cookie_name,
                    f"__Host-{own}",
                    f"a={own}",
                    "",
                ]
            )
        others = [
            "a=b",
            "tornado_auth_xsrf=2|a|b|3",
            'q="a;b"',
            "junk",
            "a=b=c",
            "$Version=1",
            "=x",
        ]
        cookies = [own, *self._random.choices(others, k=self._random.choice((0, 0, 1, 2)))]
        self._random.shuffle(cookies)
        return "cookie", self._random.choice(("; ", "; ", "; ", ";", ";  ", ", ")).join(cookies)

    def _token(self) -> str:
        token = self._random.choice(self._tokens)
        if self._often(0.95) or not token:
            return token
        at = self._random.randrange(len(token))
        return (
            token[:at] + self._random.choice(["", "A", ".", "-", "=", "~", "é"]) + token[at + 1 :]
        )
