"""What the account page shows of sessions, ways to sign in, applications and API keys, as lines.

Owns the words. Never asks for a record, and never decides what may be done with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tornado_auth.models import Identity, Session, Who
from tornado_auth.oauth2.consents import Application
from tornado_auth.pages.shown_clients import shown_client
from tornado_auth.pages.user_agents import describe_user_agent

DAY = 86_400
LIFETIMES = {"30": "30 days", "90": "90 days", "365": "1 year", "": "No end"}
_OWN_PROVIDERS = {"local": "Password", "dev": "Development login"}
_SCOPES = {
    "*": "every service",
    "admin:read": "administration, to look",
    "admin:write": "administration, to change",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """A session as the account page shows it."""

    id: str
    label: str
    started: str
    last_seen: str
    current: bool
    action: str = "/auth/account/end-session"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRow:
    """An identity as the account page shows it."""

    label: str
    subject: str
    last_login: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """An API key as the account page shows it."""

    id: str
    name: str
    scopes: str
    created: str
    last_used: str
    expires: str
    action: str = "/auth/account/revoke-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRow:
    """A connected application as the account page shows it."""

    id: str
    name: str
    scopes: str
    used: str
    is_unverified: bool
    action: str = "/auth/account/revoke-application"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; `text` is shown this once."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ScopeChoice:
    """Something that a new key may be used for; `field` is the name of its form field."""

    scope: str
    field: str
    label: str


@dataclass(frozen=True, slots=True)
class KeyForm:
    """The form for a new key; `name` is what was typed so far."""

    choices: Sequence[ScopeChoice]
    name: str = ""
    is_open: bool = False
    lifetimes: Sequence[tuple[str, str]] = tuple(LIFETIMES.items())
    action: str = "/auth/account/create-key"


def session_row(session: Session, who: Who) -> SessionRow:
    """Return what the page tells of a session to the one who asks."""
    return SessionRow(
        id=session.id,
        label=f"{describe_user_agent(session.user_agent)} ({session.remote_ip or 'no address'})",
        started=_minute(session.created_at),
        last_seen=_minute(session.last_seen_at),
        current=session.id == who.session.id,
    )


def identity_row(identity: Identity, provider: str) -> IdentityRow:
    """Return what the page tells of an identity; `provider` is the label of its provider."""
    return IdentityRow(
        label=provider or _OWN_PROVIDERS.get(identity.provider, identity.provider),
        subject=identity.username or identity.email or identity.subject,
        last_login=_minute(identity.last_login_at),
    )


def application_row(application: Application, descriptions: Mapping[str, str]) -> ApplicationRow:
    """Return what the page tells of an application; `descriptions` are those of the scopes."""
    shown, consent = shown_client(application.client), application.consent
    allowed = f"Allowed {_day(consent.created_at)}" if consent else "Allowed by this service"
    granted_at = application.last_granted_at
    used = (
        "not connected just now" if granted_at is None else f"last connected {_minute(granted_at)}"
    )
    return ApplicationRow(
        id=application.client.id,
        name=shown.name,
        scopes=" · ".join(descriptions.get(name, name) for name in application.scope),
        used=f"{allowed} · {used}",
        is_unverified=shown.is_unverified,
    )


def key_form(scopes: Sequence[str]) -> KeyForm:
    """Return a form that offers these scopes."""
    return KeyForm([ScopeChoice(scope, f"scope:{scope}", scope_label(scope)) for scope in scopes])


def key_row(key: Session) -> KeyRow:
    """Return what the page tells of a key."""
    return KeyRow(
        id=key.id,
        name=key.name,
        scopes=", ".join(map(scope_label, key.scopes)),
        created=_day(key.created_at),
        last_used=f"last used {_minute(key.last_seen_at)}" if key.last_seen_at else "never used",
        expires="no end" if key.expires_at is None else f"ends {_day(key.expires_at)}",
    )


def scope_label(scope: str) -> str:
    """Return a scope in words; a service is called by its name."""
    return _SCOPES.get(scope, scope)


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _minute(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
