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
from tornado_auth.oauth2.values import DPoPProof


class PushEndpoint:
    """Take requests beforehand."""

    def __init__(
        self, reader: RequestReader, pushed_requests: PushedRequests, *, dpop: DPoP
    ) -> None:
        self._reader = reader
        self._pushed_requests = pushed_requests
        self._dpop = dpop

    async def push(
        self, client: Client, parameters: Parameters, proof: DPoPProof | None
    ) -> tuple[str, int]:
        """Return a request_uri and for how many seconds it is good; raises OAuth2Error kinds.

        A proof binds the code to its key, as `dpop_jkt` does (RFC 9449 §10.1).
        """
        if "request_uri" in parameters:
            raise InvalidRequest("A request_uri cannot be pushed.")
        pushed = parameters.only(KNOWN).replaced({"client_id": [client.id]})
        request = await self._reader.read(pushed, is_pushing=True)
        jkt = await self._dpop.check(proof) if proof else ""
        if jkt and request.dpop_jkt not in ("", jkt):
            raise InvalidDPoPProof("The DPoP proof is of another key than the dpop_jkt.")
        return await self._pushed_requests.push(client, pushed, jkt=jkt)
