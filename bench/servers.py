"""The contenders: how each is started, what it is asked, and what a right answer is.

Each `start_...` starts a server of one or more processes in the scratch folder and returns it when
it takes connections. The peers run as their own documentation says, with the quick choices where
there is one: uvloop and httptools, no access log, tokens in memory.
"""

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.load import Contender, Load, get
from bench.population import ISSUER, Population
from bench.processes import (
    CLIENT_CPU,
    CPUS,
    EVERY_CPU,
    ROOT,
    SERVER_CPU,
    Failed,
    Process,
    find,
    free_port,
    wait_for,
)

PEERS = ROOT / "bench" / "peers"
PEER_PYTHON = ROOT / ".bench" / "peers" / "bin"
PROVIDER = ROOT / ".bench" / "provider"
CHECK = "/auth/check"

HELLO = "Tornado hello"
OURS = "tornado_auth"
ORDINARY = "tornado_auth, fast path off"
DGP = "dgp-oauth2, gunicorn"
FASTAPI = "FastAPI, uvicorn"
ASGI = "bare ASGI, uvicorn"
INTROSPECTION = "oidc-provider introspection"
EVERYBODY = (HELLO, OURS, ORDINARY, DGP, FASTAPI, ASGI, INTROSPECTION)


@dataclass(frozen=True)
class Server:
    """Something that listens: `address` is host:port or unix:/path."""

    process: Process
    address: str


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What the servers of a run share; the stack stops each of them at the end of a case.

    `cpus` are those of a server of one process.
    """

    folder: Path
    stack: ExitStack
    population: Population
    tokens: Path
    database_url: str
    warm: int

    def start(
        self,
        name: str,
        command: list[str],
        *,
        address: str,
        environ: Mapping[str, str] | None = None,
        cpus: frozenset[int] = EVERY_CPU,
    ) -> Server:
        """Start a server and wait until it listens."""
        folder = self.folder / f"{name.partition(',')[0]}-{secrets.token_hex(4)}"
        folder.mkdir()
        process = Process(name, command, folder=folder, environ=environ, cpus=cpus)
        self.stack.callback(process.stop)
        wait_for(process, address)
        return Server(process, address)


def start_ours(
    scene: Scene,
    *,
    name: str = OURS,
    processes: int = 1,
    cpus: frozenset[int] = SERVER_CPU,
    address: str = "",
    environ: Mapping[str, str] | None = None,
    dev: bool = False,
) -> Server:
    """Start `tornado-auth serve`; `environ` adds settings."""
    address = address or _free_address()
    command = [sys.executable, "-m", "tornado_auth", "serve"]
    command += ["--dev"] if dev else []
    command += ["--processes", str(processes)] if processes > 1 else []
    settings = {
        **scene.population.environ(scene.database_url),
        "TORNADO_AUTH_LISTEN": address,
        "TORNADO_AUTH_OPS_LISTEN": "off",
        "ALLOWED_SERVICES": "bench:bench.permission_provider",
        "PYTHONPATH": str(ROOT),
    }
    return scene.start(
        name, command, address=address, environ=settings | dict(environ or {}), cpus=cpus
    )


def start_ordinary(scene: Scene, *, processes: int, cpus: frozenset[int]) -> Server:
    """Start ours with every request answered by Tornado."""
    off = {"TORNADO_AUTH_FAST_PATH": "off"}
    return start_ours(scene, name=ORDINARY, processes=processes, cpus=cpus, environ=off)


def start_hello(scene: Scene, *, processes: int, cpus: frozenset[int]) -> Server:
    """Start Tornado's hello world."""
    address = _free_address()
    command = [sys.executable, str(PEERS / "hello.py"), _port(address), str(processes)]
    return scene.start(HELLO, command, address=address, cpus=cpus)


def start_uvicorn(
    scene: Scene, *, processes: int, cpus: frozenset[int], name: str, app: str
) -> Server:
    """Start one of the two applications under uvicorn."""
    address = _free_address()
    command = [_peer("uvicorn"), app, "--port", _port(address), "--workers", str(processes)]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    command += ["--log-level", "warning", "--app-dir", str(PEERS), "--backlog", "4096"]
    environ = {
        "DATABASE": scene.database_url.removeprefix("sqlite:///"),
        "PUBLIC_KEY": scene.population.service("memory://").keys.public_pem(),
        "ISSUER": ISSUER,
    }
    return scene.start(name, command, address=address, environ=environ, cpus=cpus)


