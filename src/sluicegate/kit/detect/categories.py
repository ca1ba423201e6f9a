"""What a column can hold that is personal: how such columns are called, how their values look, what to do. Pure."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sluicegate.kit.detect.numbers import NATIONAL, is_card, is_iban
from sluicegate.kit.masks.words import given_names

_EMAIL: Final = re.compile(r"[^\s@<>()\[\]\\,;:\"]{1,64}@[A-Za-z0-9À-ɏ](?:[A-Za-z0-9À-ɏ-]{0,62}\.)+[A-Za-zÀ-ɏ]{2,24}")
_PHONE: Final = re.compile(
    r"(?:\+|00|\(?0|\()[0-9 ()/.\-\u00a0]{7,22}[0-9]|\(?[2-9]\d{2}\)?[ .\-][2-9]\d{2}[ .\-]\d{4}"
)
_DATED: Final = re.compile(r"\d{1,4}[./\-]\d{1,2}[./\-]\d{1,4}")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_NAME_MAX: Final = 60
Looks = Callable[[str], bool]


@dataclass(frozen=True)
class Category:
    """One sort of personal data."""

    name: str
    tags: tuple[str, ...]
    called: re.Pattern[str]
    """Matches the name of a column, folded, its words divided by ``_``."""
    looks: Looks | None = None
    """Tells whether a value looks so; ``None`` when only the column's name can tell."""
    method: Any = "hash"
    """What is suggested, as a flow says it."""
    usual: float = 0.6
    """Share of the values that look so in a column that holds nothing else."""


def fold(name: str) -> str:
    """Return a column's name in small plain letters, words divided by ``_``: ``e_mail_adresse`` of ``eMailAdresse``."""
    divided = re.sub(r"(?<=[a-zà-ÿ0-9])(?=[A-ZÀ-Þ])", "_", name)
    plain = "".join(
        each for each in unicodedata.normalize("NFKD", divided.replace("ß", "ss")) if not unicodedata.combining(each)
    )
    return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")


def is_email(text: str) -> bool:
    """Tell whether it is an e-mail address (the usual part of RFC 5322)."""
    return bool(_EMAIL.fullmatch(text))


def is_phone(text: str) -> bool:
    """Tell whether it is written as people write telephone numbers: a prefix, or groups."""
    digits = sum(each.isdigit() for each in text)
    if not 8 <= digits <= 15 or not _PHONE.fullmatch(text) or _DATED.fullmatch(text) or is_address(text):  # noqa: PLR2004 - E.164
        return False
    return text.startswith(("+", "00")) or any(not each.isdigit() for each in text) or (text[0] == "0" and digits >= 10)  # noqa: PLR2004 - a plain number of that length with a zero before it


def is_address(text: str) -> bool:
    """Tell whether it is an address of the internet, of a machine."""
    if not (text.count(".") == 3 or text.count(":") >= 2):  # noqa: PLR2004 - the forms of IPv4 and IPv6
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_person(text: str) -> bool:
    """Tell whether it is a person's name: two to five words, and where given names stand a common one."""
    if len(text) > _NAME_MAX or any(each.isdigit() for each in text):
        return False
    words = _WORD.findall(text)
    if not 2 <= len(words) <= 5 or not all(each[0].isupper() or len(each) <= 3 for each in words):  # noqa: PLR2004 - "von", "de la"
        return False
    known = _given()
    comma = "," in text
    return words[0].casefold() in known or (comma and any(each.casefold() in known for each in words[1:]))


def is_given_name(text: str) -> bool:
    """Tell whether it is one common given name."""
    return bool(_WORD.fullmatch(text)) and text[0].isupper() and text.casefold() in _given()


@cache
def _given() -> frozenset[str]:
    return frozenset(each.casefold() for each in given_names())


