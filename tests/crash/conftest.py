"""Crashes: ``kill -9`` where it hurts, then the same target."""

from tests.fixtures.home import served

__all__ = ["served"]
