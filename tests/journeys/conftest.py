"""Journeys: HTTP or command line in, bytes out, through real processes."""

from tests.fixtures.home import served
from tests.fixtures.postgres import expired_postgres, postgres

__all__ = ["expired_postgres", "postgres", "served"]
