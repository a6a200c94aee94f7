"""What /auth/check and /auth/verify answer, for the handlers and for the fast path alike.

Owns the members and headers of these answers. Never asks anybody.
"""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

import msgspec

from tornado_auth.accounts import profile
from tornado_auth.forward_auth import OUT_OF_SCOPE, Verdict
from tornado_auth.granted import scopes_cover, scopes_of
from tornado_auth.models import Who
from tornado_auth.server import AuthServer
from tornado_auth.web.page import login_url

Headers = list[tuple[str, str]]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def check_body(answer: Mapping[str, object]) -> bytes:
    """Write an answer of /auth/check as JSON.

    Not for others: msgspec takes a tenth of the time of `json`, but writes what is none, too.
    """
    return msgspec.json.encode(answer)


def check_answer(server: AuthServer, who: Who | None, next_url: str) -> dict[str, object]:
    """Return what /auth/check tells of a token that is `who`'s."""
    if who is None:
        return signed_out_answer(server, next_url)
    if not scopes_cover(scopes_of(who.session), ""):
        return out_of_scope_answer(server, next_url)
    return signed_in_answer(who)


def signed_in_answer(who: Who) -> dict[str, object]:
    """Return what /auth/check tells of somebody who is signed in."""
    return {"authenticated": True, "profile": profile(who.user, who.session.identity_id)}


def signed_out_answer(server: AuthServer, next_url: str = "") -> dict[str, object]:
    """Return where one can sign in, to come back to `next_url`."""
    settings = server.settings
    names = list(server.login_providers)
    names += ["local"] if settings.local_accounts else []
    names += ["dev"] if settings.dev else []
    providers = {name: {"url": settings.issuer + login_url(name, next_url)} for name in names}
    return {"authenticated": False, "providers": providers}


def out_of_scope_answer(server: AuthServer, next_url: str = "") -> dict[str, object]:
    """Return what /auth/check tells of an API key that is not for everything."""
    return {**signed_out_answer(server, next_url), "error": "insufficient_scope"}


def needed_permission(read: str, write: str, *, method: str) -> str:
    """Return the permission that a method needs; an unknown one counts as one that writes."""
    return read if method.upper() in SAFE_METHODS else write


def verdict_headers(verdict: Verdict) -> tuple[int, Headers]:
    """Return the status and the headers of /auth/verify."""
    if verdict is OUT_OF_SCOPE:
        return denial("insufficient_scope")
    who = verdict.known.who if verdict.known else None
    if who is None:
        return denial("login_required", status=401)
    if not verdict.allowed:
        return denial("insufficient_permissions")
    headers = identity_headers(who)
    if verdict.granted is not None:
        headers.append(("X-Auth-Permissions", permission_names(verdict.granted)))
    return 200, headers


@lru_cache(maxsize=1024)
def permission_names(granted: frozenset[str]) -> str:
    """Return the value of X-Auth-Permissions."""
    return ",".join(quote(name, safe="") for name in sorted(granted))


def denial(reason: str, *, status: int = 403) -> tuple[int, Headers]:
    """Return the status and the headers of a denial."""
    headers = [("X-Auth-Reason", reason)]
    return status, [*headers, ("WWW-Authenticate", "Bearer")] if status == 401 else headers


def identity_headers(who: Who) -> Headers:
    """Return who it is; quoted, so that no name can end a header or add one (RFC 9110 §5.5)."""
    return [
        ("X-Auth-User", quote(who.user.id, safe="")),
        ("X-Auth-Username", quote(who.user.username, safe="")),
        ("X-Auth-Email", quote(who.user.email, safe="@+")),
    ]
