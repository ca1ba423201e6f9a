"""The installation these tests ask."""

from tests.fixtures.server import empty, engine, fresh, place

__all__ = ["empty", "engine", "fresh", "place"]
