"""The conformance suite for every format."""

from __future__ import annotations

import io
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from sluicegate.base.errors import DataError
from sluicegate.conformance.samples import NAMES, VALUES, column, rows, table
from sluicegate.kit.format import Decoding
from sluicegate.kit.inflate import ENDINGS
from sluicegate.kit.objects import parse
from sluicegate.kit.registry import format_for
from sluicegate.kit.types import to_arrow, to_name

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.kit.format import Format
    from sluicegate.kit.rows import Reject

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
_KINDS: dict[str, st.SearchStrategy[Any]] = {
    "text": _TEXT | st.sampled_from(VALUES["text"]),
    "int64": st.integers(-(1 << 63), (1 << 63) - 1),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "decimal(18,4)": st.decimals(min_value=-(10**13), max_value=10**13, places=4),
    "bool": st.booleans(),
    "date": st.dates(),
    "timestamp": st.datetimes(),
    "bytes": st.binary(max_size=8),
    "list(text)": st.lists(_TEXT | st.none(), max_size=3),
}


@st.composite
def tables(draw: st.DrawFn, kinds: tuple[str, ...]) -> pa.Table:
    """Draw a table of a few columns and rows."""
    import pyarrow as pa

    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4))
    count = draw(st.integers(0, 6))
    made = [draw(st.lists(_KINDS[kind] | st.none(), min_size=count, max_size=count)) for kind in chosen]
    columns = [pa.array(values, to_arrow(kind)) for kind, values in zip(chosen, made, strict=True)]
    return pa.table(columns, names=[f"c{place}" for place in range(len(chosen))])


