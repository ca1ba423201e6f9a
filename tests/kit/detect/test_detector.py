"""The detector over made-up columns: what is personal is found, what only looks like it is let be, and no value is told."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import random
import uuid

import pyarrow as pa
import pytest

from sluicegate.base.secret import Secret
from sluicegate.crypto.masking import MaskingKey
from sluicegate.kit import document
from sluicegate.kit.detect.categories import CATEGORIES, fold
from sluicegate.kit.detect.detector import Sample, suggest, tagged
from sluicegate.kit.masks.anonymize import maker
from sluicegate.kit.masks.words import LOCALES
from tests.kit.detect.test_numbers import GOOD

RANDOM = random.Random(7)  # noqa: S311 - the same columns in each run
ROWS = 300


def found(columns):
    batch = pa.RecordBatch.from_pydict(columns)
    sample = Sample(batch.schema)
    sample.add(batch.slice(0, ROWS // 2))
    sample.add(batch.slice(ROWS // 2))
    return sample.findings()


def digits(count):
    return str(RANDOM.randrange(10 ** (count - 1), 10**count))


def made(sort, locale):
    make = maker(sort, locale)
    return [make(RANDOM.getrandbits(256)) for _ in range(ROWS)]


def several(values):
    return [RANDOM.choice([*values, None]) for _ in range(ROWS)]


DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
HARMLESS = {
    "order numbers": lambda n: f"{100000 + n}", "numbers of nine": lambda _: digits(9), "numbers of eleven": lambda _: digits(11),
    "numbers of sixteen": lambda _: digits(16), "numbers of thirteen": lambda _: digits(13), "articles": lambda _: "978" + digits(10),
    "seconds": lambda n: str(1_700_000_000 + 86_400 * n), "milliseconds": lambda n: str(1_700_000_000_000 + 77_777 * n),
    "uuids": lambda _: str(uuid.UUID(int=RANDOM.getrandbits(128))), "digests": lambda n: hashlib.sha256(str(n).encode()).hexdigest(),
    "moments": lambda n: (DAY + dt.timedelta(hours=7 * n)).isoformat(), "moments with a blank": lambda n: str(DAY + dt.timedelta(minutes=7 * n)),
    "days": lambda n: str((DAY + dt.timedelta(days=n)).date()), "days of Germany": lambda n: (DAY + dt.timedelta(days=n)).strftime("%d.%m.%Y"),
    "amounts": lambda _: f"{RANDOM.randrange(10**9) / 100:.2f}", "amounts with groups": lambda _: f"{RANDOM.randrange(10**9):,}",
    "versions": lambda n: f"{n % 9}.{n % 31}.{n}", "stock codes": lambda n: f"AB-{n:05d}-{n % 7}", "orders of a year": lambda n: f"2024-{n:06d}",
    "invoices": lambda n: f"INV/2024/{digits(6)}", "products": lambda n: f"Table Lamp {n}", "wares": lambda n: ["Green Tea", "Oak Table", "Desk Lamp", "Blue Jeans"][n % 4] + f" {'SML'[n % 3]}",
    "states": lambda n: ["open", "paid", "sent"][n % 3], "countries": lambda n: ["Germany", "France", "Costa Rica", "New Zealand"][n % 4],
    "cities": lambda n: ["Berlin", "Paris", "New York", "San Jose", "Lyon", "Buenos Aires"][n % 6], "places": lambda _: f"{RANDOM.uniform(-90, 90):.6f}, {RANDOM.uniform(-180, 180):.6f}",
    "urls": lambda n: f"https://example.org/a/{n}?x={digits(6)}", "files": lambda n: f"in/{n}/data-{digits(8)}.csv", "handles": lambda n: f"@user{n}",
    "sentences": lambda n: f"The parcel {n} was sent on a Monday.", "plates": lambda _: f"B-AB {digits(4)}", "posts": lambda _: digits(5),
    "macs": lambda _: ":".join(f"{RANDOM.randrange(256):02x}" for _ in range(6)), "weights": lambda _: f"{digits(3)} kg", "times": lambda n: f"{n % 24:02d}:{n % 60:02d}:00",
    "isbns": lambda _: f"978-3-16-{digits(6)}-{digits(1)}", "colours": lambda _: f"#{RANDOM.randrange(1 << 24):06x}", "tokens": lambda n: MaskingKey(KEY, "").tokens("")(str(n).encode()),
}  # fmt: skip
KEY = Secret(base64.b64encode(b"k" * 64).decode())


def test_what_only_looks_personal_is_let_be():
    """False alarms by content, of 39 sorts of columns: none at all, so below one in thirty-nine."""
    columns = {f"c{place}": [make(n) for n in range(ROWS)] for place, make in enumerate(HARMLESS.values())}
    sorts = list(HARMLESS)
    assert {sorts[int(each.column[1:])]: each.category for each in found(columns)} == {}
    numbers = {
        "a": pa.array(range(10**8, 10**8 + ROWS)),
        "b": pa.array([int(digits(16)) for _ in range(ROWS)]),
        "c": [0.5] * ROWS,
    }
    assert found(numbers) == ()


PERSONAL = {
    **{f"{check.__name__}": (several(texts), check.__name__.removeprefix("is_").replace("_", "-")) for check, texts in GOOD.items() if len(texts) > 2},
    **{f"email {locale}": (made("email", locale), "email") for locale in LOCALES},
    **{f"iban {locale}": (made("iban", locale), "iban") for locale in LOCALES},
    **{f"phone {locale}": (made("phone", locale), "phone") for locale in LOCALES},
    **{f"person {locale}": (made("name", locale), "person") for locale in LOCALES},
    "first names": (made("first_name", "de_DE"), "first-name"),
    "ip": ([f"10.{n % 7}.{n % 31}.{n % 200}" for n in range(ROWS)], "ip-address"),
    "ipv6": ([f"2001:db8::{n:x}" for n in range(ROWS)], "ip-address"),
    "phones of the US": ([f"({RANDOM.randrange(201, 999)}) 555-{digits(4)}" for _ in range(ROWS)], "phone"),
    "phones of Germany": ([f"030 {digits(7)}" for _ in range(ROWS)], "phone"),
    "names the other way round": ([f"{name.split()[1]}, {name.split()[0]}" for name in made("name", "fr_FR")], "person"),
}  # fmt: skip


def test_what_is_personal_is_found_by_its_content():
    columns = {f"c{place}": values for place, (values, _) in enumerate(PERSONAL.values())}
    told = {each.column: each for each in found(columns)}
    missed = {sort: told.get(f"c{place}") for place, sort in enumerate(PERSONAL)
              if (found_ := told.get(f"c{place}")) is None or found_.category != PERSONAL[sort][1]}  # fmt: skip
    assert missed == {}
    assert {each.by for each in told.values()} == {"content"}


def test_columns_that_share_a_name_do_not_move_what_is_found_of_others():
    emails, plain = made("email", "en_US"), [str(n) for n in range(ROWS)]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(each) for each in (plain, emails, emails, plain)], ["a", "a", "b", "c"]
    )
    sample = Sample(batch.schema)
    sample.add(batch)
    assert [(each.column, each.category) for each in sample.findings()] == [("a", "email"), ("b", "email")]


NAMES = {
    "email": "email E-Mail eMailAdresse customer_email courriel correo_electronico adresse_mail EMAIL_ADDRESS mail",
    "phone": "phone PhoneNumber telefon Telefonnummer mobile handy téléphone teléfono cellulare home_phone",
    "iban": "iban IBAN_1 kontonummer account_number numero_cuenta conto_corrente",
    "card": "card_number CreditCard kreditkartennummer numero_de_carte numero_tarjeta carta_di_credito",
    "birth-date": "dob birth_date dateOfBirth Geburtsdatum date_naissance fecha_nacimiento data_di_nascita",
    "first-name": "first_name FirstName vorname prénom nome_proprio",
    "last-name": "last_name surname Nachname nom_de_famille apellidos cognome",
    "person": "full_name customerName Kundenname nom_complet nombre_completo nominativo",
    "street": "street address strasse Straße_1 rue calle indirizzo address_line1",
    "us-ssn": "ssn", "it-fiscal-code": "codice_fiscale", "es-dni": "dni", "fr-nir": "nir", "uk-nino": "NINO", "de-tax-id": "steuerId",
}  # fmt: skip
OTHERS = "id order_id name product_name amount email_count_total emailed phonetic ibanez created_at city_id status type code description price cardinal strategy streetwear addressed personality telemetry viability"


@pytest.mark.parametrize("category", NAMES)
def test_columns_are_known_by_their_name_in_five_languages(category):
    for name in NAMES[category].split():
        called = next((each.name for each in CATEGORIES if each.called.search(fold(name))), None)
        assert called == category, name


@pytest.mark.parametrize("name", [name for name in OTHERS.split() if name != "email_count_total"])
def test_other_names_are_none(name):
    assert [each.name for each in CATEGORIES if each.called.search(fold(name))] == []


def test_name_and_content_together_are_surer_than_either():
    mail = made("email", "en_US")
    both, content, name, unlike = found(
        {"email": mail, "x": mail[:4] * 75, "mail": [None] * ROWS, "phone": ["n/a"] * ROWS}
    )
    assert (both.confidence, both.by, both.share) == ("high", "both", 1.0)
    assert (content.confidence, content.by) == ("medium", "content")
    assert (name.confidence, name.by) == ("low", "name")
    assert (unlike.category, unlike.confidence) == ("phone", "low")


def test_addresses_among_other_text_are_worth_a_word():
    notes = [f"call again {n}" for n in range(270)] + made("email", "it_IT")[:30]
    (note,) = found({"note": notes})
    assert (note.category, note.confidence, note.by) == ("email", "low", "content")


@pytest.mark.security
@pytest.mark.req("SEC-B11")
def test_no_value_is_told():
    columns = {f"c{place}": values for place, (values, _) in enumerate(PERSONAL.values())}
    findings = found(columns)
    told = repr(findings) + suggest(findings) + tagged(findings)
    assert not any(
        str(value) in told for values, _ in PERSONAL.values() for value in values if value and len(value) > 4
    )


@pytest.mark.security
@pytest.mark.timeout(20)
def test_hostile_values_take_no_time():
    evil = [
        "a." * 5000 + "@",
        "a@" + "a-" * 5000,
        "+" + "0 " * 5000,
        "A" * 100_000,
        "(" * 10_000,
        "é" * 10_000,
        "1-" * 10_000,
    ]
    assert found({"c": [f"{n}{each}" for n in range(40) for each in evil]}) == ()


@pytest.mark.security
def test_a_column_cannot_write_into_the_suggested_flow():
    """Names of columns come from files of others."""
    names = ['email"], method: redact }', "e-mail\n- write: { x: y }", "email: x", "Email #1", "y", "mail'", "été mail"]
    findings = found({name: made("email", "en_US") for name in names})
    assert len(findings) == len(names)
    source = (
        "kind: flow\nname: f\nsteps:\n  - read: { name: rows, connection: c, item: i, "
        + tagged(findings).strip()
        + " }\n"
    )
    step = "".join(f"  {line}\n" for line in suggest(findings).splitlines())
    (made_,) = document.read(source + step)
    read, mask = made_.definition.steps
    assert list(read.tags) == names
    assert [column for rule in mask.rules for column in rule.columns] == names


def test_what_is_suggested_is_a_step_that_fits():
    columns = {name.split()[0]: made("email", "en_US") for name in NAMES.values()}
    columns |= {
        "phone": pa.array(range(ROWS)),
        "dob": pa.array([0] * ROWS, pa.int32()).cast(pa.date32()),
        "ssn": [0.5] * ROWS,
    }
    findings = found(columns)
    step = "".join(f"  {line}\n" for line in suggest(findings).splitlines())
    (flow,) = document.read("kind: flow\nname: f\nsteps:\n  - read: { name: rows, connection: c, item: i }\n" + step)
    from sluicegate.kit.masks import Keys

    schema = pa.RecordBatch.from_pydict(columns).schema
    flow.definition.steps[1].start(schema, Keys({"masking": KEY}, ""))
    assert suggest(()) == tagged(()) == ""
