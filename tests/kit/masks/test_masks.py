"""Each method over each type: what it fits, what comes out, and that nothing of the value does."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import uuid
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Invalid
from sluicegate.base.secret import Secret
from sluicegate.kit.masks import Keys
from sluicegate.kit.types import to_arrow, to_name
from sluicegate.steps.mask import Mask

KEYS = Keys({name: Secret(base64.b64encode(name.encode() * 64)[:86].decode() + "==") for name in "kl"}, "north")
VALUES = {
    "text": ["Jörg", "", "a\nb", "x" * 300], "bytes": [b"\0\xff", b""], "json": ['{"a": 1}', "[]"],
    "uuid": [uuid.UUID(int=5).bytes, uuid.UUID(int=2**127).bytes],
    "date": [dt.date(1, 1, 1), dt.date(1980, 2, 29), dt.date(9999, 12, 31)],
    "timestamp": [dt.datetime(1969, 12, 31, 23, 59, 59, 5), dt.datetime(2024, 1, 1)],
    "timestamptz": [dt.datetime(2024, 7, 1, 3, 4, 5, 6, dt.UTC)],
    "decimal(12,4)": [Decimal("-0.0001"), Decimal("12345678.1000"), Decimal(0)],
    "decimal(50,20)": [Decimal("1E-20"), Decimal("1" * 30)],
    "int8": [-128, 0], "int64": [-(2**63), 7], "uint64": [2**64 - 1],
}  # fmt: skip


def column(kind, values):
    wanted = to_arrow(kind)
    if isinstance(wanted, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(wanted, pa.array([*values, None], wanted.storage_type))
    return pa.array([*values, None], wanted)


def mask(method, values, keys=KEYS, key="k", subject=None, **step):
    rules = [{"columns": "v", "method": method}]
    made = Mask.model_validate({"name": "m", "from": "a", "key": key, "rules": rules, **step})
    columns = {"v": values, "s": subject if subject is not None else pa.array(range(len(values)))}
    batch = pa.RecordBatch.from_pydict(columns)
    masker = made.start(batch.schema, keys)
    good, bad = masker.mask(batch, 1)
    assert good.schema == masker.schema
    return good.column("v"), bad


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize(("there", "back"), [("tokenize", "detokenize"), ("encrypt", "decrypt")])
def test_a_mask_comes_off_exactly(kind, there, back):
    values = column(kind, VALUES[kind])
    hidden, bad = mask(there, values)
    assert (to_name(hidden.type), bad, hidden.null_count) == ("text", [], 1)
    shown, bad = mask({"type": back, "as": kind}, hidden)
    assert bad == []
    assert shown.equals(values)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40)))
def test_any_text_comes_back(values):
    hidden, _ = mask("tokenize", column("text", values))
    assert mask("detokenize", hidden)[0].to_pylist() == [*values, None]


@pytest.mark.security
@pytest.mark.req("SEC-B10")
@pytest.mark.parametrize("method", ["redact", {"type": "redact", "text": "-"}, "hash", "tokenize", "encrypt"])
def test_nothing_of_a_value_is_left(method):
    value = "canary-7f3a9c"
    hidden, _ = mask(method, column("text", [value, value.upper(), f"{value} {value}"]))
    told = json.dumps(hidden.to_pylist()).lower()
    packed = base64.b64encode(value.encode()).decode().lower().rstrip("=")[:-1]
    assert not any(part in told for part in (value, value[:6], value.encode().hex(), packed))


@pytest.mark.parametrize("method", ["hash", "tokenize"])
def test_equal_values_stay_equal_in_any_batch_and_type(method):
    one, _ = mask(method, column("text", ["5", "6", "5"]))
    other, _ = mask(method, column("int16", [6, 5]))
    money, _ = mask(method, column("decimal(10,2)", [Decimal("5.00")]))
    coded, _ = mask(method, pa.array(["5", None, "6"]).dictionary_encode())
    assert coded.type == pa.string()
    assert one[0] == one[2] == other[1] == money[0] == coded[0]
    assert one[1] == other[0] == coded[2] != one[0]
    assert one[3].as_py() is None


def test_one_moment_is_one_value_wherever_it_is_told():
    kinds = (pa.timestamp("s", "UTC"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("ns", "UTC"))
    moment = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)
    found = {mask("hash", pa.array([moment], kind))[0][0].as_py() for kind in kinds}
    assert len(found) == 1
    finer = pa.array([1, 1001], pa.int64()).cast(pa.timestamp("ns"))
    assert len(set(mask("hash", finer)[0].to_pylist())) == 2


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_text_is_text_however_it_lies(kind):
    assert mask("hash", pa.array(["é"], kind))[0] == mask("hash", pa.array(["é"]))[0]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(2)], ids=str)
def test_bytes_are_bytes_however_they_lie(kind):
    hidden, _ = mask("tokenize", pa.array([b"\0\xff"], kind))
    assert mask({"type": "detokenize", "as": "bytes"}, hidden)[0].to_pylist() == [b"\0\xff"]


@pytest.mark.security
def test_hashes_of_two_keys_domains_or_tenants_have_nothing_in_common():
    values = column("text", ["a"])
    elsewhere = Keys(KEYS._secrets, "south")
    made = [
        mask("hash", values),
        mask("hash", values, key="l"),
        mask({"type": "hash", "domain": "d"}, values),
        mask("hash", values, elsewhere),
    ]
    assert len({each[0].as_py() for each, _ in made}) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", each[0].as_py()) for each, _ in made)


@pytest.mark.security
@pytest.mark.req("SEC-B10")
@pytest.mark.parametrize(("there", "back"), [("tokenize", "detokenize"), ("encrypt", "decrypt")])
def test_what_does_not_open_is_rejected_and_not_shown(there, back):
    hidden, _ = mask(there, column("text", ["canary"]))
    broken = hidden[0].as_py()[:-2] + "xx"
    shown, bad = mask(back, pa.array([hidden[0].as_py(), broken, "canary", None]))
    assert shown.to_pylist() == ["canary", None]
    assert [(each.row, each.column) for each in bad] == [(2, "v"), (3, "v")]
    assert all("canary" not in str(each) and broken not in str(each) for each in bad)
    for other in ({"key": "l"}, {"keys": Keys(KEYS._secrets, "south")}):
        assert [each.row for each in mask(back, hidden, **other)[1]] == [1]
    assert mask({"type": back, "domain": "elsewhere"}, hidden)[1]


def test_an_older_key_still_opens_and_new_ones_seal():
    old, _ = mask("tokenize", column("text", ["a"]), key="l")
    new, _ = mask("tokenize", column("text", ["a"]), key="k", old_keys=["l"])
    assert old[0] != new[0]
    both = pa.array([old[0].as_py(), new[0].as_py()])
    assert mask("detokenize", both, key="k", old_keys=["l"])[0].to_pylist() == ["a", "a"]
    assert [each.row for each in mask("detokenize", both, key="k")[1]] == [1]


def test_what_is_no_value_of_the_type_is_rejected():
    hidden, _ = mask("tokenize", column("text", ["12", "twelve"]))
    shown, bad = mask({"type": "detokenize", "as": "int16"}, hidden)
    assert shown.to_pylist() == [12, None]
    assert [each.reason for each in bad] == ["v opens to what is no int16"]


@pytest.mark.security
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("4111111111111111", "***1111"),
        ("12345678", "***5678"),
        ("1234567", "***"),
        ("", "***"),
        ("Zoë👍👍👍👍👍", "***👍👍👍👍"),
    ],
)
def test_short_values_lose_all(text, kept):
    assert mask({"type": "redact", "keep_last": 4}, column("text", [text]))[0].to_pylist() == [kept, None]


@pytest.mark.parametrize("kind", [*VALUES, "bool", "float64", "list(text)"])
def test_nothing_is_left_of_any_type(kind):
    values = column(kind, VALUES.get(kind, []))
    assert mask("redact", values)[0].equals(pa.nulls(len(values), values.type))


# -- shift -------------------------------------------------------------------------------------------------------------

SHIFT = {"type": "shift", "by": "s", "days": 400}


@given(st.lists(st.tuples(st.integers(0, 5), st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1))), min_size=2))
def test_intervals_of_one_person_stay(rows):
    people, days = pa.array([who for who, _ in rows]), pa.array([day for _, day in rows], pa.date32())
    made, bad = mask(SHIFT, days, subject=people)
    assert bad == []
    moved: dict[int, set[int]] = {}
    for (who, before), after in zip(rows, made.to_pylist(), strict=True):
        moved.setdefault(who, set()).add((after - before).days)
    assert all(len(each) == 1 and 0 < abs(min(each)) <= 400 for each in moved.values())


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns")])
def test_moments_move_by_whole_days(kind):
    at = dt.datetime(1969, 3, 31, 2, 30, 1)
    made, _ = mask(
        SHIFT, pa.array([at, at + dt.timedelta(hours=5)], pa.timestamp("us")).cast(kind), subject=pa.array(["x", "x"])
    )
    first, second = (each.replace(tzinfo=None) for each in made.to_pylist())
    assert (first - at) % dt.timedelta(days=1) == dt.timedelta(0)
    assert second - first == dt.timedelta(hours=5)


@pytest.mark.security
def test_moves_are_spread_and_depend_on_the_key():
    people = pa.array(range(2000))
    days = pa.array([dt.date(2000, 1, 1)] * 2000, pa.date32())
    one, other = (mask(SHIFT, days, subject=people, key=key)[0].to_pylist() for key in "kl")
    assert len(set(one)) > 700
    assert sum(first == second for first, second in zip(one, other, strict=True)) < 50


@pytest.mark.security
def test_a_date_that_cannot_move_is_rejected_and_never_stays():
    edge = [dt.date(1, 1, 1), dt.date(9999, 12, 31), None, dt.date(2000, 1, 1)]
    made, bad = mask({**SHIFT, "days": 36500}, pa.array(edge, pa.date32()), subject=pa.array(["a", "a", "a", None]))
    assert {each.row for each in bad} in ({1, 4}, {2, 4})
    assert made.null_count == 1
    ends = pa.array([-(2**63) + 1, 2**63 - 1], pa.int64()).cast(pa.timestamp("ns"))
    made, bad = mask({**SHIFT, "days": 36500}, ends, subject=pa.array(["a", "a"]))
    assert (len(bad), made.null_count) == (1, 0), "both move alike: one of them out of reach"


# -- types ---------------------------------------------------------------------------------------------------------------

UNFIT = [
    ("hash", "float64"), ("hash", "bool"), ("tokenize", "list(text)"), ("encrypt", "interval"), ("detokenize", "int64"),
    ("decrypt", "bytes"), (SHIFT, "text"), ({"type": "redact", "text": "x"}, "int64"), ({"type": "redact", "keep_last": 4}, "int64"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "kind"), UNFIT, ids=str)
def test_a_method_that_does_not_fit_is_told_before_any_row(method, kind):
    with pytest.raises(Invalid, match="does not fit") as caught:
        mask(method, column(kind, []))
    assert caught.value.where == "step m, rules[0].method"


def test_a_subject_that_has_no_one_spelling_is_told():
    with pytest.raises(Invalid, match="cannot go by"):
        mask(SHIFT, column("date", []), subject=pa.array([1.5]))


def test_no_rows_are_no_rows():
    for method in ("redact", "hash", "tokenize", "detokenize", "encrypt", "decrypt"):
        assert mask(method, pa.array([], pa.string()))[0].to_pylist() == []
