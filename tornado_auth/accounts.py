"""Who a proven identity is here: finds users, creates them, links identities, gives out user names.

Owns the records `User` and `Identity`. A user is found by (provider, subject) and
by nothing else: an e-mail address is an attribute that may change, and never joins two accounts
(OpenID Connect Core §5.7).

Every step can be repeated by whoever comes next: the identity is written first and names the
user, so that a sign-in that finds an identity without its user creates that very user. Who deletes
a user therefore deletes the identities first, and leaves the claims; and who has just written one
of the two looks whether the other is still there, so that nobody comes back by a sign-in that was
under way. Never proves anything: login providers and `passwords.py` do.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice

from tornado_auth.errors import (
    AlreadyExists,
    IdentityTaken,
    InvalidUsername,
    InvalidValue,
    LoginRefused,
    StorageUnavailable,
    UsernameAlreadySet,
    UsernameTaken,
)
from tornado_auth.models import AssertedIdentity, Identity, User, UsernameClaim
from tornado_auth.revocations import Revocations
from tornado_auth.storage import Collection, all_of, update
from tornado_auth.username_claims import UsernameClaims, taken
from tornado_auth.usernames import skeleton, suggest, username_key

logger = logging.getLogger(__name__)

LOCAL = "local"
_OUR_OWN_PROVIDERS = frozenset({LOCAL, "dev"})  # their users were let in by an operator
_SUGGESTIONS = 50


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whose sign-in it was; `is_new` is true for exactly one sign-in of a user."""

    user: User
    identity: Identity
    is_new: bool


