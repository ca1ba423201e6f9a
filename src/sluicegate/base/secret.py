"""A secret is a type: it can be used, never shown, stored, compared or sent by accident."""

from typing import NoReturn

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
