from __future__ import annotations

import inspect
import io

import pyarrow as pa
import pytest

from sluicegate.base.errors import DataError
from sluicegate.kit import registry
from sluicegate.kit.format import Decoding, Format, refuse
from sluicegate.kit.rows import Reject

PLUGINS = [registry.find("format", type_) for type_ in registry.types("format")]


@pytest.mark.parametrize(
    ("line", "column", "where"),
    [(7, "price", "line 7, column price"), (7, None, "line 7"), (None, "price", "column price"), (None, None, ""),
     (0, "a", "line 0, column a")],
)  # fmt: skip
def test_the_first_bad_row_stops_and_is_placed(line, column, where):
    with pytest.raises(DataError) as told:
        refuse(Reject(line, column, "“x” is not an int64", "1,x"))
    assert (told.value.message, told.value.where) == ("“x” is not an int64", where)


@pytest.mark.security
def test_unless_a_flow_says_otherwise_no_row_is_dropped_and_input_has_an_end():
    plain = Decoding()
    assert plain.on_reject is refuse
    assert 0 < plain.max_bytes <= 1 << 40
    assert plain.limit is None


@pytest.mark.security
@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda each: each.__name__)
def test_a_format_is_handed_bytes_and_nothing_to_reach_out_with(plugin):
    assert list(inspect.signature(plugin.decode).parameters) == ["self", "data", "how"]
    assert list(inspect.signature(plugin.encoder).parameters) == ["self", "schema", "out", "item"]
    assert set(Decoding.__dataclass_fields__) == {"item", "columns", "on_reject", "max_bytes", "limit"}


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda each: each.__name__)
def test_a_suffix_means_one_format(plugin):
    assert plugin.suffixes
    for other in PLUGINS:
        assert other is plugin or not set(plugin.suffixes) & set(other.suffixes)
    assert all(each.startswith(".") and each == each.lower() for each in plugin.suffixes)


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda each: each.__name__)
def test_closing_an_encoder_leaves_the_output_open(plugin):
    out = io.BytesIO()
    batch = pa.record_batch({"a": pa.array([1, 2], pa.int64())})
    encoder = plugin().encoder(batch.schema, out)
    encoder.write(batch)
    encoder.close()
    assert not out.closed
    rows = plugin().decode(io.BytesIO(out.getvalue()), Decoding(columns={"a": "int64"})).read_all()
    assert rows.to_pydict() == {"a": [1, 2]}


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda each: each.__name__)
def test_a_preview_reads_no_more_than_its_limit(plugin):
    out = io.BytesIO()
    batch = pa.record_batch({"a": pa.array(range(100), pa.int64())})
    encoder = plugin().encoder(batch.schema, out)
    encoder.write(batch)
    encoder.close()
    rows = plugin().decode(io.BytesIO(out.getvalue()), Decoding(columns={"a": "int64"}, limit=3)).read_all()
    assert rows.to_pydict() == {"a": [0, 1, 2]}


def test_the_shape_alone_does_nothing():
    with pytest.raises(NotImplementedError):
        Format(type="none").decode(io.BytesIO(), Decoding())
    with pytest.raises(NotImplementedError):
        Format(type="none").encoder(pa.schema([]), io.BytesIO())
