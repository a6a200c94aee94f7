"""How log records become lines on stderr: one line an event, and no secret in it.

Owns the two formats and the redaction, which is the second line of defence: the first is that no
code of ours logs a token, code, secret, cookie, password or e-mail. Redaction knows secrets by
their looks (a JWT, an API key, a PEM private key, the password of an address) and by the names
before them.

Keeps no state but logging's own, and never changes a record that other handlers also see.
"""

import json
import logging
import math
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"
MAX_DEPTH = 8
# What logging itself puts into every record.
_NO_EXTRAS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

# Libraries that print commands, headers or settings when they debug.
QUIET_LOGGERS: Mapping[str, int] = {
    "asyncio": logging.INFO,
    "motor": logging.INFO,
    "pydantic_settings": logging.INFO,
    "pymongo": logging.WARNING,
    "tornado.curl_httpclient": logging.INFO,
}

# Names whose value is a secret: in a query, a form, a cookie, JSON, a repr, and as an extra.
_NAME = (
    r"(?:jwt|code|state|nonce|passw(?:or)?d|id_token_hint"
    r"|(?:[a-z]+[_-])*(?:token|secret|verifier|assertion|private[_-]key|api[_-]?key)"
    r"|(?:device|user|authorization|handover)[_-]code)"
)
_HEADER = r"(?:(?:proxy-)?authorization|(?:set-)?cookie|(?:x-)?auth-token)"
_QUOTE = r"""["']"""
_QUOTED = r"""b?(?:"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?)"""

# Each after a sign without which there is no such secret: to look for that takes little time, and
# most texts have none of them.
_SECRETS = tuple(
    (re.compile(sign), re.compile(pattern, flags), kept + REDACTED)
    for sign, pattern, flags, kept in (
        # a PEM private key, also one that is cut off
        (
            "-----BEGIN",
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)",
            re.DOTALL,
            "",
        ),
        # a header: in a repr or JSON its quoted value, else the rest of the line
        (_QUOTE, rf"""(\b{_HEADER}["']\s*[:=,]\s*){_QUOTED}""", re.IGNORECASE, r"\1"),
        (r"[:=]", rf"(\b{_HEADER}\s*[:=]\s*)[^\s\"'].*", re.IGNORECASE, r"\1"),
        (r"\s", r"\b(Bearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE, r"\1"),
        # a JWT, or the beginning of one
        ("eyJ", r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*", 0, ""),
        # an API key, or the beginning of one
        ("tak_", r"tak_[A-Za-z0-9_-]{16,}", 0, ""),
        # name=value, and "name": "value"
        (
            "=",
            rf"""((?<![\w-]){_NAME}=)(?:{_QUOTED}|[^\s&"'#;,)]+)""",
            re.IGNORECASE,
            r"\1",
        ),
        (
            _QUOTE,
            rf"""((?<![\w-]){_NAME}["']\s*[:,]\s*){_QUOTED}""",
            re.IGNORECASE,
            r"\1",
        ),
        # our cookies
        ("tornado_auth", r"((?:__Host-)?tornado_auth[\w-]*=)[^\s;,\"']+", 0, r"\1"),
        # the password in an address
        ("://", r"(://[^\s:/?#@\"']*:)[^\s/@\"']+(?=@)", 0, r"\1"),
    )
)
_ANY_SIGN = re.compile("|".join(sign.pattern for sign, _, _ in _SECRETS))
_SECRET_NAME = re.compile(rf"{_NAME}|{_HEADER}", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_PLAIN = re.compile(r"[^\s\"'=]+")


def configure_logging(level: str, log_format: str) -> None:
    """Send all log records of `level` and above to stderr, as "json" or "text"; idempotent."""
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, RedactingHandler)]:
        root.removeHandler(old)
    root.addHandler(RedactingHandler(json.dumps if log_format == "json" else _text_line))
    root.setLevel(level)
    for name, floor in QUIET_LOGGERS.items():
        logging.getLogger(name).setLevel(max(floor, root.level))


def redact(text: str) -> str:
    """Replace what looks like a secret."""
    if not _ANY_SIGN.search(text):
        return text
    for sign, pattern, replacement in _SECRETS:
        if sign.search(text):
            text = pattern.sub(replacement, text)
    return text


class RedactingHandler(logging.Handler):
    """Write each record, without secrets, to what is stderr at that moment.

    `line_of` makes one line of its fields, which are texts, numbers, None, and lists and dicts
    of these.
    """

    def __init__(self, line_of: Callable[[dict[str, Any]], str]) -> None:
        super().__init__()
        self._line_of = line_of

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, with redacted message, extras and traceback."""
        return self._line_of(_fields(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a record that cannot be written never breaks what logged it."""
        try:
            line = self.format(record)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            # Without the record: logging's own handleError would print its arguments.
            lost = {"event": "log_record_lost", "logger": record.name}
            line = json.dumps(lost | {"error": type(error).__name__})
        with suppress(OSError, ValueError):  # stderr is closed or full
            sys.stderr.write(line + "\n")
            sys.stderr.flush()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line says, in order; an extra never takes the place of a fixed field."""
    fields: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "event": redact(record.getMessage()),
    }
    for name, value in vars(record).items():
        if name not in _NO_EXTRAS and name not in fields:
            fields[name] = _clean(value, name=name)
    traceback = _traceback(record)
    if traceback:
        fields["traceback"] = redact(traceback)
    if record.stack_info:
        fields["stack"] = redact(record.stack_info)
    return fields


def _traceback(record: logging.LogRecord) -> str | None:
    if record.exc_info:
        return logging.Formatter().formatException(record.exc_info)
    return record.exc_text


def _clean(value: object, *, name: str, depth: int = 0) -> object:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no word for the others
    if depth > MAX_DEPTH or _is_secret(name):
        return REDACTED if value else value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            str(key): _clean(item, name=str(key), depth=depth + 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, name="", depth=depth + 1) for item in value]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return redact(str(value))


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.fullmatch(name))


def _text_line(fields: dict[str, Any]) -> str:
    """Make one line for people; a traceback follows, indented: it cannot pose as a record."""
    blocks = [fields.pop(name, "") for name in ("traceback", "stack")]
    head = [_escape(fields.pop(name)) for name in ("time", "level", "logger", "event")]
    extras = [f"{_escape(name)}={_value(value)}" for name, value in fields.items()]
    below = [f"    {_escape(line)}" for block in blocks for line in block.splitlines()]
    return "\n".join([" ".join(head + extras), *below])


def _value(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return _escape(value)
    return _escape(json.dumps(value, ensure_ascii=False))


def _escape(text: str) -> str:
    """Make control characters visible, line breaks and changes of direction among them."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)
