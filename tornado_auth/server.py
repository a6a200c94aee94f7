"""The one place where the parts are built and joined.

Owns their lifetime: `start`, `stop`, and the housekeeping in between. Never speaks HTTP: `app.py`
puts handlers around it, and another Tornado application can do the same.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence

from tornado_auth.accounts import Accounts
from tornado_auth.administration import Administration
from tornado_auth.administrators import Administrators
from tornado_auth.api_keys import APIKeys
from tornado_auth.audit import AuditLog, record_signing_key
from tornado_auth.authorization_server import AuthorizationServer
from tornado_auth.checks import FORGET_AFTER, Checks
from tornado_auth.deletions import Deletions
from tornado_auth.errors import SettingsError
from tornado_auth.extensions import Extensions
from tornado_auth.failed_attempts import FailedAttempts
from tornado_auth.forward_auth import ForwardAuth
from tornado_auth.keys import KeySet
from tornado_auth.known_devices import KnownDevices
from tornado_auth.local_logins import LocalLogins
from tornado_auth.login_attempts import LoginAttempts
from tornado_auth.logins import Logins
from tornado_auth.metrics import Metrics
from tornado_auth.oauth2.grant_types import GrantType
from tornado_auth.oauth_mixins import login_providers
from tornado_auth.passwords import LocalAccounts
from tornado_auth.permission_providers import Service, load_services
from tornado_auth.permissions import Permissions
from tornado_auth.questions import Questions
from tornado_auth.revocations import Revocations
from tornado_auth.roles import Roles
from tornado_auth.sessions import Sessions
from tornado_auth.settings import Settings
from tornado_auth.storage import Backend, Storage, open_backend
from tornado_auth.throttle import LoginThrottle, Throttle
from tornado_auth.tokens import PermissionTokens
from tornado_auth.upstream_logouts import UpstreamLogouts

logger = logging.getLogger(__name__)

HOUSEKEEPING_INTERVAL = 60


def clock() -> int:
    """Return the time in seconds since the epoch."""
    return int(time.time())


GrantTypeFactory = Callable[["AuthServer"], GrantType]


class AuthServer:
    """Everything the service is made of, built from its settings.

    Raises SettingsError with the problems of all parts at once. `backend` is the store to use
    instead of the one that DATABASE_URL names. Each of `grant_types` is called with the server
    while that is being built, and returns one more grant type.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], int] = clock,
        backend: Backend | None = None,
        grant_types: Sequence[GrantTypeFactory] = (),
    ) -> None:
        self.settings = settings
        self.now = now
        self.metrics = Metrics()
        backend, services = self._read_settings(backend)
        self.storage = Storage(backend, now)
        self._build_audit()
        self._build_accounts()
        self._build_permissions(services)
        self._build_sessions()
        self._build_oauth2(grant_types)
        self._build_logins()
        self._build_administration()
        self._housekeeping: asyncio.Task[None] | None = None

    def _read_settings(self, backend: Backend | None) -> tuple[Backend, list[Service]]:
        """Build what may find a problem in the settings, and raise all of these together."""
        settings = self.settings
        problems: list[str] = []
        with _collect(problems):
            self.keys = KeySet.from_pem(
                settings.private_key,
                public_pem=settings.public_key,
                algorithm=settings.signing_algorithm,
                verification_pems=settings.verification_keys,
            )
        with _collect(problems):
            services = load_services(settings.allowed_services, timeout=settings.permission_timeout)
        with _collect(problems):
            self.extensions = Extensions.load(
                settings.installed_extensions,
                timeout=settings.extension_timeout,
                on_failure=self.metrics.extension_failed,
            )
        with _collect(problems):
            backend = backend or open_backend(
                settings.database_url,
                timeout=settings.storage_timeout,
                write_timeout=settings.write_timeout,
            )
        if problems or backend is None:
            raise SettingsError(problems)
        return backend, services

    def _build_audit(self) -> None:
        self.audit_log = AuditLog(
            self.storage.audit_events,
            retention=self.settings.audit_retention,
            now=self.now,
            metrics=self.metrics,
        )
        self.failed_attempts = FailedAttempts(self.audit_log, now=self.now)

    def _build_accounts(self) -> None:
        storage, settings = self.storage, self.settings
        self.revocations = Revocations(
            storage.revocations,
            keep_for=max(
                FORGET_AFTER + settings.stale_limit, settings.permission_cache_seconds + 1
            ),
            metrics=self.metrics,
            now=self.now,
        )
        self.accounts = Accounts(
            storage.users,
            storage.identities,
            storage.username_claims,
            revocations=self.revocations,
            now=self.now,
            allowed_emails=settings.allowed_emails,
        )
        self.local_accounts = LocalAccounts(storage.users, storage.passwords, now=self.now)
        self.login_attempts = LoginAttempts(settings.secret, storage.spent_states, now=self.now)
        self.login_providers = login_providers(settings, now=self.now)
        self.throttle = Throttle(self.now)
        self.login_throttle = LoginThrottle(storage.counted_attempts, now=self.now)
        self.known_devices = KnownDevices(settings.secret, storage.passwords, now=self.now)
        self.local_logins = LocalLogins(
            self.accounts,
            self.local_accounts,
            throttle=self.login_throttle,
            devices=self.known_devices,
        )

    def _build_permissions(self, services: list[Service]) -> None:
        storage, settings = self.storage, self.settings
        self.roles = Roles(
            storage.roles,
            storage.groups,
            storage.memberships,
            storage.assignments,
            storage.group_mappings,
            revocations=self.revocations,
            now=self.now,
            cache_seconds=settings.permission_cache_seconds,
        )
        self.permissions = Permissions(
            services,
            roles=self.roles,
            revocations=self.revocations,
            cache_seconds=settings.permission_cache_seconds,
            metrics=self.metrics,
            now=self.now,
            on_failure=self.failed_attempts.provider_failed,
        )

    def _build_sessions(self) -> None:
        storage, settings = self.storage, self.settings
        self.sessions = Sessions(
            storage.sessions,
            storage.handover_codes,
            self.keys,
            revocations=self.revocations,
            issuer=settings.issuer,
            lifetime=settings.session_lifetime,
            now=self.now,
            on_end=lambda session: self.oauth2.back_channel_logout.session_ended(session),
            on_replace=lambda old_id, new_id: self.oauth2.grants.move(old_id, new_id),
        )
        self.api_keys = APIKeys(storage.sessions, self.sessions, users=storage.users, now=self.now)
        self.checks = Checks(
            self.keys,
            storage.sessions,
            storage.users,
            revocations=self.revocations,
            issuer=settings.issuer,
            idle_limit=settings.session_idle_limit,
            stale_limit=settings.stale_limit,
            known_sessions=settings.known_sessions,
            metrics=self.metrics,
            now=self.now,
        )
        self.forward_auth = ForwardAuth(self.checks, self.permissions)
        self.questions = Questions(self.permissions)
        self.tokens = PermissionTokens(
            self.keys,
            issuer=settings.issuer,
            permission_lifetime=settings.permission_token_lifetime,
            now=self.now,
        )

    def _build_oauth2(self, grant_types: Sequence[GrantTypeFactory]) -> None:
        self.oauth2 = AuthorizationServer(
            self.settings,
            self.storage,
            keys=self.keys,
            audit_log=self.audit_log,
            metrics=self.metrics,
            throttle=self.throttle,
            now=self.now,
            grant_types=[make(self) for make in grant_types],
        )

    def _build_logins(self) -> None:
        self.logins = Logins(
            self.accounts,
            self.sessions,
            roles=self.roles,
            extensions=self.extensions,
            metrics=self.metrics,
            audit_log=self.audit_log,
            failed_attempts=self.failed_attempts,
        )
        self.upstream_logouts = UpstreamLogouts(
            self.login_providers,
            self.storage.spent_states,
            accounts=self.accounts,
            sessions=self.sessions,
            logins=self.logins,
            now=self.now,
        )

    def _build_administration(self) -> None:
        storage = self.storage
        self.deletions = Deletions(
            self.accounts,
            self.local_accounts,
            sessions=self.sessions,
            roles=self.roles,
            grants=self.oauth2.grants,
            consents=storage.consents,
            user_claims=self.oauth2.user_claims,
        )
        self.administrators = Administrators(
            self.roles,
            storage.admin_invitations,
            storage.users,
            self.keys,
            issuer=self.settings.issuer,
            now=self.now,
        )
        self.administration = Administration(
            storage.users,
            storage.sessions,
            accounts=self.accounts,
            sessions=self.sessions,
            deletions=self.deletions,
            roles=self.roles,
            api_keys=self.api_keys,
            permissions=self.permissions,
            administrators=self.administrators,
            clients=self.oauth2.clients,
            consents=self.oauth2.consents,
            grants=self.oauth2.grants,
            user_claims=self.oauth2.user_claims,
            audit_log=self.audit_log,
            failed_attempts=self.failed_attempts,
        )

    async def start(self) -> None:
        """Open the store, follow what ends or changes, and begin the housekeeping."""
        await self.storage.open()
        await self.revocations.start()
        await self.administrators.ensure_roles()
        await record_signing_key(
            self.audit_log, self.keys.kid, self.storage.spent_states, now=self.now()
        )
        self._housekeeping = asyncio.ensure_future(self._keep_house())

    async def stop(self) -> None:
        """End the housekeeping, write down what is due, and let go of everything."""
        async with contextlib.AsyncExitStack() as stack:
            # In reverse: the store comes last, and a failure of one part spares none of the others.
            stack.push_async_callback(self.storage.close)
            stack.push_async_callback(self.audit_log.stop)
            stack.push_async_callback(self.revocations.stop)
            stack.push_async_callback(self.local_accounts.close)
            stack.push_async_callback(self.extensions.close)
            stack.push_async_callback(self.permissions.close)
            stack.push_async_callback(self.oauth2.stop)
            for provider in self.login_providers.values():
                stack.push_async_callback(provider.close)
            if self._housekeeping is not None:
                self._housekeeping.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._housekeeping
                await self._tidy()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_INTERVAL)
            await self._tidy()

    async def _tidy(self) -> None:
        seen = self.checks.take_seen()
        for chore in (
            lambda: self.sessions.note_seen(seen),
            self.failed_attempts.sum_up,
            self.storage.purge,
        ):
            try:
                await chore()
            except Exception:
                self.metrics.storage_errors.inc()
                logger.exception("housekeeping_failed")
        self.checks.give_back_seen(seen)


@contextlib.contextmanager
def _collect(problems: list[str]) -> Iterator[None]:
    """Go on after a part that its settings do not let be built, to tell all problems at once."""
    try:
        yield
    except SettingsError as error:
        problems += error.problems