class Accounts:
    """The users, their identities and the user names that were given out.

    `allowed_emails` holds addresses (`a@b.c`) and domains (`@b.c`); when there are any, providers
    other than our own need a verified e-mail address among them, at every sign-in.
    """

    def __init__(
        self,
        users: Collection[User],
        identities: Collection[Identity],
        username_claims: Collection[UsernameClaim],
        *,
        revocations: Revocations,
        now: Callable[[], int],
        allowed_emails: Iterable[str] = (),
    ) -> None:
        self._revocations = revocations
        self._users = users
        self._identities = identities
        self._claims = UsernameClaims(username_claims, now=now)
        self._now = now
        self._allowed_emails = frozenset(map(str.casefold, allowed_emails))

    async def get(self, user_id: str) -> User | None:
        """Return the user with this id."""
        return await self._users.get(user_id)

    async def find_by_username(self, username: str) -> User | None:
        """Return the user whose name is this, however it is written."""
        try:
            key = username_key(username)
        except InvalidUsername:
            return None
        found = await self._users.find(username_key=key, limit=1)
        return found[0] if found else None

    async def identities_of(self, user_id: str) -> list[Identity]:
        """Return all identities that sign in as this user."""
        return await all_of(self._identities, user_id=user_id)

    async def sign_in(self, asserted: AssertedIdentity) -> SignedIn:
        """Return the user of a proven identity, created if it is the first time.

        Raises LoginRefused for a disabled user and for an e-mail address that is not allowed.
        """
        self._check_allowed(asserted)
        user_id = asserted.subject if asserted.provider == LOCAL else _new_user_id()
        identity, _ = await self._find_or_add(asserted, user_id)
        user = await self._users.get(identity.user_id)
        if user is None:
            user, is_new = await self._create_for(identity.user_id, asserted)
            await self._check_not_deleted(user, identity)
        else:
            is_new = False
        if user.disabled_at is not None:
            raise _refused("disabled", "This account is disabled.", user.id)
        if not is_new:
            user, identity = await self._follow(user, identity, asserted)
        return SignedIn(user, identity, is_new)

    async def user_id_of(self, identity_id: str) -> str:
        """Return the id of the user whom an identity signs in as, "" if nobody."""
        identity = await self._identities.get(identity_id)
        return identity.user_id if identity else ""

    async def link(self, user_id: str, asserted: AssertedIdentity) -> tuple[Identity, bool]:
        """Let a proven identity sign in as this user from now on; false if it did already.

        Raises IdentityTaken if it is another user's, LoginRefused as `sign_in` does.
        """
        self._check_allowed(asserted)
        user = await self._users.get(user_id)
        if user is None or user.disabled_at is not None:
            raise _refused("disabled", "This account is disabled.", user_id)
        identity, added = await self._find_or_add(asserted, user_id)
        if identity.user_id != user_id:
            raise IdentityTaken("This identity belongs to another account.")
        if added and await self._users.get(user_id) is None:
            await self._identities.delete(identity.id)
            raise _gone(user_id)
        return identity, added

    async def unlink(self, identity_id: str) -> bool:
        """Let an identity sign in as nobody; true for exactly one of any number of callers."""
        return await self._identities.delete(identity_id)

    async def create(
        self, username: str, *, name: str = "", email: str = "", is_service_account: bool = False
    ) -> User:
        """Create a user by hand; raises InvalidUsername or UsernameTaken."""
        key = username_key(username)
        user = User(
            id=_new_user_id(),
            username=key,
            username_key=key,
            username_chosen=True,
            name=name,
            email=email,
            created_at=self._now(),
            is_service_account=is_service_account,
        )
        await self._add(user)
        return user

    async def choose_username(self, user_id: str, username: str) -> User:
        """Give a user the name that they choose, once.

        Raises InvalidUsername, UsernameTaken, UsernameAlreadySet; InvalidValue if there is no user.
        """
        key = username_key(username)

        user = await self._users.get(user_id)
        if user is not None:
            _check_not_chosen(user)
            user = await self._choose(key, user_id)
        if user is None:
            raise InvalidValue("There is no such user.")
        await self._mention_change(user_id)
        return user

    async def set_disabled(self, user_id: str, *, disabled: bool) -> User | None:
        """Keep a user out, or let them in again; None if there is no such user.

        Raises StorageUnavailable, too, when other processes learn of it late: try again.
        """

        def change(user: User) -> User:
            if disabled == (user.disabled_at is not None):
                return user
            return replace(user, disabled_at=self._now() if disabled else None)

        user = await update(self._users, user_id, change)
        if user is not None:
            # Even if it was so before: the last call may have got no further than this.
            await self._revocations.user_changed(user_id)
            logger.info("user_disabled" if disabled else "user_enabled", extra={"user_id": user_id})
        return user

    async def delete(self, user_id: str) -> bool:
        """Remove a user and the identities for good; true for the call that removed the user.

        The user names stay taken. Sessions and password are for others to remove, before.
        """
        await self._identities.delete_where(user_id=user_id)
        deleted = await self._users.delete(user_id)
        await self._revocations.user_changed(user_id)
        if deleted:
            logger.info("user_deleted", extra={"user_id": user_id})
        return deleted

    async def mark_welcomed(self, user_id: str) -> None:
        """Note that every `on_new_user` hook has passed for this user."""
        await update(
            self._users,
            user_id,
            lambda user: user if user.welcomed_at else replace(user, welcomed_at=self._now()),
        )

    def _check_allowed(self, asserted: AssertedIdentity) -> None:
        if not self._allowed_emails or asserted.provider in _OUR_OWN_PROVIDERS:
            return
        email = asserted.email.casefold()
        local_part, _, domain = email.rpartition("@")
        if not local_part or not {email, f"@{domain}"} & self._allowed_emails:
            raise _refused("email_not_allowed", "Your e-mail address is not on the list here.")

    async def _find_or_add(self, asserted: AssertedIdentity, user_id: str) -> tuple[Identity, bool]:
        """Return the identity's record and whether this call added it, for the given user."""
        while True:
            found = await self._identities.get(asserted.id)
            if found is not None:
                return found, False
            identity = _new_identity(asserted, user_id, self._now())
            try:
                await self._identities.insert(identity)
            except AlreadyExists:
                continue
            return identity, True

    async def _create_for(self, user_id: str, asserted: AssertedIdentity) -> tuple[User, bool]:
        """Return the user of an identity without one, and whether this call created it."""
        if asserted.provider == LOCAL:
            await self._identities.delete(asserted.id)
            raise _gone(user_id)
        for key in islice(
            suggest((asserted.username, asserted.email, asserted.name)), _SUGGESTIONS
        ):
            user = User(
                id=user_id,
                username=key,
                username_key=key,
                name=asserted.name,
                email=asserted.email,
                avatar_url=asserted.avatar_url,
                created_at=self._now(),
            )
            try:
                await self._add(user)
            except UsernameTaken:
                existing = await self._users.get(user_id)
                if existing is not None:
                    return existing, False
            else:
                return user, True
        raise UsernameTaken("No user name is free.")

    async def _check_not_deleted(self, user: User, identity: Identity) -> None:
        """Take back a user who was created for an identity that is there no more."""
        stored = await self._identities.get(identity.id)
        if stored is None or stored.user_id != user.id:
            await self._users.delete(user.id)
            raise _gone(user.id)

    async def _add(self, user: User) -> None:
        """Insert a user and claim the name; raises UsernameTaken, also if the id is taken."""
        added = await self._claims.claim(user.username_key, user.id)
        try:
            await self._users.insert(user)
        except AlreadyExists:
            if added and await self._users.get(user.id) is None:
                await self._claims.give_back(user.username_key)
            raise taken() from None
        logger.info("user_created", extra={"user_id": user.id})

    async def _choose(self, key: str, user_id: str) -> User | None:
        def choose(user: User) -> User:
            _check_not_chosen(user)
            return replace(user, username=key, username_key=key, username_chosen=True)

        added = await self._claims.claim(key, user_id)
        try:
            return await update(self._users, user_id, choose)
        except (UsernameAlreadySet, AlreadyExists) as error:
            if added:
                await self._give_back(key, user_id)
            if isinstance(error, AlreadyExists):
                raise taken() from None
            raise

    async def _give_back(self, key: str, user_id: str) -> None:
        """Free a name that was claimed for nothing.

        Another call of the same user may have won with the very name, thanks to this claim.
        """
        user = await self._users.get(user_id)
        if user is None or skeleton(user.username_key) != skeleton(key):
            await self._claims.give_back(key)

    async def _follow(
        self, user: User, identity: Identity, asserted: AssertedIdentity
    ) -> tuple[User, Identity]:
        """Take over what changed at the provider.

        The user comes first: were it the identity, a crash between the two would lose the change.
        """

        def follow(current: User) -> User:
            return replace(
                current,
                name=_newer(current.name, identity.name, asserted.name),
                email=_newer(current.email, identity.email, asserted.email),
                avatar_url=_newer(current.avatar_url, identity.avatar_url, asserted.avatar_url),
            )

        def remember(current: Identity) -> Identity:
            return replace(
                current,
                username=asserted.username,
                name=asserted.name,
                email=asserted.email,
                avatar_url=asserted.avatar_url,
                last_login_at=max(current.last_login_at, self._now()),
            )

        followed = await update(self._users, user.id, follow)
        remembered = await update(self._identities, identity.id, remember)
        if followed is None or remembered is None:
            raise _gone(user.id)
        if followed != user:
            await self._mention_change(user.id)
        return followed, remembered

    async def _mention_change(self, user_id: str) -> None:
        """Let others read a user again; the change is made, so they may also learn of it late."""
        with suppress(StorageUnavailable):
            await self._revocations.user_changed(user_id)


