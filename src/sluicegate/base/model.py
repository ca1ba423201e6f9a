"""The one model every document, question and answer of the product is made from."""

import os
import time
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints


class Model(BaseModel):
    """A frozen value: unknown keys are refused, field docstrings are the help text."""

    model_config = ConfigDict(
        frozen=True,
        defer_build=True,  # a command builds only the models it uses
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        json_schema_serialization_defaults_required=True,  # an answer always has its fields
        val_json_bytes="base64",
        ser_json_bytes="base64",
    )


Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$"),
]
"""A name people choose: lower-case letters, digits, ``-`` and ``_``; 1 to 64 characters."""

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")]
"""An identifier we choose: a UUID of version 7. Unguessable enough to be an id, never a secret."""


def new_id() -> str:
    """Return a fresh UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, then 74 random bits."""
    raw = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    return str(UUID(bytes=bytes(raw)))
