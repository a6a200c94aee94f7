"""The scopes that there are, how a request names them, and what people are told of them.

Owns the syntax (RFC 6749 §3.3) and the defaults. Never knows what a token is.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from tornado_auth.models import Client
from tornado_auth.oauth2.errors import InvalidScope

OPENID = "openid"
OFFLINE_ACCESS = "offline_access"
STANDARD_SCOPES: Mapping[str, str] = {
    OPENID: "Know who you are",
    "profile": "See your profile: name, user name, picture and the like",
    "email": "See your e-mail address",
    "address": "See your postal address",
    "phone": "See your phone number",
    OFFLINE_ACCESS: "Keep its access while you are signed out",
}
_SYNTAX = re.compile(r"[!#-\[\]-~]+(?: +[!#-\[\]-~]+)*")
_SEPARATORS = {"space": "", "comma": ",", "plus": "+"}


class Scopes:
    """All scopes: those of OpenID Connect and `custom`, name to description."""

    def __init__(
        self,
        custom: Mapping[str, str],
        *,
        default: Sequence[str] = (),
        separator: str = "space",
    ) -> None:
        self.descriptions = {**STANDARD_SCOPES, **{k: v or k for k, v in custom.items()}}
        self._default = tuple(default)
        self._separator = _SEPARATORS[separator]

    @property
    def supported(self) -> list[str]:
        """All names, for the metadata."""
        return list(self.descriptions)

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the scopes of a `scope` parameter, each once; raises InvalidScope.

        They are known; whether they are for a client is for `for_client` to say.
        """
        wanted = self.names(text)
        if wanted and not _SYNTAX.fullmatch(" ".join(wanted)):
            raise InvalidScope("The scope is malformed.")
        if not self.descriptions.keys() >= set(wanted):
            raise InvalidScope("There is no such scope.")
        return wanted

    def names(self, text: str) -> tuple[str, ...]:
        """Return what stands in a `scope` parameter, whatever it is, each once."""
        if self._separator:
            text = text.replace(self._separator, " ")
        return tuple(dict.fromkeys(name for name in text.split(" ") if name))

    def for_client(
        self, text: str, client: Client, *, without: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Return what a client asks for, or its default; raises InvalidScope for more than it may.

        `without` are scopes that make no sense here: asked for, they are refused.
        """
        allowed = set(client.scope) - set(without)
        wanted = self.parse(text)
        if not wanted:
            wanted = tuple(name for name in self._default if name in allowed)
        if not wanted:
            raise InvalidScope("A scope is needed: there is no default for this client.")
        if not allowed.issuperset(wanted):
            raise InvalidScope("The scope is not for this client.")
        return wanted
