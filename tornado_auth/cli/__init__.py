"""The `tornado-auth` command: one file per subcommand.

Owns how a terminal is spoken to. Mistakes in the settings end with exit status 2 and one line each.
"""

from pathlib import Path

import click

from tornado_auth import __version__
from tornado_auth.cli.admins import admins
from tornado_auth.cli.api_keys import api_keys
from tornado_auth.cli.applications import applications
from tornado_auth.cli.audit import audit
from tornado_auth.cli.check_config import check_config
from tornado_auth.cli.clients import clients
from tornado_auth.cli.groups import groups
from tornado_auth.cli.identities import identities
from tornado_auth.cli.keys import keys
from tornado_auth.cli.nginx_config import nginx_config
from tornado_auth.cli.permissions import permissions
from tornado_auth.cli.roles import roles
from tornado_auth.cli.serve import serve
from tornado_auth.cli.service_accounts import service_accounts
from tornado_auth.cli.sessions import sessions
from tornado_auth.cli.users import users


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tornado-auth")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file to read instead of ./tornado_auth.toml.",
)
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Answer "may this request pass, and as whom?" for services behind nginx."""
    context.obj = config


for command in (
    serve,
    check_config,
    keys,
    nginx_config,
    users,
    groups,
    roles,
    permissions,
    identities,
    sessions,
    api_keys,
    service_accounts,
    clients,
    applications,
    admins,
    audit,
):
    main.add_command(command)
