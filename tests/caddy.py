"""A real Caddy that runs the shipped deploy/Caddyfile, with other addresses.

    with running_caddy(tmp_path, service="127.0.0.1:8080", application="127.0.0.1:8000") as caddy:
        caddy.url           https://localhost:<port>
        caddy.certificate   what a client has to trust

Every replacement must hit, so that the file and this launcher cannot drift apart. Caddy asks nobody
for a certificate, changes no list of trusted ones, and writes to the folder alone.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.nginx import (
    EVERYBODY,
    Policy,
    die_with_parent,
    end,
    free_port,
    replaced,
    wait_until_listening,
    write_certificate,
)

SHIPPED = Path(__file__).parent.parent / "deploy" / "Caddyfile"


@dataclass(frozen=True)
class Caddy:
    """A running Caddy: where it listens, and where its log is."""

    port: int
    certificate: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def logs(self) -> str:
        """All that Caddy wrote so far."""
        return (self.folder / "caddy.log").read_text()


def write_configuration(
    folder: Path,
    *,
    service: str,
    application: str,
    port: int,
    policy: Policy,
    changes: dict[str, str] | None = None,
) -> Path:
    """Write the shipped file with these addresses; return its path.

    `changes` are further replacements.
    """
    certificate, key = write_certificate(folder)
    # Caddy writes unix//path for unix:/path.
    upstream = service.replace("unix:", "unix/")
    here = {
        "\tadmin off\n": "\tadmin off\n\tauto_https disable_redirects\n",
        "auth.example.org {\n": f"https://localhost:{port} {{\n"
        f"\tbind 127.0.0.1\n\ttls {certificate} {key}\n",
        " 127.0.0.1:8080 {": f" {upstream} {{",
        "reverse_proxy 127.0.0.1:8000": f"reverse_proxy {application}",
        'import verify ""': f'import verify "{policy.query}"',
    }
    path = folder / "Caddyfile"
    path.write_text(replaced(SHIPPED.read_text(), here | (changes or {})))
    return path


def command(action: str, path: Path) -> list[str]:
    caddy = shutil.which("caddy")
    if caddy is None:
        raise FileNotFoundError("no caddy: scripts/test installs it, or says how to")
    return [caddy, action, "--config", str(path), "--adapter", "caddyfile"]


def environ(folder: Path) -> dict[str, str]:
    """Return an environment in which Caddy keeps to the folder."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }


@contextlib.contextmanager
def running_caddy(
    folder: Path,
    *,
    service: str,
    application: str,
    policy: Policy = EVERYBODY,
    port: int = 0,
    changes: dict[str, str] | None = None,
) -> Iterator[Caddy]:
    """Run Caddy in `folder` until the block ends; addresses are host:port or unix:/path.

    `port` 0 takes a free one; `changes` are replacements in the configuration.
    """
    port = port or free_port()
    path = write_configuration(
        folder,
        service=service,
        application=application,
        port=port,
        policy=policy,
        changes=changes,
    )
    log = folder / "caddy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command("run", path),
            env=environ(folder),
            cwd=folder,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,
        )
    try:
        wait_until_listening(process, port, log)
        yield Caddy(port, folder / "certificate.pem", folder)
    finally:
        end(process)
