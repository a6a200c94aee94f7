"""Every exception that crosses a module border.

    TornadoAuthError
    ├── SettingsError            the configuration; carries all problems at once
    ├── StorageError
    │   ├── AlreadyExists        the id or a unique field is taken
    │   ├── Stale                the record changed since it was read
    │   ├── InvalidValue         a value that no record may hold
    │   ├── StorageUnavailable   the database did not answer in time
    │   ├── UnreadableRecord     what the database holds is no record of ours
    │   └── PositionLost         a feed cannot go on from where it was
    ├── InvalidToken             a token that is not ours, not of this kind, or over
    ├── LoginError               a sign-in that ends with an error page
    │   ├── LoginStateInvalid    the callback belongs to no attempt of this browser
    │   ├── LoginRefused         known who it is, and not allowed in
    │   ├── WrongPassword
    │   ├── UpstreamError        the login provider answered badly or not at all
    │   ├── IdentityTaken        linking an identity that another user has
    │   ├── FreshLoginRequired   linking needs a sign-in of the last minutes
    │   └── LoginBlocked         a blocking extension failed
    ├── UsernameError
    │   ├── InvalidUsername
    │   ├── UsernameTaken
    │   └── UsernameAlreadySet
    ├── AdministrationError
    │   ├── NotFound             what is to be shown or changed is not there
    │   ├── InvalidRequest       it cannot be done so; the message says how
    │   ├── AlreadyThere         there is one already
    │   └── NotAllowed           who asks may not do this
    ├── CallFailed               a call on a client's behalf failed, or may not be made
    ├── NextNotAllowed           the `next` address is not in the allow-list
    └── TooManyAttempts          carries the seconds to wait

Each class has a `reason`: the machine-readable code that answers and log lines carry. The message
is for people and never holds a secret. No class here knows HTTP: `web/errors.py` maps each to a
status.
"""


class TornadoAuthError(Exception):
    """Root of the tree."""

    reason = "server_error"


class SettingsError(TornadoAuthError):
    """List every mistake in the settings, each naming the variable and the remedy."""

    reason = "invalid_settings"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StorageError(TornadoAuthError):
    """Something that a `Storage` operation can end with."""


class AlreadyExists(StorageError):
    """Name the field whose value is taken: `id` or one of the record's UNIQUE fields."""

    reason = "already_exists"

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is taken")
        self.field = field


class Stale(StorageError):
    """Tell that the record's version is not the stored one any more: read it again."""

    reason = "stale"


class InvalidValue(StorageError):
    """Refuse a value of the wrong type before it reaches a database."""

    reason = "invalid_request"


class StorageUnavailable(StorageError):
    """Tell that the database gave no answer; the operation may or may not have happened."""

    reason = "storage_unavailable"


class UnreadableRecord(StorageError):
    """Tell what is wrong with a record that the database holds, but not what it says."""

    reason = "unreadable_record"


class PositionLost(StorageError):
    """Tell that the database no longer knows what came after a position: start anew."""

    reason = "position_lost"


class InvalidToken(TornadoAuthError):
    """Refuse a token; the message is for logs, callers learn only that it is not valid."""

    reason = "invalid_token"


class LoginError(TornadoAuthError):
    """End a sign-in; the message is shown to the person who tried."""

    reason = "login_failed"


class LoginStateInvalid(LoginError):
    """Refuse a callback without a live attempt of this very browser (RFC 6749 §10.12)."""

    reason = "invalid_state"


class LoginRefused(LoginError):
    """Refuse somebody whose identity is proven but who may not sign in here."""

    reason = "access_denied"


class WrongPassword(LoginError):
    """Refuse a user name and password; says nothing of which of them is wrong."""

    reason = "wrong_password"


class UpstreamError(LoginError):
    """Report a login provider that failed; its answer is never shown."""

    reason = "upstream_error"


class IdentityTaken(LoginError):
    """Refuse to link an identity that belongs to another user."""

    reason = "identity_taken"


class FreshLoginRequired(LoginError):
    """Ask for a new sign-in before an identity is linked."""

    reason = "login_required"


class LoginBlocked(LoginError):
    """Report that an extension declared blocking did not let the sign-in pass."""

    reason = "login_blocked"


class UsernameError(TornadoAuthError):
    """Something that choosing a user name can end with."""


class InvalidUsername(UsernameError):
    """Refuse a user name for its form; the message says which rule it breaks."""

    reason = "invalid_username"


class UsernameTaken(UsernameError):
    """Refuse a user name that somebody has, had, or that looks like theirs."""

    reason = "username_taken"


class UsernameAlreadySet(UsernameError):
    """Refuse a second choice: a user chooses the name once."""

    reason = "username_already_set"


class AdministrationError(TornadoAuthError):
    """Something that managing users, roles and keys can end with."""


class NotFound(AdministrationError):
    """Name what is not there; the message is shown."""

    reason = "not_found"


class InvalidRequest(AdministrationError):
    """Refuse what cannot be done so; the message says which rule it breaks."""

    reason = "invalid_request"


class AlreadyThere(AdministrationError):
    """Refuse to add what is there already."""

    reason = "already_exists"


class NotAllowed(AdministrationError):
    """Refuse somebody who is known but may not do this."""

    reason = "insufficient_permissions"


class CallFailed(TornadoAuthError):
    """Tell that an address of a client did not answer well, or must not be called."""

    reason = "call_failed"


class NextNotAllowed(TornadoAuthError):
    """Refuse a `next` address whose origin is not in TORNADO_AUTH_ALLOWED_NEXT."""

    reason = "next_not_allowed"


class TooManyAttempts(TornadoAuthError):
    """Slow down somebody who fails too often; `retry_after` is in seconds."""

    reason = "too_many_attempts"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many attempts. Try again in {retry_after} seconds.")
        self.retry_after = retry_after
