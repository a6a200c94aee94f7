"""All routes in one list, and the Tornado applications made of them.

Owns which handler answers where, and the limits on what a connection may send. Never builds a part
of the service: `server.py` does.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.web import Application, RequestHandler

from tornado_auth import admin, handlers, ops
from tornado_auth.fast_path import Answers, ChecksFirst, Front, PlainRequests
from tornado_auth.oauth2 import handlers as oauth2
from tornado_auth.pages import (
    admin_audit,
    admin_groups,
    admin_users,
    admin_why,
    consent,
    device,
    end_session,
    login,
    own_keys,
)
from tornado_auth.pages import handlers as pages
from tornado_auth.server import AuthServer
from tornado_auth.settings import Settings
from tornado_auth.supervisor import Supervisor, WorkersAnswers
from tornado_auth.web import (
    InFlight,
    NotFoundHandler,
    StaticHandler,
    load_files,
    load_templates,
    log_request,
    session_cookie_name,
)

Rule = tuple[str, type[RequestHandler], dict[str, Any]]

MAX_HEADER_SIZE = 16 * 1024
MAX_BODY_SIZE = 64 * 1024
BACKLOG = 4096

ROUTES: list[tuple[str, type[RequestHandler]]] = [
    (r"/", pages.HomeHandler),
    (r"/auth/?", pages.HomeHandler),
    (r"/auth/check", handlers.CheckHandler),
    (r"/auth/verify", handlers.VerifyHandler),
    (r"/auth/authorize", handlers.PermissionsHandler),
    (r"/auth/update", handlers.UpdateHandler),
    (r"/auth/public-key", handlers.PublicKeyHandler),
    (r"/\.well-known/jwks\.json", handlers.KeySetHandler),
    (r"/auth/resolve", handlers.ResolveHandler),
    (r"/auth/get_profile", handlers.GetProfileHandler),
    (r"/auth/token", handlers.HandoverHandler),
    (r"/auth/login", login.LoginPageHandler),
    (r"/auth/login/local", login.LocalLoginHandler),
    (r"/auth/login/dev", login.DevLoginHandler),
    (r"/auth/login/([a-z][a-z0-9_-]*)", handlers.LoginHandler),
    (r"/auth/oauth_callback(?:/[a-z][a-z0-9_-]*)?", handlers.OAuthCallbackHandler),
    (r"/auth/logout", pages.LogoutHandler),
    (r"/auth/backchannel_logout/([a-z][a-z0-9_-]*)", handlers.UpstreamLogoutHandler),
    (r"/oauth2/consent", consent.ConsentHandler),
    (r"/oauth2/device", device.DevicePageHandler),
    (r"/oauth2/logout", end_session.RPLogoutHandler),
    (r"/oauth2/logged-out", end_session.LoggedOutHandler),
    (r"/auth/static/(.*)", StaticHandler),
    (r"/auth/account", pages.AccountPageHandler),
    (r"/auth/account/username", pages.UsernameHandler),
    (r"/auth/account/end-session", pages.EndSessionHandler),
    (r"/auth/account/end-other-sessions", pages.EndOtherSessionsHandler),
    (r"/auth/account/create-key", own_keys.CreateKeyHandler),
    (r"/auth/account/revoke-key", own_keys.RevokeKeyHandler),
    (r"/auth/account/revoke-application", pages.RevokeApplicationHandler),
    (r"/auth/account/link/([a-z][a-z0-9_-]*)", pages.LinkHandler),
    (r"/auth/admin", admin_users.UsersHandler),
    (r"/auth/admin/users/([^/]+)/why", admin_why.WhyHandler),
    (r"/auth/admin/users/([^/]+)(?:/([a-z-]+))?", admin_users.UserHandler),
    (r"/auth/admin/groups", admin_groups.GroupsHandler),
    (r"/auth/admin/groups/([^/]+)(?:/([a-z-]+))?", admin_groups.GroupHandler),
    (r"/auth/admin/roles", admin_groups.RolesHandler),
    (r"/auth/admin/roles/([^/]+)(?:/([a-z-]+))?", admin_groups.RoleHandler),
    (r"/auth/admin/audit", admin_audit.AuditHandler),
    (r"/auth/admin/invitation", admin_audit.InvitationHandler),
    *admin.ROUTES,
    *oauth2.ROUTES,
]

OPS_ROUTES: list[tuple[str, type[RequestHandler]]] = [
    (r"/health/live", ops.LiveHandler),
    (r"/health/ready", ops.ReadyHandler),
    (r"/metrics", ops.MetricsHandler),
]

WORKERS_OPS_ROUTES: list[tuple[str, type[RequestHandler]]] = [
    (r"/health/live", ops.WorkersLiveHandler),
    (r"/health/ready", ops.WorkersReadyHandler),
    (r"/metrics", ops.WorkersMetricsHandler),
]


def make_app(
    server: AuthServer,
    own_routes: Sequence[Rule] = (),
    *,
    own_templates: Mapping[str, str] | None = None,
) -> Application:
    """Return the application that people and services talk to.

    `own_routes` go before ours; `own_templates` are those of `application_settings`.
    """
    settings = application_settings(server, own_templates)
    return Application([*own_routes, *routes(server)], **settings)


def routes(server: AuthServer) -> list[Rule]:
    """Return our routes, for an application that has others, too."""
    return [(pattern, handler, {"server": server}) for pattern, handler in ROUTES]


def application_settings(
    server: AuthServer, own_templates: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the settings that our handlers need of the application that they are in.

    `own_templates` are texts of templates by name: `login.html` is then shown in place of ours.
    """
    https = server.settings.issuer.startswith("https://")
    return {
        "default_handler_class": NotFoundHandler,
        "default_handler_args": {"server": server},
        "log_function": log_request,
        "static_files": load_files(),
        "template_loader": load_templates(own_templates or {}),
        "https": https,
        "in_flight": InFlight(),
        "is_trusted_proxy": _trust(server.settings),
        "xsrf_cookies": True,
        "xsrf_cookie_name": f"{'__Host-' if https else ''}tornado_auth_xsrf",
        "xsrf_cookie_kwargs": {
            "httponly": True,
            "samesite": "Lax",
            "secure": https,
            "path": "/",
        },
    }


