"""What the tests of the token endpoint share: grants and codes made without a browser, and proofs.

The codes are put into the store as the authorization endpoint would, so that a test can have any.
"""

import json
import secrets
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from tornado.httpclient import HTTPResponse

from tests.oauth2.world import REDIRECT_URI, VERIFIER, World, challenge_of
from tornado_auth.digests import digest
from tornado_auth.models import AuthorizationCode, Client, Grant, Session, Who


async def grant_of(
    world: World, client: Client, session: Session | None = None, **fields: Any
) -> Grant:
    """Let somebody allow a client something, by default `openid`."""
    session = session or await world.service.session()
    user = await world.storage.users.get(session.user_id)
    assert user is not None
    values = {"scope": ("openid",), "lifetime": 660, **fields}
    return await world.server.oauth2.grants.start(Who(user=user, session=session), client, **values)


async def code_of(world: World, grant: Grant, **fields: Any) -> str:
    """Make a code of a grant, as the authorization endpoint would."""
    code = "tac_" + secrets.token_urlsafe(32)
    now = world.server.now()
    values: dict[str, Any] = {
        "id": digest(code),
        "grant_id": grant.id,
        "client_id": grant.client_id,
        "redirect_uri": REDIRECT_URI,
        "code_challenge": challenge_of(VERIFIER),
        "valid_until": now + 60,
        "expires_at": now + 660,
        **fields,
    }
    await world.storage.authorization_codes.insert(AuthorizationCode(**values))
    return code


async def code_for(world: World, client: Client, **grant: Any) -> str:
    """Let somebody allow a client something and return the code for it."""
    return await code_of(world, await grant_of(world, client, **grant))


async def tokens_for(world: World, client: Client, **grant: Any) -> dict[str, Any]:
    """Let somebody allow a client something and return the tokens for it."""
    return members_of(await world.redeem(client, await code_for(world, client, **grant)))


def members_of(response: HTTPResponse) -> dict[str, Any]:
    """Return the members of a successful token response."""
    assert response.code == 200, response.body
    return dict(json.loads(response.body))


def error_of(response: HTTPResponse) -> str:
    """Return the code of a token error response, whose status must belong to it."""
    error = str(json.loads(response.body)["error"])
    assert response.code == (401 if error == "invalid_client" else 400), response.body
    return error


async def refreshed(world: World, client: Client, tokens: dict[str, Any]) -> HTTPResponse:
    """Refresh the tokens of a response."""
    return await world.refresh(client, tokens["refresh_token"])


async def is_alive(world: World, access_token: str) -> bool:
    """Tell whether an access token counts."""
    return await world.server.oauth2.access_tokens.read(access_token) is not None


async def audited(world: World, action: str) -> list[tuple[str, str]]:
    """Return subject and target of all events of this kind."""
    events = await world.server.audit_log.find(action=action)
    return [(event.subject, event.target) for event in events]


class Holder:
    """Somebody who has a key and makes DPoP proofs with it (RFC 9449 §4.2)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._jwk = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        members = {name: self._jwk[name] for name in ("crv", "kty", "x", "y")}
        self.jkt = digest(json.dumps(members, separators=(",", ":"), sort_keys=True))

    @property
    def headers(self) -> dict[str, str]:
        """A header with a new proof for the token endpoint."""
        now = self._world.server.now()
        claims = {
            "htm": "POST",
            "htu": f"{self._world.issuer}/oauth2/token",
            "iat": now,
            "jti": secrets.token_urlsafe(16),
        }
        headers = {"typ": "dpop+jwt", "jwk": self._jwk}
        return {"DPoP": jwt.encode(claims, self._key, "ES256", headers=headers)}
