"""What the protocol's endpoints for programs share: forms in, JSON out, and its errors.

Owns how a client's credentials, an access token and a DPoP proof are found in a request. No cookie
counts here, so no proof against forged forms is needed. Never decides anything.
"""

from dataclasses import asdict
from typing import Any

from tornado.web import HTTPError

from tornado_auth.models import Client
from tornado_auth.oauth2.client_authentication import read_credentials
from tornado_auth.oauth2.errors import (
    InsufficientScope,
    InvalidBearerToken,
    InvalidClient,
    InvalidDPoPProof,
    InvalidRequest,
    OAuth2Error,
    UseDPoPNonce,
)
from tornado_auth.oauth2.parameters import Parameters
from tornado_auth.oauth2.values import DPoPProof
from tornado_auth.throttle import address_key
from tornado_auth.web import APIHandler, BadRequest, Credential, describe

FORM = "application/x-www-form-urlencoded"
SCHEMES = ("bearer", "dpop")


class OAuth2Handler(APIHandler):
    """An endpoint for clients and resource servers."""

    basic_was_used = False  # and so the answer to a bad secret must say (RFC 6749 §5.2)

    # Whether the scripts of listed origins may call it (S013 has no others).
    takes_other_origins = True

    # Whether it is a resource that an access token opens: a bad proof then is a bad token.
    is_resource = False

    # -- the request ----------------------------------------------------------------------------

    def credential(self) -> Credential | None:
        """Find none: what opens the rest of the service opens nothing here."""
        return None

    def check_xsrf_cookie(self) -> None:
        """Need no proof: no browser adds by itself what is asked for here."""
        if not self._answers("POST"):
            raise HTTPError(405)

    def allow_listed_origin(self) -> None:
        """Add what a listed origin's script needs, where any may call."""
        if self.takes_other_origins:
            super().allow_listed_origin()
            if "Access-Control-Allow-Origin" in self._headers:
                self.set_header("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP")
                self.set_header("Access-Control-Expose-Headers", "DPoP-Nonce, WWW-Authenticate")

    def form(self) -> Parameters:
        """Return what the body says; raises InvalidRequest if part of it stands in the address."""
        parameters = Parameters.parse(self.request.body)
        if self.request.query_arguments:
            raise InvalidRequest("Send all parameters in the body, none in the address.")
        content_type = self.request.headers.get("Content-Type", "").partition(";")[0]
        if content_type.strip().lower() != FORM:
            raise InvalidRequest(f"Send the body as {FORM}.")
        return parameters

    async def client(self, parameters: Parameters) -> Client:
        """Return the client that the request proves to come from.

        Raises InvalidClient, and TooManyAttempts for an address that fails too often: a client
        that proves itself is never kept waiting for others.
        """
        try:
            return await self._authenticated(parameters)
        except InvalidClient:
            failures = self.server.oauth2.client_failures
            await failures.count({"client-failure-address": address_key(self.remote_ip)})
            raise

    async def _authenticated(self, parameters: Parameters) -> Client:
        headers = self.request.headers.get_list("Authorization")
        self.basic_was_used = any(header[:6].lower() == "basic " for header in headers)
        credentials = read_credentials(parameters, headers)
        return await self.server.oauth2.authenticator.authenticate(credentials)

    def access_token(self) -> tuple[str, str]:
        """Return scheme ("bearer" or "dpop") and token of the header, ("", "") without one.

        Raises InvalidRequest for several (RFC 6750 §3.1).
        """
        headers = self.request.headers.get_list("Authorization")
        if not headers:
            return "", ""
        scheme, _, token = headers[0].strip().partition(" ")
        if len(headers) > 1 or "," in token:
            raise InvalidRequest("There is more than one access token.")
        if scheme.lower() not in SCHEMES:
            return "", ""
        return scheme.lower(), token.strip()

    def proof(self) -> DPoPProof | None:
        """Return the DPoP header with what it must match; raises InvalidDPoPProof for several."""
        proofs = self.request.headers.get_list("DPoP")
        if not proofs:
            return None
        if len(proofs) > 1 or "," in proofs[0]:
            raise InvalidDPoPProof("There is more than one DPoP header.")
        url = self.server.settings.issuer + self.request.path
        return DPoPProof(proof=proofs[0].strip(), method=self.request.method or "", url=url)

    # -- the answer -----------------------------------------------------------------------------

    def write_members(self, value: Any) -> None:
        """Finish with the fields of a dataclass as JSON, without those that are empty."""
        self.write_json({name: one for name, one in asdict(value).items() if one not in ("", ())})

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error as RFC 6749 §5.2 and RFC 6750 §3 say."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, OAuth2Error):
            error = self._as_protocol_error(status_code, error)
        if error is None:
            return super().write_error(status_code, **kwargs)
        self.set_status(401 if self._is_unproven(error) else error.status)
        self.server.metrics.oauth2_errors.labels(type(self).__name__, error.code).inc()
        self.allow_listed_origin()
        if challenge := self._challenge(error):
            self.set_header("WWW-Authenticate", challenge)
        if isinstance(error, UseDPoPNonce):
            self.set_header("DPoP-Nonce", error.nonce)
        answer = {"error": error.code, "error_description": error.description}
        return self.write_json({name: text for name, text in answer.items() if text})

    def _as_protocol_error(self, status: int, error: BaseException | None) -> OAuth2Error | None:
        if isinstance(error, BadRequest) and error.status_code in (400, 415):
            return InvalidRequest(describe(status, error)[2].replace('"', "'"))
        if isinstance(error, HTTPError) and error.status_code == 400:
            return InvalidRequest("The request cannot be read.")  # Tornado found it out
        return None

    def _challenge(self, error: OAuth2Error) -> str:
        """Return the challenge that belongs to an error, "" if none does."""
        if isinstance(error, InvalidClient):
            return 'Basic realm="oauth2"' if self.basic_was_used else ""
        if isinstance(error, InsufficientScope):
            return f'Bearer error="{error.code}", scope="{error.scope}"'
        if isinstance(error, InvalidBearerToken) and error.scheme == "Bearer":
            return f'Bearer error="{error.code}"' if error.description else "Bearer"
        if isinstance(error, InvalidBearerToken) or self._is_unproven(error):
            algorithms = " ".join(self.server.oauth2.dpop.algorithms)
            return f'DPoP error="{error.code}", algs="{algorithms}"'
        return ""

    def _is_unproven(self, error: OAuth2Error) -> bool:
        """Tell whether a resource stays closed for want of a good proof (RFC 9449 §7.1, §9)."""
        return self.is_resource and isinstance(error, InvalidDPoPProof | UseDPoPNonce)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Leave what the protocol refuses to the access log."""
        if not isinstance(value, OAuth2Error):
            super().log_exception(typ, value, tb)
