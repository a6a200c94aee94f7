"""The parameters of an authorization request, one by one (OpenID Connect Core §3.1.2.1, RFC 7636).

Owns their syntax and limits. Each function takes what was sent and returns what it means, or raises
the OAuth2Error that the client is told.
"""

import json
import re
from collections.abc import Collection
from typing import Any

from tornado_auth.models import Client
from tornado_auth.oauth2.claims import SCOPE_CLAIMS
from tornado_auth.oauth2.errors import (
    InvalidRequest,
    RequestNotSupported,
    RequestURINotSupported,
    UnauthorizedClient,
    UnmetAuthenticationRequirements,
    UnsupportedResponseType,
)
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.oauth2.responses import RESPONSE_MODES
from tornado_auth.oauth2.scopes import OFFLINE_ACCESS, OPENID, Scopes
from tornado_auth.oauth2.user_authorization import is_public
from tornado_auth.oauth2.values import ACR, CODE, REFRESH
from tornado_auth.resource_server.signed_tokens import read_json_object

RESPONSE_TYPE = "code"
CHALLENGE_METHOD = "S256"
PROMPTS = ("none", "login", "consent", "select_account")
# RFC 6749 §4.1.1, 7636 §4.3, 8707 §2, 9449 §10, OpenID Connect Core §3.1.2.1, §5.2, §6.1
KNOWN = frozenset(
    {
        "acr_values",
        "claims",
        "claims_locales",
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "display",
        "dpop_jkt",
        "id_token_hint",
        "login_hint",
        "max_age",
        "nonce",
        "prompt",
        "redirect_uri",
        "request",
        "request_uri",
        "resource",
        "response_mode",
        "response_type",
        "scope",
        "state",
        "ui_locales",
    }
)
MAX_REQUEST = 16 * 1024  # characters of all of them: anybody can have us keep one
# In characters. All are somebody else's text, which we keep, show or send around.
MAX_LENGTHS = {
    "state": 2048,  # some frameworks keep all that they know of the sign-in in there
    "nonce": 512,
    "login_hint": 320,
    "acr_values": 512,
    "ui_locales": 512,
    "claims_locales": 512,
    "claims": 4096,
}
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_SECONDS = re.compile(r"[0-9]{1,9}")


def check_kind(given: Parameters, client: Client) -> None:
    """Refuse what is no request for a code, or what this client may not do at all."""
    if "request" in given:
        raise RequestNotSupported("Request objects are not supported.")
    if "request_uri" in given:
        raise RequestURINotSupported("Only a request_uri that was pushed here is supported.")
    if given.require("response_type") != RESPONSE_TYPE:
        raise UnsupportedResponseType("The only response type is code.")
    if given.get("response_mode") not in ("", *RESPONSE_MODES):
        raise InvalidRequest("There is no such response_mode.")
    if CODE not in client.grant_types:
        raise UnauthorizedClient("This client is not registered for authorization codes.")
    _check_lengths(given)


def _check_lengths(given: Parameters) -> None:
    if len(given.to_query()) > MAX_REQUEST:
        raise InvalidRequest("The request is too long.")
    for name, longest in MAX_LENGTHS.items():
        if len(given.get(name)) > longest:
            raise InvalidRequest(f"The parameter {name} is too long.")


def read_scope(given: Parameters, client: Client, scopes: Scopes) -> tuple[str, ...]:
    """Return the scopes that are asked for, or the client's default.

    A client without refresh tokens has no use for `offline_access`: asked for, it is ignored.
    """
    wanted = scopes.parse(given.get("scope"))
    if REFRESH not in client.grant_types:
        wanted = tuple(name for name in wanted if name != OFFLINE_ACCESS)
    return scopes.for_client(" ".join(wanted), client)


