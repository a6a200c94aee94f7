"""Which user names were given out, and to whom.

Owns the record `UsernameClaim`, whose id is the name's skeleton: to insert it is to claim the name
and all that look like it. A claim outlives its user, so a name is never given out twice. Never
judges a name: `usernames.py` does.
"""

from collections.abc import Callable

from tornado_auth.errors import AlreadyExists, UsernameTaken
from tornado_auth.models import UsernameClaim
from tornado_auth.storage import Collection
from tornado_auth.usernames import skeleton


class UsernameClaims:
    """The names that were given out; they are passed as `usernames.username_key` returns them."""

    def __init__(self, claims: Collection[UsernameClaim], *, now: Callable[[], int]) -> None:
        self._claims = claims
        self._now = now

    async def claim(self, key: str, user_id: str) -> bool:
        """Keep a name for a user; true if this call did, false if the user had it already.

        Raises UsernameTaken if it, or one that looks like it, is or was somebody else's.
        """
        claim = UsernameClaim(id=skeleton(key), user_id=user_id, created_at=self._now())
        while True:
            try:
                await self._claims.insert(claim)
            except AlreadyExists:
                found = await self._claims.get(claim.id)
            else:
                return True
            if found is not None and found.user_id != user_id:
                raise taken()
            if found is not None:
                return False

    async def give_back(self, key: str) -> None:
        """Free a name that was claimed for nothing: it was never shown to anybody."""
        await self._claims.delete(skeleton(key))


def taken() -> UsernameTaken:
    """Return the error of a name that cannot be had."""
    return UsernameTaken("This user name is taken, or too much like one that is.")
