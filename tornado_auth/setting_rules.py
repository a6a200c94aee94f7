"""The rules between settings: what must be there, what goes together, what must not meet.

A rule yields the name of a field and a text that continues its name and ends with the remedy. Rules
see only values that were read without a problem, so that one mistake is reported once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tornado_auth.next_urls import Handover
from tornado_auth.setting_addresses import host_of, is_loopback, listen_address
from tornado_auth.setting_types import NEW_SECRET

if TYPE_CHECKING:
    from tornado_auth.settings import Settings

Problems = Iterator[tuple[str, str]]


def _private_key(settings: Settings) -> Problems:
    if not settings.private_key:
        yield (
            "private_key",
            "missing. Make a key with `tornado-auth keys generate` or scripts/generate_key_pair "
            "and set PRIVATE_KEY_FILE to the name of its file.",
        )


def _secret(settings: Settings) -> Problems:
    if not settings.secret:
        yield "secret", f"missing. {NEW_SECRET}"


def _external_address(settings: Settings) -> Problems:
    if not settings.external_address:
        yield (
            "external_address",
            "missing, and the service listens on more than loopback. Set it to the address by "
            "which browsers reach the service, such as https://auth.example.org.",
        )


def _key_and_secret(provider: str) -> Callable[[Settings], Problems]:
    def rule(settings: Settings) -> Problems:
        key, secret = f"{provider}_key", f"{provider}_secret"
        for this, other in ((key, secret), (secret, key)):
            if getattr(settings, other) and not getattr(settings, this):
                yield this, f"missing, while {other.upper()} is set. Set both, or neither."

    return rule


def _oidc_names(settings: Settings) -> Problems:
    names = [provider.name for provider in settings.oidc_providers]
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            yield (
                "oidc_providers",
                f"entry {number}: 'name' is that of an earlier entry. Give each a name of its own.",
            )


def _idle_limit(settings: Settings) -> Problems:
    if settings.session_idle_limit > settings.session_lifetime:
        yield (
            "session_idle_limit",
            "is longer than a session lives. Lower it, or raise TORNADO_AUTH_SESSION_LIFETIME.",
        )


def _two_addresses(settings: Settings) -> Problems:
    if settings.ops_listen == settings.listen:
        yield (
            "ops_listen",
            "is the same address as TORNADO_AUTH_LISTEN. Use another port, or off.",
        )


def _cookie_hosts(settings: Settings) -> Problems:
    own = host_of(settings.external_address)
    for origin, handover in settings.allowed_next.items():
        if own and handover is Handover.COOKIE and host_of(origin) != own:
            yield (
                "allowed_next",
                "has a site on another host than ours that is to get the token by cookie, and our "
                "cookie does not reach it. Use origin=code.",
            )
            return


def _dev_stays_here(settings: Settings) -> Problems:
    """Keep a login without a password where nobody but the developer reaches it."""
    if not settings.dev:
        return
    for field in ("listen", "ops_listen"):
        text = getattr(settings, field)
        if text != "off" and not listen_address(text).is_loopback:
            yield (
                field,
                "is not loopback, and the development login lets in anybody. "
                "Use 127.0.0.1, [::1] or localhost, or start without --dev.",
            )
    if settings.external_address and not is_loopback(host_of(settings.external_address)):
        yield (
            "external_address",
            "is an address for others, and the development login lets in anybody. "
            "Unset it, or start without --dev.",
        )


RULES: tuple[tuple[tuple[str, ...], Callable[[Settings], Problems]], ...] = (
    (("private_key",), _private_key),
    (("secret",), _secret),
    (("external_address",), _external_address),
    (("google_key", "google_secret"), _key_and_secret("google")),
    (("github_key", "github_secret"), _key_and_secret("github")),
    (("oidc_providers",), _oidc_names),
    (("session_idle_limit", "session_lifetime"), _idle_limit),
    (("listen", "ops_listen"), _two_addresses),
    (("allowed_next", "external_address"), _cookie_hosts),
    (("listen", "ops_listen", "external_address"), _dev_stays_here),
)
