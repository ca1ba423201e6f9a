"""Methods that mask values: how each is written in a flow, which types it fits, and what it does to a column."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Tag

from sluicegate.kit.masks.anonymize import Anonymize
from sluicegate.kit.masks.field import Decrypt, Encrypt
from sluicegate.kit.masks.method import PERSONAL, PSEUDONYMOUS, Keys, Made, Method, Used, Work
from sluicegate.kit.masks.pseudonym import Detokenize, Hash, Tokenize
from sluicegate.kit.masks.redact import Redact
from sluicegate.kit.masks.shift import Shift


def _spelled_out(value: Any) -> Any:
    """Return a method as a map: a bare word is a type without options."""
    return {"type": value} if isinstance(value, str) else value


def _type(value: Any) -> str | None:
    found = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return found if isinstance(found, str) else None


AnyMethod = Annotated[
    Annotated[Redact, Tag("redact")]
    | Annotated[Hash, Tag("hash")]
    | Annotated[Tokenize, Tag("tokenize")]
    | Annotated[Detokenize, Tag("detokenize")]
    | Annotated[Encrypt, Tag("encrypt")]
    | Annotated[Decrypt, Tag("decrypt")]
    | Annotated[Shift, Tag("shift")]
    | Annotated[Anonymize, Tag("anonymize")],
    Discriminator(_type),
    BeforeValidator(_spelled_out),
]
"""One of the methods, told by its ``type``."""

__all__ = ["PERSONAL", "PSEUDONYMOUS", "AnyMethod", "Keys", "Made", "Method", "Used", "Work"]
