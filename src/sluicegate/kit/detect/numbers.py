"""Numbers that people and accounts have, told by their form and their check digits. Pure.

Each function takes one text, blanks at its ends removed, and tells whether it has the form of such a number. None
tells whether the number was ever given out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Final

_IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_IBAN_LENGTHS: Final = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ",
        24: "AD CZ ES MD PK RO SA SE SK TN",
        25: "PT",
        26: "IS TR",
        27: "FR GR IT MC MR SM",
        28: "AL AZ CY DO GT HU LB PL",
        29: "BR EG PS QA UA",
        30: "JO KW MU",
        31: "MT",
    }.items()
    for country in countries.split()
}
"""Length by country (register of ISO 13616)."""
_CARDS: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-59]|[689]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
"""Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay: first digits and lengths (ISO/IEC 7812)."""


def digits_of(text: str) -> str:
    """Return ``text`` without the blanks, dots and dashes that people put between digits."""
    return re.sub(r"[ .\-\u00a0\u2011]", "", text)


def is_luhn(digits: str) -> bool:
    """Tell whether the last digit is the check digit of ISO/IEC 7812-1, annex B."""
    total = sum(sum(divmod(int(each) * (2 if place % 2 else 1), 10)) for place, each in enumerate(reversed(digits)))
    return total % 10 == 0


def is_card(text: str) -> bool:
    """Tell whether it is a payment card's number."""
    found = re.sub(r"[ \-]", "", text)
    return bool(_CARDS.fullmatch(found)) and is_luhn(found) and len(set(found)) > 1


def is_iban(text: str) -> bool:
    """Tell whether it is an IBAN (ISO 13616): length of its country, and 97 as the modulus."""
    found = text.replace(" ", "").upper()
    if not _IBAN.fullmatch(found) or _IBAN_LENGTHS.get(found[:2]) != len(found):
        return False
    return int("".join(str(int(each, 36)) for each in found[4:] + found[:4])) % 97 == 1


def is_us_ssn(text: str) -> bool:
    """Tell whether it is a US social security number, written with its dashes; it has no check digit."""
    return bool(re.fullmatch(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}", text))


def is_uk_nino(text: str) -> bool:
    """Tell whether it is a UK national insurance number; it has no check digit."""
    found = text.replace(" ", "").upper()
    return bool(re.fullmatch(r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", found))


def is_de_tax_id(text: str) -> bool:
    """Tell whether it is a German Steuer-ID: 11 digits, one that repeats in ten, check digit of ISO 7064 (11,10)."""
    found = digits_of(text)
    if not re.fullmatch(r"[1-9]\d{10}", found):
        return False
    counts = sorted(found[:10].count(each) for each in set(found[:10]))
    if counts[-1] not in (2, 3) or counts[:-1] != [1] * (len(counts) - 1):
        return False
    product = 10
    for each in found[:10]:
        product = 2 * (((product + int(each)) % 10) or 10) % 11
    return (11 - product) % 10 == int(found[10])


def is_fr_nir(text: str) -> bool:
    """Tell whether it is a French NIR: sex, year, month, place, number, and a key of 97."""
    found = digits_of(text).upper()
    if not re.fullmatch(r"[1-478]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{8}", found):
        return False
    number = int(found[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(found[13:])


def is_es_dni(text: str) -> bool:
    """Tell whether it is a Spanish DNI or NIE: its letter comes of the number modulo 23."""
    found = digits_of(text).upper()
    if not re.fullmatch(r"[0-9XYZ]\d{7}[A-Z]", found):
        return False
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(found[:8].translate(str.maketrans("XYZ", "012"))) % 23] == found[8]


_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def is_it_fiscal_code(text: str) -> bool:
    """Tell whether it is an Italian codice fiscale: its form, and its last letter (decree of 23 December 1976)."""
    found = text.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{6}[0-9L-NP-V]{2}[A-EHLMPRST][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z]", found):
        return False
    places = [int(each) if each.isdigit() else ord(each) - ord("A") for each in found[:15]]
    total = sum(_ODD[each] if at % 2 == 0 else each for at, each in enumerate(places))
    return chr(ord("A") + total % 26) == found[15]


def is_nl_bsn(text: str) -> bool:
    """Tell whether it is a Dutch BSN: nine digits that pass the test of eleven."""
    found = digits_of(text)
    if not re.fullmatch(r"\d{9}", found) or found.startswith("000"):
        return False
    return (sum(int(each) * (9 - at) for at, each in enumerate(found[:8])) - int(found[8])) % 11 == 0


def is_be_number(text: str) -> bool:
    """Tell whether it is a Belgian national number: a day of birth, a number, and a key of 97."""
    found = digits_of(text)
    if not re.fullmatch(r"\d{11}", found) or not _is_day(found[:6], months=(0, 20, 40)):
        return False
    return int(found[9:]) in (97 - int(found[:9]) % 97, 97 - int("2" + found[:9]) % 97)


def is_pl_pesel(text: str) -> bool:
    """Tell whether it is a Polish PESEL: a day of birth (its century in the month), a number, a check digit."""
    if not re.fullmatch(r"\d{11}", text) or not _is_day(text[:6], months=(0, 20, 40, 60, 80)):
        return False
    total = sum(int(each) * weight for each, weight in zip(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), strict=True))
    return total % 10 == 0


def is_se_number(text: str) -> bool:
    """Tell whether it is a Swedish personnummer: a day of birth, a sign, three digits and Luhn's."""
    found = re.fullmatch(r"(?:\d{2})?(\d{6})[-+](\d{4})", text)
    return bool(found) and _is_day(found[1], days=(0, 60)) and is_luhn(found[1] + found[2])  # type: ignore[index]


def is_ch_number(text: str) -> bool:
    """Tell whether it is a Swiss AHV number: 756 and the check digit of EAN-13."""
    found = digits_of(text)
    if not re.fullmatch(r"756\d{10}", found):
        return False
    return sum(int(each) * (3 if at % 2 else 1) for at, each in enumerate(found)) % 10 == 0


def _is_day(text: str, months: tuple[int, ...] = (0,), days: tuple[int, ...] = (0,)) -> bool:
    """Tell whether ``yymmdd`` is a day in one of two centuries, its month and day raised by one of these."""
    year, month, day = int(text[:2]), int(text[2:4]), int(text[4:])
    for raised in months:
        for lifted in days:
            try:
                date(2000 + year, month - raised, day - lifted)
            except ValueError:
                continue
            return True
    return False


NATIONAL: Final[dict[str, Callable[[str], bool]]] = {
    "us-ssn": is_us_ssn, "uk-nino": is_uk_nino, "de-tax-id": is_de_tax_id, "fr-nir": is_fr_nir, "es-dni": is_es_dni,
    "it-fiscal-code": is_it_fiscal_code, "nl-bsn": is_nl_bsn, "be-number": is_be_number, "pl-pesel": is_pl_pesel,
    "se-number": is_se_number, "ch-ahv": is_ch_number,
}  # fmt: skip
"""National numbers of persons, by country."""
