"""The fixtures of these tests; the stores are those of tests/flows.

deployment   the service behind nginx: see deployment.py
node         the path of node, for which the libraries are installed: see node.py
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flows.fixtures import database_url, journeys_mongo
from tests.interop.deployment import Deployment
from tests.interop.node import node
from tests.nginx import running_nginx
from tests.ports import free_port
from tests.service import ServiceFactory

__all__ = ["database_url", "journeys_mongo", "node"]

ENVIRON = {
    "TORNADO_AUTH_TRUSTED_PROXIES": "127.0.0.1",
    "TORNADO_AUTH_SCOPES": json.dumps([{"name": "reports:read", "description": "Read reports"}]),
    "TORNADO_AUTH_TOKEN_EXCHANGE": "on",
}
# What the two deployments differ in.
SQLITE = {"TORNADO_AUTH_SIGNING_ALGORITHM": "RS256"}
MONGODB = {"TORNADO_AUTH_SIGNING_ALGORITHM": "ES256", "TORNADO_AUTH_DPOP_NONCES": "on"}


@pytest.fixture
async def deployment(
    database_url: str, tmp_path: Path, make_service: ServiceFactory
) -> AsyncIterator[Deployment]:
    port = free_port()
    address = f"https://localhost:{port}"
    differing = SQLITE if database_url.startswith("sqlite") else MONGODB
    service = await make_service(
        EXTERNAL_ADDRESS=address, DATABASE_URL=database_url, **ENVIRON, **differing
    )
    # Nothing of these tests is for the application.
    with running_nginx(
        tmp_path, service=f"127.0.0.1:{service.port}", application="127.0.0.1:9", port=port
    ) as nginx:
        deployment = Deployment(service, nginx)
        await deployment.let_alice_in()
        yield deployment
        deployment.close()
