"""Jails with changed programs, a database server, an installation whose engine is open."""

from tests.fixtures.jail import altered
from tests.fixtures.postgres import postgres
from tests.fixtures.server import empty, engine, fresh, place

__all__ = ["altered", "empty", "engine", "fresh", "place", "postgres"]
