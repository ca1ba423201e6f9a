"""``archive``: rows out to an encrypted file."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sluicegate.base.model import Model
from sluicegate.kit.step import Formatted, Writing


class Age(Model):
    """Seal for the holders of age identities (X25519; https://age-encryption.org/v1)."""

    type: Literal["age"] = "age"
    to: tuple[str, ...] = Field(min_length=1, max_length=100)
    """age recipients (``age1…``), or names of recipient documents."""


class Archive(Writing, Formatted):
    """Write a file that only the named recipients can open."""

    type: ClassVar[str] = "archive"
    seal: Age
    """Who can open it."""
