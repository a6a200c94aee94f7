"""How log records become lines on stderr: one line an event, and no secret in it.

Owns the two formats and the redaction, which is the second line of defence: the first is that no
code of ours logs a token, code, secret, cookie, password or e-mail. Redaction knows secrets by
their looks (a JWT, an API key, a PEM private key, the password of an address) and by the names
before them.

Keeps no state but logging's own, and never changes a record that other handlers also see.
"""

import copy
import json
import logging
import math
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS, LogData
from pythonjsonlogger.json import JsonFormatter

REDACTED = "[redacted]"
MAX_DEPTH = 8

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
_QUOTED = r"""b?(?:"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?)"""

_SECRETS = tuple(
    (re.compile(pattern, flags), kept + REDACTED)
    for pattern, flags, kept in (
        # a PEM private key, also one that is cut off
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL, ""),
        # a header: in a repr or JSON its quoted value, else the rest of the line
        (rf"""(\b{_HEADER}["']\s*[:=,]\s*){_QUOTED}""", re.IGNORECASE, r"\1"),
        (rf"(\b{_HEADER}\s*[:=]\s*)[^\s\"'].*", re.IGNORECASE, r"\1"),
        (r"\b(Bearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE, r"\1"),
        # a JWT, or the beginning of one
        (r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*", 0, ""),
        # an API key, or the beginning of one
        (r"tak_[A-Za-z0-9_-]{16,}", 0, ""),
        # name=value, and "name": "value"
        (
            rf"""((?<![\w-]){_NAME}=)(?:{_QUOTED}|[^\s&"'#;,)]+)""",
            re.IGNORECASE,
            r"\1",
        ),
        (rf"""((?<![\w-]){_NAME}["']\s*[:,]\s*){_QUOTED}""", re.IGNORECASE, r"\1"),
        # our cookies
        (r"((?:__Host-)?tornado_auth[\w-]*=)[^\s;,\"']+", 0, r"\1"),
        # the password in an address
        (r"(://[^\s:/?#@\"']*:)[^\s/@\"']+(?=@)", 0, r"\1"),
    )
)
_SECRET_NAME = re.compile(rf"{_NAME}|{_HEADER}", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_PLAIN = re.compile(r"[^\s\"'=]+")


def configure_logging(level: str, log_format: str) -> None:
    """Send all log records of `level` and above to stderr, as "json" or "text"; idempotent."""
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, RedactingHandler)]:
        root.removeHandler(old)
    handler = RedactingHandler()
    handler.setFormatter(_JSONFormatter() if log_format == "json" else _TextFormatter())
    root.addHandler(handler)
    root.setLevel(level)
    for name, floor in QUIET_LOGGERS.items():
        logging.getLogger(name).setLevel(max(floor, root.level))


def redact(text: str) -> str:
    """Replace what looks like a secret."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class RedactingHandler(logging.Handler):
    """Write each record, without secrets, to what is stderr at that moment."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, with redacted message, extras and traceback."""
        return super().format(_redacted(record))

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


def _redacted(record: logging.LogRecord) -> logging.LogRecord:
    """Return a copy without secrets, with message and traceback made text."""
    clean = copy.copy(record)
    clean.msg, clean.args = redact(record.getMessage()), None
    if record.exc_info:
        clean.exc_text = logging.Formatter().formatException(record.exc_info)
    clean.exc_info = None
    clean.exc_text = redact(clean.exc_text) if clean.exc_text else None
    clean.stack_info = redact(record.stack_info) if record.stack_info else None
    for name, value in _extras(record).items():
        setattr(clean, name, _clean(value, name=name))
    return clean


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(record).items()
        if name not in RESERVED_ATTRS and name != "taskName"
    }


def _clean(value: object, *, name: str, depth: int = 0) -> object:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no word for the others
    if _SECRET_NAME.fullmatch(name) or depth > MAX_DEPTH:
        return REDACTED if value else value
    if isinstance(value, Mapping):
        return {
            str(key): _clean(item, name=str(key), depth=depth + 1) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, name="", depth=depth + 1) for item in value]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return redact(str(value))


# -- formats ------------------------------------------------------------------------------------


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line says, in order; an extra never takes the place of a fixed field."""
    fixed = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname,
        "logger": record.name,
        "event": record.getMessage(),
    }
    last = {"traceback": record.exc_text, "stack": record.stack_info}
    return fixed | _extras(record) | fixed | {name: text for name, text in last.items() if text}


class _JSONFormatter(JsonFormatter):
    """One JSON object a line, all but ASCII escaped."""

    def add_fields(
        self, log_data: LogData, record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        log_data.update(_fields(record))


class _TextFormatter(logging.Formatter):
    """One line for people; a traceback follows, indented, so that it cannot pose as a record."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
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
