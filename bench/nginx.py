"""A static file behind nginx, with `auth_request` and without.

nginx runs the configuration that `tornado-auth nginx-config` writes, changed only where this
measurement must: without TLS, which both would have, without access log, and with files in place
of the application. It has one worker, on a CPU of its own; the service and wrk share another.
"""

from bench.load import Contender, Load, get
from bench.processes import CLIENT_CPU, SERVER_CPU, Failed, find, free_port
from bench.report import Goal, Outcome
from bench.run import Run
from bench.servers import Scene, Server, start_ours
from tornado_auth.cli.nginx_config import NginxConfig

OPEN = "the file without authentication"
BY_TCP = "the file with auth_request over TCP"
BY_UNIX = "the file with auth_request over a unix socket"
GOALS = {BY_TCP: 0.35, BY_UNIX: 0.45}
CONNECTIONS = 64
FILE = "It is only for those who are signed in.\n" * 25

MAIN = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/main.log;
worker_rlimit_nofile 4096;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    keepalive_requests 10000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{site}
}}
"""


def nginx(run: Run) -> Outcome:
    """Compare a file that anybody gets with one that only those who are signed in get."""
    outcome = Outcome("A static file through nginx, with auth_request and without")
    by_tcp = _contender(run, BY_TCP, "")
    by_unix = _contender(run, BY_UNIX, f"unix:{run.folder}/service.sock")
    without = Contender(
        name=OPEN,
        address=by_tcp.address,
        processes=by_tcp.processes,
        load=_load(run.scene, "/open/file"),
        connections=CONNECTIONS,
        cpus=CLIENT_CPU,
    )
    rows = run.compare([without, by_tcp, by_unix])
    outcome.add(rows, base=OPEN)
    outcome.goals = [
        Goal(f"{row.name}: x without", row.to(rows[0]).median, GOALS[row.name]) for row in rows[1:]
    ]
    outcome.notes.append("The CPU time is that of nginx and the service together.")
    return outcome


def _contender(run: Run, name: str, address: str) -> Contender:
    service = start_ours(
        run.scene, cpus=CLIENT_CPU, address=address, environ={"TORNADO_AUTH_TRUSTED_PROXIES": ""}
    )
    front = start_nginx(run.scene, service.address)
    return Contender(
        name=name,
        address=front.address,
        processes=[front.process, service.process],
        load=_load(run.scene, "/file"),
        connections=CONNECTIONS,
        cpus=CLIENT_CPU,
    )


def _load(scene: Scene, path: str) -> Load:
    return Load(
        template=get(path), tokens=scene.tokens, count=scene.warm, contains=FILE[:40].encode()
    )


def start_nginx(scene: Scene, upstream: str) -> Server:
    """Start nginx before a service at `host:port` or `unix:/path`."""
    port = free_port()
    folder = scene.folder / f"nginx-{port}"
    files = folder / "files"
    for path in (files / "file", files / "open" / "file"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(FILE)
    configuration = folder / "nginx.conf"
    site = _site(upstream, port=port, files=str(files))
    configuration.write_text(MAIN.format(folder=folder, site=site))
    command = [find("nginx"), "-p", str(folder), "-e", str(folder / "main.log")]
    return scene.start(
        "nginx",
        [*command, "-c", str(configuration)],
        address=f"127.0.0.1:{port}",
        cpus=SERVER_CPU,
    )


def _site(upstream: str, *, port: int, files: str) -> str:
    text = NginxConfig(server_name="localhost", upstreams=(upstream,)).render()
    lines = [line for line in text.splitlines() if not _is_left_out(line)]
    return _replaced(
        "\n".join(lines),
        {
            "listen 443 ssl;": f"listen 127.0.0.1:{port};",
            "listen 80;": f"listen 127.0.0.1:{free_port()};",
            "proxy_pass http://application;": f"root {files};",
            "    location /auth/ {": f"    location /open/ {{ root {files}; }}\n"
            "    location /auth/ {",
        },
    )


def _is_left_out(line: str) -> bool:
    word = line.strip().partition(" ")[0]
    return word.startswith("ssl_") or word in ("access_log", "error_log") or "listen [::]" in line


def _replaced(text: str, replacements: dict[str, str]) -> str:
    for old, new in replacements.items():
        if old not in text:
            raise Failed(f"what `tornado-auth nginx-config` writes has no {old!r}")
        text = text.replace(old, new)
    return text
