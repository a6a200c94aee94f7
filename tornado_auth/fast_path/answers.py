"""Plain checks in, bytes out.

Owns how an answer is written, the parts of it that stay the same for a second, and what the token
in a request said that came before in the same bytes. Never reads a socket, and never decides who
may pass.
"""

import asyncio
import logging
from collections.abc import Mapping
from email.utils import formatdate
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, NamedTuple

from tornado_auth.caches import BoundedCache
from tornado_auth.checks import Verified
from tornado_auth.fast_path.requests import CHECK, PlainRequest, PlainRequests
from tornado_auth.forward_auth import NOBODY, OUT_OF_SCOPE, Verdict
from tornado_auth.granted import scopes_cover
from tornado_auth.metrics import Tally
from tornado_auth.models import Who
from tornado_auth.pending import Pending
from tornado_auth.readings import Known
from tornado_auth.server import AuthServer
from tornado_auth.web import (
    PASSING_HEADERS,
    Headers,
    check_body,
    denial,
    describe,
    identity_headers,
    needed_permission,
    out_of_scope_answer,
    permission_names,
    safe_headers,
    signed_in_answer,
    signed_out_answer,
    verdict_headers,
)

logger = logging.getLogger(__name__)

Found = Known | Verdict | None
REPEATS = 65_536
_WITH_BODY = (
    b"Content-Type: application/json; charset=utf-8\r\nVary: Origin\r\nContent-Length: %d\r\n\r\n%b"
)
_LATER = (Pending, asyncio.Future)
_HANDLERS = {True: "CheckHandler", False: "VerifyHandler"}


class Question(NamedTuple):
    """What is asked of a token; `asked` is None if only whether it is a good one."""

    is_check: bool
    verified: Verified | None
    asked: PlainRequest | None


class Late(NamedTuple):
    """A question that has to wait for its answer."""

    is_check: bool
    found: Pending[Found] | asyncio.Future[Found]


