"""Servers the store tests need."""

from tests.fixtures.postgres import postgres

__all__ = ["postgres"]
