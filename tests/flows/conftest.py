"""The fixtures of fixtures.py (journeys) and processes.py, for every test of this folder."""

from tests.flows.fixtures import (
    database_url,
    journeys_mongo,
    make_module,
    make_person,
    said,
    site,
)
from tests.flows.processes import client, cluster

__all__ = [
    "client",
    "cluster",
    "database_url",
    "journeys_mongo",
    "make_module",
    "make_person",
    "said",
    "site",
]