class Counting(io.BytesIO):
    """Input that counts what was read of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


class FormatSuite:
    """Holds for every format. A subclass overrides ``make`` and says what it cannot do."""

    item: ClassVar[str]
    """A file name with a suffix of the format, without compression."""
    without: ClassVar[frozenset[str]] = frozenset()
    """Types that the format has no words for."""
    json_is_reformed: ClassVar[bool] = False
    """Whether JSON values come back in another spelling (space, trailing zeros) of the same value."""
    lazy: ClassVar[bool] = True
    """Whether reading begins before the whole input is there."""

    def make(self, **options: Any) -> Format:
        """Return the format with ``options``."""
        raise NotImplementedError

    def write(self, found: pa.Table, item: str | None = None) -> bytes:
        """Return a table as bytes."""
        out = io.BytesIO()
        encoder = self.make().encoder(found.schema, out, item or self.item)
        for batch in found.to_batches():
            encoder.write(batch)
        encoder.close()
        return out.getvalue()

    def read(self, data: bytes, found: pa.Schema | None = None, item: str | None = None, **how: Any) -> pa.Table:
        """Return bytes as a table; ``found``: the schema that a snapshot would hold."""
        columns = {field.name: to_name(field.type) for field in found} if found else None
        return self.make().decode(io.BytesIO(data), Decoding(item=item or self.item, columns=columns, **how)).read_all()

    def there_and_back(self, sent: pa.Table) -> pa.Table:
        """Return what comes back of a table."""
        return self.read(self.write(sent), sent.schema)

    @pytest.mark.parametrize("kind", VALUES)
    def test_type_there_and_back(self, kind: str) -> None:
        if kind in self.without:
            with pytest.raises((DataError, ValueError)):
                self.there_and_back(table({"v": column(kind)}))
            return
        sent = table({"v": column(kind), "last": [1] * len(column(kind))})
        found = self.there_and_back(sent)
        assert found.schema.types == sent.schema.types
        if kind == "json" and self.json_is_reformed:
            read = [
                [None if each is None else parse(each.encode()) for each in one.column("v").to_pylist()]
                for one in (found, sent)
            ]
            assert read[0] == read[1]
        else:
            assert found.combine_chunks().equals(sent)

    def test_tables_come_back_as_they_went(self) -> None:
        @settings(max_examples=60, deadline=None, database=None)
        @for_all(tables(tuple(kind for kind in _KINDS if kind not in self.without)))
        def check(sent: pa.Table) -> None:
            found = self.there_and_back(sent)
            assert found.schema.types == sent.schema.types
            assert found.to_pylist() == sent.to_pylist()

        check()

    def test_empty_text_is_not_null(self) -> None:
        sent = table({"a": ["", None, " "], "b": ["x", "", None]})
        assert self.there_and_back(sent).to_pydict() == sent.to_pydict()
        alone = table({"a": [None, "", "x", None]})
        assert self.there_and_back(alone).to_pydict() == alone.to_pydict()

    def test_no_rows(self) -> None:
        sent = table({"a": column("int64", []), "b": column("text", [])})
        found = self.there_and_back(sent)
        assert (found.num_rows, found.schema.names, found.schema.types) == (0, ["a", "b"], sent.schema.types)

    def test_odd_column_names(self) -> None:
        sent = table({name: [place] for place, name in enumerate(NAMES)})
        assert self.there_and_back(sent).to_pydict() == sent.to_pydict()

    def test_many_rows_in_bounded_batches(self) -> None:
        sent = table({"k": list(range(60_000)), "v": [f"{each:x>80}" for each in range(60_000)]})
        data = Counting(self.write(sent))
        columns = {"k": "int64", "v": "text"}
        reader = self.make().decode(data, Decoding(item=self.item, columns=columns))
        first = reader.read_next_batch()
        assert first.nbytes < 4 << 20
        if self.lazy:
            assert data.taken < len(data.getvalue()) / 1.5
        batches = [first, *reader]
        assert max(batch.nbytes for batch in batches) < 4 << 20
        found = [value for batch in batches for value in batch.column("k").to_pylist()]
        assert found == list(range(60_000))

    def test_limit(self) -> None:
        sent = table({"k": list(range(100))})
        data = self.write(sent)
        for limit in (0, 1, 99, 100, 1000):
            assert self.read(data, sent.schema, limit=limit).column("k").to_pylist() == list(range(min(limit, 100)))

    def test_output_stays_open(self) -> None:
        out = io.BytesIO()
        self.make().encoder(table({"a": [1]}).schema, out, self.item).close()
        assert not out.closed

    def test_column_that_is_gone_is_named(self) -> None:
        sent = table({"a": [1]})
        wanted = table({"a": [1], "gone": [1]}).schema
        try:
            found = self.read(self.write(sent), wanted)
        except DataError as fault:
            assert "gone" in str(fault)  # noqa: PT017 - either answer is right, silence is not
        else:
            assert found.column("gone").null_count == 1

    @pytest.mark.security
    @pytest.mark.req("SEC-F08")
    def test_more_than_allowed_is_refused(self) -> None:
        sent = table({"v": ["x" * 1000] * 5000})
        data = self.write(sent)
        with pytest.raises(DataError, match=r"more than|are allowed") as caught:
            self.read(data, sent.schema, max_bytes=100_000)
        assert self.item in str(caught.value)

    @pytest.mark.security
    @pytest.mark.req("SEC-P11")
    def test_any_bytes_end_in_rows_or_one_error(self) -> None:
        sent = table({"a": [1, 2], "b": ["x", "é\n"]})
        good = self.write(sent)

        @settings(max_examples=80, deadline=None, database=None)
        @for_all(st.binary(max_size=200), st.integers(0, len(good)), st.integers(0, 40), st.booleans())
        def check(noise: bytes, place: int, cut: int, typed: bool) -> None:
            data = good[:place] + noise + good[place + cut :]
            rejects: list[Reject] = []
            with suppress(DataError):
                self.read(data, sent.schema if typed else None, on_reject=rejects.append)

        check()


class CompressedSuite(FormatSuite):
    """Holds for every format that packs its files, as gzip and otherwise."""

    @pytest.mark.parametrize("ending", ENDINGS)
    def test_any_packing_there_and_back(self, ending: str) -> None:
        sent = table({"a": list(range(5000)), "b": ["x"] * 5000})
        item = self.item + ending
        data = self.write(sent, item)
        assert len(data) < len(self.write(sent))
        assert rows(self.read(data, sent.schema, item)) == rows(self.read(data, sent.schema)) == rows(sent)
        with pytest.raises(DataError, match=r"ends early|damaged") as caught:
            self.read(data[:-1], sent.schema, item)
        assert item in str(caught.value)
        assert format_for(item).type == self.make().type

    def test_packed_there_and_back(self) -> None:
        sent = table({"a": list(range(5000)), "b": ["x"] * 5000})
        data = self.write(sent, self.item + ".gz")
        assert data.startswith(b"\x1f\x8b")
        assert len(data) < len(self.write(sent))
        assert rows(self.read(data, sent.schema, self.item + ".gz")) == rows(sent)
        assert rows(self.read(data, sent.schema)) == rows(sent)  # told by its first bytes, whatever its name

    def test_cut_off_gzip_is_told(self) -> None:
        sent = table({"a": list(range(5000))})
        data, item = self.write(sent, self.item + ".gz"), self.item + ".gz"
        for size in (0, 1, 5, 12, len(data) // 2, len(data) - 9, len(data) - 1):
            with pytest.raises(DataError, match=r"ends early|no gzip") as caught:
                self.read(data[:size], sent.schema, item)
            assert item in str(caught.value)

    def test_damaged_gzip_is_told(self) -> None:
        sent = table({"a": list(range(5000))})
        data, item = bytearray(self.write(sent, self.item + ".gz")), self.item + ".gz"
        data[-6] ^= 1  # the checksum
        with pytest.raises(DataError, match="damaged") as caught:
            self.read(bytes(data), sent.schema, item)
        assert item in str(caught.value)

    @pytest.mark.security
    @pytest.mark.req("SEC-F08")
    def test_gzip_bomb_is_stopped(self) -> None:
        pack = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = pack.compress(b"0" * (64 << 20)) + pack.flush()
        data = Counting(bomb * 50)  # 3.2 GB when unpacked
        with pytest.raises(DataError):
            self.make().decode(data, Decoding(item=self.item + ".gz", max_bytes=1 << 20)).read_all()
        assert data.taken <= 1 << 18
