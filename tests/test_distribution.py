"""What is shipped is what was tested: the source archive, and the package built from it."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.issuer import private_pem

ROOT = Path(__file__).parent.parent
LEFTOVERS = (".git", ".venv", ".bench", "node_modules", "__pycache__", "*.egg-info")

SIGN_IN = """
import asyncio, json, sys
import tornado_auth
from tornado.httpclient import AsyncHTTPClient
from tornado.netutil import bind_sockets
from tornado_auth.app import make_app, make_http_server
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings

async def main():
    (socket,) = bind_sockets(0, "127.0.0.1")
    address = f"127.0.0.1:{socket.getsockname()[1]}"
    settings = load_settings({**json.load(sys.stdin), "TORNADO_AUTH_LISTEN": address}, dev=True)
    server = AuthServer(settings)
    await server.start()
    make_http_server(make_app(server), settings).add_sockets([socket])
    client = AsyncHTTPClient()
    pages = {}
    for path in ("/auth/login", "/auth/static/style.css", "/auth/check", "/nothing"):
        answer = await client.fetch(f"http://{address}{path}", raise_error=False)
        pages[path] = [answer.code, answer.body.decode()]
    await server.stop()
    print(json.dumps({"package": tornado_auth.__file__, "pages": pages}))

asyncio.run(main())
"""


def run(*command: str, cwd: Path, **options: object) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=60, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def files_in(folder: Path) -> set[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in paths if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, made and unpacked again."""
    folder = tmp_path_factory.mktemp("distribution")
    shutil.copytree(ROOT, folder / "checkout", ignore=shutil.ignore_patterns(*LEFTOVERS))
    for made_by_scripts in ("build", "dist", "data"):
        shutil.rmtree(folder / "checkout" / made_by_scripts, ignore_errors=True)
    # What a developer's folder may hold and an archive must not.
    for stray in (".tox/log", ".vscode/settings.json", "private.pem", "tests/op/node_modules/x.js"):
        path = folder / "checkout" / stray
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("stray")
    run("setup.py", "-q", "sdist", "-d", str(folder), cwd=folder / "checkout")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        # Python 3.11 has filters only from 3.11.4 on; the archive is our own.
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        tar.extractall(folder)
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def built(unpacked: Path) -> Path:
    """The folder that the wheel made of the source archive puts on the path."""
    run("setup.py", "-q", "build", "-b", str(unpacked.parent / "built"), cwd=unpacked)
    return unpacked.parent / "built" / "lib"


# D33
def test_the_source_archive_has_what_the_readme_names_and_no_leftovers(unpacked: Path) -> None:
    files = files_in(unpacked)
    for folder in ("tornado_auth", "tests", "scripts", "docs", "deploy", "examples"):
        here = {f"{folder}/{name}" for name in files_in(ROOT / folder)}
        wanted = {name for name in here if "node_modules" not in name}
        assert wanted - files == set()
    assert {"setup.py", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"} <= files
    strays = (".tox", ".vscode", "node_modules", "private.pem", ".git/", ".pyc", "__pycache__")
    assert [name for name in files for stray in strays if stray in name] == []


# D33
def test_the_built_package_has_every_file_of_the_checkout(built: Path) -> None:
    assert files_in(built) == {f"tornado_auth/{name}" for name in files_in(ROOT / "tornado_auth")}


# D33
def test_the_built_package_serves_its_pages(built: Path, tmp_path: Path) -> None:
    environ = {
        "PRIVATE_KEY": private_pem("ES256"),
        "TORNADO_AUTH_SIGNING_ALGORITHM": "ES256",
        "TORNADO_AUTH_SECRET": secrets.token_urlsafe(48),
        "DATABASE_URL": f"sqlite:///{tmp_path}/store.db",
    }
    output = run(
        "-c",
        SIGN_IN,
        cwd=tmp_path,
        input=json.dumps(environ),
        env={**os.environ, "PYTHONPATH": str(built), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    answer = json.loads(output)
    assert answer["package"].startswith(f"{built}/")
    pages = answer["pages"]
    assert [status for status, _ in pages.values()] == [200, 200, 200, 404]
    assert 'id="dev-login-form"' in pages["/auth/login"][1]
    assert "{" in pages["/auth/static/style.css"][1]
    assert 'id="error-reason">not_found<' in pages["/nothing"][1]