def read_challenge(given: Parameters, client: Client) -> str:
    """Return the code challenge, "" where a client may do without (RFC 7636 §4.4.1)."""
    challenge, method = given.get("code_challenge"), given.get("code_challenge_method")
    if not challenge:
        if client.require_pkce or is_public(client) or method:
            raise InvalidRequest("PKCE is required: send a code_challenge.")
        return ""
    if method != CHALLENGE_METHOD:
        raise InvalidRequest("The code_challenge_method must be S256.")
    if not _CHALLENGE.fullmatch(challenge):
        raise InvalidRequest("The code_challenge is not 43 characters of base64url.")
    return challenge


def read_thumbprint(given: Parameters) -> str:
    """Return the thumbprint of the key that the code is for (RFC 9449 §10), "" without one."""
    thumbprint = given.get("dpop_jkt")
    if thumbprint and not _CHALLENGE.fullmatch(thumbprint):
        raise InvalidRequest("The dpop_jkt is not the thumbprint of a key.")
    return thumbprint


def read_prompt(given: Parameters) -> frozenset[str]:
    """Return the prompts; `none` stands alone."""
    prompt = frozenset(given.get("prompt").split())
    if not prompt.issubset(PROMPTS):
        raise InvalidRequest("There is no such prompt.")
    if "none" in prompt and len(prompt) > 1:
        raise InvalidRequest("The prompt none stands alone.")
    return prompt


def read_max_age(given: Parameters, client: Client) -> int | None:
    """Return after how many seconds a sign-in is too old, None if none ever is."""
    if "max_age" not in given:
        return client.default_max_age
    if not _SECONDS.fullmatch(given.get("max_age")):
        raise InvalidRequest("The max_age is not a number of seconds.")
    return int(given.get("max_age"))


class ClaimsRequest:
    """The `claims` parameter (OpenID Connect Core §5.5), as far as it concerns us.

    Only standard claims count, of scopes that the client may ask for. It is no way around these.
    """

    def __init__(self, given: Parameters, client: Client, scope: Collection[str]) -> None:
        asked = _read_claims(given.get("claims")) if OPENID in scope else {}
        allowed = {claim for name in client.scope for claim in SCOPE_CLAIMS.get(name, ())}
        self._named = {
            member: sorted(allowed.intersection(claims)) for member, claims in asked.items()
        }
        self._own = asked.get("id_token", {})
        self._check_acr()

    def _check_acr(self) -> None:
        acr = self._own.get("acr") or {}
        wanted = acr.get("values", [acr["value"]] if "value" in acr else [ACR])
        if acr.get("essential") is True and ACR not in wanted:
            raise UnmetAuthenticationRequirements("No sign-in here reaches this acr.")

    @property
    def names(self) -> tuple[str, ...]:
        """The claims that are asked for, wherever they are to appear."""
        return tuple(sorted({name for names in self._named.values() for name in names}))

    @property
    def subject(self) -> str:
        """The user whom the client expects, "" if it does not say."""
        value = (self._own.get("sub") or {}).get("value", "")
        return value if isinstance(value, str) else ""

    def to_json(self) -> str:
        """Return what is asked for as the grant keeps it, "" if that is nothing."""
        kept = {member: dict.fromkeys(names) for member, names in self._named.items() if names}
        return json.dumps(kept) if kept else ""


def _read_claims(text: str) -> dict[str, dict[str, Any]]:
    try:
        asked = read_json_object(text.encode()) if text else {}
    except ValueError:
        raise InvalidRequest("The claims are not a JSON object.") from None
    members: dict[str, dict[str, Any]] = {
        name: asked[name] for name in ("userinfo", "id_token") if name in asked
    }
    for claims in members.values():
        if not isinstance(claims, dict) or not all(map(_is_claim, claims.values())):
            raise InvalidRequest("The claims are malformed.")
    return members


def _is_claim(value: object) -> bool:
    """Tell whether a claim is asked for as OpenID Connect Core §5.5.1 says."""
    if value is None:
        return True
    return isinstance(value, dict) and isinstance(value.get("values", []), list)
