"""The fixtures of the authorization server's tests: see world.py."""

from tests.oauth2.relying_parties import parties
from tests.oauth2.world import make_world, world

__all__ = ["make_world", "parties", "world"]
