"""Plain checks in, bytes out.

Owns how an answer is written, and the parts of it that stay the same for a second. Never reads a
socket, and never decides who may pass.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from tornado_auth.fast_path.requests import CHECK, PlainRequest
from tornado_auth.forward_auth import NOBODY, Verdict
from tornado_auth.metrics import Tally
from tornado_auth.readings import Known
from tornado_auth.server import AuthServer
from tornado_auth.web import (
    Headers,
    denial,
    describe,
    needed_permission,
    safe_headers,
    signed_in_answer,
    signed_out_answer,
    verdict_headers,
)

logger = logging.getLogger(__name__)

Found = Known | Verdict | None
_HANDLERS = {True: "CheckHandler", False: "VerifyHandler"}


class Answers:
    """Answer plain requests; `start_second` keeps the Date right."""

    def __init__(self, server: AuthServer) -> None:
        self._checks = server.checks
        self._forward_auth = server.forward_auth
        self._metrics = server.metrics
        https = server.settings.issuer.startswith("https://")
        self._safe = _lines(safe_headers(https=https))
        self._signed_out = _with_body(signed_out_answer(server))
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

    def answer(self, request: PlainRequest, *, trusted: bool) -> bytes | asyncio.Future[Found]:
        """Return the answer, or what `late` makes it of once it is there.

        `trusted` tells whether the peer is a proxy whose X-Original-Method counts.
        """
        try:
            found = self._find(request, trusted=trusted) if request.token else None
            return found if isinstance(found, asyncio.Future) else self._render(request, found)
        except Exception as error:
            return self._failure(request, error)

    def late(self, request: PlainRequest, future: asyncio.Future[Found]) -> bytes:
        """Return the answer to a request that had to wait."""
        try:
            return self._render(request, future.result())
        except (Exception, asyncio.CancelledError) as error:
            return self._failure(request, error)

    def _find(self, request: PlainRequest, *, trusted: bool) -> Found | asyncio.Future[Any]:
        if not (request.service or request.read or request.write):
            return self._checks.recall(request.token)
        needed = needed_permission(
            request.read, request.write, method=request.original_method if trusted else ""
        )
        verdict = self._forward_auth.recall(request.token, service=request.service, needed=needed)
        return verdict if isinstance(verdict, Verdict) else asyncio.ensure_future(verdict)

    def _render(self, request: PlainRequest, found: Found) -> bytes:
        is_check = request.path == CHECK
        if isinstance(found, Known):
            return self._head(is_check, 200) + _known_answer(found, is_check=is_check)
        if is_check:
            return self._head(is_check, 200) + self._signed_out
        verdict = found if isinstance(found, Verdict) else NOBODY
        status, headers = verdict_headers(verdict)
        return self._head(is_check, status) + _without_body(headers)

    def _failure(self, request: PlainRequest, error: BaseException) -> bytes:
        status, reason, message = describe(500, error)
        if status == 500:
            logger.error("request_failed", exc_info=error)
        else:
            self._metrics.storage_errors.inc()
        if request.path == CHECK:
            body = {"error": reason, "error_description": message}
            return self._head(True, status) + _with_body(body)
        status, headers = denial(reason)
        return self._head(False, status) + _without_body(headers)

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
        return line.encode() + _lines(headers) + self._safe


def _known_answer(known: Known, *, is_check: bool) -> bytes:
    """Return what follows the head; it is made once."""
    answer = known.check_answer if is_check else known.verify_answer
    if answer is not None:
        return answer
    who = known.who
    if who is None:
        raise ValueError("nobody is known")
    if is_check:
        answer = known.check_answer = _with_body(signed_in_answer(who))
    else:
        headers = verdict_headers(Verdict(who, allowed=True))[1]
        answer = known.verify_answer = _without_body(headers)
    return answer


def _lines(headers: Headers) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")


def _with_body(answer: Mapping[str, object]) -> bytes:
    body = json.dumps(answer).encode()
    headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Vary", "Origin"),
        ("Content-Length", str(len(body))),
    ]
    return _lines(headers) + b"\r\n" + body


def _without_body(headers: Headers) -> bytes:
    return _lines([*headers, ("Content-Length", "0")]) + b"\r\n"
