"""Columns of two inputs that must be equal."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from sluicegate.base.model import Model


class Pair(Model):
    """Two columns that must be equal; a bare word is the name of both."""

    left: str
    """Name of the column on the left; it is called so in what comes out."""
    right: str
    """Name of the column on the right."""

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, value: Any) -> Any:
        return {"left": value, "right": value} if isinstance(value, str) else value
