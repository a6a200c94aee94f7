"""How the value of a setting is read: from the text of a variable, or from a TOML value.

Each `parse_*` function takes what the operator wrote and returns the value, or raises ValueError
with a text that continues the setting's name and ends with the remedy. No text here repeats the
value itself: it may be a secret, or one that was put into the wrong variable.

Knows no setting by name; `settings.py` does.
"""

import json
import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, TypeVar

T = TypeVar("T")
Network = IPv4Network | IPv6Network | Literal["unix"]

MIN_SECRET_LENGTH = 32
RESERVED_PROVIDERS = ("google", "github", "local", "dev")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SEPARATORS = re.compile(r"[;,\s]+")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_COMBINATION = re.compile(r"(first|last|union)\s*\((.*)\)")
_ALIAS = re.compile(r"[!-9<-~]{1,128}")  # printable ASCII but : and ;
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]{2,}")
_PROVIDER = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SCOPE = re.compile(r"[A-Za-z0-9._:/-]{1,100}")
_ORGANIZATION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([smhd]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_FLAGS = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_DEFAULT_SECRETS = re.compile(
    r"change.?(?:me|it|this)|secret|passwor[dt]|default|example|insecure|replace.?(?:me|this)"
    r"|placeholder|development|tornado.?auth|12345678|abcdefgh|qwerty",
    re.IGNORECASE,
)


# -- single values ------------------------------------------------------------------------------


def parse_text(value: object) -> str:
    """Return one line of text without the white space around it."""
    if not isinstance(value, str):
        raise ValueError("is not text. In TOML, put it in quotes.")
    text = value.strip()
    if _CONTROL.search(text):
        raise ValueError("has line breaks or control characters in it. Remove them.")
    return text


def parse_credential(value: object) -> str:
    """Return text that is not empty."""
    text = parse_text(value)
    if not text:
        raise ValueError("is empty. Copy it from the login provider.")
    return text


def parse_provider_name(value: object) -> str:
    """Return the name of a login provider: a path segment that no other kind of provider has."""
    name = parse_text(value)
    if not _PROVIDER.fullmatch(name):
        raise ValueError(
            "is not usable as a name. Use 1 to 32 of a-z, 0-9, _ and -, a letter first."
        )
    if name in RESERVED_PROVIDERS:
        raise ValueError(f"is taken. Use another name than {_either(RESERVED_PROVIDERS)}.")
    return name


def parse_flag(value: object) -> bool:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    flag = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
    if flag is None:
        raise ValueError("is neither true nor false. Set it to true or false.")
    return flag


def choice(*options: str) -> Callable[[object], str]:
    """Make a reader of one of the options, written in any case."""
    by_key = {option.casefold(): option for option in options}

    def parse_choice(value: object) -> str:
        option = by_key.get(value.strip().casefold()) if isinstance(value, str) else None
        if option is None:
            raise ValueError(f"is none of the values it can have. Use {_either(options)}.")
        return option

    return parse_choice


def timeout(shortest: str, longest: str) -> Callable[[object], float]:
    """Make a reader of a time in seconds, fractions allowed, within limits such as "90s"."""
    low, high = _seconds(shortest), _seconds(longest)

    def parse_timeout(value: object) -> float:
        seconds = _seconds(value)
        if not low <= seconds <= high:
            raise ValueError(f"is out of range. Give a time from {shortest} to {longest}.")
        return seconds

    return parse_timeout


def duration(shortest: str, longest: str) -> Callable[[object], int]:
    """Make a reader of a time in whole seconds, within limits such as "90s"."""
    parse = timeout(shortest, longest)

    def parse_duration(value: object) -> int:
        seconds = parse(value)
        if seconds != int(seconds):
            raise ValueError("has a fraction of a second. Give whole seconds.")
        return int(seconds)

    return parse_duration


def count(least: int, most: int) -> Callable[[object], int]:
    """Make a reader of a whole number within limits."""

    def parse_count(value: object) -> int:
        text = value.strip() if isinstance(value, str) else str(value)
        if isinstance(value, bool) or not (text.isascii() and text.isdecimal()):
            raise ValueError("is not a whole number.")
        if not least <= int(text) <= most:
            raise ValueError(f"is not between {least} and {most}.")
        return int(text)

    return parse_count


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(
            "is not a time. Give seconds, or a number followed by s, m, h or d, such as 15m."
        )
    number, unit = match.groups()
    return float(number) * _UNITS[unit]


def _either(options: Iterable[str]) -> str:
    *first, last = options
    return f"{', '.join(first)} or {last}"


# -- keys and secrets ---------------------------------------------------------------------------


def pem(kind: Literal["PRIVATE", "PUBLIC"], variable: str) -> Callable[[object], str]:
    r"""Make a reader of PEM text (RFC 7468); line breaks may be written as `\n`.

    Only the label is looked at: `keys.py` reads the keys.
    """

    def parse_pem(value: object) -> str:
        text = value.replace("\\n", "\n").strip() if isinstance(value, str) else ""
        if not text.startswith("-----BEGIN ") or "-----END " not in text:
            raise ValueError(
                f"is not PEM text. Give the whole text from -----BEGIN to the last -----, or set "
                f"{variable}_FILE to the name of a file that holds it."
            )
        _check_label(text, kind)
        return text + "\n"

    return parse_pem


def _check_label(text: str, kind: str) -> None:
    if "ENCRYPTED" in text:
        raise ValueError(
            "is locked with a passphrase. Unlock it: openssl pkey -in locked.pem -out key.pem"
        )
    if kind == "PRIVATE" and "PRIVATE KEY-----" not in text:
        raise ValueError("is not a private key. Put the private half of the pair here.")
    if kind == "PUBLIC" and "PRIVATE KEY-----" in text:
        raise ValueError("holds a private key. Put only public keys here, for others read them.")


def parse_secrets(value: object) -> tuple[str, ...]:
    """Return the secrets, newest first; each long enough and none that a person made up."""
    secrets = parse_words(value)
    for number, secret in enumerate(secrets, 1):
        if len(secret) < MIN_SECRET_LENGTH:
            raise ValueError(
                f"entry {number} is shorter than {MIN_SECRET_LENGTH} characters. {NEW_SECRET}"
            )
        if _is_guessable(secret):
            raise ValueError(f"entry {number} is a default or easily guessed. {NEW_SECRET}")
    return secrets


NEW_SECRET = "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"  # noqa: S105 - a hint


def _is_guessable(secret: str) -> bool:
    repeats = any(secret[period:] == secret[:-period] for period in range(1, len(secret) // 2 + 1))
    return repeats or len(set(secret)) < 8 or bool(_DEFAULT_SECRETS.search(secret))


# -- lists --------------------------------------------------------------------------------------


def parse_words(value: object) -> tuple[str, ...]:
    """Return the entries of a list that is separated by commas, semicolons or white space."""
    return _entries(value, _SEPARATORS.split)


def parse_scopes(value: object) -> tuple[str, ...]:
    """Return OAuth scopes; `openid` must be one (OpenID Connect Core §3.1.2.1)."""
    scopes = parse_words(value)
    if "openid" not in scopes:
        raise ValueError("does not have the scope openid. Add it.")
    return scopes


def parse_scope_name(value: object) -> str:
    """Return the name of a scope (RFC 6749 §3.3)."""
    text = parse_text(value)
    if not _SCOPE.fullmatch(text):
        raise ValueError("is not the name of a scope. Use 1 to 100 of A-Z a-z 0-9 . _ : / -.")
    return text


def parse_scope_names(value: object) -> tuple[str, ...]:
    """Return the names of scopes, each once."""
    return tuple(dict.fromkeys(each(parse_scope_name, parse_words(value))))


def parse_hosts(value: object) -> tuple[str, ...]:
    """Return `host:port` entries in lower case."""
    return each(_host_and_port, parse_words(value))


def parse_restriction(value: object) -> tuple[str, ...]:
    """Return the entries of a list that keeps people out, and so must not be empty when set."""
    words = parse_words(value)
    if not words:
        raise ValueError("is set but empty, which would let everybody in. Add entries or unset it.")
    return words


def parse_modules(value: object) -> tuple[str, ...]:
    """Return the module names of a `;` list."""
    return each(_module, _semicolon_list(value))


def parse_services(value: object) -> tuple[tuple[str, str], ...]:
    """Return (alias, module) for each `[alias:]module` of a `;` list.

    In the place of a module may stand several, as in `alias:first(a.b,c.d)`.
    """
    services = each(_service, _semicolon_list(value))
    check_unique([alias for alias, _ in services], "Give each service an alias of its own.")
    return services


def parse_networks(value: object) -> tuple[Network, ...]:
    """Return the networks whose forwarded headers count; `unix` stands for a unix socket."""
    return each(_network, parse_words(value))


def parse_emails(value: object) -> tuple[str, ...]:
    """Return addresses (`a@b.c`) and domains (`@b.c`) in lower case."""
    return each(_email, parse_restriction(value))


def parse_domains(value: object) -> tuple[str, ...]:
    """Return domain names in lower case."""
    return each(_domain, parse_restriction(value))


def parse_organizations(value: object) -> tuple[str, ...]:
    """Return the names of GitHub organisations."""
    return each(_organization, parse_restriction(value))


def tables(example: str) -> Callable[[object], object]:
    """Return a reader of a list of tables, which a variable holds as JSON."""
    remedy = f"Write {example}."

    def parse_tables(value: object) -> object:
        if isinstance(value, str):
            try:
                value = json.loads(value) if value.strip() else []
            except ValueError:  # its text may quote the value
                raise ValueError(f"is not JSON. {remedy}") from None
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            raise ValueError(f"is not a list of tables. {remedy}")
        return value

    return parse_tables


def _entries(value: object, split: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
    parts = split(value) if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError('is not a list of text. In TOML, write ["one", "two"].')
    return tuple(parse_text(part) for part in parts if part.strip())


def _semicolon_list(value: object) -> tuple[str, ...]:
    return _entries(value, lambda text: text.split(";"))


def each(parse: Callable[[str], T], entries: Iterable[str]) -> tuple[T, ...]:
    """Apply a reader to each entry; a problem tells which entry has it."""
    parsed = []
    for number, entry in enumerate(entries, 1):
        try:
            parsed.append(parse(entry))
        except ValueError as error:
            raise ValueError(f"entry {number} {error}") from None
    return tuple(parsed)


def check_unique(names: list[str], remedy: str) -> None:
    """Raise ValueError at the first name that was there before."""
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            raise ValueError(f"entry {number} has the name of an earlier one. {remedy}")


def _module(entry: str) -> str:
    if not _MODULE.fullmatch(entry):
        raise ValueError("is not the name of a Python module. Write it as in an import: a.b.")
    return entry


def _service(entry: str) -> tuple[str, str]:
    alias, colon, module = entry.partition(":")
    if not colon:
        return _module(entry), entry
    if not _ALIAS.fullmatch(alias.strip()):
        raise ValueError("has no usable alias. Write alias:module, the alias without spaces.")
    return alias.strip(), _one_or_more(module.strip())


def _one_or_more(entry: str) -> str:
    combination = _COMBINATION.fullmatch(entry)
    if not combination:
        return _module(entry)
    modules = [_module(module.strip()) for module in combination[2].split(",")]
    if not 2 <= len(set(modules)) == len(modules):
        raise ValueError("does not combine different modules. Write first(a.b,c.d).")
    return f"{combination[1]}({','.join(modules)})"


def _network(entry: str) -> Network:
    if entry == "unix":
        return "unix"
    try:
        network = ip_network(entry)
    except ValueError:
        raise ValueError(
            "is not a network. Write an address, a network such as 10.1.0.0/16, or unix."
        ) from None
    if not network.prefixlen:
        raise ValueError("trusts every address there is. Name the proxy's own.")
    return network


def _email(entry: str) -> str:
    name, at, domain = entry.lower().rpartition("@")
    if not at or "@" in name or not _DOMAIN.fullmatch(domain):
        raise ValueError(
            "is not an e-mail address or domain. Write name@example.org or @example.org."
        )
    return entry.lower()


def _domain(entry: str) -> str:
    if not _DOMAIN.fullmatch(entry.lower()):
        raise ValueError("is not a domain name. Write it as in example.org.")
    return entry.lower()


def _host_and_port(entry: str) -> str:
    host, _, port = entry.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("is not a host with a port. Write host:port, as in 10.0.0.7:443.")
    return entry.lower()


def _organization(entry: str) -> str:
    if not _ORGANIZATION.fullmatch(entry):
        raise ValueError("is not the name of a GitHub organisation. Write it as in its address.")
    return entry
