"""``anonymize``: invented values that look like the real ones, the same for the same value."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import ClassVar, Final, Literal

from pydantic import Field

from sluicegate.base.model import Name
from sluicegate.kit.masks.method import Method, Used, Work, replacing
from sluicegate.kit.masks.words import LOCALES, Locale, Names, names

Sort = Literal["name", "first_name", "last_name", "email", "phone", "street", "city", "iban"]
LocaleName = Literal[
    "cs_CZ", "da_DK", "de_DE", "en_GB", "en_US", "es_ES", "fi_FI", "fr_FR", "it_IT", "nl_NL", "no_NO", "pl_PL",
    "pt_BR", "pt_PT", "sv_SE",
]  # fmt: skip
HELD: Final = 1 << 14
"""Values whose invented ones are held in memory."""
SHORT: Final = 64
"""Bytes. Longer values are not held, so that what is held is some megabytes at the most."""


class Anonymize(Method):
    """Put an invented value of the same sort in the place of each. Equal ones stay equal; two others can meet."""

    type: Literal["anonymize"]
    as_: Sort = Field(alias="as")
    """What it looks like."""
    locale: LocaleName = "en_US"
    """Whose names, and how things are written."""
    domain: Name | None = None
    """Columns of one domain have equal values for equal values."""

    kinds: ClassVar[tuple[str, ...]] = ("text",)

    def start(self, used: Used) -> Work:
        """See ``Method``."""
        digest = used.keys[0].digests(self.domain or "", "anonymize")
        make = maker(self.as_, self.locale)

        def invent(value: bytes) -> str:
            return make(int.from_bytes(digest(value), "big"))

        hold = lru_cache(maxsize=HELD)(invent)

        return replacing(used.column, lambda value: hold(value) if len(value) <= SHORT else invent(value))


def maker(sort: Sort, locale: str) -> Callable[[int], str]:
    """Return what makes a value of a 256-bit number: each choice takes its share of the number."""
    known, how = names(locale), LOCALES[locale]
    return lambda number: _make(sort, number, known, how)


def _make(sort: Sort, number: int, known: Names, how: Locale) -> str:
    number, first = divmod(number, len(known.given))
    number, last = divmod(number, len(known.family))
    given, family = known.given[first], known.family[last]
    if sort == "first_name":
        return given
    if sort == "last_name":
        return family
    if sort == "name":
        return f"{given} {family}"
    if sort == "email":
        return f"{_ascii(given)}.{_ascii(family)}.{number % (1 << 32):08x}@example.com"
    if sort == "phone":
        return _digits(how.phone, number)
    if sort == "iban":
        return _iban(_digits(how.account, number))
    return (how.street if sort == "street" else how.city).format(family=family, number=number % 200 + 1)


def _digits(form: str, number: int) -> str:
    """Return ``form`` with a digit for each ``#``."""
    made = []
    for sign in form:
        if sign == "#":
            number, digit = divmod(number, 10)
            made.append(str(digit))
        else:
            made.append(sign)
    return "".join(made)


def _iban(body: str) -> str:
    """Return an IBAN from country and account, with the check digits of ISO 13616."""
    country, account = body[:2], body[2:]
    value = int("".join(str(int(each, 36)) for each in f"{account}{country}00"))
    return f"{country}{98 - value % 97:02d}{account}"


def _ascii(name: str) -> str:
    """Return a name in the small letters of ASCII."""
    plain = name.lower().translate(_PLAIN)
    found = "".join(each for each in unicodedata.normalize("NFKD", plain) if each.isascii() and each.isalpha())
    return found or "x"


_PLAIN = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "æ": "ae", "đ": "d", "ð": "d", "þ": "th", "œ": "oe"})
