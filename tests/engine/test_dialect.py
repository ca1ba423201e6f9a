from __future__ import annotations

import pytest

from sluicegate.engine.dialect import plain

NAMES = {"c0": "price", "c1": "it's"}


@pytest.mark.parametrize(
    ("said", "ours"),
    [
        (
            "Could not convert string 'BIGINT' to INT32 when casting from source column c0",
            "the text 'BIGINT' is not int32, in column 'price'",
        ),
        (
            "No function matches the given name and argument types 'upper(BIGINT[])'. You might need to add casts",
            "there is nothing called upper(list(int64)): cast the values, or use another function",
        ),
        (
            "Cannot compare values of type VARCHAR and type INTEGER_LITERAL - an explicit cast is required",
            "text and int32 cannot be compared: cast one of them",
        ),
        (
            "Unimplemented type for cast (STRUCT(a BIGINT) -> TIMESTAMP WITH TIME ZONE) when casting from source column c1",
            "struct(a int64) cannot be cast to timestamptz, in column \"it's\"",
        ),
        (
            "Type INT32 with value 999999 can't be cast because the value is out of range for the destination type INT16",
            "the int32 value 999999 is out of the range of int16",
        ),
        ('the column "c0" is of type BIGNUM, which cannot be carried exactly; cast it',
         "the column 'price' is of type bignum, which cannot be carried exactly; cast it"),
        ("a DOUBLE and 'a DOUBLE c0'", "a float64 and 'a DOUBLE c0'"),
        ("Date out of range: 2013-13-1", "Date out of range: 2013-13-1"),
    ],
)  # fmt: skip
def test_types_and_columns_come_in_our_words_and_values_stay(said, ours):
    assert plain(said, NAMES) == ours
