from __future__ import annotations

import io
from decimal import Decimal

import pyarrow as pa
import pytest

from sluicegate.base.errors import DataError
from sluicegate.conformance.format import CompressedSuite
from sluicegate.conformance.samples import table
from sluicegate.formats.ndjson import Ndjson
from sluicegate.kit.format import Decoding


class TestNdjson(CompressedSuite):
    item = "x.ndjson"
    json_is_reformed = True

    def make(self, **options):
        return Ndjson(**options)


def decode(data, form=None, **how):
    data = data.encode() if isinstance(data, str) else data
    return (form or Ndjson()).decode(io.BytesIO(data), Decoding(item="f.ndjson", **how)).read_all()


def encode(columns):
    sent = table(columns)
    out = io.BytesIO()
    encoder = Ndjson().encoder(sent.schema, out, "x.ndjson")
    encoder.write(sent.to_batches()[0])
    encoder.close()
    return out.getvalue().decode()


def test_lines_are_counted_and_blank_ones_left_out():
    found = []
    data = '{"a":1}\r\n\n  \n{"a":\n{"a":2}\n[1]\nnull\n{"a":3'
    assert decode(data, on_reject=found.append).to_pydict() == {"a": [1, 2]}
    assert [each.line for each in found] == [4, 6, 7, 8]
    assert found[1].reason == "not a JSON object"


def test_byte_order_mark():
    assert decode(b'\xef\xbb\xbf{"a":1}').to_pydict() == {"a": [1]}


def test_written_lines():
    columns = {
        "n": [1, None], "d": pa.array([Decimal("1.10"), None], pa.decimal128(9, 2)), "t": ['say "hi"\n', ""],
        "l": [[1, None], None],
    }  # fmt: skip
    assert (
        encode(columns) == '{"n":1,"d":1.10,"t":"say \\"hi\\"\\n","l":[1,null]}\n{"n":null,"d":null,"t":"","l":null}\n'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(DataError, match="column v: JSON has no word for"):
        encode({"v": [1.0, value]})
    with pytest.raises(DataError, match="JSON has no word for"):
        encode({"v": [[1.0, value]]})


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_endless_line_is_stopped():
    with pytest.raises(DataError, match="too long"):
        decode(b'{"a":"' + b"x" * (17 << 20))