def make_ops_app(server: AuthServer) -> Application:
    """Return the application that only operators reach: health and metrics."""
    return Application(
        [(pattern, handler, {"server": server}) for pattern, handler in OPS_ROUTES],
        log_function=lambda handler: None,
    )


def make_workers_ops_app(supervisor: Supervisor) -> Application:
    """Return the application that only operators reach, where there are workers."""
    given = {"supervisor": supervisor, "answers": WorkersAnswers(supervisor)}
    return Application(
        [(pattern, handler, given) for pattern, handler in WORKERS_OPS_ROUTES],
        log_function=lambda handler: None,
    )


class _DrainingServer(HTTPServer):
    """An HTTP server that, once stopped, answers one more request on each connection."""

    def stop(self) -> None:
        super().stop()
        # Heads that arrive from now on are answered with `Connection: close`, and then it closes.
        self.conn_params.no_keep_alive = True


def make_http_server(app: Application, settings: Settings) -> HTTPServer:
    """Return an HTTP server with limits on what a client may send and how slowly.

    The forwarded headers are not Tornado's business: `BaseHandler.remote_ip` reads them.
    """
    return _DrainingServer(
        app,
        max_header_size=MAX_HEADER_SIZE,
        max_body_size=MAX_BODY_SIZE,
        max_buffer_size=MAX_HEADER_SIZE + MAX_BODY_SIZE,
        idle_connection_timeout=settings.header_timeout,
        body_timeout=settings.body_timeout,
    )


def make_listener(
    app: Application, server: AuthServer, selector: ChecksFirst | None = None
) -> HTTPServer | Front:
    """Return what listens: the fast path with Tornado behind it, or Tornado alone.

    `selector` is that of the event loop, if it is one that lets checks go first.
    """
    settings = server.settings
    http_server = make_http_server(app, settings)
    if not settings.fast_path:
        return http_server
    cookie = session_cookie_name(https=app.settings["https"])
    return Front(
        http_server,
        Answers(server, PlainRequests(cookie, jwt_parameter=settings.jwt_parameter)),
        header_timeout=settings.header_timeout,
        is_trusted=app.settings["is_trusted_proxy"],
        in_flight=app.settings["in_flight"],
        selector=selector,
    )


async def run(app: Application, server: AuthServer) -> None:
    """Answer where the settings say, from the start of the server until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    listener = make_listener(app, server)
    try:
        await server.start()
        listener.add_sockets(bind(server.settings.listen))
        await stopped.wait()
    finally:
        listener.stop()
        await listener.close_all_connections()
        await server.stop()


def bind(address: str) -> list[socket.socket]:
    """Bind `host:port`, `[v6]:port` or `unix:/path`; a unix socket is open to its group."""
    if address.startswith("unix:"):
        return [bind_unix_socket(os.path.abspath(address[5:]), mode=0o660, backlog=BACKLOG)]
    host, _, port = address.rpartition(":")
    return bind_sockets(int(port), host.strip("[]"), backlog=BACKLOG)


def _trust(settings: Settings) -> Callable[[str], bool]:
    networks = [network for network in settings.trusted_proxies if network != "unix"]
    # Tornado gives peers on a unix socket this address.
    unix = {"0.0.0.0"} if "unix" in settings.trusted_proxies else set()  # noqa: S104 - no bind

    @lru_cache(maxsize=1024)  # each request asks several times
    def is_trusted(address: str) -> bool:
        if address in unix:
            return True
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in networks)

    return is_trusted