def profile(user: User, identity_id: str) -> dict[str, object]:
    """Return what /auth/check tells of a user, under the names of DataHQ auth and dgp-oauth2.

    `idhash` is the id: there it was a digest of the e-mail address, which nobody is told here.
    """
    return {
        "id": user.id,
        "idhash": user.id,
        "provider_id": identity_id,
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "avatar_url": user.avatar_url,
        "join_date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(user.created_at)),
    }


def _new_user_id() -> str:
    return secrets.token_hex(16)  # no `-` in front, which a command line would take for an option


def _new_identity(asserted: AssertedIdentity, user_id: str, now: int) -> Identity:
    return Identity(
        id=asserted.id,
        provider=asserted.provider,
        subject=asserted.subject,
        user_id=user_id,
        username=asserted.username,
        name=asserted.name,
        email=asserted.email,
        avatar_url=asserted.avatar_url,
        created_at=now,
        last_login_at=now,
    )


def _newer(ours: str, before: str, said: str) -> str:
    """Return what the provider says now, unless the user has a value of other origin."""
    return said if ours in ("", before) else ours


def _check_not_chosen(user: User) -> None:
    if user.username_chosen:
        raise UsernameAlreadySet("Cannot modify username, already set")


def _gone(user_id: str) -> LoginRefused:
    return _refused("unknown_user", "This account does not exist any more.", user_id)


def _refused(reason: str, message: str, user_id: str = "") -> LoginRefused:
    logger.info("login_refused", extra={"reason": reason, "user_id": user_id})
    return LoginRefused(message)
