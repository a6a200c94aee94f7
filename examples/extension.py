"""An extension that tells a chat room who comes.

CHAT_WEBHOOK is the address that takes `{"text": "..."}`. It is read at import, so that the service
does not start without it and says why.
"""

import json
import os
from collections.abc import Mapping

from tornado.httpclient import AsyncHTTPClient

from tornado_auth.extensions import Extension


class Announcements(Extension):
    """Not blocking: people can sign in while the chat room is closed."""

    def __init__(self, webhook: str) -> None:
        self._webhook = webhook

    async def on_new_user(self, user_info: Mapping[str, object]) -> None:
        """Welcome somebody."""
        await self._say(f"Welcome, {user_info['username']}!")

    async def on_user_login(self, user_info: Mapping[str, object]) -> None:
        """Announce a sign-in."""
        await self._say(f"{user_info['username']} signed in")

    async def _say(self, text: str) -> None:
        await AsyncHTTPClient().fetch(
            self._webhook,
            method="POST",
            headers={"Content-Type": "application/json"},
            body=json.dumps({"text": text}),
            request_timeout=2,
        )


extension = Announcements(os.environ["CHAT_WEBHOOK"])
