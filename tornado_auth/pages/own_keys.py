"""The forms for one's own API keys, on the account page.

Owns who may use them: the signed-in person, for keys of their own, and to make one only minutes
after the sign-in. Never shows a key but in the answer to the form that made it.
"""

from dataclasses import replace

from tornado_auth.errors import AdministrationError, InvalidRequest, NotFound
from tornado_auth.models import Who
from tornado_auth.pages.account_rows import DAY, LIFETIMES, NewKey
from tornado_auth.pages.handlers import AccountPageHandler
from tornado_auth.web import status_of


class CreateKeyHandler(AccountPageHandler):
    """POST /auth/account/create-key: make an API key for oneself."""

    async def post(self) -> None:
        """Show the account page with the key, this once, or with the reason why not."""
        who = await self.require_login()
        self.require_fresh_login(who, "make an API key")
        name = self.body_parameter("key_name")
        try:
            key, text = await self.server.administration.create_key(
                self.actor(who),
                who.user.id,
                name=name,
                scopes=await self._scopes(who),
                lifetime=self._lifetime(),
            )
        except AdministrationError as error:
            self.set_status(status_of(error))
            form = replace(await self.key_form(who), name=name, is_open=True)
            return await self.show(who, error=str(error), form=form)
        return await self.show(who, new_key=NewKey(key.name, text))

    async def _scopes(self, who: Who) -> list[str]:
        """Return what was ticked, of what was offered: anything else changes nothing."""
        offered = (await self.key_form(who)).choices
        scopes = [choice.scope for choice in offered if self.body_parameter(choice.field)]
        if not scopes:
            raise InvalidRequest("Choose what the key may be used for.")
        return scopes

    def _lifetime(self) -> int | None:
        days = self.body_parameter("key_days")
        if days not in LIFETIMES:
            raise InvalidRequest("Choose for how long the key is to last.")
        return int(days) * DAY if days else None


class RevokeKeyHandler(AccountPageHandler):
    """POST /auth/account/revoke-key: end one of one's own API keys."""

    async def post(self) -> None:
        """Revoke it if it is the user's; anything else changes nothing."""
        who = await self.require_login()
        wanted = self.body_parameter("key_id")
        for key in await self.server.api_keys.of_user(who.user.id):
            if key.id == wanted:
                await self._revoke(who, key.id)
        self.redirect("/auth/account", status=303)

    async def _revoke(self, who: Who, key_id: str) -> None:
        try:
            await self.server.administration.revoke_key(self.actor(who), key_id)
        except NotFound:
            return  # somebody else was quicker