_CALLED: Final = {
    "email": r"""
        e_?mails? e_?mail_?addr\w* mail_?address\w* mail mailadresse courriel correo correo_electronico
        posta_elettronica adresse_mail
    """,
    "card": r"""
        card_?(?:number|no|num|nr) cc_?(?:number|num|no) pan credit_?card\w* kreditkarten?\w* kartennummer
        numero_(?:de_)?carte carte_bancaire (?:numero_)?tarjeta\w* numero_carta carta_di_credito
    """,
    "iban": r"""
        iban bank_?account\w* account_?(?:number|no) konto_?(?:nummer|nr) kontonummer bankverbindung compte_bancaire
        numero_(?:de_)?compte rib cuenta_bancaria numero_(?:de_)?cuenta conto_corrente numero_conto
    """,
    "us-ssn": r"""
        ssn social_security\w*
    """,
    "uk-nino": r"""
        nino national_insurance\w* ni_(?:number|no)
    """,
    "de-tax-id": r"""
        steuer_?id\w* steuer_?ident\w* idnr steuernummer sozialversicherungsnummer
    """,
    "fr-nir": r"""
        nir numero_secu\w* securite_sociale num_?secu insee
    """,
    "es-dni": r"""
        dni nie nif documento_identidad
    """,
    "it-fiscal-code": r"""
        codice_?fiscale cod_?fisc\w* cf
    """,
    "nl-bsn": r"""
        bsn burgerservicenummer
    """,
    "be-number": r"""
        rijksregister\w* numero_national registre_national nrn
    """,
    "pl-pesel": r"""
        pesel
    """,
    "se-number": r"""
        personnummer
    """,
    "ch-ahv": r"""
        ahv\w* avs sozialversicherungsnr
    """,
    "phone": r"""
        (?:tele|cell|mobile_?|home_?|work_?)?phones?(?:_?(?:numbers?|no|nr))? mobile tel telefon\w* handy\w*
        mobilnummer rufnummer fax telephone portable numero_tel\w* telefono\w* movil cellulare cell
    """,
    "ip-address": r"""
        ip ip_?addr\w* ip_?adress\w* client_?ip remote_?addr adresse_ip direccion_ip indirizzo_ip
    """,
    "birth-date": r"""
        dob birth_?(?:date|day) date_?of_?birth born geburts(?:datum|tag) geboren\w* geb_?dat\w*
        date_?(?:de_)?naissance naissance fecha_?(?:de_)?nacimiento nacimiento data_?(?:di_)?nascita nascita
    """,
    "first-name": r"""
        first_?name\w* given_?name\w* fore_?name vorname\w* prenom\w* nombre_pila primer_nombre nome_proprio
    """,
    "person": r"""
        (?:full|display|person|customer|contact|patient|employee|holder|recipient)_?name\w*
        (?:kunden|mitarbeiter|patienten|kontakt)_?name\w* ansprechpartner\w* nom_complet nombre_completo
        nombre_(?:y_)?apellidos? nome_completo nominativo
    """,
    "last-name": r"""
        last_?name\w* sur_?name\w* family_?name\w* nach_?name\w* familienname nom_(?:de_)?famille nom apellidos?
        cognome\w*
    """,
    "street": r"""
        streets?(?:_?(?:name|address|number|no|line))? address(?:_?line)?\d? postal_?address home_?address
        strasse\w* str anschrift adresse rue calle direccion domicilio indirizzo via
    """,
}
"""How such columns are called in English, German, French, Spanish and Italian: patterns of words, folded."""


def _called(name: str) -> re.Pattern[str]:
    """Return a pattern for names of columns that hold one of the words of a category as words of their own."""
    return re.compile(rf"(?:^|_)(?:{'|'.join(_CALLED[name].split())})(?:$|_|\d)")


def _category(name: str, looks: Looks | None, method: Any = "hash", tag: str = "", usual: float = 0.6) -> Category:
    tags = ("personal", tag) if tag else ("personal",)
    return Category(name, tags, _called(name), looks, method, usual)


def _invented(sort: str) -> dict[str, str]:
    return {"type": "anonymize", "as": sort}


CATEGORIES: Final = (
    _category("email", is_email),
    _category("card", is_card, {"type": "redact", "keep_last": 4}, "card"),
    _category("iban", is_iban, "tokenize", "account"),
    *(_category(name, looks, "tokenize", "national-id", usual=0.8) for name, looks in NATIONAL.items()),
    _category("phone", is_phone),
    _category("ip-address", is_address),
    _category("birth-date", None, "redact"),
    _category("first-name", is_given_name, _invented("first_name"), usual=0.4),
    _category("person", is_person, _invented("name"), usual=0.35),
    _category("last-name", None, _invented("last_name")),
    _category("street", None, _invented("street")),
)
"""The most telling first: where two fit alike, the first is meant."""
