"""GET of the two well-known addresses at which the server describes itself."""

from tornado_auth.oauth2.handlers.base import OAuth2Handler


class MetadataHandler(OAuth2Handler):
    """/.well-known/openid-configuration and /.well-known/oauth-authorization-server (RFC 8414 §3).

    The issuer has no path, so neither address has one.
    """

    def get(self) -> None:
        """Answer the same at both, whatever host was asked for."""
        self.set_header("Cache-Control", "public, max-age=300")
        self.write_json(self.server.oauth2.metadata.document())
