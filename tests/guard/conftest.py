"""The installation these tests ask."""

from tests.fixtures.relay import mailed, relay
from tests.fixtures.server import empty, engine, fresh, place

__all__ = ["empty", "engine", "fresh", "mailed", "place", "relay"]
