"""The installation these tests ask, and a tenant in it."""

from tests.fixtures.server import empty, engine, fresh, place
from tests.security.north import north

__all__ = ["empty", "engine", "fresh", "north", "place"]
