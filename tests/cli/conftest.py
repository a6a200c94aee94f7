"""The fixtures of processes.py, for every test of this folder."""

from tests.flows.processes import client, cluster

__all__ = ["client", "cluster"]
