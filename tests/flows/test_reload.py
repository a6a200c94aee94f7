"""SIGHUP: new settings and new code, worker by worker, and no request is lost."""

import asyncio
import json
import signal
from pathlib import Path

import jwt
import pytest

from tests.flows.keep_alive import KeepAlive
from tests.flows.processes import Client, Cluster, MakeCluster, Process
from tests.mongod import wait_until
from tests.ports import free_port
from tornado_auth.keys import KeySet, generate_private_pem

PERMISSIONS = "async def get_permissions(service, userid): return {{{name!r}: True}}"
KEYS = b"GET /auth/public-key HTTP/1.1\r\nHost: localhost\r\n\r\n"
ORIGIN = "https://app.example.org"


def make(cluster: MakeCluster, folder: Path) -> Cluster:
    made = cluster(
        DATABASE_URL=f"sqlite:///{folder}/store.db", ALLOWED_SERVICES="files:file_permissions"
    )
    made.environ["PYTHONPATH"] += f":{folder}"
    return made


def write(folder: Path, *, settings: str = "", permission: str = "read") -> None:
    (folder / "tornado_auth.toml").write_text(settings)
    (folder / "file_permissions.py").write_text(PERMISSIONS.format(name=permission))


def logged(process: Process, event: str) -> list[dict[str, object]]:
    return [line for line in process.logged() if line["event"] == event]


async def reload(process: Process, *, ends: str) -> None:
    before = len(logged(process, "reload_ended"))
    process.popen.send_signal(signal.SIGHUP)
    for _ in range(800):
        await asyncio.sleep(0.1)
        if len(ended := logged(process, "reload_ended")) > before:
            assert ended[-1]["result"] == ends
            return
    raise TimeoutError(f"the reload does not end, see {process.log}")


@pytest.mark.gen_test(timeout=90)
async def test_a_reload_under_load_loses_no_request(
    cluster: MakeCluster, client: Client, tmp_path: Path
) -> None:
    write(tmp_path)
    process = await asyncio.to_thread(make(cluster, tmp_path).serve, 2)
    token = await client.sign_in(process.url, "ann")
    before = process.workers
    # Answered by the fast path, and by Tornado.
    check = f"GET /auth/check HTTP/1.1\r\nHost: localhost\r\nauth-token: {token}\r\n\r\n".encode()
    checks = KeepAlive(process.port, check, pauses=(0.01, 0.03, 0.1, 0.4))
    others = KeepAlive(process.port, KEYS, pauses=(0.03, 0.1, 0.4))
    async with checks.running(), others.running():
        write(tmp_path, settings=f'cors_origins = ["{ORIGIN}"]', permission="write")
        await reload(process, ends="done")
    assert process.metric("reloads_total", result="done") == 1
    for clients in (checks, others):
        assert clients.failures == []
        assert set(clients.answers) == {200}
        assert clients.answers.total() > 100
        assert clients.closed >= len(clients.pauses)  # each was told to connect anew
    assert len(process.workers) == 2
    assert not set(before) & set(process.workers)
    for _ in range(10):
        url = f"{process.url}/auth/authorize?service=files"
        response = await client.fetch(url, token=token, headers={"Origin": ORIGIN})
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert json.loads(response.body)["permissions"] == {"write": True}


def write_keys(folder: Path, signs: str, *verify: str) -> set[str]:
    """Write settings by which one key signs and others verify, too; return the names of all."""
    others = [KeySet.from_pem(pem, algorithm="ES256") for pem in verify]
    (folder / "private.pem").write_text(signs)
    (folder / "others.pem").write_text("".join(key.public_pem() for key in others))
    settings = 'private_key_file = "private.pem"\nverification_keys_file = "others.pem"'
    write(folder, settings=settings if verify else settings.partition("\n")[0])
    return {key.kid for key in (KeySet.from_pem(signs, algorithm="ES256"), *others)}


# S057
@pytest.mark.gen_test(timeout=90)
async def test_a_key_is_replaced_without_a_restart(
    cluster: MakeCluster, client: Client, tmp_path: Path
) -> None:
    old, new = generate_private_pem("ES256"), generate_private_pem("ES256")
    published = write_keys(tmp_path, old, new)  # the next one is known before it signs
    made = make(cluster, tmp_path)
    made.environ["TORNADO_AUTH_SIGNING_ALGORITHM"] = "ES256"
    process = await asyncio.to_thread(made.serve, 1, PRIVATE_KEY="")

    async def kids() -> set[str]:
        keys = (await client.json(f"{process.url}/.well-known/jwks.json"))["keys"]
        return {key["kid"] for key in keys}

    async def passes(token: str) -> bool:
        return bool((await client.json(f"{process.url}/auth/check", token=token))["authenticated"])

    before = await client.sign_in(process.url, "ann")
    assert await kids() == published
    assert write_keys(tmp_path, new, old) == published
    await reload(process, ends="done")
    after = await client.sign_in(process.url, "ann")
    assert jwt.get_unverified_header(before)["kid"] != jwt.get_unverified_header(after)["kid"]
    assert (await passes(before), await passes(after), await kids()) == (True, True, published)

    left = write_keys(tmp_path, new)
    await reload(process, ends="done")
    assert (await passes(before), await passes(after), await kids()) == (False, True, left)


@pytest.mark.gen_test(timeout=90)
@pytest.mark.long
async def test_what_cannot_be_used_changes_nothing(
    cluster: MakeCluster, client: Client, tmp_path: Path
) -> None:
    port, other_port = free_port(), free_port()
    good = f'database_url = "sqlite:///{tmp_path}/store.db"\nlisten = "127.0.0.1:{port}"\n'
    write(tmp_path, settings=good)
    made = make(cluster, tmp_path)
    process = await asyncio.to_thread(made.serve, 1, DATABASE_URL="", TORNADO_AUTH_LISTEN="")
    before = process.workers

    for settings, problems in (
        ('session_lifetime = "long"\nno_such = 1', ["session_lifetime", "no_such"]),
        ('database_url = "memory://"', ["DATABASE_URL: memory:// is a store for one process"]),
        (
            'installed_extensions = ["no_such_extension"]',
            ["INSTALLED_EXTENSIONS: "],
        ),
    ):
        write(tmp_path, settings=settings)
        await reload(process, ends="refused")
        told = str(logged(process, "settings_refused")[-1]["problems"])
        assert [problem for problem in problems if problem not in told] == []
        assert "The settings cannot be used" not in told
    # What only a worker finds out.
    write(tmp_path, settings='database_url = "mongodb://127.0.0.1:1/"\nstorage_timeout = 0.2')
    await reload(process, ends="failed")
    (failed,) = logged(process, "worker_not_started")
    assert failed["status"] == 1
    assert process.workers == before
    assert (await client.fetch(f"http://localhost:{port}/auth/public-key")).code == 200

    write(tmp_path, settings=good.replace(str(port), str(other_port)))
    await reload(process, ends="done")
    assert not set(before) & set(process.workers)
    assert (await client.fetch(f"http://localhost:{port}/auth/public-key")).code == 200
    kept = {line["setting"]: line["kept"] for line in logged(process, "address_kept")}
    assert kept["TORNADO_AUTH_LISTEN"] == f"127.0.0.1:{port}"


def test_a_process_without_workers_says_that_it_does_not_reload(cluster: MakeCluster) -> None:
    (process,) = cluster(DATABASE_URL="memory://").start()
    process.popen.send_signal(signal.SIGHUP)
    wait_until(lambda: logged(process, "reload_refused"), "it says nothing")
    assert process.is_ready()
    assert process.stop() == 0
