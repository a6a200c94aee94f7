"""The parts of the authorization server, built and joined.

Owns nothing but their lifetime; `server.py` builds it as one more part of the service, and its
handlers find the endpoints here. Never speaks HTTP.
"""

from collections.abc import Callable

from tornado_auth.oauth2.grants import Grants
from tornado_auth.oauth2.scopes import Scopes
from tornado_auth.settings import Settings
from tornado_auth.storage import Storage


class AuthorizationServer:
    """Everything below /oauth2, by the names of its endpoints."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        *,
        now: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.scopes = Scopes(
            {scope.name: scope.description for scope in settings.scopes},
            default=settings.default_scopes,
            separator=settings.scope_separator,
        )
        self.grants = Grants(
            storage.grants,
            storage.sessions,
            storage.users,
            storage.clients,
            lifetime=settings.grant_lifetime,
            idle_limit=settings.session_idle_limit,
            now=now,
        )

    async def start(self) -> None:
        """Begin what runs in the background."""

    async def stop(self) -> None:
        """End what runs in the background."""