def start_dgp(scene: Scene, *, processes: int, cpus: frozenset[int]) -> Server:
    """Start dgp-oauth2 with its own users and tokens."""
    environ = {
        "PRIVATE_KEY": scene.population.private_pem,
        "DATABASE_URL": f"sqlite:///{scene.folder}/dgp.db",
        "GITHUB_KEY": "bench",
        "GITHUB_SECRET": "bench",
        "ALLOWED_SERVICES": "bench:dgp_permissions",
        "PYTHONPATH": str(PEERS),
    }
    if not dgp_tokens(scene).exists():
        command = [_peer("python"), str(PEERS / "dgp_app.py"), str(scene.warm)]
        filling = Process(
            "dgp-fill", [*command, str(dgp_tokens(scene))], folder=scene.folder, environ=environ
        )
        filling.wait()
    address = _free_address()
    command = [_peer("gunicorn"), "--bind", address, "--workers", str(processes)]
    command += ["--backlog", "2048", "dgp_app:make_app()"]
    return scene.start(DGP, command, address=address, environ=environ, cpus=cpus)


def start_introspection(scene: Scene, *, processes: int, cpus: frozenset[int]) -> Server:
    """Start oidc-provider with opaque tokens in memory."""
    path = opaque_tokens(scene)
    if not path.exists():
        path.write_text("".join(f"{secrets.token_urlsafe(32)}\n" for _ in range(scene.warm)))
    if not (PROVIDER / "introspection.mjs").exists():
        raise Failed(f"{INTROSPECTION} is not installed: scripts/bench does it")
    address = _free_address()
    command = [find("node"), str(PROVIDER / "introspection.mjs"), _port(address), str(processes)]
    environ = {"NODE_ENV": "production"}
    return scene.start(
        INTROSPECTION, [*command, str(path)], address=address, environ=environ, cpus=cpus
    )


STARTERS: dict[str, Callable[..., Server]] = {
    HELLO: start_hello,
    OURS: start_ours,
    ORDINARY: start_ordinary,
    DGP: start_dgp,
    FASTAPI: partial(start_uvicorn, name=FASTAPI, app="fastapi_app:app"),
    ASGI: partial(start_uvicorn, name=ASGI, app="asgi_app:app"),
    INTROSPECTION: start_introspection,
}


def dgp_tokens(scene: Scene) -> Path:
    """Return the file with the tokens of dgp-oauth2."""
    return scene.folder / "dgp-tokens"


def opaque_tokens(scene: Scene) -> Path:
    """Return the file with the tokens of oidc-provider."""
    return scene.folder / "opaque-tokens"


def warm_load(scene: Scene, name: str) -> Load:
    """Return checks of tokens that the server has seen before, thousands of them in turn."""
    if name == HELLO:
        return Load(template=get(CHECK), tokens=scene.tokens, count=scene.warm, contains=b"Hello")
    if name == DGP:
        return Load(
            template=get(CHECK, header="auth-token: "),
            tokens=dgp_tokens(scene),
            count=scene.warm,
            contains=b"user00000000",
        )
    if name == INTROSPECTION:
        return Load(
            template=introspection_request(),
            tokens=opaque_tokens(scene),
            count=scene.warm,
            contains=b'"active":true',
        )
    return Load(
        template=get(CHECK), tokens=scene.tokens, count=scene.warm, contains=b"user00000000"
    )


def introspection_request() -> bytes:
    """Return the template of an RFC 7662 request."""
    form = "token=@TOKEN@&token_type_hint=access_token"
    form += "&client_id=bench&client_secret=only-for-benchmarks"
    length = len(form) - len("@TOKEN@") + len(secrets.token_urlsafe(32))
    head = "POST /token/introspection HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n"
    return (head + form).encode()


def one_process(scene: Scene, name: str) -> Server:
    """Start a contender as one process on a CPU of its own."""
    return STARTERS[name](scene, processes=1, cpus=SERVER_CPU)


def one_per_cpu(scene: Scene, name: str) -> Server:
    """Start a contender as one process per CPU."""
    return STARTERS[name](scene, processes=len(CPUS), cpus=EVERY_CPU)


def contender(name: str, server: Server, load: Load, *, connections: int = 32) -> Contender:
    """Let wrk ask a server from the other CPU."""
    return Contender(
        name=name,
        address=server.address,
        processes=[server.process],
        load=load,
        connections=connections,
        cpus=CLIENT_CPU,
    )


def _peer(program: str) -> str:
    path = PEER_PYTHON / program
    if not os.access(path, os.X_OK):
        raise Failed(f"{program} of the peers is not installed: scripts/bench does it")
    return str(path)


def _free_address() -> str:
    return f"127.0.0.1:{free_port()}"


def _port(address: str) -> str:
    return address.rpartition(":")[2]
