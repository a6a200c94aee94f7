"""The HTTP of the authorization server.

Owns which of its endpoints answers where.
"""

from tornado.web import RequestHandler

from tornado_auth.oauth2.handlers.authorization import AuthorizationHandler
from tornado_auth.oauth2.handlers.device_authorization import DeviceAuthorizationHandler
from tornado_auth.oauth2.handlers.introspection import IntrospectionHandler
from tornado_auth.oauth2.handlers.metadata import MetadataHandler
from tornado_auth.oauth2.handlers.pushed_requests import PushedRequestHandler
from tornado_auth.oauth2.handlers.registration import (
    RegisteredClientHandler,
    RegistrationHandler,
)
from tornado_auth.oauth2.handlers.revocation import RevocationHandler
from tornado_auth.oauth2.handlers.token import TokenHandler
from tornado_auth.oauth2.handlers.userinfo import UserinfoHandler

ROUTES: list[tuple[str, type[RequestHandler]]] = [
    (r"/oauth2/authorize", AuthorizationHandler),
    (r"/oauth2/par", PushedRequestHandler),
    (r"/oauth2/token", TokenHandler),
    (r"/oauth2/device_authorization", DeviceAuthorizationHandler),
    (r"/oauth2/userinfo", UserinfoHandler),
    (r"/oauth2/introspect", IntrospectionHandler),
    (r"/oauth2/revoke", RevocationHandler),
    (r"/oauth2/register", RegistrationHandler),
    (r"/oauth2/register/([^/]+)", RegisteredClientHandler),
    (r"/\.well-known/openid-configuration", MetadataHandler),
    (r"/\.well-known/oauth-authorization-server", MetadataHandler),
]
