"""What pages show of the applications that people sign in to, as words.

Owns the words. Never asks for a record, and never decides what an application may.
"""

from dataclasses import dataclass

from tornado_auth.models import Client
from tornado_auth.oauth2.clients import is_unverified

_LINKS = {
    "website": ("client_uri", "Website"),
    "policy": ("policy_uri", "Privacy policy"),
    "terms": ("tos_uri", "Terms of service"),
    "logo": ("logo_uri", "Logo"),
}


@dataclass(frozen=True, slots=True)
class ClientLink:
    """An address that an application gave of itself."""

    id: str
    label: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownClient:
    """An application as a page shows it."""

    name: str
    links: list[ClientLink]
    is_unverified: bool


def shown_client(client: Client) -> ShownClient:
    """Return what a page tells of an application; one without a name goes by its id."""
    return ShownClient(
        name=client.client_name or client.id,
        links=_links(client),
        is_unverified=is_unverified(client),
    )


def _links(client: Client) -> list[ClientLink]:
    """Return its links that lead to https, whatever may be in its record."""
    urls = {name: (label, getattr(client, field)) for name, (field, label) in _LINKS.items()}
    return [
        ClientLink(name, label, url)
        for name, (label, url) in urls.items()
        if url.startswith("https://")
    ]
