"""Scripts of clients/, which drive a client library for node through many flows.

One process runs a whole script, and says a line of JSON for each flow. A browser is ours: the
script asks for it by a line, too, and is told where the browser ended.
"""

import asyncio
import ctypes
import json
import os
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests import npm
from tests.interop.deployment import Deployment

CLIENTS = Path(__file__).parent / "clients"
LINE_LIMIT = 1024 * 1024
PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@pytest.fixture(scope="session")
def node() -> str:
    """Install the libraries if they are missing; return the path of node."""
    path = npm.require("node")
    npm.install(CLIENTS)
    return path


async def run(node: str, script: str, deployment: Deployment, **known: Any) -> dict[str, str]:
    """Run a script that knows this; return what went wrong in each of its flows, "" if nothing."""
    process = await asyncio.create_subprocess_exec(
        node,
        "--dns-result-order=ipv4first",
        script,
        json.dumps({"issuer": deployment.issuer, **known}),
        cwd=CLIENTS,
        env={"PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": deployment.ca_file},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
        preexec_fn=_die_with_parent,
    )
    try:
        return await _converse(process, deployment)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _converse(process: asyncio.subprocess.Process, deployment: Deployment) -> dict[str, str]:
    assert process.stdin
    assert process.stdout
    results: dict[str, str] = {}
    async for line in process.stdout:
        said = json.loads(line)
        if "flow" in said:
            results[said["flow"]] = said["error"]
            continue
        visitor = deployment.visitor(said["as"])
        arrival = await visitor.visit(said["visit"], says_no=said["saysNo"])
        process.stdin.write(json.dumps(asdict(arrival)).encode() + b"\n")
    assert await process.wait() == 0
    return results
