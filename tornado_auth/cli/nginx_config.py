"""`tornado-auth nginx-config`: a complete configuration for nginx, from one template.

Owns which parts of it an operator may choose. A value gets into the text only in a form that can
end no directive and name no variable of nginx. Needs no settings, and writes nothing but text.
"""

import os
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from tornado.template import Template

from tornado_auth.cli.common import settings_problems
from tornado_auth.errors import SettingsError
from tornado_auth.setting_addresses import (
    host_of,
    listen_address,
    parse_external_address,
    parse_listen,
)
from tornado_auth.setting_sources import CONFIG_VARIABLE, KnownSettings, read_sources, variable_of

TEMPLATE = Path(__file__).parent / "templates" / "nginx.conf"
ADDRESS = "HOST:PORT|unix:/PATH"
MAX_SOCKET_PATH = 107  # bytes, of sun_path in unix(7)

_SERVER_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_PATH = re.compile(r"/[A-Za-z0-9._/@+=,-]*[A-Za-z0-9._@+=,-]")
# The service on all addresses of this machine is reached at its own.
_OWN_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound

_MAIN = """\
user {user};
worker_processes auto;
worker_rlimit_nofile 65536;

events {{
    worker_connections 8192;
}}

http {{
    default_type application/octet-stream;

{site}}}
"""


@dataclass(frozen=True, slots=True)
class NginxConfig:
    """What an operator may choose; the defaults make the `deploy/nginx.conf` that is shipped.

    Addresses are `host:port` or `unix:/path`; `policy` is the query of /auth/verify. With a `user`
    the text is a whole configuration, else what goes into the `http` block.
    """

    server_name: str = "auth.example.org"
    certificate: str = ""
    certificate_key: str = ""
    upstreams: tuple[str, ...] = ("127.0.0.1:8080",)
    application: str = "127.0.0.1:8000"
    policy: str = ""
    user: str = ""

    def render(self) -> str:
        """Return the text of the configuration."""
        name = self.server_name
        site = Template(TEMPLATE.read_text(encoding="utf-8"), autoescape=None, whitespace="all")
        text = site.generate(
            server_name=name,
            certificate=self.certificate or f"/etc/ssl/certs/{name}.pem",
            certificate_key=self.certificate_key or f"/etc/ssl/private/{name}.key",
            upstreams=self._servers(),
            application=self.application,
            policy=self.policy,
            trusted_proxies=self._trusted_proxies(),
            is_whole=bool(self.user),
        ).decode()
        if not self.user:
            return text
        head, _, rest = text.partition("\n\n")
        return f"{head}\n\n" + _MAIN.format(user=self.user, site=textwrap.indent(rest, "    "))

    def _servers(self) -> list[str]:
        if len(self.upstreams) == 1:
            return [f"server {self.upstreams[0]};"]
        # Left out for a second only: if all failed at once, nobody would pass for that long.
        return [f"server {address} fail_timeout=1s;" for address in self.upstreams]

    def _trusted_proxies(self) -> str:
        """Return what the service on this machine sees nginx as."""
        families = {_family(address): None for address in self.upstreams}
        return " ".join(families)


def policy_query(service: str, *, permission: str = "", read: str = "", write: str = "") -> str:
    """Return the query with which /auth/verify is asked; raises ValueError.

    Without a service it is empty. Whatever the names hold, the query is plain ASCII.
    """
    if not service and (permission or read or write):
        raise ValueError("A permission is one in a service. Name it with --service.")
    named = {"service": service, "permission": permission, "read": read, "write": write}
    if not all(name.isprintable() for name in named.values()):
        raise ValueError("A service or permission has a control character in its name.")
    parts = [f"{key}={quote(name, safe='')}" for key, name in named.items() if name]
    return "?" + "&".join(parts) if parts else ""


def _family(address: str) -> str:
    if address.startswith("unix:"):
        return "unix"
    return "::1" if address.startswith("[") else "127.0.0.1"


# -- values -------------------------------------------------------------------------------------


def check_server_name(text: str) -> str:
    """Return the name of a host, in lower case; raises ValueError."""
    if not _SERVER_NAME.fullmatch(text.lower()):
        raise ValueError("is not the name of a host. Write one such as auth.example.org.")
    return text.lower()


