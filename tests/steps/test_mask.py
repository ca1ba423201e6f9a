from __future__ import annotations

import base64

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sluicegate.base.errors import Invalid, from_validation
from sluicegate.base.secret import Secret
from sluicegate.conformance.step import MaskingSuite
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.kit.masks import Keys
from sluicegate.steps.mask import Mask

WHOLE = {
    "name": "m", "from": "rows", "key": "k",
    "rules": [
        {"columns": ["mail"], "method": "hash"},
        {"columns": "name", "method": {"type": "tokenize", "domain": "people"}, "tags": ["staff"]},
        {"columns": ["born"], "method": {"type": "shift", "by": "mail"}},
    ],
}  # fmt: skip
BATCH = pa.RecordBatch.from_pydict(
    {
        "id": [1, 2],
        "mail": ["a@example.org", None],
        "name": ["Ada", None],
        "born": pa.array([1, None], pa.int32()).cast(pa.date32()),
    }
)
KEYS = Keys({"k": Secret(base64.b64encode(b"k" * 64).decode())}, "north")


class TestMask(MaskingSuite):
    plugin = Mask
    whole = WHOLE

    def batch(self):
        return BATCH

    def keys(self):
        return KEYS


def mask(*rules, **more):
    return Mask.model_validate({"name": "m", "from": "rows", "key": "k", "rules": list(rules), **more})


def test_a_rule_sees_the_rows_as_they_came():
    """The person that dates move by is the one from before the mask, whatever the order of the rules."""
    first = mask(*WHOLE["rules"]).start(BATCH.schema, KEYS).mask(BATCH, 1)[0]
    second = mask(*reversed(WHOLE["rules"])).start(BATCH.schema, KEYS).mask(BATCH, 1)[0]
    assert first.equals(second)
    assert first.column("id").equals(BATCH.column("id"))


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"key": None}, ("rules", 0, "method")),
        ({"rules": [{"columns": ["a", "b"], "method": "redact"}, {"columns": ["b"], "method": "redact"}]}, ("rules", 1, "columns", 0)),
        ({"rules": [{"columns": [], "method": "redact"}]}, ("rules", 0, "columns")),
        ({"rules": [{"columns": ["a"], "method": "rot13"}]}, ("rules", 0, "method")),
        ({"rules": [{"columns": ["a"], "method": {"type": "redact", "text": "x", "keep_last": 2}}]}, ("rules", 0, "method", "keep_last")),
        ({"rules": [{"columns": ["a"], "method": {"type": "detokenize", "as": "float64"}}]}, ("rules", 0, "method", "as")),
        ({"rules": [{"columns": ["a"], "method": {"type": "hash", "domain": "../d"}}]}, ("rules", 0, "method", "domain")),
        ({"rules": []}, ("rules",)),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(changed, path):
    with pytest.raises(ValidationError) as caught:
        Mask.model_validate({**WHOLE, **changed})
    assert from_validation(caught.value, given={**WHOLE, **changed}).path == path


def test_redact_alone_needs_no_key():
    made = mask({"columns": "a", "method": "redact"}, key=None)
    assert list(made.key_names()) == []
    assert list(mask({"columns": "a", "method": "redact"}).key_names()) == []
    assert [name for name, _ in mask({"columns": "a", "method": "hash"}, old_keys=["o"]).key_names()] == ["k", "o"]


@pytest.mark.security
def test_only_what_takes_masks_off_reveals():
    assert not mask(*WHOLE["rules"]).reveals
    for method in ("detokenize", "decrypt"):
        assert mask({"columns": "a", "method": "redact"}, {"columns": "b", "method": method}).reveals


@pytest.mark.security
def test_a_reject_does_not_tell_what_was_to_be_masked():
    rules = [{"columns": "t", "method": "detokenize"}, {"columns": "mail", "method": "redact"}]
    batch = pa.RecordBatch.from_pydict({"id": [7], "t": ["canary-t"], "mail": ["canary-m"]})
    good, bad = mask(*rules).start(batch.schema, KEYS).mask(batch, 41)
    assert good.num_rows == 0
    assert [(each.row, each.column, each.raw) for each in bad] == [(41, "t", '{"id":7,"t":"***","mail":"***"}')]
    assert "canary" not in str(bad)


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_a_second_column_of_the_same_letters_is_not_left_in_clear():
    """To who reads names without regard to case the two are one, and the tags say that it is masked."""
    batch = pa.RecordBatch.from_pydict({"mail": ["a"], "Mail": ["b"]})
    with pytest.raises(Invalid, match="differ in case only"):
        mask({"columns": "mail", "method": "hash"}).start(batch.schema, KEYS)


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_tags_change_with_the_mask_and_come_back_with_the_value():
    known = Facts({"mail": Fact(frozenset({"personal", "card"}), sure=True), "id": Fact()})
    hidden = mask({"columns": "Mail", "method": "tokenize", "tags": ["joined"]}).trace({"rows": known})
    assert hidden.get("mail").tags == {"pseudonymous", "joined"}
    again = mask({"columns": "mail", "method": "hash"}).trace({"rows": hidden})
    shown = mask({"columns": "mail", "method": "detokenize"}).trace({"rows": again})
    assert shown.get("mail").tags >= {"personal", "card"}
    assert "pseudonymous" not in shown.get("mail").tags
    unknown = mask({"columns": "x", "method": "decrypt", "tags": ["health"]}).trace({"rows": Facts()})
    assert unknown.get("x").tags == {"personal", "health"}
    gone = mask({"columns": "mail", "method": "redact"}).trace({"rows": known})
    assert gone.get("mail").tags == frozenset()
    ends = mask({"columns": "mail", "method": {"type": "redact", "keep_last": 4}}).trace({"rows": known})
    assert ends.get("mail").tags == {"truncated"}


def test_types_that_are_known_are_looked_at_when_the_flow_is_saved():
    known = Facts({"x": Fact(kind="float64"), "d": Fact(kind="date"), "n": Fact(kind="int64")})
    with pytest.raises(Invalid, match="hash does not fit a column of type float64") as caught:
        mask({"columns": ["n", "x"], "method": "hash"}).trace({"rows": known})
    assert caught.value.where == "step m, rules[0].method"
    traced = mask({"columns": "n", "method": "hash"}, {"columns": "d", "method": {"type": "shift", "by": "n"}}).trace(
        {"rows": known}
    )
    assert (traced.get("n").kind, traced.get("d").kind) == ("text", "date")


def test_a_column_whose_type_nobody_has_seen_is_masked_all_the_same():
    """A file without rows has no types; neither has a column of nothing but NULL."""
    rules = [{"columns": "a", "method": "hash"}, {"columns": "b", "method": {"type": "shift", "by": "c"}}]
    empty = pa.RecordBatch.from_pydict({name: pa.nulls(2) for name in "abc"})
    masker = mask(*rules).start(empty.schema, KEYS)
    good, bad = masker.mask(empty, 1)
    assert (good.num_rows, bad, masker.schema.field("a").type) == (2, [], pa.string())


def test_a_subject_of_no_known_type_is_nobody():
    batch = pa.RecordBatch.from_pydict({"b": pa.array([1], pa.int32()).cast(pa.date32()), "c": pa.nulls(1)})
    good, bad = mask({"columns": "b", "method": {"type": "shift", "by": "c"}}).start(batch.schema, KEYS).mask(batch, 1)
    assert (good.num_rows, len(bad)) == (0, 1)
