"""What a figure was measured on: the machine and the versions of everything that took part."""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from bench.processes import CPUS, Failed, find
from bench.servers import PEER_PYTHON, PROVIDER

OURS = ("tornado_auth", "tornado", "cryptography", "PyJWT", "pymongo", "motor")
PEERS = ("dgp-oauth2", "gunicorn", "fastapi", "uvicorn", "uvloop", "httptools", "PyJWT")
_VERSIONS = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"


def describe() -> dict[str, str]:
    """Return what to print above the tables."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{_processor()}, {len(CPUS)} CPUs, {_memory()} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "tornado_auth": ", ".join(f"{name} {_version(name)}" for name in OURS),
        "peers": ", ".join([*_peers(), f"oidc-provider {_provider()}"]),
        "tools": ", ".join(
            [
                f"wrk {_first_line('wrk', '--version').split()[1].rpartition('/')[2]}",
                f"nginx {_first_line('nginx', '-v').rpartition('/')[2]}",
                f"node {_first_line('node', '--version').lstrip('v')}",
            ]
        ),
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "?"


def _peers() -> list[str]:
    python = PEER_PYTHON / "python"
    if not python.exists():
        return ["not installed"]
    done = subprocess.run(
        [str(python), "-c", _VERSIONS, *PEERS], capture_output=True, text=True, timeout=60
    )
    versions = done.stdout.split() or ["?"] * len(PEERS)
    return [f"{name} {version}" for name, version in zip(PEERS, versions, strict=True)]


def _provider() -> str:
    path = PROVIDER / "node_modules" / "oidc-provider" / "package.json"
    if not path.exists():
        return "not installed"
    return path.read_text().partition('"version": "')[2].partition('"')[0]


def _first_line(program: str, argument: str) -> str:
    """Return the first line that says something; "? ?" without the program."""
    try:
        command = [find(program), argument]
    except Failed:
        return "? ?"
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return (done.stdout or done.stderr).strip().partition("\n")[0] or "? ?"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> int:
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    return round(kilobytes / (1 << 20))


if __name__ == "__main__":
    sys.stdout.write("\n".join(f"{name}: {value}" for name, value in describe().items()) + "\n")
