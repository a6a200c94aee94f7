"""`tornado-auth keys`: the files with the service's secrets."""

import os
import secrets
from pathlib import Path

import click

from tornado_auth.cli.common import fail
from tornado_auth.keys import KeySet, generate_private_pem

ALGORITHMS = ("RS256", "ES256", "EdDSA")


@click.group()
def keys() -> None:
    """Make the keys that sign tokens."""


@keys.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    show_default=True,
    help="Where to write private.pem, public.pem and secret.",
)
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default="RS256", show_default=True)
def generate(directory: Path, algorithm: str) -> None:
    """Write a new key pair and a new secret; files that are there are never overwritten."""
    paths = {name: directory / name for name in ("private.pem", "public.pem", "secret")}
    if existing := [str(path) for path in paths.values() if os.path.lexists(path)]:
        fail(f"{', '.join(existing)}: already there. Move it away to make new keys.")
    private_pem = generate_private_pem(algorithm)
    texts = {
        "private.pem": private_pem,
        "public.pem": KeySet.from_pem(private_pem, algorithm=algorithm).public_pem(),
        "secret": secrets.token_urlsafe(48) + "\n",
    }
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in texts.items():
            _write(paths[name], text)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}. Choose another --directory.")
    click.echo(
        f"Wrote {', '.join(str(path) for path in paths.values())}.\n"
        "Set PRIVATE_KEY_FILE, PUBLIC_KEY_FILE and TORNADO_AUTH_SECRET_FILE to them"
        + (f", and TORNADO_AUTH_SIGNING_ALGORITHM={algorithm}." if algorithm != "RS256" else ".")
    )


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