def check_path(text: str) -> str:
    """Return the absolute path of a file, of characters that mean nothing to nginx."""
    if not _PATH.fullmatch(text):
        raise ValueError(
            "is not a path that can stand in the configuration. Write an absolute one of letters, "
            "digits and . _ - / @ + = ,"
        )
    return text


def check_address(text: str) -> str:
    """Return `host:port`, `[v6]:port` or `unix:/path` in its normal form; raises ValueError."""
    parsed = listen_address(text)
    if parsed.path and len(check_path(parsed.path)) > MAX_SOCKET_PATH:
        raise ValueError(f"has a path of more than {MAX_SOCKET_PATH} characters. Shorten it.")
    return str(parsed)


def check_user(text: str) -> str:
    """Return the name of a user of the operating system; raises ValueError."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,31}", text):
        raise ValueError("is not the name of a user. Write one such as www-data.")
    return text


def _checked(check: Callable[[str], str]) -> Callable[..., Any]:
    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        try:
            if isinstance(value, tuple):
                return tuple(check(text) for text in value)
            return check(value) if value is not None else None
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None

    return callback


# -- the settings, as far as there are any ------------------------------------------------------


def from_settings(config: Path | None) -> NginxConfig:
    """Return the defaults, with what the settings say of our own addresses.

    The other settings may be missing or wrong. Raises SettingsError.
    """
    readers = {"external_address": _own_name, "listen": _upstream}
    raw = read_sources(os.environ, KnownSettings(frozenset(readers)), config_file=config)
    problems = [text for text in raw.problems if config and text.startswith(CONFIG_VARIABLE)]
    found = {}
    for field in raw.values.keys() - raw.bad:
        try:
            found[field] = readers[field](raw.values[field])
        except ValueError as error:
            problems.append(f"{variable_of(field)}: {error}")
    if problems:
        raise SettingsError(problems)
    return NginxConfig(
        server_name=found.get("external_address", "auth.example.org"),
        upstreams=(found.get("listen", "127.0.0.1:8080"),),
    )


def _own_name(value: object) -> str:
    return check_server_name(host_of(parse_external_address(value)))


def _upstream(value: object) -> str:
    listen = listen_address(parse_listen(value))
    return check_address(str(replace(listen, host=_OWN_ADDRESS.get(listen.host, listen.host))))


# -- the command --------------------------------------------------------------------------------


@click.command("nginx-config")
@click.option(
    "--server-name",
    metavar="NAME",
    callback=_checked(check_server_name),
    help="Host name of the site.",
)
@click.option(
    "--certificate",
    metavar="PATH",
    callback=_checked(check_path),
    help="File with its certificate.",
)
@click.option(
    "--certificate-key",
    metavar="PATH",
    callback=_checked(check_path),
    help="File with the key of the certificate.",
)
@click.option(
    "--upstream",
    "upstreams",
    metavar=ADDRESS,
    multiple=True,
    callback=_checked(check_address),
    help="Where the service listens; once for each process with an address of its own.",
)
@click.option(
    "--application",
    metavar=ADDRESS,
    callback=_checked(check_address),
    help="Where the application listens.",
)
@click.option("--service", default="", help="Let pass only who has a permission in this service.")
@click.option("--permission", default="", help="The permission that one needs there.")
@click.option("--read", default="", help="The permission that one needs there to look.")
@click.option("--write", default="", help="The permission that one needs there to change.")
@click.option("--main", is_flag=True, help="Write a whole configuration, for `nginx -c`.")
@click.option(
    "--user",
    default="www-data",
    show_default=True,
    callback=_checked(check_user),
    help="Whom nginx works as, with --main.",
)
@click.pass_obj
def nginx_config(
    config: Path | None,
    /,
    *,
    service: str,
    permission: str,
    read: str,
    write: str,
    main: bool,
    user: str,
    **addresses: Any,
) -> None:
    """Write a configuration for nginx, which asks the service about each request.

    It goes to standard output. The defaults are those of deploy/nginx.conf, and the addresses
    those of the settings, where there are any.
    """
    with settings_problems():
        found = from_settings(config)
    try:
        policy = policy_query(service, permission=permission, read=read, write=write)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    chosen = {name: value for name, value in addresses.items() if value}
    found = replace(found, policy=policy, user=user if main else "", **chosen)
    click.echo(found.render(), nl=False)
