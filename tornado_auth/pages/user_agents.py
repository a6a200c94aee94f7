"""What a browser calls itself, in words that its owner recognises.

Owns a handful of rules for the User-Agent header (RFC 9110 §10.1.5). The header is a claim, and
most browsers claim to be several others: never decide anything by it.
"""

import re

MAX_LENGTH = 60

# The first rule that matches wins: every browser names those that it stems from as well.
_BROWSERS = (
    (re.compile(r"\bEdg(?:e|A|iOS)?/"), "Edge"),
    (re.compile(r"\b(?:OPR|OPT|Opera)/"), "Opera"),
    (re.compile(r"\bSamsungBrowser/"), "Samsung Internet"),
    (re.compile(r"\b(?:Firefox|FxiOS)/"), "Firefox"),
    (re.compile(r"\bChromium/"), "Chromium"),
    (re.compile(r"\b(?:(?:Headless)?Chrome|CriOS)/"), "Chrome"),
    (re.compile(r"\bVersion/\S+ (?:Mobile/\S+ )?Safari/"), "Safari"),
)
_SYSTEMS = (
    (re.compile(r"\biPhone\b"), "iPhone"),
    (re.compile(r"\biPad\b"), "iPad"),
    (re.compile(r"\bAndroid\b"), "Android"),
    (re.compile(r"\bWindows\b"), "Windows"),
    (re.compile(r"\bCrOS\b"), "ChromeOS"),
    (re.compile(r"\bMacintosh\b"), "macOS"),
    (re.compile(r"\bLinux\b"), "Linux"),
)


def describe_user_agent(user_agent: str) -> str:
    """Return "Firefox on Linux", or the beginning of what no rule knows."""
    browser = _first(_BROWSERS, user_agent)
    if not browser:
        return user_agent[:MAX_LENGTH].strip() or "Unknown browser"
    system = _first(_SYSTEMS, user_agent)
    return f"{browser} on {system}" if system else browser


def _first(rules: tuple[tuple[re.Pattern[str], str], ...], user_agent: str) -> str:
    return next((name for pattern, name in rules if pattern.search(user_agent)), "")
