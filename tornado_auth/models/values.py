"""Values that pass between layers and are never stored as they are."""

from dataclasses import dataclass

from tornado_auth.models.people import Session, User

API_KEY = "api_key"  # the `provider` of sessions that are API keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something, for the audit log.

    `via` is "login", "api", "api_key" (the API, opened by a key), "page", "shell", "client" (at the
    authorization server) or "system".
    `user_id` is "" for an operator at the shell, and for whoever is not known yet.
    """

    user_id: str = ""
    name: str = ""
    via: str
    remote_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertedIdentity:
    """Who somebody is, as a login provider just said.

    `email` is empty unless the provider says that it is verified. `username` is a suggestion.
    `amr` are the methods of RFC 8176, empty where the provider does not tell. `groups` are the
    provider's own groups that the person is in, None if it was not asked or did not tell. `sid` is
    the provider's own session (Back-Channel Logout §2.1), "" if it has no name.
    """

    provider: str
    subject: str
    username: str = ""
    name: str = ""
    email: str = ""
    avatar_url: str = ""
    amr: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    sid: str = ""

    @property
    def id(self) -> str:
        """The key of the `Identity` record."""
        return f"{self.provider}:{self.subject}"

    @property
    def upstream_sid(self) -> str:
        """The provider's session, as the `Session` record names it; "" if it has no name."""
        return f"{self.provider}:{self.sid}" if self.sid else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginAttempt:
    """One way to a login provider and back, held by the browser that started it.

    `code_verifier` is that of RFC 7636, `nonce` that of OpenID Connect Core §3.1.2.1.
    `link_user_id` is set when the attempt is to link an identity, not to sign in, and `asks_again`
    when the provider is not to go by a session of its own.
    """

    provider: str
    state: str
    nonce: str
    code_verifier: str
    next: str = ""
    link_user_id: str = ""
    asks_again: bool = False
    started_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """The answer to "as whom?": a live session and its user."""

    user: User
    session: Session
