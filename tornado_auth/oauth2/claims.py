"""What clients are told of a user: the standard claims of OpenID Connect Core §5.1.

Owns which claims a scope stands for and which were asked for by name (§5.4, §5.5). A claim that
nobody knows is left out, never null or empty (§5.3.2). Never puts in what is the protocol's own,
as `iss` or `auth_time`: who makes the token does.
"""

import json
from collections.abc import Iterable, Mapping, Set

from tornado_auth.models import Client, Grant, User
from tornado_auth.user_claims import UserClaimsStore

SCOPE_CLAIMS: Mapping[str, tuple[str, ...]] = {
    "profile": (
        "name",
        "given_name",
        "family_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
STANDARD_CLAIMS = tuple(name for names in SCOPE_CLAIMS.values() for name in names)


class Claims:
    """What may be told of users."""

    def __init__(self, user_claims: UserClaimsStore) -> None:
        self._user_claims = user_claims

    async def for_userinfo(
        self, user: User, scope: Iterable[str], names: Set[str]
    ) -> dict[str, object]:
        """Return `sub`, the claims that the scopes stand for, and those by `named_claims`."""
        return {"sub": user.id, **await self._known(user, _claims_of(scope) | names)}

    async def for_id_token(self, user: User, names: Set[str]) -> dict[str, object]:
        """Return the claims by `named_claims`, and no others."""
        return await self._known(user, names)

    async def _known(self, user: User, wanted: Set[str]) -> dict[str, object]:
        if not wanted:
            return {}
        known = {
            "name": user.name,
            "preferred_username": user.username,
            "picture": user.avatar_url,
            "updated_at": user.created_at,
            **({"email": user.email, "email_verified": True} if user.email else {}),
            **await self._user_claims.get(user.id),
        }
        told = ((name, known.get(name)) for name in STANDARD_CLAIMS if name in wanted)
        return {name: value for name, value in told if value not in (None, "", {})}


def named_claims(grant: Grant, client: Client, scope: Iterable[str], member: str) -> set[str]:
    """Return the claims that were asked for by name and still count; `scope` is the token's.

    The client has to be registered for their scopes, though it need not have asked for these. A
    token that was narrowed lacks what the scopes stand for that it lacks. `member` is "userinfo"
    or "id_token".
    """
    left_out = set(grant.scope).difference(scope)
    return requested_names(grant.claims, member) & _claims_of(set(client.scope) - left_out)


def requested_names(claims_request: str, member: str) -> set[str]:
    """Return the standard claims that a `claims` parameter asks for by name.

    `member` is "userinfo" or "id_token". What is no JSON object in it asks for nothing: whether
    the request was a good one is settled when it comes.
    """
    asked = json.loads(claims_request).get(member) if claims_request else None
    return set(STANDARD_CLAIMS).intersection(asked) if isinstance(asked, dict) else set()


def _claims_of(scope: Iterable[str]) -> set[str]:
    return {name for one in scope for name in SCOPE_CLAIMS.get(one, ())}
