"""The standard claims of a person (OpenID Connect Core §5.1), as an `AssertedIdentity`.

Every claim may be missing, of the wrong type or hostile: then it is dropped, and the sign-in goes
on. Never fetches an address that a claim names.
"""

import re
from collections.abc import Mapping
from typing import Any

from tornado_auth.models import AssertedIdentity
from tornado_auth.next_urls import origin_of

_MAX_TEXT = 200
_MAX_GROUPS = 1000
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,189}")
_AVATAR = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]{1,1024}")


def merge_claims(signed: dict[str, Any], userinfo: dict[str, Any]) -> dict[str, Any]:
    """Let the signed claims win, and take `email` and `email_verified` from the same source."""
    if "email" in signed:
        userinfo = {name: value for name, value in userinfo.items() if name != "email_verified"}
    else:
        signed = {name: value for name, value in signed.items() if name != "email_verified"}
    return {**userinfo, **signed}


def groups_of(claims: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """Return the groups in the claim of this name, or None if it makes no sense.

    Many issuers leave the claim out for somebody who is in no group. Entra also does for somebody
    who is in too many, and then says in `_claim_names` where else they are.
    """
    value, elsewhere = claims.get(name), claims.get("_claim_names")
    if isinstance(elsewhere, dict) and name in elsewhere:
        return None
    if value is None:
        return ()
    groups = [value] if isinstance(value, str) else value
    if not isinstance(groups, list) or len(groups) > _MAX_GROUPS:
        return None
    return tuple(dict.fromkeys(groups)) if all(isinstance(each, str) for each in groups) else None


def asserted_identity(
    provider: str,
    subject: str,
    claims: Mapping[str, Any],
    *,
    groups: tuple[str, ...] | None = None,
    sid: object = None,
) -> AssertedIdentity:
    """Read standard claims; drops every one of the wrong type or form, and such a `sid`."""
    email = verified_email(claims.get("email"), claims.get("email_verified"))
    username = plain_text(claims.get("preferred_username")) or email
    methods = claims.get("amr")
    return AssertedIdentity(
        provider=provider,
        subject=subject,
        username=username.partition("@")[0],
        name=plain_text(claims.get("name")),
        email=email,
        avatar_url=avatar_url(claims.get("picture")),
        amr=tuple(filter(None, map(plain_text, methods[:10]))) if isinstance(methods, list) else (),
        groups=groups,
        sid=sid if isinstance(sid, str) and plain_text(sid) == sid else "",
    )


def plain_text(value: object) -> str:
    """Return a text without control, invisible and overlong parts; empty if it is none."""
    if not isinstance(value, str):
        return ""
    return "".join(filter(str.isprintable, value[: 2 * _MAX_TEXT])).strip()[:_MAX_TEXT]


def verified_email(value: object, verified: object) -> str:
    """Return an e-mail address that the provider vouches for; empty if it does not."""
    is_address = isinstance(value, str) and _EMAIL.fullmatch(value) and value.isprintable()
    return str(value) if is_address and verified is True else ""


def avatar_url(value: object) -> str:
    """Return an https address as text that nobody fetches; empty if it is not one."""
    if not isinstance(value, str) or not _AVATAR.fullmatch(value):
        return ""
    try:
        return value if origin_of(value).startswith("https:") else ""
    except ValueError:
        return ""
