"""Journeys: HTTP or command line in, bytes out, through real processes."""

from tests.fixtures.home import served
from tests.fixtures.postgres import postgres

__all__ = ["postgres", "served"]
