"""What reaches stderr: the formats, and that no secret does."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornado_auth.logs import _SECRETS, QUIET_LOGGERS, REDACTED, configure_logging, redact

TOKEN = jwt.encode({"sub": "somebody"}, "k" * 32, algorithm="HS256")
SECRET = "r8Zq-Wn3_hidden.value~7"

LONG_S, KELVIN = "\u017f", "\u212a"  # s and k, to whoever ignores case
SPELLINGS = (str, str.upper, str.title, lambda n: n.replace("s", LONG_S).replace("k", KELVIN))
NAMES = ["Bearer", "bearer", "__Host-tornado_auth", "tornado_auth_login_x", "mongodb://ann:", "://"]
NAMES += ["auth-token", "cookie", "set-cookie", "proxy-authorization", "Authorization", "host"]
NAMES += ["jwt", "code", "state", "passwd", "user_code", "client_secret", "api_key"]
SPELLED = [spelling(name) for name in NAMES for spelling in SPELLINGS]
BETWEEN = ["", " ", "\u00a0", "\n", "=", "%3D", "='", ":", ": ", "': '", '":"', "', b'", "\t=", ","]
VALUES = [SECRET, TOKEN, TOKEN[:20], "tak_" + "r8Zq" * 5, "b'x'", "eyJ", "tak_"]
VALUES += [f"-----{line} KEY-----\nMII" for line in ("BEGIN PRIVATE", "BEGIN RSA PRIVATE", "END")]
ENDS = ["", " ", "'", "@db", "&", "; "]
SAID = st.tuples(*map(st.sampled_from, (SPELLED, BETWEEN, VALUES, ENDS))).map("".join)
TEXTS = st.lists(SAID | st.sampled_from(SPELLED + BETWEEN + VALUES), max_size=5).map("".join)

# What is redacted by the pattern at this place alone, with as few of the signs as it can have.
EXAMPLES = (
    "-----BEGIN PRIVATE KEY-----hidden",
    "cookie','hidden'",
    "cookie:hidden",
    "Bearer hiddenhidden",
    "eyJhiddenhidden",
    "tak_hiddenhiddenhidden",
    "code=hidden",
    "code','hidden'",
    "tornado_auth=hidden",
    "a://b:hidden@c",
)


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    names = list(QUIET_LOGGERS)
    before = root.handlers[:], root.level, [logging.getLogger(name).level for name in names]
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    for name, level in zip(names, before[2], strict=True):
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def logger() -> logging.Logger:
    return logging.getLogger("tornado_auth.under_test")


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    return lambda: capsys.readouterr().err.splitlines()


@pytest.fixture
def json_lines(lines: Callable[[], list[str]]) -> Callable[[], list[dict[str, Any]]]:
    configure_logging("DEBUG", "json")
    return lambda: [json.loads(line) for line in lines()]


class TestJSON:
    def test_a_record_is_one_object_with_its_extras(self, logger, json_lines):
        logger.info("login", extra={"provider": "github", "is_new": True, "milliseconds": 1.5})
        (line,) = json_lines()
        assert list(line)[:4] == ["time", "level", "logger", "event"]
        assert line.pop("time").endswith("+00:00")
        assert line == {
            "level": "INFO",
            "logger": "tornado_auth.under_test",
            "event": "login",
            "provider": "github",
            "is_new": True,
            "milliseconds": 1.5,
        }

    def test_an_exception_is_part_of_its_line(self, logger, json_lines):
        try:
            raise RuntimeError("over")
        except RuntimeError:
            logger.exception("failed")
        (line,) = json_lines()
        assert line["event"] == "failed"
        assert line["traceback"].startswith("Traceback (most recent call last)")
        assert line["traceback"].endswith("RuntimeError: over")

    def test_the_stack_can_be_part_of_a_line(self, logger, json_lines):
        logger.info("here", stack_info=True)
        (line,) = json_lines()
        assert line["stack"].startswith("Stack (most recent call last)")

    def test_extras_of_any_type_are_written(self, logger, json_lines):
        deep: list[object] = []
        deep.append(deep)
        logger.info(
            "odd",
            extra={
                "path": Path("/a"),
                "raw": b"\xffx",
                "names": {"b"},
                "nested": {1: ("a", None)},
                "ratio": float("nan"),
                "deep": deep,
            },
        )
        (line,) = json_lines()
        assert line["path"] == "/a"
        assert line["raw"] == "\ufffdx"
        assert line["names"] == ["b"]
        assert line["nested"] == {"1": ["a", None]}
        assert line["ratio"] == "nan"
        assert REDACTED in str(line["deep"])

    def test_an_extra_does_not_take_the_place_of_a_fixed_field(self, logger, json_lines):
        logger.info("login", extra={"level": "CRITICAL", "event": "forged", "time": "never"})
        (line,) = json_lines()
        assert (line["level"], line["event"]) == ("INFO", "login")
        assert line["time"] != "never"

    # S145
    @pytest.mark.parametrize(
        "text", ["a\nb", "a\r\nb", "a\x00b", "a\u2028b", "a\x85b", "a\x1b[2Jb"]
    )
    def test_a_control_character_cannot_make_a_second_line(self, logger, lines, text):
        configure_logging("DEBUG", "json")
        logger.info("event %s", text, extra={"username": text, text: 1})
        (line,) = lines()
        assert line.isprintable()
        assert json.loads(line)["event"] == f"event {text}"
        assert json.loads(line)["username"] == text

    def test_a_record_that_cannot_be_formatted_is_told_of_without_its_content(self, logger, lines):
        root = logging.getLogger()
        root.handlers.clear()  # pytest's own raise
        configure_logging("INFO", "json")
        logger.info("%d of them", SECRET)
        (line,) = lines()
        assert json.loads(line) == {
            "event": "log_record_lost",
            "logger": "tornado_auth.under_test",
            "error": "TypeError",
        }

    def test_a_closed_stderr_does_not_break_the_caller(self, logger, tmp_path, monkeypatch):
        configure_logging("INFO", "json")
        closed = (tmp_path / "stderr").open("w")
        closed.close()
        monkeypatch.setattr("sys.stderr", closed)
        logger.info("login")
        assert (tmp_path / "stderr").read_text() == ""


class TestText:
    def test_a_record_is_one_readable_line(self, logger, lines):
        configure_logging("INFO", "text")
        logger.warning("login", extra={"provider": "github", "name_of": "A B", "count": 3})
        (line,) = lines()
        assert line.endswith(
            'WARNING tornado_auth.under_test login provider=github name_of="A B" count=3'
        )

    # S145
    @pytest.mark.parametrize(
        "control", ["\n", "\r", "\x00", "\x1b", "\x7f", "\x9b", "\u2028", "\u202e"]
    )
    def test_control_characters_are_escaped(self, logger, lines, control):
        configure_logging("INFO", "text")
        logger.info(f"a{control}b", extra={"one": f"c{control}d", "two": f"c {control}d"})
        (line,) = lines()
        assert control not in line
        assert line.isprintable()

    # S145
    def test_a_traceback_cannot_pose_as_a_record(self, logger, lines):
        configure_logging("INFO", "text")
        try:
            raise ValueError("x\n2030-01-01T00:00:00+00:00 INFO tornado_auth login\x1b[1m")
        except ValueError:
            logger.exception("failed")
        first, *rest = lines()
        assert first.endswith("ERROR tornado_auth.under_test failed")
        assert len(rest) > 3
        assert all(line.startswith("    ") and line.isprintable() for line in rest)


class TestRedaction:
    # S149
    @pytest.mark.parametrize(
        "text",
        [
            TOKEN,
            TOKEN[:40],
            f"x%3D{TOKEN}",
            f"/auth/check?jwt={SECRET}&x=1",
            f"/auth/oauth_callback?state={SECRET}&code={SECRET}",
            f"?a=1&token={SECRET}#x",
            f"access_token={SECRET}",
            f"GOOGLE_SECRET={SECRET}",
            f"Bearer {SECRET}",
            f"Authorization: Basic {SECRET}",
            f"authorization={SECRET} {SECRET}",
            f"Cookie: a=b; c={SECRET}",
            f'Cookie: a="b"; c={SECRET}',
            f"Set-Cookie: __Host-x={SECRET}; Secure",
            f"auth-token: {SECRET}",
            f"__Host-tornado_auth={SECRET}; Path=/",
            f"tornado_auth_login_x={SECRET}",
            f"{{'Cookie': 'a=\"b\"; c={SECRET}', 'Host': 'h'}}",
            f'{{"Authorization": "Basic \\"{SECRET}", "Host": "h"}}',
            f"('auth-token', '{SECRET}')",
            f'{{"refresh_token": "{SECRET}", "expires_in": 1}}',
            f"Client(client_secret='{SECRET} {SECRET}', id='x')",
            f"{{'code_verifier': b'{SECRET}'}}",
            f"mongodb://user:{SECRET}@db.example.org/x",
            f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n",
            f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}",
        ],
    )
    def test_what_looks_like_a_secret_is_replaced(self, text):
        clean = redact(f"before {text}")
        assert SECRET not in clean
        assert TOKEN[:40] not in clean
        assert clean.startswith("before ")
        assert REDACTED in clean

    # S149
    @pytest.mark.parametrize("length", [43, 20])
    def test_what_looks_like_an_api_key_is_replaced(self, length):
        key = "tak_" + "r8Zq-Wn3_" * 5
        for before in ("", "for ", "a/", "x%3D", "{'a': '"):
            assert redact(f"{before}{key[:length]}") == f"{before}{REDACTED}"

    @pytest.mark.parametrize(
        "text",
        [
            "GET /auth/check 200 1.5 ms",
            "tak_ taken_by tak_too_short",
            f"key-{'0' * 64}",
            "status_code=200 next=https://app.example.org/a",
            "TORNADO_AUTH_LISTEN=127.0.0.1:8080",
            "{'code': 11000, 'keyPattern': {'username_key': 1}}",
            "no cookie and no bearer token",
            "http://localhost:8080/auth/login",
            "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----",
        ],
    )
    def test_what_is_no_secret_stays(self, text):
        assert redact(text) == text

    def test_what_stands_around_a_secret_stays(self):
        assert redact(f"/auth/check?a=1&jwt={SECRET}&b=2") == f"/auth/check?a=1&jwt={REDACTED}&b=2"

    def test_a_long_text_is_redacted_in_little_time(self):
        start = time.perf_counter()
        for text in ("a_" * 20_000, "-----BEGIN PRIVATE KEY" * 2000, "cookie" * 8000, "'" * 40_000):
            redact(text)
        assert time.perf_counter() - start < 2

    # S149
    @pytest.mark.parametrize(("place", "text"), list(enumerate(EXAMPLES)))
    def test_each_kind_of_secret_is_found_by_its_sign(self, place, text):
        assert len(EXAMPLES) == len(_SECRETS)
        found = [n for n, (_, pattern, _) in enumerate(_SECRETS) if pattern.search(text)]
        assert found == [place]
        assert _SECRETS[place][0].search(text)
        assert "hidden" not in redact(text)

    # S149
    @pytest.mark.parametrize("name", [f"client_{LONG_S}ecret", f"to{KELVIN}en", "CODE", "Jwt"])
    def test_a_name_is_known_however_it_is_spelled(self, name):
        assert redact(f"{name}={SECRET}") == f"{name}={REDACTED}"

    # S149
    @settings(max_examples=1000, deadline=None, derandomize=True)
    @given(text=TEXTS)
    def test_the_signs_hide_no_secret(self, text):
        without_signs = text
        for sign, pattern, replacement in _SECRETS:
            for each in (text, without_signs):
                assert sign.search(each) or not pattern.search(each)
            without_signs = pattern.sub(replacement, without_signs)
        assert redact(text) == without_signs

    # S149
    @pytest.mark.parametrize("log_format", ["json", "text"])
    def test_no_part_of_a_record_carries_a_secret(self, logger, lines, log_format):
        configure_logging("DEBUG", log_format)
        try:
            raise ValueError(f"bad jwt={SECRET} {TOKEN}")
        except ValueError:
            logger.exception(
                f"message ?code={SECRET} %s",
                f"token={SECRET}",
                stack_info=True,
                extra={
                    "url": f"/x?jwt={SECRET}",
                    "password": SECRET,
                    "headers": {"Cookie": SECRET, "Auth-Token": [SECRET], "Host": "h"},
                    "tokens": [TOKEN],
                    "client_secret": b"r8Zq",
                },
            )
        text = "\n".join(lines())
        assert "message" in text
        assert "Traceback" in text
        assert SECRET not in text
        assert TOKEN not in text
        assert "r8Zq" not in text

    # S149
    def test_other_handlers_see_the_record_as_it_was(self, logger, json_lines, caplog):
        try:
            raise ValueError("x")
        except ValueError:
            logger.info("jwt=%s", "abc", exc_info=True, extra={"password": "abc"})
        (record,) = caplog.records
        assert record.getMessage() == "jwt=abc"
        assert record.exc_info
        assert vars(record)["password"] == "abc"
        assert json_lines()[0]["event"] == f"jwt={REDACTED}"


class TestConfiguration:
    def test_it_can_be_repeated(self, logger, lines):
        for log_format in ("text", "json", "json"):
            configure_logging("INFO", log_format)
        logger.info("once")
        (line,) = lines()
        assert json.loads(line)["event"] == "once"

    def test_the_level_holds(self, logger, lines):
        configure_logging("WARNING", "json")
        logger.info("quiet")
        logger.warning("loud")
        (line,) = lines()
        assert json.loads(line)["event"] == "loud"

    # S149
    @pytest.mark.parametrize(
        "name",
        ["pymongo", "pymongo.command", "motor", "asyncio", "pydantic_settings"],
    )
    def test_libraries_that_print_secrets_do_not_debug(self, json_lines, name):
        logging.getLogger(name).debug("command %s", SECRET)
        logging.getLogger(name).error("broken")
        assert [line["event"] for line in json_lines()] == ["broken"]

    def test_libraries_are_no_louder_than_we_are(self):
        configure_logging("ERROR", "json")
        assert {logging.getLogger(name).level for name in QUIET_LOGGERS} == {logging.ERROR}
