"""What is known of users beyond their accounts: the standard claims of OpenID Connect Core §5.1.

Owns which claims there are, what each may hold, and the records. What operators say here goes
before what a login provider said. `sub` and `preferred_username` are the user's id and name, and
`updated_at` is when this was changed: nobody sets them. Never decides which client is told what.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from tornado_auth.errors import AlreadyExists, InvalidRequest
from tornado_auth.models import UserClaims
from tornado_auth.storage import Collection, update
from tornado_auth.storage.codec import check_str

_CONTROLS = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_LINE = rf"[^ {_CONTROLS}][^{_CONTROLS}]{{0,255}}"
_LINES = r"[^ \u0000-\u001f\u007f-\u009f][^\u0000-\u0009\u000b-\u001f\u007f-\u009f]{0,999}"
_URL = r"https?://[A-Za-z0-9.:\[\]_-]{1,255}([/?#][!#-;=?-Z_a-z~\[\]@]{0,1700})?"

# What each text must be from its first character to its last, as a regular expression.
TEXTS: Mapping[str, str] = {
    "name": _LINE,
    "given_name": _LINE,
    "family_name": _LINE,
    "middle_name": _LINE,
    "nickname": _LINE,
    "profile": _URL,
    "picture": _URL,
    "website": _URL,
    "email": r"[!#-'*+/-9=?A-Z^-~-]{1,64}(\.[!#-'*+/-9=?A-Z^-~-]{1,64}){0,9}@[A-Za-z0-9.-]{1,253}",
    "gender": _LINE,
    "birthdate": r"[0-9]{4}(-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?",
    "zoneinfo": r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}",
    "locale": r"[A-Za-z]{2,8}([_-][A-Za-z0-9]{1,8}){0,5}",
    "phone_number": r"\+[0-9][0-9 ().-]{1,30}(;ext=[0-9]{1,10})?",
}
# What says of another claim whether somebody made sure of it.
VERIFIED: Mapping[str, str] = {
    "email_verified": "email",
    "phone_number_verified": "phone_number",
}
ADDRESS: Mapping[str, str] = {
    "formatted": _LINES,
    "street_address": _LINES,
    "locality": _LINE,
    "region": _LINE,
    "postal_code": _LINE,
    "country": _LINE,
}
SETTABLE = (*TEXTS, *VERIFIED, "address")


class UserClaimsStore:
    """The claims of all users."""

    def __init__(self, user_claims: Collection[UserClaims], *, now: Callable[[], int]) -> None:
        self._user_claims = user_claims
        self._now = now

    async def get(self, user_id: str) -> dict[str, object]:
        """Return what is known of a user, with `updated_at`; nothing if nobody said anything."""
        record = await self._user_claims.get(user_id)
        return {**json.loads(record.claims), "updated_at": record.updated_at} if record else {}

    async def set(self, user_id: str, claims: Mapping[str, object]) -> dict[str, object]:
        """Let this be all that is known, and return it; raises InvalidRequest or InvalidValue."""
        text, now = json.dumps(checked(claims)), self._now()

        def change(record: UserClaims) -> UserClaims:
            return replace(record, claims=text, updated_at=now)

        if await update(self._user_claims, user_id, change) is None:
            try:
                await self._user_claims.insert(UserClaims(id=user_id, claims=text, updated_at=now))
            except AlreadyExists:
                await update(self._user_claims, user_id, change)
        return {**json.loads(text), "updated_at": now}

    async def forget_user(self, user_id: str) -> None:
        """Forget what is known of a user."""
        await self._user_claims.delete(user_id)


def checked(claims: Mapping[str, object]) -> dict[str, object]:
    """Return claims as they are kept: what nobody made sure of says so; raises InvalidRequest."""
    for name, value in claims.items():
        _check(name, value)
    known = dict(claims)
    for name, of in VERIFIED.items():
        if of in known:
            known.setdefault(name, False)
        elif name in known:
            raise InvalidRequest(f"{name} says nothing without {of}.")
    return known


def _check(name: str, value: object) -> None:
    if name in TEXTS:
        _check_text(name, value, TEXTS[name])
    elif name in VERIFIED:
        if type(value) is not bool:
            raise InvalidRequest(f"{name} is true or false.")
    elif name == "address":
        if not isinstance(value, Mapping) or not value or value.keys() - ADDRESS.keys():
            raise InvalidRequest(f"address has some of the members {', '.join(ADDRESS)}.")
        for member, text in value.items():
            _check_text(f"address.{member}", text, ADDRESS[member])
    else:
        raise InvalidRequest(f"There is no claim of this name to set: {', '.join(SETTABLE)}.")


def _check_text(name: str, value: object, pattern: str) -> None:
    check_str(value)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise InvalidRequest(f"{name} does not look like one.")
