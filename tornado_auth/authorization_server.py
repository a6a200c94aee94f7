"""The parts of the authorization server, built and joined.

Owns nothing but their lifetime; `server.py` builds it as one more part of the service, and its
handlers find the endpoints here. Never speaks HTTP.
"""

from collections.abc import Callable, Iterable

from tornado_auth.audit import AuditLog
from tornado_auth.keys import KeySet
from tornado_auth.metrics import Metrics
from tornado_auth.oauth2.access_tokens import AccessTokens
from tornado_auth.oauth2.authorization_requests import RequestReader
from tornado_auth.oauth2.authorize import AuthorizationEndpoint
from tornado_auth.oauth2.back_channel_logout import BackChannelLogout
from tornado_auth.oauth2.claims import Claims
from tornado_auth.oauth2.client_assertions import ClientAssertions
from tornado_auth.oauth2.client_authentication import FAILURES, ClientAuthenticator
from tornado_auth.oauth2.client_keys import ClientKeys
from tornado_auth.oauth2.client_metadata import MetadataRules
from tornado_auth.oauth2.clients import Clients
from tornado_auth.oauth2.codes import AuthorizationCodes
from tornado_auth.oauth2.consents import Consents
from tornado_auth.oauth2.device import GUESSES, STARTS, Devices
from tornado_auth.oauth2.dpop import DPoP
from tornado_auth.oauth2.end_session import LogoutRequests
from tornado_auth.oauth2.grant_types import GrantType
from tornado_auth.oauth2.grant_types.authorization_code import AuthorizationCodeGrant
from tornado_auth.oauth2.grant_types.client_credentials import ClientCredentialsGrant
from tornado_auth.oauth2.grant_types.device_code import DeviceCodeGrant
from tornado_auth.oauth2.grant_types.refresh_token import RefreshTokenGrant
from tornado_auth.oauth2.grant_types.token_exchange import TokenExchangeGrant
from tornado_auth.oauth2.grants import Grants
from tornado_auth.oauth2.interactions import Interactions
from tornado_auth.oauth2.introspection import Introspection
from tornado_auth.oauth2.issuing import TokenIssuer
from tornado_auth.oauth2.metadata import Metadata
from tornado_auth.oauth2.pushed_requests import PushedRequests
from tornado_auth.oauth2.pushing import PushEndpoint
from tornado_auth.oauth2.refresh_tokens import RefreshTokens
from tornado_auth.oauth2.registration import REGISTRATION_CALLS, REGISTRATION_LIMITS, Registration
from tornado_auth.oauth2.revocation import Revocation
from tornado_auth.oauth2.scopes import Scopes
from tornado_auth.oauth2.token import TokenEndpoint
from tornado_auth.oauth2.userinfo import Userinfo
from tornado_auth.outbound import Outbound
from tornado_auth.settings import Settings
from tornado_auth.storage import Storage
from tornado_auth.throttle import LoginThrottle, Throttle
from tornado_auth.user_claims import UserClaimsStore


