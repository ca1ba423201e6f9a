"""The suites see a format that breaks their rule: each case here is a plugin with one fault."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings

from sluicegate.base.errors import DataError
from sluicegate.conformance.format import CompressedSuite, FormatSuite
from sluicegate.formats.csv import Csv
from sluicegate.formats.ndjson import Ndjson
from sluicegate.formats.parquet import Parquet

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from sluicegate.kit.format import Decoding


settings.register_profile("found", settings.get_profile("here"), phases=[Phase.explicit, Phase.generate])


@pytest.fixture(autouse=True)
def _found():
    """Have a fault found, and not made small: that takes a minute."""
    settings.load_profile("found")
    yield
    settings.load_profile("here")


class NullsAreEmpty(Csv):
    """Loses the difference between '' and NULL."""

    def decode(self, data, how: Decoding):
        return super().decode(io.BytesIO(data.read().replace(b'""', b"")), how)


class Unbounded(Csv):
    """Takes input of any size."""

    def decode(self, data, how: Decoding):
        from dataclasses import replace

        return super().decode(data, replace(how, max_bytes=1 << 60))


class Whole(Ndjson):
    """Reads everything before it gives anything."""

    def decode(self, data, how: Decoding):
        return super().decode(io.BytesIO(data.read()), how)


class Closes(Parquet):
    """Closes what is not its own."""

    def encoder(self, schema, out, item=""):
        encoder = super().encoder(schema, out, item)
        close = encoder.close
        encoder.close = lambda: (close(), out.close())
        return encoder


class Crashes(Csv):
    """Lets another kind of error out."""

    def decode(self, data, how: Decoding):
        try:
            return super().decode(data, how)
        except DataError as fault:
            raise IndexError(fault.message) from None


class Cut(Csv):
    """Takes a cut-off file for a whole one."""

    def decode(self, data, how: Decoding):
        import zlib

        packed = data.read()
        plain = zlib.decompressobj(31).decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
        from dataclasses import replace

        return super().decode(io.BytesIO(plain), replace(how, item="x.csv"))


def suite(kind, item, base=FormatSuite):
    made = type("Suite", (base,), {"item": item, "make": lambda self, **options: kind(**options)})
    return made()


@pytest.mark.parametrize(
    ("kind", "item", "case", "base"),
    [
        (NullsAreEmpty, "x.csv", "test_empty_text_is_not_null", FormatSuite),
        (NullsAreEmpty, "x.csv", "test_tables_come_back_as_they_went", FormatSuite),
        (Whole, "x.ndjson", "test_many_rows_in_bounded_batches", FormatSuite),
        (Closes, "x.parquet", "test_output_stays_open", FormatSuite),
        (Cut, "x.csv", "test_cut_off_gzip_is_told", CompressedSuite),
    ],
)
def test_suite_sees_the_fault(kind, item, case, base):
    with pytest.raises((AssertionError, DataError, pytest.fail.Exception, BaseExceptionGroup)):
        getattr(suite(kind, item, base), case)()


@pytest.mark.security
@pytest.mark.parametrize(
    ("kind", "case", "base"),
    [
        (Unbounded, "test_more_than_allowed_is_refused", FormatSuite),
        (Unbounded, "test_more_than_allowed_is_refused", CompressedSuite),
        (Crashes, "test_any_bytes_end_in_rows_or_one_error", FormatSuite),
    ],
)
def test_suite_sees_the_hole(kind, case, base):
    with pytest.raises((pytest.fail.Exception, IndexError, BaseExceptionGroup)):
        getattr(suite(kind, "x.csv", base), case)()


def test_suite_passes_a_good_format():
    good = suite(Csv, "x.csv", CompressedSuite)
    good.test_empty_text_is_not_null()
    good.test_cut_off_gzip_is_told()
