"""The one model every document, question and answer of the product is made from."""

import os
import time
import unicodedata
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from sluicegate.base.docstrings import describe
from sluicegate.base.secret import hide_tokens

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

# Whatever package lies beside could else look into each value that is checked, and looking for one takes time (read at
# the first model that is built).
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"


class Model(BaseModel):
    """A frozen value: unknown keys are refused, field docstrings are the help text."""

    model_config = ConfigDict(
        frozen=True,
        defer_build=True,  # a command builds only the models it uses
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_serialization_defaults_required=True,  # an answer always has its fields
        val_json_bytes="base64",
        ser_json_bytes="base64",
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: "CoreSchema", handler: "GetJsonSchemaHandler") -> "JsonSchemaValue":
        """Return the JSON Schema with the docstring of each field as its description."""
        made = handler(schema)
        fields = handler.resolve_ref_schema(made).get("properties", {})
        texts = describe(cls)
        for name in cls.model_fields.keys() & texts.keys():
            for key in fields.keys() & {name, cls.model_fields[name].alias}:
                fields[key].setdefault("description", texts[name])
        return made


NAME_PATTERN = r"^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$"
ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A name people choose: lower-case letters, digits, ``-`` and ``_``; 1 to 64 characters."""

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
"""An identifier we choose: a UUID of version 7. Unguessable enough to be an id, never a secret."""


_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _one_line(text: str) -> str:
    """Return ``text`` in one spelling (NFC, blanks trimmed); refuse what is not seen or turns its neighbours round."""
    told = unicodedata.normalize("NFC", text).strip()
    for sign in told:
        category = unicodedata.category(sign)
        if category in _REFUSED or (category == "Zs" and sign != " "):
            raise PydanticCustomError("one_line", "must be one line of letters, digits, marks and plain blanks")
    if hide_tokens(told) != told:  # it would be shown, and kept in clear (SEC-T19)
        raise PydanticCustomError("one_line", "must not hold a token or a key")
    return told


def _not_empty(text: str) -> str:
    if not text:
        raise PydanticCustomError("not_empty", "must not be empty")
    return text


Line = Annotated[str, StringConstraints(max_length=254), AfterValidator(_one_line)]
"""One line that people read: letters of any script, no control, format or private characters. May be empty."""

DisplayName = Annotated[Line, AfterValidator(_not_empty)]
"""What a person is called: a ``Line`` that is not empty."""

Email = Annotated[
    str, StringConstraints(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$"), AfterValidator(_one_line)
]
"""An e-mail address. Letters of any script; the same characters as in a ``Line``."""


def new_id() -> str:
    """Return a fresh UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, then 74 random bits."""
    raw = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    return str(UUID(bytes=bytes(raw)))


def made_at(id_: str) -> float:
    """Return when ``new_id`` made this id, in seconds since 1970. Raises ``ValueError`` when it is no UUID."""
    return (UUID(id_).int >> 80) / 1000
