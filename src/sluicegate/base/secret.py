"""A secret is a type: it can be used, never shown, stored, compared or sent by accident."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

MASK = "********"


class Secret:
    """Text that must not leak. ``reveal()`` is the one word to look for in a review.

    Printing, formatting and ``repr`` give a mask; pickling, copying into JSON, comparing and hashing raise
    ``TypeError``.
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        """Hold ``text``."""
        self.__text = text

    def reveal(self) -> str:
        """Return the text itself. The caller answers for where it goes."""
        return self.__text

    def __repr__(self) -> str:
        """Return a mask."""
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Return a mask, whatever the format."""
        return MASK

    def __bool__(self) -> bool:
        """Tell whether there is any text."""
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        """Refuse: compare in constant time, in the crypto floor."""
        msg = "secrets are not compared with =="
        raise TypeError(msg)

    def __hash__(self) -> int:
        """Refuse."""
        msg = "secrets are not hashed"
        raise TypeError(msg)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        msg = "secrets are not serialised"
        raise TypeError(msg)


_TOKEN = re.compile(
    r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,2}|\b(?:rt|tk|lt)_[A-Za-z0-9_-]{16,}|\bslg_[0-9A-Za-z_]{22,}"
    r"|\b[Ss][Gg][Ss]1[- ]?[0-9A-Za-z-]{16,}",
    re.ASCII,
)


def hide_tokens(text: str) -> str:
    """Return ``text`` with a mask where our own tokens, tickets, keys and shares stand, wherever people put them."""
    return _TOKEN.sub(MASK, text)


_USER = re.compile(r"[\w.%+-]+")
_SHOWN = frozenset({"sslmode"})
_FILE_MAX = 8192


class SecretUrl(Secret):
    """An address that may hold a password. Printing, formatting and JSON give it with the password masked.

    As a field it takes text, or ``{file = "/path"}``: then the text is what stands in that file.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the address without what is secret in it."""
        scheme, divider, rest = self.reveal().partition("://")
        if not divider:
            return MASK if scheme else ""
        account, at, place = rest.rpartition("@")
        if "?" in account:  # a sign of the query or of the password: nobody can tell, so nothing is shown
            return f"{scheme}://{MASK}"
        if at:
            user, colon, _ = account.partition(":")
            account = (user if _USER.fullmatch(user) else MASK) + (f":{MASK}" if colon else "") + at
        place, question, query = place.partition("?")
        pairs = [pair.partition("=") for pair in query.split("&")]
        told = "&".join(f"{key}={value if key in _SHOWN else MASK}" for key, _, value in pairs)
        return f"{scheme}://{account}{place}{question}{told if question else ''}"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Return the address without what is secret in it."""
        return format(repr(self), spec)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> CoreSchema:
        """Say how a field of this type is read and written."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            cls._read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def _read(cls, value: Any) -> Any:
        from pydantic_core import PydanticCustomError

        if isinstance(value, cls):
            return value
        if isinstance(value, dict) and set(value) == {"file"}:
            value = _stands_in(value["file"])
        if not isinstance(value, str) or "\0" in value:
            raise PydanticCustomError("secret_url", 'must be text, or {{file = "/path"}} that holds it')
        return cls(value)


class SecretText(SecretUrl):
    """A password as a field of the settings: text, or ``{file = "/path"}``. Whatever prints it gives a mask."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return a mask; nothing when there is nothing."""
        return MASK if self else ""

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Return a mask."""
        return format(repr(self), spec)


def _stands_in(name: object) -> str | None:
    from pydantic_core import PydanticCustomError

    file = Path(name) if isinstance(name, str) else Path()
    if not file.is_absolute():
        raise PydanticCustomError("secret_url", "file must be an absolute path")
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.read(_FILE_MAX).strip()
    except (OSError, UnicodeDecodeError):
        raise PydanticCustomError("secret_url", "the file cannot be read") from None
