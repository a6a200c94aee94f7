"""How the account page names the browsers in which somebody is signed in."""

import pytest

from tornado_auth.pages.user_agents import MAX_LENGTH, describe_user_agent

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K)"
MACINTOSH = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (f"{WINDOWS} {WEBKIT} Chrome/140.0.0.0 Safari/537.36", "Chrome on Windows"),
        (f"{WINDOWS} {WEBKIT} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge on Windows"),
        (f"{WINDOWS} {WEBKIT} Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0", "Opera on Windows"),
        (f"{ANDROID} {WEBKIT} Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        (
            f"{ANDROID} {WEBKIT} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            "Samsung Internet on Android",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
            "Firefox on Linux",
        ),
        (f"{IPHONE} {APPLE} FxiOS/143.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"),
        (f"{IPHONE} {APPLE} CriOS/140.0.0.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        (f"{IPHONE} {APPLE} Version/18.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"{MACINTOSH} {APPLE} Version/18.5 Safari/605.1.15", "Safari on macOS"),
        (
            f"Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X) {APPLE} Version/16.6 Mobile/15E148 "
            "Safari/604.1",
            "Safari on iPad",
        ),
        (
            f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/140.0.0.0 Safari/537.36",
            "Chrome on ChromeOS",
        ),
        (
            f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} Ubuntu Chromium/80.0 Chrome/80.0 "
            "Safari/537.36",
            "Chromium on Linux",
        ),
        (
            f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/140.0.0.0 Safari/537.36",
            "Chrome on Linux",
        ),
        ("Mozilla/5.0 (Haiku) Firefox/143.0", "Firefox"),
    ],
)
def test_a_known_browser_is_named_with_its_system(user_agent: str, name: str) -> None:
    assert describe_user_agent(user_agent) == name


@pytest.mark.parametrize("user_agent", ["curl/8.14.1", "<script>alert(1)</script>", "Firefox"])
def test_what_no_rule_knows_is_shown_as_it_came(user_agent: str) -> None:
    assert describe_user_agent(user_agent) == user_agent


def test_what_no_rule_knows_is_cut() -> None:
    assert describe_user_agent("x" * 300) == "x" * MAX_LENGTH


@pytest.mark.parametrize("user_agent", ["", "   "])
def test_a_browser_that_says_nothing_is_unknown(user_agent: str) -> None:
    assert describe_user_agent(user_agent) == "Unknown browser"
