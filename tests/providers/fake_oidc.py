"""An OpenID provider that tells the truth until it is told to lie."""

import base64
import functools
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key

from tests.providers.fakes import Fake, FakeHandler, query_of, s256


@functools.cache
def rsa_key(name: str) -> RSAPrivateKey:
    """Return a key that is the same for the same name, for a whole test run."""
    return generate_rsa_key(public_exponent=65537, key_size=2048)


@functools.cache
def ec_key(name: str) -> Any:
    return generate_ec_key(SECP256R1())


def jwk(key: Any, **members: str) -> dict[str, Any]:
    algorithm = "RS256" if isinstance(key, RSAPrivateKey) else "ES256"
    public = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**public, "use": "sig", "alg": algorithm, **members}


class FakeOIDC(Fake):
    """An OpenID provider with own keys; everything that it says can be bent.

    `claims` and `userinfo` are added to what is said of everybody (None takes a claim away),
    `metadata` to the configuration, and `sign` makes the ID token of its claims.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        super().__init__(
            [
                ("/.well-known/openid-configuration", _Configuration),
                ("/jwks", _Jwks),
                ("/token", _Token),
                ("/me", _UserInfo),
            ]
        )
        self.now = now
        self.client_id, self.client_secret = "rp:1 %", "s:e+c%r e&t-that-is-long-enough"
        self.subject = "1001"
        self.keys = [jwk(rsa_key("own"), kid="k1")]
        self.sign = self.signed_by(rsa_key("own"), kid="k1")
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {"email": "ann@example.org", "email_verified": True}
        self.metadata: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens: set[str] = set()

    @staticmethod
    def signed_by(key: Any, *, alg: str = "RS256", **header: Any) -> Callable[[dict], str]:
        return lambda claims: jwt.encode(claims, key, algorithm=alg, headers=header)

    def approve(self, url: str) -> dict[str, str]:
        """Let somebody authorize us, and return the parameters of the callback."""
        request = query_of(url)
        code = secrets.token_urlsafe(20)
        self.codes[code] = request
        return {"code": code, "state": request["state"], "iss": self.url}

    def configuration(self) -> dict[str, Any]:
        document = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/auth?audience=us",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/me",
            "jwks_uri": f"{self.url}/jwks",
            "id_token_signing_alg_values_supported": ["RS256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return _bent(document, self.metadata)

    def id_token(self, nonce: str) -> str:
        claims = {
            "iss": self.url,
            "sub": self.subject,
            "aud": self.client_id,
            "exp": self.now() + 300,
            "iat": self.now(),
            "nonce": nonce,
        }
        return self.sign(_bent(claims, self.claims))


def _bent(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**document, **changes}.items() if value is not None}


class _Configuration(FakeHandler):
    def get(self) -> None:
        self.finish(self.fake.configuration())


class _Jwks(FakeHandler):
    def get(self) -> None:
        self.finish({"keys": self.fake.keys})


class _Token(FakeHandler):
    def post(self) -> None:
        code = self.fake.codes.pop(self.form.get("code", ""), None)
        refused = (
            self._credentials() != (self.fake.client_id, self.fake.client_secret)
            or code is None
            or self.form.get("grant_type") != "authorization_code"
            or self.form.get("redirect_uri") != code["redirect_uri"]
            or ("code_challenge" in code and self._challenge() != code["code_challenge"])
        )
        if refused:
            self.set_status(400)
            return self.finish({"error": "invalid_grant"})
        token = secrets.token_urlsafe(20)
        self.fake.tokens.add(token)
        id_token = self.fake.id_token(code["nonce"])
        return self.finish({"access_token": token, "token_type": "Bearer", "id_token": id_token})

    def _challenge(self) -> str:
        return s256(self.form.get("code_verifier", ""))

    def _credentials(self) -> tuple[str | None, str | None]:
        """Read them in the one way that the configuration offers, strictly (RFC 6749 §2.3.1)."""
        methods = self.fake.configuration().get("token_endpoint_auth_methods_supported")
        if methods == ["client_secret_post"]:
            return self.form.get("client_id"), self.form.get("client_secret")
        scheme, _, encoded = self.request.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic" or "client_secret" in self.form:
            return None, None
        client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
        return unquote_plus(client_id), unquote_plus(secret)


class _UserInfo(FakeHandler):
    def get(self) -> None:
        if self.bearer_token() not in self.fake.tokens:
            self.set_status(401)
            self.finish({"error": "invalid_token"})
        else:
            self.finish(_bent({"sub": self.fake.subject}, self.fake.userinfo))
