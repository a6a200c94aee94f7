"""Users, and what they get in with.

Owns the order of the steps of each change. Never decides what a user may do.
"""

from collections.abc import Mapping, Sequence

from tornado_auth.administration.recording import Recording, check_limit
from tornado_auth.api_keys import APIKeys
from tornado_auth.deletions import Deletions
from tornado_auth.errors import (
    AlreadyThere,
    IdentityTaken,
    InvalidRequest,
    LoginError,
    NotFound,
)
from tornado_auth.models import API_KEY, Actor, AssertedIdentity, Identity, Session, User
from tornado_auth.oauth2.grants import Grants
from tornado_auth.roles import Roles
from tornado_auth.sessions import Sessions
from tornado_auth.storage import Collection
from tornado_auth.user_claims import UserClaimsStore


class PeopleAdministration(Recording):
    """Manage users, what is known of them, their sessions, identities and API keys."""

    _users: Collection[User]
    _stored_sessions: Collection[Session]
    _sessions: Sessions
    _deletions: Deletions
    _api_keys: APIKeys
    _roles: Roles
    _grants: Grants
    _user_claims: UserClaimsStore

    # -- users ----------------------------------------------------------------------------------

    async def users(
        self, *, username: str = "", email: str = "", after: str = "", limit: int = 100
    ) -> list[User]:
        """Return users in order of their names: whose name begins so, or whose address is this.

        `username` is a prefix, `email` the whole address; both together are refused.
        """
        check_limit(limit)
        if email:
            if username:
                raise InvalidRequest("Search by user name or by e-mail address, not by both.")
            return await self._users.find(email=email, after=after, limit=limit)
        return await self._users.search(
            "username_key", username.casefold(), after=after, limit=limit
        )

    async def users_by_id(self, user_ids: Sequence[str]) -> dict[str, User]:
        """Return those of these users that are there, by id."""
        return await self._users.get_many(user_ids)

    async def set_disabled(self, actor: Actor, user_id: str, *, disabled: bool) -> User:
        """Keep a user out from now on, or let them in again.

        Sessions, keys and what applications may do for the user end; what was agreed to stays.
        """
        action = "user_disabled" if disabled else "user_enabled"
        before = await self._existing(user_id)
        async with self._attempt(action, actor, user_id):
            if before.disabled_at is not None and not disabled:
                # A sign-in that was under way when it was disabled may have left one behind.
                await self._end_everything(user_id)
            user = await self._accounts.set_disabled(user_id, disabled=disabled)
            if disabled:
                await self._end_everything(user_id)
        if user is None:
            raise NotFound(f"There is no user {user_id!r}.")
        await self._record(action, actor, user_id)
        return user

    async def _end_everything(self, user_id: str, *, keys: bool = True) -> int:
        ended = await self._sessions.end_all(user_id, keys=keys)
        # After them, for clients are told by what was granted in a session.
        await self._grants.forget_user(user_id)
        return ended

    async def delete_user(self, actor: Actor, user_id: str) -> None:
        """Delete a user for good, with all that is theirs; the name stays taken."""
        user = await self._existing(user_id)
        async with self._attempt("user_deleted", actor, user_id, target=user.username):
            deleted = await self._deletions.delete_user(user_id)
        if deleted:
            await self._record("user_deleted", actor, user_id, target=user.username)

    async def create_service_account(self, actor: Actor, username: str, *, name: str = "") -> User:
        """Create a user for a program, which gets in with API keys alone."""
        user = await self._accounts.create(username, name=name, is_service_account=True)
        await self._record("service_account_created", actor, user.id, target=user.username)
        return user

    async def claims(self, user_id: str) -> dict[str, object]:
        """Return what is known of a user: standard claims, and `updated_at`."""
        return await self._user_claims.get(user_id)

    async def set_claims(
        self, actor: Actor, user_id: str, claims: Mapping[str, object]
    ) -> dict[str, object]:
        """Let these claims be all that is known of a user, and return them."""
        await self._existing(user_id)
        async with self._attempt("user_claims_set", actor, user_id):
            known = await self._user_claims.set(user_id, claims)
        # Their names alone: an address or a telephone number is nothing for a log.
        details = (f"claims={' '.join(claims)}",)
        await self._record("user_claims_set", actor, user_id, details=details)
        return known

    # -- sessions, identities, keys -------------------------------------------------------------

    async def sessions(self, user_id: str) -> list[Session]:
        """Return a user's sessions, the one used last first."""
        return await self._sessions.of_user(user_id)

    async def end_session(self, actor: Actor, session_id: str) -> None:
        """End one session everywhere."""
        session = await self._stored_sessions.get(session_id)
        if session is None or session.provider == API_KEY:
            raise NotFound("There is no such session.")
        async with self._attempt("session_ended", actor, session.user_id, target=session_id):
            ended = await self._sessions.end(session)
        if not ended:
            raise NotFound("There is no such session.")
        await self._record("session_ended", actor, session.user_id, target=session_id)

    async def end_sessions(self, actor: Actor, user_id: str) -> int:
        """End all sessions of a user, and return how many; API keys stay.

        What applications may do for the user ends, too: also what would outlive a session.
        """
        await self._existing(user_id)
        async with self._attempt("sessions_ended", actor, user_id):
            ended = await self._end_everything(user_id, keys=False)
        await self._record("sessions_ended", actor, user_id, details=(f"number={ended}",))
        return ended

    async def identities(self, user_id: str) -> list[Identity]:
        """Return the identities that sign in as this user."""
        return await self._accounts.identities_of(user_id)

    async def link_identity(
        self, actor: Actor, user_id: str, provider: str, subject: str
    ) -> Identity:
        """Let whoever proves to be this identity sign in as this user."""
        try:
            identity, added = await self._accounts.link(
                user_id, AssertedIdentity(provider=provider, subject=subject)
            )
        except IdentityTaken as error:
            raise AlreadyThere(str(error)) from error
        except LoginError as error:
            raise InvalidRequest(str(error)) from error
        if added:
            await self._record("identity_linked", actor, user_id, target=identity.id)
        return identity

    async def unlink_identity(self, actor: Actor, user_id: str, identity_id: str) -> None:
        """Let an identity no longer sign in, and end the sessions that it began.

        All that applications may do for the user ends: who signed in with it may have allowed it.
        """
        identities = {identity.id: identity for identity in await self.identities(user_id)}
        identity = identities.get(identity_id)
        async with self._attempt("identity_unlinked", actor, user_id, target=identity_id):
            if identity is None or not await self._accounts.unlink(identity_id):
                raise NotFound("There is no such identity.")
            for session in await self.sessions(user_id):
                if session.identity_id == identity_id:
                    await self._sessions.end(session)
            await self._grants.forget_user(user_id)
            # Whoever has another identity there comes back into its groups at the next sign-in.
            _, left = await self._roles.follow_groups(user_id, identity.provider, ())
        await self._record("identity_unlinked", actor, user_id, target=identity_id)
        for group in left:
            details = (f"provider={identity.provider}",)
            await self._record("member_removed", actor, user_id, target=group, details=details)

    async def keys(self, user_id: str) -> list[Session]:
        """Return the API keys of a user, without what opens a door."""
        return await self._api_keys.of_user(user_id)

    async def create_key(
        self,
        actor: Actor,
        user_id: str,
        *,
        name: str,
        scopes: Sequence[str],
        lifetime: int | None = None,
    ) -> tuple[Session, str]:
        """Make an API key, and return it with the text that is shown this once."""
        await self._existing(user_id)
        key, text = await self._api_keys.create(
            user_id, name=name, scopes=scopes, lifetime=lifetime
        )
        details = (f"name={key.name}", f"scopes={' '.join(key.scopes)}")
        await self._record("api_key_created", actor, user_id, target=key.id, details=details)
        return key, text

    async def revoke_key(self, actor: Actor, key_id: str) -> None:
        """Refuse an API key from now on, everywhere."""
        async with self._attempt("api_key_revoked", actor, target=key_id):
            key = await self._api_keys.revoke(key_id)
        await self._record("api_key_revoked", actor, key.user_id, target=key_id)
