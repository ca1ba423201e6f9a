from __future__ import annotations

from tests.fixtures.postgres import postgres

__all__ = ["postgres"]
