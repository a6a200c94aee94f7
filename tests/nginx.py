"""A real nginx that runs the shipped deploy/nginx.conf, with other addresses.

    with running_nginx(tmp_path, service="127.0.0.1:8080", application="127.0.0.1:8000") as nginx:
        nginx.url           https://localhost:<port>
        nginx.certificate   what a client has to trust

Every replacement must hit, so that the file and this launcher cannot drift apart. Nothing outside
of the folder is read but nginx itself, and nothing is written.
"""

import contextlib
import ctypes
import datetime
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port

SHIPPED = Path(__file__).parent.parent / "deploy" / "nginx.conf"
PR_SET_PDEATHSIG = 1
START_LIMIT = 10.0

MAIN = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/main.log notice;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/tornado_auth.conf;
}}
"""


def find_nginx() -> str | None:
    """Return the path of nginx: Debian keeps it out of an ordinary user's PATH."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@dataclass(frozen=True)
class Policy:
    """What one needs to pass: a permission in a service, maybe certain ones."""

    service: str = ""
    read: str = ""
    write: str = ""

    @property
    def query(self) -> str:
        """The query of /auth/verify; the names are plain ones."""
        named = {"service": self.service, "read": self.read, "write": self.write}
        return "&".join(f"{key}={name}" for key, name in named.items() if name)


EVERYBODY = Policy()


@dataclass(frozen=True)
class Nginx:
    """A running nginx: where it listens, and where its logs are."""

    port: int
    plain_port: int
    certificate: Path
    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def logs(self) -> str:
        """All that nginx wrote so far."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for localhost and its key; return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "certificate.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file


def replaced(text: str, replacements: dict[str, str]) -> str:
    """Replace every key, each of which must be there."""
    for old, new in replacements.items():
        assert old in text, f"the configuration has no {old!r} any more: adapt the launcher"
        text = text.replace(old, new)
    return text


def write_configuration(
    folder: Path,
    *,
    service: str | tuple[str, ...],
    application: str,
    port: int,
    plain_port: int,
    policy: Policy,
    changes: dict[str, str] | None = None,
) -> Path:
    """Write the configuration with these addresses, and a main file around it; return the latter.

    `changes` are further replacements.
    """
    certificate, key = write_certificate(folder)
    services = service if isinstance(service, tuple) else (service,)
    here = {
        "    listen [::]:80;\n": "",
        "    listen [::]:443 ssl;\n": "",
        "listen 80;": f"listen 127.0.0.1:{plain_port};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "    server 127.0.0.1:8080;": "\n".join(f"    server {address};" for address in services),
        "server 127.0.0.1:8000;": f"server {application};",
        "server_name auth.example.org;": "server_name localhost;",
        "/etc/ssl/certs/auth.example.org.pem": str(certificate),
        "/etc/ssl/private/auth.example.org.key": str(key),
        'set $auth_policy "";': f'set $auth_policy "{policy.query and "?"}{policy.query}";',
        "/var/log/nginx/": f"{folder}/",
    }
    text = replaced(SHIPPED.read_text(), here | (changes or {}))
    (folder / "tornado_auth.conf").write_text(text)
    main = folder / "nginx.conf"
    main.write_text(MAIN.format(folder=folder))
    return main


def command(folder: Path) -> list[str]:
    nginx = find_nginx()
    if nginx is None:
        raise FileNotFoundError("no nginx: scripts/test installs it, or says how to")
    return [nginx, "-p", str(folder), "-e", str(folder / "main.log"), "-c", f"{folder}/nginx.conf"]


def die_with_parent() -> None:  # runs between fork and exec
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to end, and make it."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_listening(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Return once the port takes connections; raises RuntimeError with what the log says."""
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()}")


@contextlib.contextmanager
def running_nginx(
    folder: Path,
    *,
    service: str | tuple[str, ...],
    application: str,
    policy: Policy = EVERYBODY,
    port: int = 0,
    changes: dict[str, str] | None = None,
) -> Iterator[Nginx]:
    """Run nginx in `folder` until the block ends; addresses are host:port or unix:/path.

    `port` 0 takes a free one; `changes` are replacements in the configuration.
    """
    port, plain_port = port or free_port(), free_port()
    write_configuration(
        folder,
        service=service,
        application=application,
        port=port,
        plain_port=plain_port,
        policy=policy,
        changes=changes,
    )
    process = subprocess.Popen(command(folder), preexec_fn=die_with_parent)
    try:
        wait_until_listening(process, port, folder / "main.log")
        yield Nginx(port, plain_port, folder / "certificate.pem", folder, process)
    finally:
        end(process)
