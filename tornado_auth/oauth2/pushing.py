"""The endpoint for pushed authorization requests (RFC 9126 §2).

Owns that nothing is kept but what its client may ask for: the checks are those of the authorization
endpoint. Never authenticates anybody: the client is who it says.
"""

from tornado_auth.models import Client
from tornado_auth.oauth2.authorization_requests import RequestReader
from tornado_auth.oauth2.dpop import DPoP
from tornado_auth.oauth2.errors import InvalidDPoPProof, InvalidRequest
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.oauth2.pushed_requests import PushedRequests
from tornado_auth.oauth2.request_checks import KNOWN
from tornado_auth.oauth2.user_authorization import is_public
from tornado_auth.oauth2.values import DPoPProof
from tornado_auth.throttle import Throttle, address_key


class PushEndpoint:
    """Take requests beforehand."""

    def __init__(
        self,
        reader: RequestReader,
        pushed_requests: PushedRequests,
        *,
        dpop: DPoP,
        throttle: Throttle,
    ) -> None:
        self._reader = reader
        self._pushed_requests = pushed_requests
        self._dpop = dpop
        self._throttle = throttle

    async def push(
        self,
        client: Client,
        parameters: Parameters,
        proof: DPoPProof | None,
        *,
        remote_ip: str = "",
    ) -> tuple[str, int]:
        """Return a request_uri and for how many seconds it is good; raises OAuth2Error kinds.

        Raises TooManyAttempts for an address that pushes too many for clients that prove nothing.

        A proof binds the code to its key, as `dpop_jkt` does (RFC 9449 §10.1).
        """
        if "request_uri" in parameters:
            raise InvalidRequest("A request_uri cannot be pushed.")
        pushed = parameters.only(KNOWN).replaced({"client_id": [client.id]})
        request = await self._reader.read(pushed, is_pushing=True)
        jkt = await self._dpop.check(proof) if proof else ""
        if jkt and request.dpop_jkt not in ("", jkt):
            raise InvalidDPoPProof("The DPoP proof is of another key than the dpop_jkt.")
        if is_public(client):
            self._throttle.count("pushed-requests", address_key(remote_ip))
        return await self._pushed_requests.push(client, pushed, jkt=jkt)
