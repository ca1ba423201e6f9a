"""Names, and how addresses, telephone numbers and accounts are written, by locale."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple


class Locale(NamedTuple):
    """How a locale writes what ``anonymize`` makes. No place, number or account of it is anybody's."""

    street: str
    city: str
    phone: str
    """``#`` is a digit. From a range set aside for fiction where the country has one."""
    account: str
    """Country and form of an IBAN after its check digits; the bank is none."""


LOCALES: Final[dict[str, Locale]] = {
    "cs_CZ": Locale("{family} {number}", "Nové {family}ov", "+420 000 ### ###", "CZ0000000000##########"),
    "da_DK": Locale("{family}vej {number}", "{family}sby", "+45 00 ## ## ##", "DK0000##########"),
    "de_DE": Locale("{family}straße {number}", "Bad {family}", "+49 30 23125 ###", "DE00000000##########"),
    "en_GB": Locale("{number} {family} Road", "{family}ham", "+44 7700 900###", "GBXXXX000000########"),
    # The United States have no IBANs, so theirs are British.
    "en_US": Locale("{number} {family} Street", "{family}ville", "+1 ###-555-01##", "GBXXXX000000########"),
    "es_ES": Locale("Calle {family}, {number}", "Villa {family}", "+34 000 ### ###", "ES00000000##########00"),
    "fi_FI": Locale("{family}tie {number}", "{family}la", "+358 00 ### ####", "FI000000########"),
    "fr_FR": Locale("{number} rue {family}", "Saint-{family}", "+33 6 39 98 ## ##", "FR0000000000###########00"),
    "it_IT": Locale("Via {family}, {number}", "San {family}", "+39 000 ### ####", "ITX0000000000############"),
    "nl_NL": Locale("{family}straat {number}", "{family}dam", "+31 00 ### ####", "NLXXXX##########"),
    "no_NO": Locale("{family}veien {number}", "{family}vik", "+47 00 ## ## ##", "NO0000#######"),
    "pl_PL": Locale("ul. {family} {number}", "Nowy {family}", "+48 00 ### ## ##", "PL00000000################"),
    "pt_BR": Locale("Rua {family}, {number}", "Vila {family}", "+55 00 0000-####", "BR0000000000000##########C0"),
    "pt_PT": Locale("Rua {family}, {number}", "Vila {family}", "+351 000 ### ###", "PT00000000###########00"),
    "sv_SE": Locale("{family}vägen {number}", "{family}by", "+46 70 17406 ##", "SE00000000############"),
}
_NAMES: Final = Path(__file__).with_name("data") / "names.json"


class Names(NamedTuple):
    """Common names of a locale."""

    given: tuple[str, ...]
    family: tuple[str, ...]


@cache
def names(locale: str) -> Names:
    """Return the names of a locale of ``LOCALES``."""
    found = _read()[locale]
    return Names(tuple(found["given"]), tuple(found["family"]))


def given_names() -> frozenset[str]:
    """Return the given names of all locales."""
    return frozenset(name for each in _read().values() for name in each["given"])


@cache
def _read() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = json.loads(_NAMES.read_text(encoding="utf-8"))
    return found
