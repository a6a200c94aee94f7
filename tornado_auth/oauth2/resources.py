"""The resources that tokens are for (RFC 8707), as the `resource` parameter names them.

Owns which of them a client may name. Never knows what one is: it is compared as a string.
"""

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from tornado_auth.models import Client
from tornado_auth.oauth2.errors import InvalidTarget


def allowed(values: Sequence[str], client: Client) -> tuple[str, ...]:
    """Return the resources that a client asks for; raises InvalidTarget for one it may not name."""
    for value in values:
        if not is_resource(value):
            raise InvalidTarget("A resource must be an absolute URI without a fragment.")
    return narrowed(values, client.resources) if values else ()


def narrowed(values: Sequence[str], granted: Collection[str]) -> tuple[str, ...]:
    """Return those that are asked for again, all if none is; raises InvalidTarget for more.

    They come in the order of `granted`, so that the same request gets the same audience.
    """
    if not set(granted).issuperset(values):
        raise InvalidTarget("The resource is not among those that are allowed.")
    return tuple(one for one in granted if not values or one in values)


def is_resource(value: str) -> bool:
    """Tell whether this can name a resource: an absolute URI without a fragment (RFC 8707 §2)."""
    if "#" in value or not value.isascii() or " " in value:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path))