class Answers:
    """Answer plain requests; `start_second` keeps the Date right."""

    def __init__(self, server: AuthServer, requests: PlainRequests) -> None:
        self.requests = requests
        self._checks = server.checks
        self._forward_auth = server.forward_auth
        self._metrics = server.metrics
        self._questions: BoundedCache[bytes, Question] = BoundedCache(
            min(REPEATS, server.settings.known_sessions)
        )
        server.metrics.watch_cache("requests", self._questions)
        https = server.settings.issuer.startswith("https://")
        self._safe = _lines(safe_headers(https=https))
        self._passing = _lines(PASSING_HEADERS)
        self._signed_out = _with_body(signed_out_answer(server))
        self._out_of_scope = _with_body(out_of_scope_answer(server))
        self._heads: dict[tuple[bool, int], bytes] = {}
        self._counters: dict[tuple[bool, int], Tally] = {}
        self.closing = False

    def start_second(self) -> None:
        """Forget what was made for the second before."""
        self._heads.clear()

    def close(self) -> None:
        """Tell every client from now on that its connection ends."""
        self.closing = True
        self._heads.clear()

    def answer(self, data: bytes, *, trusted: bool) -> bytes | Late | None:
        """Answer a plain request, perhaps later; None if `data` is no such one.

        `trusted` tells whether the peer is a proxy whose X-Original-Method counts.
        """
        key = blake2b(data, digest_size=16).digest()
        question = self._questions.get(key)
        if question is not None:
            return self._answer(question, trusted=trusted)
        request = self.requests.read(data)
        if request is None:
            return None
        is_check = request.path == CHECK
        if not request.token:
            return self._render(None, is_check=is_check)
        try:
            question = self._question(request, is_check=is_check)
        except Exception as error:
            return self._failure(error, is_check=is_check)
        answer = self._answer(question, trusted=trusted)
        # Most sessions that have to be read first never come again.
        is_new = isinstance(answer, Late) and isinstance(answer.found, Pending)
        if question.verified is not None and question.verified.user_id and not is_new:
            self._questions.put(key, question)
        return answer

    def late(self, late: Late) -> bytes:
        """Return the answer to a question that had to wait."""
        try:
            return self._render(late.found.result(), is_check=late.is_check)
        except (Exception, asyncio.CancelledError) as error:
            return self._failure(error, is_check=late.is_check)

    def _question(self, request: PlainRequest, *, is_check: bool) -> Question:
        verified = self._forward_auth.verify(
            request.token, service=request.service, resource=request.resource
        )
        is_simple = not (request.service or request.read or request.write or request.resource)
        return Question(is_check, verified, None if is_simple else request._replace(token=""))

    def _answer(self, question: Question, *, trusted: bool) -> bytes | Late:
        is_check, verified, asked = question
        try:
            found: Found | Pending[Any] | asyncio.Future[Any]
            if asked is None:
                found = self._checks.recall(verified)
            else:
                found = self._judge(verified, asked, trusted=trusted)
            if isinstance(found, _LATER):
                return Late(is_check, found)
            return self._render(found, is_check=is_check)
        except Exception as error:
            return self._failure(error, is_check=is_check)

    def _judge(
        self, verified: Verified | None, asked: PlainRequest, *, trusted: bool
    ) -> Verdict | asyncio.Future[Any]:
        method = asked.original_method if trusted else ""
        needed = needed_permission(asked.read, asked.write, method=method)
        verdict = self._forward_auth.recall(
            verified, service=asked.service, needed=needed, resource=asked.resource
        )
        return verdict if isinstance(verdict, Verdict) else asyncio.ensure_future(verdict)

    def _render(self, found: Found, *, is_check: bool) -> bytes:
        if isinstance(found, Known):
            if found.scopes is not None and not scopes_cover(found.scopes, ""):
                if is_check:
                    return self._head(True, 200) + self._out_of_scope
                return self._without_body(*verdict_headers(OUT_OF_SCOPE))
            if is_check:
                return self._head(True, 200) + (found.check_answer or _check_answer(found))
            lines = found.identity_lines or _identity_lines(found)
            return self._head(False, 200) + lines + b"\r\n"
        if is_check:
            return self._head(True, 200) + self._signed_out
        if found is not None and found.allowed and found.known is not None:
            lines = found.known.identity_lines or _identity_lines(found.known)
            if found.granted is not None:
                lines += f"X-Auth-Permissions: {permission_names(found.granted)}\r\n".encode()
            return self._head(False, 200) + lines + b"\r\n"
        return self._without_body(*verdict_headers(found or NOBODY))

    def _without_body(self, status: int, headers: Headers) -> bytes:
        return self._head(False, status) + _lines(headers) + b"\r\n"

    def _failure(self, error: BaseException, *, is_check: bool) -> bytes:
        status, reason, message = describe(500, error)
        if status == 500:
            logger.error("request_failed", exc_info=error)
        else:
            self._metrics.storage_errors.inc()
        if is_check:
            body = {"error": reason, "error_description": message}
            return self._head(True, status) + _with_body(body)
        return self._without_body(*denial(reason))

    def _head(self, is_check: bool, status: int) -> bytes:
        """Count an answer, and return its first lines."""
        kind = (is_check, status)
        head = self._heads.get(kind)
        if head is None:
            head = self._heads[kind] = self._make_head(is_check=is_check, status=status)
        self._counters[kind].inc()
        return head

    def _make_head(self, *, is_check: bool, status: int) -> bytes:
        if (is_check, status) not in self._counters:
            requests = self._metrics.http_requests.labels(_HANDLERS[is_check], "GET", str(status))
            self._counters[is_check, status] = self._metrics.tally(requests)
        headers = [("Date", formatdate(usegmt=True))]
        headers += [("Connection", "close")] if self.closing else []
        line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        headers += [] if is_check else [("Content-Length", "0")]
        passes = status == 200 and not is_check
        return line.encode() + _lines(headers) + (self._passing if passes else self._safe)


def _check_answer(known: Known) -> bytes:
    answer = _with_body(signed_in_answer(_who(known)))
    if known.is_packed:  # a third of the memory of a session is for who comes again
        known.check_answer = answer
    return answer


def _identity_lines(known: Known) -> bytes:
    lines = _lines(identity_headers(_who(known)))
    if known.is_packed:
        known.identity_lines = lines
    return lines


def _who(known: Known) -> Who:
    who = known.who
    if who is None:
        raise ValueError("nobody is known")
    return who


def _lines(headers: Headers) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")


def _with_body(answer: Mapping[str, object]) -> bytes:
    body = check_body(answer)
    return _WITH_BODY % (len(body), body)
