"""What a service's answer about a user's permissions grants, and what an API key may be used for.

Owns the rules that nothing but `true` grants, and that a key opens nothing outside of its scopes.
Never asks anybody.
"""

from tornado_auth.models import API_KEY, Session

EVERYTHING = "*"  # the scope of a key that may be used wherever its owner may go


def granted_names(permissions: object) -> frozenset[str]:
    """Return the names in a dict of permissions whose value is exactly true."""
    if not isinstance(permissions, dict):
        return frozenset()
    return frozenset(name for name, value in permissions.items() if value is True)


def scopes_of(session: Session) -> tuple[str, ...] | None:
    """Return what a session may be used for: None, which is everything, unless it is an API key."""
    return session.scopes if session.provider == API_KEY else None


def scopes_cover(scopes: tuple[str, ...] | None, service: str) -> bool:
    """Tell whether a session with these scopes may be used for a service.

    Where no service is named, "", only a key for everything will do.
    """
    return scopes is None or service in scopes or EVERYTHING in scopes
