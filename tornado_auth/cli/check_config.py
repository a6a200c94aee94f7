"""`tornado-auth check-config`: are the settings usable?"""

from pathlib import Path

import click

from tornado_auth.cli.common import read_settings, settings_problems
from tornado_auth.server import AuthServer


@click.command("check-config")
@click.option("--dev", is_flag=True, help="Check for `serve --dev`.")
@click.pass_obj
def check_config(config: Path | None, dev: bool) -> None:
    """Report every mistake in the settings at once; exit status 2 if there is any."""
    settings = read_settings(config, dev=dev)
    with settings_problems():
        AuthServer(settings)
    click.echo("The settings are fine.")