class AuthorizationServer:
    """Everything below /oauth2, by the names of its endpoints."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        *,
        keys: KeySet,
        audit_log: AuditLog,
        metrics: Metrics,
        throttle: Throttle,
        now: Callable[[], int],
        grant_types: Iterable[GrantType] = (),
    ) -> None:
        self.settings = settings
        self._throttle = throttle
        self._now = now
        self._build_grants(storage)
        self._build_resources(storage, keys)
        self._build_devices(storage, audit_log)
        self._build_token_endpoint(storage, keys, audit_log, grant_types)
        self._build_clients(storage, keys, audit_log)
        self._build_authorization(storage, keys, audit_log)
        self._build_logout(storage, keys, metrics)
        self._describe(keys)

    def _describe(self, keys: KeySet) -> None:
        self.metadata = Metadata(
            self.settings,
            scopes=self.scopes.supported,
            grant_types=self.token_endpoint.grant_types,
            id_token_algorithm=keys.algorithm,
        )

    def _build_grants(self, storage: Storage) -> None:
        settings, now = self.settings, self._now
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
            children=(storage.authorization_codes, storage.refresh_tokens, storage.access_tokens),
            lifetime=settings.grant_lifetime,
            idle_limit=settings.session_idle_limit,
            now=now,
        )
        self.codes = AuthorizationCodes(
            storage.authorization_codes, lifetime=settings.authorization_code_lifetime, now=now
        )

    def _build_devices(self, storage: Storage, audit_log: AuditLog) -> None:
        settings, limits = self.settings, {**GUESSES, **STARTS}
        self.devices = Devices(
            storage.device_codes,
            storage.clients,
            self.grants,
            scopes=self.scopes,
            throttle=LoginThrottle(storage.counted_attempts, now=self._now, limits=limits),
            audit_log=audit_log,
            issuer=settings.issuer,
            lifetime=settings.device_code_lifetime,
            now=self._now,
        )

    def _build_logout(self, storage: Storage, keys: KeySet, metrics: Metrics) -> None:
        issuer = self.settings.issuer
        self.logout_requests = LogoutRequests(self.clients, self.grants, keys, issuer=issuer)
        self.back_channel_logout = BackChannelLogout(
            self.grants,
            storage.clients,
            keys,
            outbound=self.outbound,
            issuer=issuer,
            metrics=metrics,
            now=self._now,
        )

    def _build_clients(self, storage: Storage, keys: KeySet, audit_log: AuditLog) -> None:
        settings, now = self.settings, self._now
        self.outbound = Outbound(settings.fetch_allowed, settings.fetch_ca_file)
        self.registration_outbound = Outbound(
            settings.fetch_allowed, settings.fetch_ca_file, at_once=REGISTRATION_CALLS
        )
        self.clients = Clients(
            storage.clients,
            storage.consents,
            storage.initial_access_tokens,
            grants=self.grants,
            rules=MetadataRules(
                scopes=self.scopes.supported,
                grant_types=self.token_endpoint.grant_types,
                id_token_algorithms=(keys.algorithm,),
                may_call=self.outbound.may_call,
                self_registered_resources=settings.self_registered_resources,
            ),
            outbound=self.registration_outbound,
            now=now,
        )
        assertions = ClientAssertions(
            ClientKeys(self.outbound, now=now),
            storage.spent_states,
            issuer=settings.issuer,
            token_endpoint=settings.issuer + "/oauth2/token",
            now=now,
        )
        self.authenticator = ClientAuthenticator(self.clients, assertions)
        self.client_failures = LoginThrottle(storage.counted_attempts, now=now, limits=FAILURES)
        self.registration = Registration(
            self.clients,
            LoginThrottle(storage.counted_attempts, now=now, limits=REGISTRATION_LIMITS),
            audit_log=audit_log,
            mode=settings.client_registration,
            issuer=settings.issuer,
        )

    def _build_authorization(self, storage: Storage, keys: KeySet, audit_log: AuditLog) -> None:
        settings, now = self.settings, self._now
        self.consents = Consents(
            storage.consents, storage.clients, grants=self.grants, audit_log=audit_log, now=now
        )
        self.pushed_requests = PushedRequests(
            storage.pushed_requests, lifetime=settings.pushed_request_lifetime, now=now
        )
        reader = RequestReader(
            self.clients,
            self.pushed_requests,
            scopes=self.scopes,
            keys=keys,
            issuer=settings.issuer,
            must_push=settings.require_pushed_authorization_requests,
        )
        self.push_endpoint = PushEndpoint(
            reader, self.pushed_requests, dpop=self.dpop, throttle=self._throttle
        )
        self.authorization = AuthorizationEndpoint(
            reader,
            Interactions(settings.secret, now=now),
            scopes=self.scopes,
            consents=self.consents,
            grants=self.grants,
            codes=self.codes,
            pushed_requests=self.pushed_requests,
            throttle=self._throttle,
            now=now,
        )

    def _build_resources(self, storage: Storage, keys: KeySet) -> None:
        settings, now = self.settings, self._now
        self.user_claims = UserClaimsStore(storage.user_claims, now=now)
        self.claims = Claims(self.user_claims)
        self.dpop = DPoP(
            storage.spent_states, settings.secret, uses_nonces=settings.dpop_nonces, now=now
        )
        self.access_tokens = AccessTokens(
            storage.access_tokens,
            storage.spent_states,
            storage.clients,
            grants=self.grants,
            dpop=self.dpop,
            keys=keys,
            issuer=settings.issuer,
            now=now,
        )
        self.userinfo = Userinfo(self.access_tokens, self.claims)
        self.introspection = Introspection(self.access_tokens, issuer=settings.issuer)

    def _build_token_endpoint(
        self, storage: Storage, keys: KeySet, audit_log: AuditLog, own: Iterable[GrantType]
    ) -> None:
        settings, now = self.settings, self._now
        self.refresh_tokens = RefreshTokens(
            storage.refresh_tokens,
            master_secrets=settings.secret,
            lifetime=settings.refresh_token_lifetime,
            grace=settings.refresh_token_grace,
            now=now,
        )
        self.issuer = TokenIssuer(
            keys,
            storage.access_tokens,
            refresh_tokens=self.refresh_tokens,
            claims=self.claims,
            issuer=settings.issuer,
            access_token_lifetime=settings.access_token_lifetime,
            id_token_lifetime=settings.id_token_lifetime,
            now=now,
        )
        self.token_endpoint = TokenEndpoint(
            [*self._grant_types(audit_log), *own], dpop=self.dpop, issuer=self.issuer
        )
        self.revocation = Revocation(self.refresh_tokens, self.access_tokens, self.grants)

    def _grant_types(self, audit_log: AuditLog) -> list[GrantType]:
        grants, scopes = self.grants, self.scopes
        grant_types: list[GrantType] = [
            AuthorizationCodeGrant(self.codes, grants=grants, audit_log=audit_log, now=self._now),
            RefreshTokenGrant(
                self.refresh_tokens, grants=grants, scopes=scopes, audit_log=audit_log
            ),
            ClientCredentialsGrant(scopes=scopes),
            DeviceCodeGrant(self.devices, grants),
        ]
        if self.settings.token_exchange:
            issuer = self.settings.issuer
            grant_types.append(
                TokenExchangeGrant(
                    self.access_tokens, scopes=scopes, issuer=issuer, audit_log=audit_log
                )
            )
        return grant_types

    async def stop(self) -> None:
        """End what runs in the background."""
        await self.back_channel_logout.stop()
        self.outbound.close()
        self.registration_outbound.close()
