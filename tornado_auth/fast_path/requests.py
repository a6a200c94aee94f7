"""The plain form of a token check, recognised byte by byte.

Owns what counts as plain: `GET /auth/check` or `/auth/verify`, HTTP/1.1, CRLF alone, one Host, at
most one of each header that matters, no body, printable ASCII. Whatever is not certainly plain is
None, also when it may well be a good request: somebody else then reads it, with all of HTTP in
mind (RFC 9112). So nothing is ever taken for plain that Tornado would refuse or read otherwise.
"""

import re
from typing import NamedTuple

from tornado_auth.role_names import PERMISSION

CHECK = "/auth/check"
VERIFY = "/auth/verify"
MAX_SIZE = 8 * 1024
MAX_LINES = 100

_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t"
_TOKEN_CHARACTERS = bytes(range(0x30, 0x3A)) + bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B))
_TOKEN_CHARACTERS += b"-._~+/="
_TARGET = re.compile(
    rb"GET (?:(/auth/check)(?:\?jwt=([\w.~-]+))?|(/auth/verify)(?:\?([\w.~=&/:@-]+))?) HTTP/1\.1"
)
_PARAMETER = re.compile(rb"(service|permission|read|write|resource)=([\w.~/:@-]*)")
_HOST = re.compile(rb"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_METHOD = re.compile(rb"[A-Za-z]+")

# What a header is to us. Those of _OTHERS change how a request is read, or what is answered.
_IGNORED, _HOST_NAME, _AUTHORIZATION, _AUTH_TOKEN, _COOKIE, _METHOD_OF, _CONNECTION, _OTHER = range(
    8
)
_KINDS = {
    b"host": _HOST_NAME,
    b"authorization": _AUTHORIZATION,
    b"auth-token": _AUTH_TOKEN,
    b"cookie": _COOKIE,
    b"x-original-method": _METHOD_OF,
    b"connection": _CONNECTION,
}
_OTHERS = frozenset(
    b"content-length content-type content-encoding transfer-encoding expect upgrade te trailer "
    b"origin keep-alive proxy-connection http2-settings".split()
)
_MAX_SPELLINGS = 512


class PlainRequest(NamedTuple):
    """A check; `token` is "" if it carries none, and the rest is that of /auth/verify."""

    path: str
    token: str
    service: str = ""
    read: str = ""
    write: str = ""
    original_method: str = ""
    resource: str = ""


class PlainRequests:
    """Read plain requests; remembers how header names are spelt, a bounded number of them."""

    def __init__(self, session_cookie: str, *, jwt_parameter: bool) -> None:
        name = re.escape(session_cookie.encode())
        self._cookie_name = re.compile(name + rb"[ \t]*=")
        self._cookie = re.compile(rb"(?:^|; ?)" + name + rb"=([\w.-]+)(?:;|$)")
        self._jwt_parameter = jwt_parameter
        self._spellings: dict[bytes, int] = {}

    @staticmethod
    def may_become_plain(data: bytes) -> bool:
        """Tell whether what came so far may be the beginning of a plain request."""
        begins = data.startswith((b"GET /auth/check", b"GET /auth/verify"))
        if not begins or len(data) >= MAX_SIZE or b"\r\n\r\n" in data:
            return False
        # A bare LF may end a request for whoever is less strict.
        return data.count(b"\n") == data.count(b"\r\n")

    def read(self, data: bytes) -> PlainRequest | None:
        """Return the request if it is certainly plain and whole, and nothing comes after it."""
        lines = data.split(b"\r\n")
        breaks = len(lines) - 1
        if (
            len(data) > MAX_SIZE
            or not 3 <= breaks <= MAX_LINES
            or lines[-1]
            or lines[-2]
            or data.translate(None, _PRINTABLE) != b"\r\n" * breaks
        ):
            return None
        target = _TARGET.fullmatch(lines[0])
        headers = self._headers(lines[1:-2]) if target else None
        if target is None or headers is None:
            return None
        check, jwt, _, query = target.groups()
        if jwt and not self._jwt_parameter:
            return None
        token = self._token(headers, jwt)
        if token is None:
            return None
        if check:
            return PlainRequest(CHECK, token)
        return _verify_request(token, query, headers[_METHOD_OF])

    def _headers(self, lines: list[bytes]) -> list[bytes] | None:
        """Return the values of the headers that matter, by kind, b"" for one that is absent."""
        found = [b""] * _OTHER
        spellings = self._spellings
        for line in lines:
            name, colon, value = line.partition(b":")
            kind = spellings.get(name)
            if kind is None:
                kind = self._classify(name)
            if not colon:
                return None
            if kind == _IGNORED:
                continue
            value = value.strip(b" \t")
            if kind == _OTHER or not value or found[kind]:
                return None
            found[kind] = value
        if not _HOST.fullmatch(found[_HOST_NAME]):
            return None
        if found[_CONNECTION] and found[_CONNECTION].lower() != b"keep-alive":
            return None
        return found

    def _classify(self, name: bytes) -> int:
        lowered = name.lower()
        if lowered in _OTHERS or not _NAME.fullmatch(name):
            return _OTHER
        if len(self._spellings) >= _MAX_SPELLINGS:
            self._spellings.clear()  # rather than let somebody fill it with rubbish for good
        kind = self._spellings[name] = _KINDS.get(lowered, _IGNORED)
        return kind

    def _token(self, headers: list[bytes], jwt: bytes | None) -> str | None:
        """Return the token, "" if there is none, None if that is not plain to see.

        In the order of `BaseHandler.credential`.
        """
        if authorization := headers[_AUTHORIZATION]:
            return _plain_token(authorization[7:]) if authorization[:7] == b"Bearer " else None
        if auth_token := headers[_AUTH_TOKEN]:
            return _plain_token(auth_token)
        if jwt:
            return jwt.decode()
        cookie = headers[_COOKIE]
        times = len(self._cookie_name.findall(cookie)) if cookie else 0
        if times == 0:
            return ""
        match = self._cookie.search(cookie) if times == 1 else None
        return match[1].decode() if match else None


def _plain_token(token: bytes) -> str | None:
    # Deleting what is allowed is five times faster than matching it.
    return token.decode() if token and not token.translate(None, _TOKEN_CHARACTERS) else None


def _verify_request(token: str, query: bytes | None, method: bytes) -> PlainRequest | None:
    named: dict[str, str] = {}
    for pair in query.split(b"&") if query else ():
        match = _PARAMETER.fullmatch(pair)
        if match is None or (name := match[1].decode()) in named:
            return None
        named[name] = match[2].decode()
    permission, resource = named.get("permission", ""), named.get("resource", "")
    if resource and not PERMISSION.fullmatch(resource):
        return None
    if method and not _METHOD.fullmatch(method):
        return None
    return PlainRequest(
        VERIFY,
        token,
        named.get("service", ""),
        named.get("read") or permission,
        named.get("write") or permission,
        method.decode(),
        resource,
    )
