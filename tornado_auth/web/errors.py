"""How an exception of ours is answered: status, reason, message.

The one place that maps `tornado_auth.errors` to HTTP. Never shows anything of an unknown error.
"""

from http import HTTPStatus

from tornado.web import HTTPError

from tornado_auth.errors import (
    AlreadyThere,
    FreshLoginRequired,
    IdentityTaken,
    InvalidRequest,
    InvalidUsername,
    InvalidValue,
    LoginError,
    LoginStateInvalid,
    NextNotAllowed,
    NotAllowed,
    NotFound,
    Stale,
    StorageUnavailable,
    TooManyAttempts,
    TornadoAuthError,
    UpstreamError,
    UsernameAlreadySet,
    UsernameTaken,
    WrongPassword,
)

_STATUS: dict[type[TornadoAuthError], int] = {
    LoginStateInvalid: 400,
    WrongPassword: 401,
    FreshLoginRequired: 403,
    IdentityTaken: 409,
    UpstreamError: 502,
    LoginError: 403,
    InvalidUsername: 400,
    UsernameTaken: 409,
    UsernameAlreadySet: 409,
    NextNotAllowed: 400,
    InvalidRequest: 400,
    NotAllowed: 403,
    NotFound: 404,
    AlreadyThere: 409,
    InvalidValue: 400,
    TooManyAttempts: 429,
    StorageUnavailable: 503,
    Stale: 503,
}


class BadRequest(HTTPError):
    """A request that cannot be read; the message goes to the caller."""

    def __init__(self, message: str, *, status: int = 400, reason: str = "invalid_request") -> None:
        super().__init__(status, message.replace("%", "%%"))
        self.message = message
        self.code = reason


def status_of(error: TornadoAuthError) -> int:
    """Return the HTTP status that an exception of ours is answered with."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)


def describe(status: int, error: BaseException | None) -> tuple[int, str, str]:
    """Return status, machine-readable reason and message for people.

    `status` is what Tornado would answer; an exception of ours decides for itself.
    """
    if isinstance(error, BadRequest):
        return error.status_code, error.code, error.message
    if isinstance(error, TornadoAuthError) and (own := status_of(error)) != 500:
        return own, error.reason, str(error)
    phrase = HTTPStatus(status).phrase
    return status, phrase.lower().replace(" ", "_"), phrase
