from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluicegate.base.errors import DataError
from sluicegate.conformance.format import FormatSuite
from sluicegate.conformance.samples import table
from sluicegate.formats.parquet import Parquet
from sluicegate.kit.format import Decoding


class TestParquet(FormatSuite):
    item = "x.parquet"
    lazy = False  # a small file is one row group
    without = frozenset({"interval"})

    def make(self, **options):
        return Parquet(**options)

    def test_cut_off_file_is_told(self):
        data = self.write(table({"a": list(range(1000))}))
        for size in (0, 3, 8, len(data) // 2, len(data) - 1):
            with pytest.raises(DataError, match="Not a whole Parquet file") as caught:
                self.read(data[:size])
            assert "x.parquet" in str(caught.value)

    def test_damaged_page_is_told(self):
        data = bytearray(self.write(table({"a": list(range(1000))})))
        data[len(data) // 4] ^= 0xFF  # in the page itself, past its header
        with pytest.raises(DataError, match=r"damaged|Not a whole"):
            self.read(bytes(data))

    def test_large_file_has_row_groups_and_is_read_one_by_one(self):
        batch = pa.table({"a": pa.array(range(100_000))}).to_batches()[0]
        out = io.BytesIO()
        encoder = self.make().encoder(batch.schema, out)
        for _ in range(5):
            encoder.write(batch)
        encoder.close()
        file = pq.ParquetFile(out)
        assert [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)] == [
            200_000,
            200_000,
            100_000,
        ]
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"
        assert self.read(out.getvalue()).num_rows == 500_000

    def test_a_dictionary_is_made_of_values_that_come_again(self):
        columns = {"often": ["a", "b", None] * 3000, "once": [str(n) for n in range(9000)], "deep": [[1]] * 9000}
        file = pq.ParquetFile(io.BytesIO(self.write(pa.table(columns))))
        group = file.metadata.row_group(0)
        made = [group.column(place).has_dictionary_page for place in range(group.num_columns)]
        assert made == [True, False, False]
        assert file.read().to_pydict() == columns

    def test_metadata_is_kept(self):
        schema = pa.schema([pa.field("a", pa.int64(), metadata={"unit": "km"})], {"from": "test"})
        found = self.read(self.write(pa.table({"a": [1]}).cast(schema)))
        assert found.schema.metadata[b"from"] == b"test"
        assert found.schema.field("a").metadata[b"unit"] == b"km"

    def test_type_that_differs_from_the_snapshot_is_told(self):
        data = self.write(table({"a": [1]}))
        with pytest.raises(DataError, match="The column is int64, and text in the snapshot"):
            self.read(data, table({"a": ["x"]}).schema)

    def test_input_must_seek(self):
        class Pipe(io.BytesIO):
            def seekable(self):
                return False

        with pytest.raises(DataError, match="read from its end"):
            self.make().decode(Pipe(self.write(table({"a": [1]}))), Decoding(item="x.parquet"))

    def test_same_name_twice_is_told(self):
        out = io.BytesIO()
        pq.write_table(pa.table([[1], [2]], names=["a", "a"]), out)
        with pytest.raises(DataError, match="same name"):
            self.read(out.getvalue())
